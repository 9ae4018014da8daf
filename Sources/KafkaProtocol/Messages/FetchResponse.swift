// SPDX-License-Identifier: Apache-2.0
//
// FetchResponse.swift
// Fetch (key 1) response, versions 4 to 18; flexible from version 12.

/// Record batches, and how far each partition reaches.
public struct FetchResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.fetch

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The fetch session, 0 for none.
    public var sessionID: Int32
    /// The answer for each topic.
    public var topics: [Topic]
    /// How to reach the leaders that partitions name, from version 16 on (KIP-951).
    public var nodeEndpoints: [NodeEndpoint]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, sessionID: Int32 = 0,
        topics: [Topic] = [], nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.sessionID = sessionID
        self.topics = topics
        self.nodeEndpoints = nodeEndpoints
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.fetch, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try version >= 7 ? reader.errorCode() : .none
        sessionID = try version >= 7 ? reader.int32() : 0
        topics = try reader.array(version: version)
        nodeEndpoints = []
        try reader.taggedFields { (tag, reader) throws(WireError) in
            switch tag {
            case 0 where version >= 16: nodeEndpoints = try reader.array(version: version)
            default: return false
            }
            return true
        }
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.fetch, version: version)
        writer.int32(throttleTimeMilliseconds)
        if version >= 7 {
            writer.errorCode(errorCode)
            writer.int32(sessionID)
        }
        writer.array(topics, version: version)
        guard version >= 16, !nodeEndpoints.isEmpty else { return writer.taggedFields() }
        var tagged = TaggedFields()
        tagged.append(tag: 0) { $0.array(nodeEndpoints, version: version) }
        writer.taggedFields(tagged)
    }
}

extension FetchResponse {
    /// One topic and its partitions.
    public typealias Topic = NamedOrIdentifiedTopic<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The end of what is committed.
        public var highWatermark: Int64
        /// The end of what is decided: no open transaction lies below.
        public var lastStableOffset: Int64
        /// The first offset of the log, -1 when unknown.
        public var logStartOffset: Int64
        /// The place where the client's log leaves ours, when it does.
        public var divergingEpoch: EpochEndOffset?
        /// The leader, when the request was sent to another broker.
        public var currentLeader: LeaderAndEpoch?
        /// The snapshot to fetch instead; only replicas act on it.
        public var snapshotID: SnapshotID?
        /// The aborted transactions that overlap the records; null when the reader asked for uncommitted ones.
        public var abortedTransactions: [AbortedTransaction]?
        /// The replica to read from instead, -1 for this one.
        public var preferredReadReplica: Int32
        /// The record batches.
        public var records: RecordSlices

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, highWatermark: Int64, lastStableOffset: Int64 = -1,
            logStartOffset: Int64 = -1, divergingEpoch: EpochEndOffset? = nil, currentLeader: LeaderAndEpoch? = nil,
            snapshotID: SnapshotID? = nil, abortedTransactions: [AbortedTransaction]? = nil,
            preferredReadReplica: Int32 = -1, records: RecordSlices = .empty
        ) {
            self.index = index
            self.errorCode = errorCode
            self.highWatermark = highWatermark
            self.lastStableOffset = lastStableOffset
            self.logStartOffset = logStartOffset
            self.divergingEpoch = divergingEpoch
            self.currentLeader = currentLeader
            self.snapshotID = snapshotID
            self.abortedTransactions = abortedTransactions
            self.preferredReadReplica = preferredReadReplica
            self.records = records
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            highWatermark = try reader.int64()
            lastStableOffset = try reader.int64()
            logStartOffset = try version >= 5 ? reader.int64() : -1
            abortedTransactions = try reader.nullableArray(version: version)
            preferredReadReplica = try version >= 11 ? reader.int32() : -1
            records = try RecordSlices(reader.nullableRecords())
            divergingEpoch = nil
            currentLeader = nil
            snapshotID = nil
            try reader.taggedFields { (tag, reader) throws(WireError) in
                switch tag {
                case 0: divergingEpoch = try EpochEndOffset(from: &reader, version: version)
                case 1: currentLeader = try LeaderAndEpoch(from: &reader, version: version)
                case 2: snapshotID = try SnapshotID(from: &reader, version: version)
                default: return false
                }
                return true
            }
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.int64(highWatermark)
            writer.int64(lastStableOffset)
            if version >= 5 { writer.int64(logStartOffset) }
            writer.nullableArray(abortedTransactions, version: version)
            if version >= 11 { writer.int32(preferredReadReplica) }
            writer.records(records)
            var tagged = TaggedFields()
            if let divergingEpoch { tagged.append(tag: 0) { divergingEpoch.encode(to: &$0, version: version) } }
            if let currentLeader { tagged.append(tag: 1) { currentLeader.encode(to: &$0, version: version) } }
            if let snapshotID { tagged.append(tag: 2) { snapshotID.encode(to: &$0, version: version) } }
            writer.taggedFields(tagged)
        }
    }

    /// A leader epoch and where it ends.
    public struct EpochEndOffset: WireCoded {
        /// The leader epoch.
        public var epoch: Int32
        /// The end offset of the epoch.
        public var endOffset: Int64

        /// Creates a value; what is not named is at its default.
        public init(epoch: Int32 = -1, endOffset: Int64 = -1) {
            self.epoch = epoch
            self.endOffset = endOffset
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            epoch = try reader.int32()
            endOffset = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(epoch)
            writer.int64(endOffset)
            writer.taggedFields()
        }
    }

    /// A snapshot.
    public struct SnapshotID: WireCoded {
        /// The end offset of the snapshot.
        public var endOffset: Int64
        /// The leader epoch.
        public var epoch: Int32

        /// Creates a value; what is not named is at its default.
        public init(endOffset: Int64 = -1, epoch: Int32 = -1) {
            self.endOffset = endOffset
            self.epoch = epoch
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            endOffset = try reader.int64()
            epoch = try reader.int32()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int64(endOffset)
            writer.int32(epoch)
            writer.taggedFields()
        }
    }

    /// An aborted transaction.
    public struct AbortedTransaction: WireCoded {
        /// The producer's id.
        public var producerID: Int64
        /// The offset of the transaction's first record.
        public var firstOffset: Int64

        /// Creates a value.
        public init(producerID: Int64, firstOffset: Int64) {
            self.producerID = producerID
            self.firstOffset = firstOffset
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            producerID = try reader.int64()
            firstOffset = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int64(producerID)
            writer.int64(firstOffset)
            writer.taggedFields()
        }
    }
}
