// SPDX-License-Identifier: Apache-2.0
//
// DescribeShareGroupOffsetsResponse.swift
// DescribeShareGroupOffsets (key 90) response, versions 0 and 1; flexible from version 0.

/// Where share groups start in their partitions.
public struct DescribeShareGroupOffsetsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeShareGroupOffsets

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each group.
    public var groups: [Group]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, groups: [Group] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.groups = groups
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeShareGroupOffsets, version: version)
        throttleTimeMilliseconds = try reader.int32()
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeShareGroupOffsets, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension DescribeShareGroupOffsetsResponse {
    /// One topic and its partitions.
    public typealias Topic = NamedAndIdentifiedTopic<Partition>

    /// One group.
    public struct Group: WireCoded {
        /// The group.
        public var groupID: String
        /// The answer for each topic.
        public var topics: [Topic]
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(
            groupID: String, topics: [Topic] = [], errorCode: KafkaErrorCode = .none, errorMessage: String? = nil
        ) {
            self.groupID = groupID
            self.topics = topics
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            groupID = try reader.string()
            topics = try reader.array(version: version)
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(groupID)
            writer.array(topics, version: version)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.taggedFields()
        }
    }

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The first record that the group may still get, -1 when nothing is known.
        public var startOffset: Int64
        /// The leader epoch that the state was written under.
        public var leaderEpoch: Int32
        /// How many records the group still has to get, -1 when unknown; from version 1 on.
        public var lag: Int64
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, startOffset: Int64 = -1, leaderEpoch: Int32 = 0, lag: Int64 = -1,
            errorCode: KafkaErrorCode = .none, errorMessage: String? = nil
        ) {
            self.index = index
            self.startOffset = startOffset
            self.leaderEpoch = leaderEpoch
            self.lag = lag
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            startOffset = try reader.int64()
            leaderEpoch = try reader.int32()
            lag = try version >= 1 ? reader.int64() : -1
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(startOffset)
            writer.int32(leaderEpoch)
            if version >= 1 { writer.int64(lag) }
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.taggedFields()
        }
    }
}
