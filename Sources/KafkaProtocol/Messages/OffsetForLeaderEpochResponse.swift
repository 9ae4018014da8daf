// SPDX-License-Identifier: Apache-2.0
//
// OffsetForLeaderEpochResponse.swift
// OffsetForLeaderEpoch (key 23) response, versions 2 to 4; flexible from version 4.

/// Where each leader epoch ends.
public struct OffsetForLeaderEpochResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetForLeaderEpoch

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetForLeaderEpoch, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetForLeaderEpoch, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension OffsetForLeaderEpochResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The partition.
        public var index: Int32
        /// The leader epoch, -1 when unknown.
        public var leaderEpoch: Int32
        /// The end offset of the epoch.
        public var endOffset: Int64

        /// Creates a value; what is not named is at its default.
        public init(errorCode: KafkaErrorCode = .none, index: Int32, leaderEpoch: Int32 = -1, endOffset: Int64 = -1) {
            self.errorCode = errorCode
            self.index = index
            self.leaderEpoch = leaderEpoch
            self.endOffset = endOffset
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            index = try reader.int32()
            leaderEpoch = try reader.int32()
            endOffset = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.int32(index)
            writer.int32(leaderEpoch)
            writer.int64(endOffset)
            writer.taggedFields()
        }
    }
}
