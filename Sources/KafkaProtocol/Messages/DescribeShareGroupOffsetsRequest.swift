// SPDX-License-Identifier: Apache-2.0
//
// DescribeShareGroupOffsetsRequest.swift
// DescribeShareGroupOffsets (key 90) request, versions 0 and 1; flexible from version 0.

/// Asks where share groups start in their partitions (KIP-932).
public struct DescribeShareGroupOffsetsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeShareGroupOffsets
    /// What answers this request.
    public typealias Response = DescribeShareGroupOffsetsResponse

    /// The groups.
    public var groups: [Group]

    /// Creates the message; what is not named is at its default.
    public init(groups: [Group] = []) {
        self.groups = groups
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeShareGroupOffsets, version: version)
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeShareGroupOffsets, version: version)
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension DescribeShareGroupOffsetsRequest {
    /// One group.
    public struct Group: WireCoded {
        /// The group.
        public var groupID: String
        /// The partitions; null for all that the group has a state of.
        public var topics: [TopicPartitionIndexes]?

        /// Creates a value; what is not named is at its default.
        public init(groupID: String, topics: [TopicPartitionIndexes]? = nil) {
            self.groupID = groupID
            self.topics = topics
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            groupID = try reader.string()
            topics = try reader.nullableArray(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(groupID)
            writer.nullableArray(topics, version: version)
            writer.taggedFields()
        }
    }
}
