// SPDX-License-Identifier: Apache-2.0
//
// CreatePartitionsRequest.swift
// CreatePartitions (key 37) request, versions 0 to 3; flexible from version 2.

/// Adds partitions to topics.
public struct CreatePartitionsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.createPartitions
    /// What answers this request.
    public typealias Response = CreatePartitionsResponse

    /// The topics to grow.
    public var topics: [Topic]
    /// How long the broker may take.
    public var timeoutMilliseconds: Int32
    /// Whether to check only and change nothing.
    public var validateOnly: Bool

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = [], timeoutMilliseconds: Int32, validateOnly: Bool = false) {
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
        self.validateOnly = validateOnly
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.createPartitions, version: version)
        topics = try reader.array(version: version)
        timeoutMilliseconds = try reader.int32()
        validateOnly = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.createPartitions, version: version)
        writer.array(topics, version: version)
        writer.int32(timeoutMilliseconds)
        writer.bool(validateOnly)
        writer.taggedFields()
    }
}

extension CreatePartitionsRequest {
    /// One topic to grow.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String
        /// The number of partitions the topic shall have.
        public var count: Int32
        /// The replicas of each added partition; null lets the cluster place them.
        public var assignments: [ReplicaAssignment]?

        /// Creates a value; what is not named is at its default.
        public init(name: String, count: Int32, assignments: [ReplicaAssignment]? = nil) {
            self.name = name
            self.count = count
            self.assignments = assignments
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            count = try reader.int32()
            assignments = try reader.nullableArray(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.int32(count)
            writer.nullableArray(assignments, version: version)
            writer.taggedFields()
        }
    }

    /// The replicas of one partition.
    public struct ReplicaAssignment: WireCoded {
        /// The replicas, the preferred leader first.
        public var brokerIDs: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(brokerIDs: [Int32] = []) {
            self.brokerIDs = brokerIDs
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            brokerIDs = try reader.int32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32Array(brokerIDs)
            writer.taggedFields()
        }
    }
}
