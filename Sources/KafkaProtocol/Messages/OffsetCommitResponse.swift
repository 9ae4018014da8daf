// SPDX-License-Identifier: Apache-2.0
//
// OffsetCommitResponse.swift
// OffsetCommit (key 8) response, versions 2 to 10; flexible from version 8.

/// Whether each position was stored.
public struct OffsetCommitResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetCommit

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetCommit, version: version)
        throttleTimeMilliseconds = try version >= 3 ? reader.int32() : 0
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetCommit, version: version)
        if version >= 3 { writer.int32(throttleTimeMilliseconds) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension OffsetCommitResponse {
    /// One topic and its partitions.
    public typealias Topic = CommittedTopic<Partition>

    /// One partition.
    public typealias Partition = PartitionError
}
