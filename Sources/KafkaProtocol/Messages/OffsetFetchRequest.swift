// SPDX-License-Identifier: Apache-2.0
//
// OffsetFetchRequest.swift
// OffsetFetch (key 9) request, versions 1 to 7; flexible from version 6.

/// Asks for a group's positions.
public struct OffsetFetchRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetFetch
    /// What answers this request.
    public typealias Response = OffsetFetchResponse

    /// The group.
    public var groupID: String
    /// The partitions asked about; null means all that have a committed offset.
    public var topics: [Topic]?
    /// Whether offsets of open transactions are to be refused.
    public var requireStable: Bool

    /// Creates the message; what is not named is at its default.
    public init(groupID: String, topics: [Topic]? = nil, requireStable: Bool = false) {
        self.groupID = groupID
        self.topics = topics
        self.requireStable = requireStable
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetFetch, version: version)
        groupID = try reader.string()
        topics = try version >= 2 ? reader.nullableArray(version: version) : reader.array(version: version)
        requireStable = try version >= 7 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetFetch, version: version)
        writer.string(groupID)
        if version >= 2 {
            writer.nullableArray(topics, version: version)
        } else {
            writer.array(topics ?? [], version: version)
        }
        if version >= 7 { writer.bool(requireStable) }
        writer.taggedFields()
    }
}

extension OffsetFetchRequest {
    /// One topic and the partitions asked about.
    public typealias Topic = TopicPartitionIndexes
}
