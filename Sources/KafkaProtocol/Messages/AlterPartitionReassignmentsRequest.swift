// SPDX-License-Identifier: Apache-2.0
//
// AlterPartitionReassignmentsRequest.swift
// AlterPartitionReassignments (key 45) request, versions 0 and 1; flexible from version 0.

/// Moves partitions to other replicas, or cancels a move.
public struct AlterPartitionReassignmentsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.alterPartitionReassignments
    /// What answers this request.
    public typealias Response = AlterPartitionReassignmentsResponse

    /// How long to wait for the answer.
    public var timeoutMilliseconds: Int32
    /// Whether the number of replicas may change.
    public var allowReplicationFactorChange: Bool
    /// The topics.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(timeoutMilliseconds: Int32 = 60000, allowReplicationFactorChange: Bool = true, topics: [Topic] = []) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.allowReplicationFactorChange = allowReplicationFactorChange
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.alterPartitionReassignments, version: version)
        timeoutMilliseconds = try reader.int32()
        allowReplicationFactorChange = try version >= 1 ? reader.bool() : true
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.alterPartitionReassignments, version: version)
        writer.int32(timeoutMilliseconds)
        if version >= 1 { writer.bool(allowReplicationFactorChange) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension AlterPartitionReassignmentsRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition and its replicas to be.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The replicas; null cancels the move under way.
        public var replicas: [Int32]?

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, replicas: [Int32]? = nil) {
            self.index = index
            self.replicas = replicas
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            replicas = try reader.nullableInt32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.nullableInt32Array(replicas)
            writer.taggedFields()
        }
    }
}
