// SPDX-License-Identifier: Apache-2.0
//
// DeleteRecordsRequest.swift
// DeleteRecords (key 21) request, versions 0 to 2; flexible from version 2.

/// Deletes the records below an offset.
public struct DeleteRecordsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteRecords
    /// What answers this request.
    public typealias Response = DeleteRecordsResponse

    /// The topics to trim.
    public var topics: [Topic]
    /// How long the broker may take.
    public var timeoutMilliseconds: Int32

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = [], timeoutMilliseconds: Int32) {
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteRecords, version: version)
        topics = try reader.array(version: version)
        timeoutMilliseconds = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteRecords, version: version)
        writer.array(topics, version: version)
        writer.int32(timeoutMilliseconds)
        writer.taggedFields()
    }
}

extension DeleteRecordsRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The first offset to keep, -1 for the high watermark.
        public var offset: Int64

        /// Creates a value.
        public init(index: Int32, offset: Int64) {
            self.index = index
            self.offset = offset
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            offset = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(offset)
            writer.taggedFields()
        }
    }
}
