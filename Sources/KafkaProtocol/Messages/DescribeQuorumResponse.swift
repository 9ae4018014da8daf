// SPDX-License-Identifier: Apache-2.0
//
// DescribeQuorumResponse.swift
// DescribeQuorum (key 55) response, versions 0 and 1; flexible from version 0.

/// The state of the controller's group.
public struct DescribeQuorumResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeQuorum

    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(errorCode: KafkaErrorCode = .none, topics: [Topic] = []) {
        self.errorCode = errorCode
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeQuorum, version: version)
        errorCode = try reader.errorCode()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeQuorum, version: version)
        writer.errorCode(errorCode)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DescribeQuorumResponse {
    /// The answer for one topic.
    public typealias Topic = TopicPartitions<Partition>

    /// The answer for one partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The leader, -1 when there is none.
        public var leaderID: Int32
        /// The leader epoch, -1 when unknown.
        public var leaderEpoch: Int32
        /// The offset past the last committed entry.
        public var highWatermark: Int64
        /// The replicas that vote.
        public var currentVoters: [Replica]
        /// The replicas that only follow.
        public var observers: [Replica]

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, leaderID: Int32 = -1, leaderEpoch: Int32 = -1,
            highWatermark: Int64 = -1, currentVoters: [Replica] = [], observers: [Replica] = []
        ) {
            self.index = index
            self.errorCode = errorCode
            self.leaderID = leaderID
            self.leaderEpoch = leaderEpoch
            self.highWatermark = highWatermark
            self.currentVoters = currentVoters
            self.observers = observers
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            leaderID = try reader.int32()
            leaderEpoch = try reader.int32()
            highWatermark = try reader.int64()
            currentVoters = try reader.array(version: version)
            observers = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.int32(leaderID)
            writer.int32(leaderEpoch)
            writer.int64(highWatermark)
            writer.array(currentVoters, version: version)
            writer.array(observers, version: version)
            writer.taggedFields()
        }
    }

    /// One replica and how far it is.
    public struct Replica: WireCoded {
        /// The broker.
        public var replicaID: Int32
        /// Where its log ends, as far as the leader knows; -1 when it does not.
        public var logEndOffset: Int64
        /// When it was last heard from; -1 when unknown.
        public var lastFetchTimestamp: Int64
        /// When it last had everything; -1 when unknown.
        public var lastCaughtUpTimestamp: Int64

        /// Creates a value; what is not named is at its default.
        public init(
            replicaID: Int32, logEndOffset: Int64 = -1, lastFetchTimestamp: Int64 = -1,
            lastCaughtUpTimestamp: Int64 = -1
        ) {
            self.replicaID = replicaID
            self.logEndOffset = logEndOffset
            self.lastFetchTimestamp = lastFetchTimestamp
            self.lastCaughtUpTimestamp = lastCaughtUpTimestamp
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            replicaID = try reader.int32()
            logEndOffset = try reader.int64()
            lastFetchTimestamp = try version >= 1 ? reader.int64() : -1
            lastCaughtUpTimestamp = try version >= 1 ? reader.int64() : -1
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(replicaID)
            writer.int64(logEndOffset)
            if version >= 1 {
                writer.int64(lastFetchTimestamp)
                writer.int64(lastCaughtUpTimestamp)
            }
            writer.taggedFields()
        }
    }
}
