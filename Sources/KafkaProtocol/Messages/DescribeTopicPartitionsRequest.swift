// SPDX-License-Identifier: Apache-2.0
//
// DescribeTopicPartitionsRequest.swift
// DescribeTopicPartitions (key 75) request, version 0; flexible from version 0.

/// Asks for the partitions of topics, page by page (KIP-966).
public struct DescribeTopicPartitionsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeTopicPartitions
    /// What answers this request.
    public typealias Response = DescribeTopicPartitionsResponse

    /// The topics asked about; empty means all.
    public var topics: [Topic]
    /// The most partitions in the answer.
    public var responsePartitionLimit: Int32
    /// The first topic and partition of the page; null for the first page.
    public var cursor: TopicPartitionCursor?

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = [], responsePartitionLimit: Int32 = 2000, cursor: TopicPartitionCursor? = nil) {
        self.topics = topics
        self.responsePartitionLimit = responsePartitionLimit
        self.cursor = cursor
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeTopicPartitions, version: version)
        topics = try reader.array(version: version)
        responsePartitionLimit = try reader.int32()
        cursor = try reader.nullableStruct(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeTopicPartitions, version: version)
        writer.array(topics, version: version)
        writer.int32(responsePartitionLimit)
        writer.nullableStruct(cursor, version: version)
        writer.taggedFields()
    }
}

extension DescribeTopicPartitionsRequest {
    /// A topic by name.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String

        /// Creates a value.
        public init(name: String) {
            self.name = name
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.taggedFields()
        }
    }
}

/// Where a page of partitions begins.
public struct TopicPartitionCursor: WireCoded {
    /// The first topic of the page.
    public var topicName: String
    /// The first partition of that topic.
    public var partitionIndex: Int32

    /// Creates a value.
    public init(topicName: String, partitionIndex: Int32) {
        self.topicName = topicName
        self.partitionIndex = partitionIndex
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        topicName = try reader.string()
        partitionIndex = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.string(topicName)
        writer.int32(partitionIndex)
        writer.taggedFields()
    }
}
