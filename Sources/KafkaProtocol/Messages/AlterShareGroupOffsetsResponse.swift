// SPDX-License-Identifier: Apache-2.0
//
// AlterShareGroupOffsetsResponse.swift
// AlterShareGroupOffsets (key 91) response, version 0; flexible from version 0.

/// Whether the starts were set.
public struct AlterShareGroupOffsetsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.alterShareGroupOffsets

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The answer for each topic.
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
        try reader.begin(.alterShareGroupOffsets, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.alterShareGroupOffsets, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension AlterShareGroupOffsetsResponse {
    /// One topic and its partitions.
    public typealias Topic = NamedAndIdentifiedTopic<Partition>

    /// One partition.
    public typealias Partition = PartitionExplainedError
}
