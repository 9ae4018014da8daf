// SPDX-License-Identifier: Apache-2.0
//
// OffsetDeleteResponse.swift
// OffsetDelete (key 47) response, version 0; never flexible.

/// Whether each position was forgotten.
public struct OffsetDeleteResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetDelete

    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(errorCode: KafkaErrorCode = .none, throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.errorCode = errorCode
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetDelete, version: version)
        errorCode = try reader.errorCode()
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetDelete, version: version)
        writer.errorCode(errorCode)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
    }
}

extension OffsetDeleteResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public typealias Partition = PartitionError
}
