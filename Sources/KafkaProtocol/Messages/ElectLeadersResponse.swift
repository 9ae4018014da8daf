// SPDX-License-Identifier: Apache-2.0
//
// ElectLeadersResponse.swift
// ElectLeaders (key 43) response, versions 0 to 2; flexible from version 2.

/// How each election ended.
public struct ElectLeadersResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.electLeaders

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.electLeaders, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try version >= 1 ? reader.errorCode() : .none
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.electLeaders, version: version)
        writer.int32(throttleTimeMilliseconds)
        if version >= 1 { writer.errorCode(errorCode) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension ElectLeadersResponse {
    /// The answer for one topic.
    public typealias Topic = TopicPartitions<Partition>

    /// The answer for one partition.
    public typealias Partition = PartitionExplainedError
}
