// SPDX-License-Identifier: Apache-2.0
//
// ListPartitionReassignmentsResponse.swift
// ListPartitionReassignments (key 46) response, version 0; flexible from version 0.

/// The partitions that are moving.
public struct ListPartitionReassignmentsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listPartitionReassignments

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The topics with partitions that are moving.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listPartitionReassignments, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listPartitionReassignments, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension ListPartitionReassignmentsResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition that is moving.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// All replicas.
        public var replicas: [Int32]
        /// The replicas that are coming.
        public var addingReplicas: [Int32]
        /// The replicas that are going.
        public var removingReplicas: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, replicas: [Int32] = [], addingReplicas: [Int32] = [], removingReplicas: [Int32] = []
        ) {
            self.index = index
            self.replicas = replicas
            self.addingReplicas = addingReplicas
            self.removingReplicas = removingReplicas
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            replicas = try reader.int32Array()
            addingReplicas = try reader.int32Array()
            removingReplicas = try reader.int32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int32Array(replicas)
            writer.int32Array(addingReplicas)
            writer.int32Array(removingReplicas)
            writer.taggedFields()
        }
    }
}
