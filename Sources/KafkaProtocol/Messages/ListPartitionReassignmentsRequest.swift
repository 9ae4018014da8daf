// SPDX-License-Identifier: Apache-2.0
//
// ListPartitionReassignmentsRequest.swift
// ListPartitionReassignments (key 46) request, version 0; flexible from version 0.

/// Asks which partitions are moving.
public struct ListPartitionReassignmentsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listPartitionReassignments
    /// What answers this request.
    public typealias Response = ListPartitionReassignmentsResponse

    /// How long to wait for the answer.
    public var timeoutMilliseconds: Int32
    /// The partitions asked about; null means all.
    public var topics: [Topic]?

    /// Creates the message; what is not named is at its default.
    public init(timeoutMilliseconds: Int32 = 60000, topics: [Topic]? = nil) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listPartitionReassignments, version: version)
        timeoutMilliseconds = try reader.int32()
        topics = try reader.nullableArray(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listPartitionReassignments, version: version)
        writer.int32(timeoutMilliseconds)
        writer.nullableArray(topics, version: version)
        writer.taggedFields()
    }
}

extension ListPartitionReassignmentsRequest {
    /// The partitions of one topic.
    public typealias Topic = TopicPartitionIndexes
}
