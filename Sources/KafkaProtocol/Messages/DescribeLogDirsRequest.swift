// SPDX-License-Identifier: Apache-2.0
//
// DescribeLogDirsRequest.swift
// DescribeLogDirs (key 35) request, versions 1 to 5; flexible from version 2.

/// Asks how much room partitions take on disk.
public struct DescribeLogDirsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeLogDirs
    /// What answers this request.
    public typealias Response = DescribeLogDirsResponse

    /// The partitions asked about; null means all.
    public var topics: [Topic]?

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic]? = nil) {
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeLogDirs, version: version)
        topics = try reader.nullableArray(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeLogDirs, version: version)
        writer.nullableArray(topics, version: version)
        writer.taggedFields()
    }
}

extension DescribeLogDirsRequest {
    /// The partitions of one topic.
    public typealias Topic = TopicPartitionIndexes
}
