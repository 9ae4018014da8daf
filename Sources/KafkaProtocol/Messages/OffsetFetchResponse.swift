// SPDX-License-Identifier: Apache-2.0
//
// OffsetFetchResponse.swift
// OffsetFetch (key 9) response, versions 1 to 10; flexible from version 6.

/// The group's positions.
public struct OffsetFetchResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetFetch

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic, up to version 7.
    public var topics: [Topic]
    /// What went wrong, if anything; up to version 7.
    public var errorCode: KafkaErrorCode
    /// The answer for each group, from version 8 on.
    public var groups: [Group]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = [], errorCode: KafkaErrorCode = .none,
        groups: [Group] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
        self.errorCode = errorCode
        self.groups = groups
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetFetch, version: version)
        throttleTimeMilliseconds = try version >= 3 ? reader.int32() : 0
        topics = try version <= 7 ? reader.array(version: version) : []
        errorCode = try (2...7).contains(version) ? reader.errorCode() : .none
        groups = try version >= 8 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetFetch, version: version)
        if version >= 3 { writer.int32(throttleTimeMilliseconds) }
        if version <= 7 { writer.array(topics, version: version) }
        if (2...7).contains(version) { writer.errorCode(errorCode) }
        if version >= 8 { writer.array(groups, version: version) }
        writer.taggedFields()
    }
}

extension OffsetFetchResponse {
    /// One topic and its partitions.
    public typealias Topic = CommittedTopic<Partition>

    /// One group and its offsets.
    public struct Group: WireCoded {
        /// The group.
        public var groupID: String
        /// The answer for each topic.
        public var topics: [Topic]
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode

        /// Creates a value; what is not named is at its default.
        public init(groupID: String, topics: [Topic] = [], errorCode: KafkaErrorCode = .none) {
            self.groupID = groupID
            self.topics = topics
            self.errorCode = errorCode
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            groupID = try reader.string()
            topics = try reader.array(version: version)
            errorCode = try reader.errorCode()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(groupID)
            writer.array(topics, version: version)
            writer.errorCode(errorCode)
            writer.taggedFields()
        }
    }

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The offset of the next record to consume, -1 when none is committed.
        public var committedOffset: Int64
        /// The leader epoch of the last consumed record, -1 when unknown.
        public var committedLeaderEpoch: Int32
        /// The text kept with the offset.
        public var metadata: String?
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, committedOffset: Int64, committedLeaderEpoch: Int32 = -1, metadata: String? = nil,
            errorCode: KafkaErrorCode = .none
        ) {
            self.index = index
            self.committedOffset = committedOffset
            self.committedLeaderEpoch = committedLeaderEpoch
            self.metadata = metadata
            self.errorCode = errorCode
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            committedOffset = try reader.int64()
            committedLeaderEpoch = try version >= 5 ? reader.int32() : -1
            metadata = try reader.nullableString()
            errorCode = try reader.errorCode()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(committedOffset)
            if version >= 5 { writer.int32(committedLeaderEpoch) }
            writer.nullableString(metadata)
            writer.errorCode(errorCode)
            writer.taggedFields()
        }
    }
}
