// SPDX-License-Identifier: Apache-2.0
//
// ListOffsetsResponse.swift
// ListOffsets (key 2) response, versions 1 to 11; flexible from version 6.

/// The offsets found.
public struct ListOffsetsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listOffsets

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
        try reader.begin(.listOffsets, version: version)
        throttleTimeMilliseconds = try version >= 2 ? reader.int32() : 0
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listOffsets, version: version)
        if version >= 2 { writer.int32(throttleTimeMilliseconds) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension ListOffsetsResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The record's timestamp, -1 when there is none.
        public var timestamp: Int64
        /// The offset, -1 when there is none.
        public var offset: Int64
        /// The leader epoch of the offset, -1 when unknown.
        public var leaderEpoch: Int32

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, timestamp: Int64 = -1, offset: Int64 = -1,
            leaderEpoch: Int32 = -1
        ) {
            self.index = index
            self.errorCode = errorCode
            self.timestamp = timestamp
            self.offset = offset
            self.leaderEpoch = leaderEpoch
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            timestamp = try reader.int64()
            offset = try reader.int64()
            leaderEpoch = try version >= 4 ? reader.int32() : -1
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.int64(timestamp)
            writer.int64(offset)
            if version >= 4 { writer.int32(leaderEpoch) }
            writer.taggedFields()
        }
    }
}
