// SPDX-License-Identifier: Apache-2.0
//
// DescribeTopicPartitionsResponse.swift
// DescribeTopicPartitions (key 75) response, version 0; flexible from version 0.

public import Model

/// One page of partitions.
public struct DescribeTopicPartitionsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeTopicPartitions

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic, by rising name.
    public var topics: [Topic]
    /// Where the next page begins; null behind the last one.
    public var nextCursor: TopicPartitionCursor?

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = [], nextCursor: TopicPartitionCursor? = nil) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
        self.nextCursor = nextCursor
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeTopicPartitions, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        nextCursor = try reader.nullableStruct(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeTopicPartitions, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.nullableStruct(nextCursor, version: version)
        writer.taggedFields()
    }
}

extension DescribeTopicPartitionsResponse {
    /// One topic and the partitions of it that the page holds.
    public struct Topic: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The topic's name.
        public var name: String?
        /// The topic's id.
        public var topicID: TopicID
        /// Whether the topic holds the cluster's own state.
        public var isInternal: Bool
        /// The partitions.
        public var partitions: [Partition]
        /// What the client may do with the topic, a bit for each operation.
        public var topicAuthorizedOperations: Int32

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, name: String?, topicID: TopicID = .zero, isInternal: Bool = false,
            partitions: [Partition] = [], topicAuthorizedOperations: Int32 = authorizedOperationsOmitted
        ) {
            self.errorCode = errorCode
            self.name = name
            self.topicID = topicID
            self.isInternal = isInternal
            self.partitions = partitions
            self.topicAuthorizedOperations = topicAuthorizedOperations
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            name = try reader.nullableString()
            topicID = try reader.topicID()
            isInternal = try reader.bool()
            partitions = try reader.array(version: version)
            topicAuthorizedOperations = try reader.int32()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.nullableString(name)
            writer.topicID(topicID)
            writer.bool(isInternal)
            writer.array(partitions, version: version)
            writer.int32(topicAuthorizedOperations)
            writer.taggedFields()
        }
    }

    /// One partition.
    public struct Partition: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The partition.
        public var index: Int32
        /// The leader, -1 when there is none.
        public var leaderID: Int32
        /// The leader epoch, -1 when unknown.
        public var leaderEpoch: Int32
        /// All replicas.
        public var replicaNodes: [Int32]
        /// The replicas in sync.
        public var isrNodes: [Int32]
        /// Replicas that may lead although they are not in sync; null when there is no such thing, as here.
        public var eligibleLeaderReplicas: [Int32]?
        /// The last of them that were known; null when there is no such thing, as here.
        public var lastKnownELR: [Int32]?
        /// The replicas that are not available.
        public var offlineReplicas: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, index: Int32, leaderID: Int32, leaderEpoch: Int32 = -1,
            replicaNodes: [Int32] = [], isrNodes: [Int32] = [], eligibleLeaderReplicas: [Int32]? = nil,
            lastKnownELR: [Int32]? = nil, offlineReplicas: [Int32] = []
        ) {
            self.errorCode = errorCode
            self.index = index
            self.leaderID = leaderID
            self.leaderEpoch = leaderEpoch
            self.replicaNodes = replicaNodes
            self.isrNodes = isrNodes
            self.eligibleLeaderReplicas = eligibleLeaderReplicas
            self.lastKnownELR = lastKnownELR
            self.offlineReplicas = offlineReplicas
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            index = try reader.int32()
            leaderID = try reader.int32()
            leaderEpoch = try reader.int32()
            replicaNodes = try reader.int32Array()
            isrNodes = try reader.int32Array()
            eligibleLeaderReplicas = try reader.nullableInt32Array()
            lastKnownELR = try reader.nullableInt32Array()
            offlineReplicas = try reader.int32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.int32(index)
            writer.int32(leaderID)
            writer.int32(leaderEpoch)
            writer.int32Array(replicaNodes)
            writer.int32Array(isrNodes)
            writer.nullableInt32Array(eligibleLeaderReplicas)
            writer.nullableInt32Array(lastKnownELR)
            writer.int32Array(offlineReplicas)
            writer.taggedFields()
        }
    }
}
