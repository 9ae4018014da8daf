// SPDX-License-Identifier: Apache-2.0
//
// OffsetForLeaderEpochRequest.swift
// OffsetForLeaderEpoch (key 23) request, versions 2 to 4; flexible from version 4.

/// Asks where leader epochs end.
public struct OffsetForLeaderEpochRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetForLeaderEpoch
    /// What answers this request.
    public typealias Response = OffsetForLeaderEpochResponse

    /// The replica that asks, -1 for a consumer.
    public var replicaID: Int32
    /// The topics asked about.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(replicaID: Int32 = -2, topics: [Topic] = []) {
        self.replicaID = replicaID
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetForLeaderEpoch, version: version)
        replicaID = try version >= 3 ? reader.int32() : -2
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetForLeaderEpoch, version: version)
        if version >= 3 { writer.int32(replicaID) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension OffsetForLeaderEpochRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The leader epoch the client knows, -1 to skip the check.
        public var currentLeaderEpoch: Int32
        /// The leader epoch whose end is asked for.
        public var leaderEpoch: Int32

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, currentLeaderEpoch: Int32 = -1, leaderEpoch: Int32) {
            self.index = index
            self.currentLeaderEpoch = currentLeaderEpoch
            self.leaderEpoch = leaderEpoch
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            currentLeaderEpoch = try reader.int32()
            leaderEpoch = try reader.int32()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int32(currentLeaderEpoch)
            writer.int32(leaderEpoch)
            writer.taggedFields()
        }
    }
}
