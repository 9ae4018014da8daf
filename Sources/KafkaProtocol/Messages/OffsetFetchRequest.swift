// SPDX-License-Identifier: Apache-2.0
//
// OffsetFetchRequest.swift
// OffsetFetch (key 9) request, versions 1 to 10; flexible from version 6.

/// Asks for a group's positions.
public struct OffsetFetchRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetFetch
    /// What answers this request.
    public typealias Response = OffsetFetchResponse

    /// The group, up to version 7.
    public var groupID: String
    /// The partitions asked about, up to version 7; null means all that have a committed offset.
    public var topics: [Topic]?
    /// The groups and partitions asked about, from version 8 on.
    public var groups: [Group]
    /// Whether offsets of open transactions are to be refused.
    public var requireStable: Bool

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String = "", topics: [Topic]? = nil, groups: [Group] = [], requireStable: Bool = false
    ) {
        self.groupID = groupID
        self.topics = topics
        self.groups = groups
        self.requireStable = requireStable
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetFetch, version: version)
        groupID = try version <= 7 ? reader.string() : ""
        switch version {
        case ...1: topics = try reader.array(version: version)
        case 2...7: topics = try reader.nullableArray(version: version)
        default: topics = nil
        }
        groups = try version >= 8 ? reader.array(version: version) : []
        requireStable = try version >= 7 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetFetch, version: version)
        switch version {
        case ...1:
            writer.string(groupID)
            writer.array(topics ?? [], version: version)
        case 2...7:
            writer.string(groupID)
            writer.nullableArray(topics, version: version)
        default: writer.array(groups, version: version)
        }
        if version >= 7 { writer.bool(requireStable) }
        writer.taggedFields()
    }
}

extension OffsetFetchRequest {
    /// One topic and the partitions asked about.
    public typealias Topic = CommittedTopicIndexes

    /// One group and the partitions asked about.
    public struct Group: WireCoded {
        /// The group.
        public var groupID: String
        /// The member that asks, under the consumer protocol; null for anyone else; from version 9 on.
        public var memberID: String?
        /// The epoch of that member, -1 for anyone else; from version 9 on.
        public var memberEpoch: Int32
        /// The partitions; null means all that have a committed offset.
        public var topics: [Topic]?

        /// Creates a value; what is not named is at its default.
        public init(groupID: String, memberID: String? = nil, memberEpoch: Int32 = -1, topics: [Topic]? = nil) {
            self.groupID = groupID
            self.memberID = memberID
            self.memberEpoch = memberEpoch
            self.topics = topics
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            groupID = try reader.string()
            memberID = try version >= 9 ? reader.nullableString() : nil
            memberEpoch = try version >= 9 ? reader.int32() : -1
            topics = try reader.nullableArray(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(groupID)
            if version >= 9 {
                writer.nullableString(memberID)
                writer.int32(memberEpoch)
            }
            writer.nullableArray(topics, version: version)
            writer.taggedFields()
        }
    }
}
