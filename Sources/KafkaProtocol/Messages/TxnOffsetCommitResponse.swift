// SPDX-License-Identifier: Apache-2.0
//
// TxnOffsetCommitResponse.swift
// TxnOffsetCommit (key 28) response, versions 0 to 5; flexible from version 3.

/// Whether each position was stored.
public struct TxnOffsetCommitResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.txnOffsetCommit

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
        try reader.begin(.txnOffsetCommit, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.txnOffsetCommit, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension TxnOffsetCommitResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public typealias Partition = PartitionError
}
