// SPDX-License-Identifier: Apache-2.0
//
// TransactionRecord.swift
// What is agreed of one transactional id, and how it is written: in commands of the coordinator's log and in its records.

import Model

/// Where the transaction of a transactional id stands.
///
/// The raw values are stored.
enum TransactionState: UInt8, Sendable, CaseIterable {
    /// The id has a producer and never had a transaction.
    case empty = 0
    /// A transaction is open.
    case ongoing = 1
    /// The transaction is committed; its partitions are being told.
    case prepareCommit = 2
    /// The transaction is aborted; its partitions are being told.
    case prepareAbort = 3
    /// The last transaction was committed, and all its partitions know.
    case completeCommit = 4
    /// The last transaction was aborted, and all its partitions know.
    case completeAbort = 5

    /// The state's name, as Kafka's tools spell it.
    var name: String {
        switch self {
        case .empty: "Empty"
        case .ongoing: "Ongoing"
        case .prepareCommit: "PrepareCommit"
        case .prepareAbort: "PrepareAbort"
        case .completeCommit: "CompleteCommit"
        case .completeAbort: "CompleteAbort"
        }
    }

    /// Whether partitions are still to be told how the transaction ended.
    var isPrepared: Bool { self == .prepareCommit || self == .prepareAbort }
}

/// The replicated part of a transactional id, without the offsets that wait for the end of its transaction.
///
/// Invariants: `partitions` and `groups` are sorted and without repetition, and empty unless the state is ongoing or
/// prepared; `startedAt` is nil unless it is. The group of every partition is below `partitionGroupsEnd`.
struct TransactionRecord: Hashable, Sendable {
    /// The epoch of an id that was handed to nobody yet.
    static let noEpoch: Int16 = -1
    /// From this epoch on a producer gets a new id instead of a higher epoch; one is left, to fence it (KIP-360).
    static let lastEpoch: Int16 = .max - 1

    /// The producer id.
    var producerID: ProducerID
    /// The producer's epoch; every lower one is fenced.
    var epoch: Int16 = noEpoch
    /// The epoch before, as the client saw it, when the client may repeat the request that raised it; or -1.
    var previousEpoch: Int16 = noEpoch
    /// The producer id before, when its epochs were used up; or none.
    var previousProducerID = ProducerID.none
    /// The producer id that the next transaction has, once this one is complete; or none.
    var nextProducerID = ProducerID.none
    /// How long a transaction may stay open.
    var timeoutMilliseconds: Int32
    /// The version of transactions that the client uses: 1, or 2 when each end raises the epoch (KIP-890).
    var version: UInt8 = 1
    /// Where its transaction stands.
    var state = TransactionState.empty
    /// When the open transaction began.
    var startedAt: WallTime?
    /// When the record was changed.
    var changedAt: WallTime
    /// The partitions that the transaction writes to.
    var partitions: [TopicPartition] = []
    /// The groups whose offsets it commits.
    var groups: [String] = []
    /// How many groups the cluster's metadata had handed out to partitions when the last partition was added: metadata that
    /// knows fewer may not know a partition yet, metadata that knows them all and not the partition says that it is deleted.
    var partitionGroupsEnd = GroupID(rawValue: 0)

    /// Whether the producer's epochs are used up.
    var isExhausted: Bool { epoch >= Self.lastEpoch }
}

extension TransactionRecord {
    /// Appends the record's fields; consecutive partitions of a topic share its name.
    func encode(to writer: inout BinaryWriter) {
        writer.write(producerID.rawValue)
        writer.write(epoch)
        writer.write(previousEpoch)
        writer.write(previousProducerID.rawValue)
        writer.write(nextProducerID.rawValue)
        writer.write(timeoutMilliseconds)
        writer.write(version)
        writer.write(state.rawValue)
        WallTime.encode(startedAt, to: &writer)
        writer.write(changedAt.milliseconds)
        let topics = partitions.byTopic
        writer.write(UInt32(topics.count))
        for (topic, indexes) in topics {
            writer.write(topic)
            writer.write(UInt32(indexes.count))
            for index in indexes { writer.write(index) }
        }
        writer.write(UInt32(groups.count))
        for group in groups { writer.write(group) }
        writer.write(partitionGroupsEnd.rawValue)
    }

    /// Takes a record's fields.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        producerID = ProducerID(rawValue: try reader.readInteger(Int64.self))
        epoch = try reader.readInteger(Int16.self)
        previousEpoch = try reader.readInteger(Int16.self)
        previousProducerID = ProducerID(rawValue: try reader.readInteger(Int64.self))
        nextProducerID = ProducerID(rawValue: try reader.readInteger(Int64.self))
        timeoutMilliseconds = try reader.readInteger(Int32.self)
        version = try reader.readInteger(UInt8.self)
        let start = reader.position
        guard let state = TransactionState(rawValue: try reader.readInteger(UInt8.self)) else {
            throw .malformed(at: start)
        }
        self.state = state
        startedAt = try WallTime.decodeOptional(from: &reader)
        changedAt = try WallTime(from: &reader)
        partitions = []
        for _ in 0..<(try reader.readCount()) {
            let topic = try reader.readText()
            for _ in 0..<(try reader.readCount()) {
                let index = PartitionIndex(rawValue: try reader.readInteger(Int32.self))
                partitions.append(TopicPartition(topic: topic, partition: index))
            }
        }
        groups = []
        for _ in 0..<(try reader.readCount()) { groups.append(try reader.readText()) }
        partitionGroupsEnd = GroupID(rawValue: try reader.readInteger(UInt64.self))
    }
}

extension [TopicPartition] {
    /// The partitions by topic; neighbours of one topic go together.
    var byTopic: [(topic: String, indexes: [Int32])] {
        var topics: [(topic: String, indexes: [Int32])] = []
        for partition in self {
            if topics.last?.topic == partition.topic {
                topics[topics.count - 1].indexes.append(partition.partition.rawValue)
            } else {
                topics.append((partition.topic, [partition.partition.rawValue]))
            }
        }
        return topics
    }
}

extension TopicPartition {
    /// By topic, then by number.
    static func isBefore(_ a: TopicPartition, _ b: TopicPartition) -> Bool {
        a.topic == b.topic ? a.partition.rawValue < b.partition.rawValue : a.topic < b.topic
    }
}
