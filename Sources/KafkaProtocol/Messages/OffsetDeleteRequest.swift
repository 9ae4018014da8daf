// SPDX-License-Identifier: Apache-2.0
//
// OffsetDeleteRequest.swift
// OffsetDelete (key 47) request, version 0; never flexible.

/// Forgets a group's positions.
public struct OffsetDeleteRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetDelete
    /// What answers this request.
    public typealias Response = OffsetDeleteResponse

    /// The group.
    public var groupID: String
    /// The topics to forget the offsets of.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(groupID: String, topics: [Topic] = []) {
        self.groupID = groupID
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetDelete, version: version)
        groupID = try reader.string()
        topics = try reader.array(version: version)
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetDelete, version: version)
        writer.string(groupID)
        writer.array(topics, version: version)
    }
}

extension OffsetDeleteRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public typealias Partition = BarePartition
}
