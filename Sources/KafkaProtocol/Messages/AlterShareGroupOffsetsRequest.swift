// SPDX-License-Identifier: Apache-2.0
//
// AlterShareGroupOffsetsRequest.swift
// AlterShareGroupOffsets (key 91) request, version 0; flexible from version 0.

/// Sets where an empty share group starts (KIP-932).
public struct AlterShareGroupOffsetsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.alterShareGroupOffsets
    /// What answers this request.
    public typealias Response = AlterShareGroupOffsetsResponse

    /// The group.
    public var groupID: String
    /// The topics.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(groupID: String, topics: [Topic] = []) {
        self.groupID = groupID
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.alterShareGroupOffsets, version: version)
        groupID = try reader.string()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.alterShareGroupOffsets, version: version)
        writer.string(groupID)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension AlterShareGroupOffsetsRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The first record that the group is to get.
        public var startOffset: Int64

        /// Creates a value.
        public init(index: Int32, startOffset: Int64) {
            self.index = index
            self.startOffset = startOffset
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            startOffset = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(startOffset)
            writer.taggedFields()
        }
    }
}
