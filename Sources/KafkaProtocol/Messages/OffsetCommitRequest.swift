// SPDX-License-Identifier: Apache-2.0
//
// OffsetCommitRequest.swift
// OffsetCommit (key 8) request, versions 2 to 10; flexible from version 8.

/// Stores a group's positions.
public struct OffsetCommitRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetCommit
    /// What answers this request.
    public typealias Response = OffsetCommitResponse

    /// The group.
    public var groupID: String
    /// The member's generation, -1 outside a group's membership; from version 9 on also a member's epoch.
    public var generationID: Int32
    /// The member.
    public var memberID: String
    /// The member's name across restarts; null for a dynamic member.
    public var groupInstanceID: String?
    /// How long to keep the offsets, -1 for the broker's default.
    public var retentionTimeMilliseconds: Int64
    /// The topics to commit offsets of.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String, generationID: Int32 = -1, memberID: String, groupInstanceID: String? = nil,
        retentionTimeMilliseconds: Int64 = -1, topics: [Topic] = []
    ) {
        self.groupID = groupID
        self.generationID = generationID
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.retentionTimeMilliseconds = retentionTimeMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetCommit, version: version)
        groupID = try reader.string()
        generationID = try reader.int32()
        memberID = try reader.string()
        groupInstanceID = try version >= 7 ? reader.nullableString() : nil
        retentionTimeMilliseconds = try version <= 4 ? reader.int64() : -1
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetCommit, version: version)
        writer.string(groupID)
        writer.int32(generationID)
        writer.string(memberID)
        if version >= 7 { writer.nullableString(groupInstanceID) }
        if version <= 4 { writer.int64(retentionTimeMilliseconds) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension OffsetCommitRequest {
    /// One topic and its partitions.
    public typealias Topic = CommittedTopic<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The offset of the next record to consume.
        public var committedOffset: Int64
        /// The leader epoch of the last consumed record, -1 when unknown.
        public var committedLeaderEpoch: Int32
        /// A text kept with the offset.
        public var committedMetadata: String?

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, committedOffset: Int64, committedLeaderEpoch: Int32 = -1, committedMetadata: String? = nil
        ) {
            self.index = index
            self.committedOffset = committedOffset
            self.committedLeaderEpoch = committedLeaderEpoch
            self.committedMetadata = committedMetadata
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            committedOffset = try reader.int64()
            committedLeaderEpoch = try version >= 6 ? reader.int32() : -1
            committedMetadata = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(committedOffset)
            if version >= 6 { writer.int32(committedLeaderEpoch) }
            writer.nullableString(committedMetadata)
            writer.taggedFields()
        }
    }
}
