// SPDX-License-Identifier: Apache-2.0
//
// CreateTopicsRequest.swift
// CreateTopics (key 19) request, versions 2 to 7; flexible from version 5.

/// Creates topics.
public struct CreateTopicsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.createTopics
    /// What answers this request.
    public typealias Response = CreateTopicsResponse

    /// The topics to create.
    public var topics: [Topic]
    /// How long the broker may take.
    public var timeoutMilliseconds: Int32
    /// Whether to check only and change nothing.
    public var validateOnly: Bool

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = [], timeoutMilliseconds: Int32 = 60000, validateOnly: Bool = false) {
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
        self.validateOnly = validateOnly
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.createTopics, version: version)
        topics = try reader.array(version: version)
        timeoutMilliseconds = try reader.int32()
        validateOnly = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.createTopics, version: version)
        writer.array(topics, version: version)
        writer.int32(timeoutMilliseconds)
        writer.bool(validateOnly)
        writer.taggedFields()
    }
}

extension CreateTopicsRequest {
    /// One topic to create.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String
        /// The number of partitions, -1 for the cluster's default.
        public var partitionCount: Int32
        /// The number of replicas, -1 for the cluster's default.
        public var replicationFactor: Int16
        /// The replicas of each partition; empty lets the cluster place them.
        public var assignments: [ReplicaAssignment]
        /// The keys that differ from the cluster's defaults.
        public var configs: [Config]

        /// Creates a value; what is not named is at its default.
        public init(
            name: String, partitionCount: Int32, replicationFactor: Int16, assignments: [ReplicaAssignment] = [],
            configs: [Config] = []
        ) {
            self.name = name
            self.partitionCount = partitionCount
            self.replicationFactor = replicationFactor
            self.assignments = assignments
            self.configs = configs
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            partitionCount = try reader.int32()
            replicationFactor = try reader.int16()
            assignments = try reader.array(version: version)
            configs = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.int32(partitionCount)
            writer.int16(replicationFactor)
            writer.array(assignments, version: version)
            writer.array(configs, version: version)
            writer.taggedFields()
        }
    }

    /// The replicas of one partition.
    public struct ReplicaAssignment: WireCoded {
        /// The partition.
        public var index: Int32
        /// The replicas, the preferred leader first.
        public var brokerIDs: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, brokerIDs: [Int32] = []) {
            self.index = index
            self.brokerIDs = brokerIDs
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            brokerIDs = try reader.int32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int32Array(brokerIDs)
            writer.taggedFields()
        }
    }

    /// One configuration key.
    public typealias Config = ConfigValue
}
