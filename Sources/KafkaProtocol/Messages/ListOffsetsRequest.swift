// SPDX-License-Identifier: Apache-2.0
//
// ListOffsetsRequest.swift
// ListOffsets (key 2) request, versions 1 to 11; flexible from version 6.

/// Asks for the offset that belongs to a time, or for an end of the log.
public struct ListOffsetsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listOffsets
    /// What answers this request.
    public typealias Response = ListOffsetsResponse

    /// The replica that asks, -1 for a consumer.
    public var replicaID: Int32
    /// Which records are visible, see ``IsolationLevel``.
    public var isolationLevel: Int8
    /// The topics asked about.
    public var topics: [Topic]
    /// How long the broker may take to look in a remote store, from version 10 on.
    public var timeoutMilliseconds: Int32

    /// Creates the message; what is not named is at its default.
    public init(
        replicaID: Int32, isolationLevel: Int8 = 0, topics: [Topic] = [], timeoutMilliseconds: Int32 = 0
    ) {
        self.replicaID = replicaID
        self.isolationLevel = isolationLevel
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listOffsets, version: version)
        replicaID = try reader.int32()
        isolationLevel = try version >= 2 ? reader.int8() : 0
        topics = try reader.array(version: version)
        timeoutMilliseconds = try version >= 10 ? reader.int32() : 0
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listOffsets, version: version)
        writer.int32(replicaID)
        if version >= 2 { writer.int8(isolationLevel) }
        writer.array(topics, version: version)
        if version >= 10 { writer.int32(timeoutMilliseconds) }
        writer.taggedFields()
    }
}

extension ListOffsetsRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The leader epoch the client knows, -1 to skip the check.
        public var currentLeaderEpoch: Int32
        /// The time to search, or one of ``ListOffsetsTimestamp``.
        public var timestamp: Int64

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, currentLeaderEpoch: Int32 = -1, timestamp: Int64) {
            self.index = index
            self.currentLeaderEpoch = currentLeaderEpoch
            self.timestamp = timestamp
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            currentLeaderEpoch = try version >= 4 ? reader.int32() : -1
            timestamp = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            if version >= 4 { writer.int32(currentLeaderEpoch) }
            writer.int64(timestamp)
            writer.taggedFields()
        }
    }
}
