// SPDX-License-Identifier: Apache-2.0
//
// DescribeProducersRequest.swift
// DescribeProducers (key 61) request, version 0; flexible from version 0.

/// Asks who produces to partitions, and which transactions are open there.
public struct DescribeProducersRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeProducers
    /// What answers this request.
    public typealias Response = DescribeProducersResponse

    /// The partitions asked about.
    public var topics: [TopicPartitionIndexes]

    /// Creates the message; what is not named is at its default.
    public init(topics: [TopicPartitionIndexes] = []) {
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeProducers, version: version)
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeProducers, version: version)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}
