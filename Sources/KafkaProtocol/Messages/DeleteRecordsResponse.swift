// SPDX-License-Identifier: Apache-2.0
//
// DeleteRecordsResponse.swift
// DeleteRecords (key 21) response, versions 0 to 2; flexible from version 2.

/// The first offset that is left in each partition.
public struct DeleteRecordsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteRecords

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
        try reader.begin(.deleteRecords, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteRecords, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DeleteRecordsResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The first offset that is left.
        public var lowWatermark: Int64
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, lowWatermark: Int64, errorCode: KafkaErrorCode = .none) {
            self.index = index
            self.lowWatermark = lowWatermark
            self.errorCode = errorCode
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            lowWatermark = try reader.int64()
            errorCode = try reader.errorCode()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(lowWatermark)
            writer.errorCode(errorCode)
            writer.taggedFields()
        }
    }
}
