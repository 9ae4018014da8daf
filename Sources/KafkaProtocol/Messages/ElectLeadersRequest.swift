// SPDX-License-Identifier: Apache-2.0
//
// ElectLeadersRequest.swift
// ElectLeaders (key 43) request, versions 0 to 2; flexible from version 2.

/// Asks for other leaders of partitions.
public struct ElectLeadersRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.electLeaders
    /// What answers this request.
    public typealias Response = ElectLeadersResponse

    /// Whether the preferred replica is to lead (0), or any (1).
    public var electionType: Int8
    /// The partitions; null means all.
    public var topics: [Topic]?
    /// How long to wait for the elections.
    public var timeoutMilliseconds: Int32

    /// Creates the message; what is not named is at its default.
    public init(electionType: Int8 = 0, topics: [Topic]? = nil, timeoutMilliseconds: Int32 = 60000) {
        self.electionType = electionType
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.electLeaders, version: version)
        electionType = try version >= 1 ? reader.int8() : 0
        topics = try reader.nullableArray(version: version)
        timeoutMilliseconds = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.electLeaders, version: version)
        if version >= 1 { writer.int8(electionType) }
        writer.nullableArray(topics, version: version)
        writer.int32(timeoutMilliseconds)
        writer.taggedFields()
    }
}

extension ElectLeadersRequest {
    /// The partitions of one topic.
    public typealias Topic = TopicPartitionIndexes
}
