// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorState+Transactions.swift
// What commands about transactions do to the coordinator's state. The end of a transaction and the offsets it commits
// are one command, so that no marker is needed for offsets and neither can happen without the other.

import Model

extension CoordinatorState {
    /// Takes over a transactional id; offsets that wait for its transaction hold or are dropped as it is prepared.
    mutating func applyTransaction(
        _ id: String, _ record: TransactionRecord, into writes: inout [CoordinatorWrite]
    ) {
        transactions.set(record, for: id)
        write(.transaction(id), CoordinatorValue.encode(record), into: &writes)
        guard record.state.isPrepared else { return }
        for one in transactions.pending(of: id) {
            transactions.removePending(group: one.group, one.partition, by: id)
            write(.pendingOffset(transactionalID: id, group: one.group, one.partition), nil, into: &writes)
            guard record.state == .prepareCommit else { continue }
            commit(one.committed, group: one.group, one.partition, into: &writes)
        }
    }

    /// Notes offsets of an open transaction; nothing happens when that transaction is not open any more.
    mutating func applyPending(_ offsets: PendingOffsetBatch, into writes: inout [CoordinatorWrite]) {
        guard transactions.takes(offsets) else { return }
        let batch = offsets.batch
        for entry in batch.entries {
            let committed = CommittedOffset(
                offset: entry.offset, leaderEpoch: entry.leaderEpoch, metadata: entry.metadata,
                committedAt: batch.committedAt, expiresAt: batch.expiresAt)
            transactions.setPending(committed, group: batch.group, entry.partition, by: offsets.transactionalID)
            let key = CoordinatorKey.pendingOffset(
                transactionalID: offsets.transactionalID, group: batch.group, entry.partition)
            write(key, CoordinatorValue.encode(committed), into: &writes)
        }
    }

    /// Forgets transactional ids that nobody used since the given change.
    mutating func applyExpiry(_ ids: [ExpiredTransactionalID], into writes: inout [CoordinatorWrite]) {
        for one in ids {
            guard let record = transactions.records[one.id], record.changedAt == one.changedAt,
                record.state != .ongoing, !record.state.isPrepared
            else { continue }
            transactions.set(nil, for: one.id)
            write(.transaction(one.id), nil, into: &writes)
        }
    }

    /// Drops what waits for the offsets of a deleted topic.
    mutating func forgetPending(topic: String, into writes: inout [CoordinatorWrite]) {
        for one in transactions.pending(topic: topic) {
            transactions.removePending(group: one.group, one.partition, by: one.transactionalID)
            let key = CoordinatorKey.pendingOffset(
                transactionalID: one.transactionalID, group: one.group, one.partition)
            write(key, nil, into: &writes)
        }
    }

    /// The transactional ids and what waits for them as records.
    func transactionRecords(into writes: inout [CoordinatorWrite]) {
        for (id, record) in transactions.records.sorted(by: { $0.key < $1.key }) {
            write(.transaction(id), CoordinatorValue.encode(record), into: &writes)
        }
        for one in transactions.allPending {
            let key = CoordinatorKey.pendingOffset(
                transactionalID: one.transactionalID, group: one.group, one.partition)
            write(key, CoordinatorValue.encode(one.committed), into: &writes)
        }
    }
}

/// A transactional id that may go, unless it was used again meanwhile.
struct ExpiredTransactionalID: Hashable, Sendable {
    /// The id.
    var id: String
    /// The change that is meant.
    var changedAt: WallTime
}

extension CoordinatorValue {
    /// A transactional id's record.
    static func encode(_ record: TransactionRecord) -> [UInt8] {
        var writer = BinaryWriter([version])
        record.encode(to: &writer)
        return writer.bytes
    }

    /// Reads a transactional id's record.
    static func decodeTransaction(_ bytes: [UInt8]) throws(BinaryCodingError) -> TransactionRecord {
        var reader = try body(of: bytes)
        let record = try TransactionRecord(from: &reader)
        try reader.finish()
        return record
    }
}

extension PendingOffsetBatch {
    /// Appends the batch.
    func encode(to writer: inout BinaryWriter) {
        writer.write(transactionalID)
        writer.write(producerID.rawValue)
        writer.write(epoch)
        batch.encode(to: &writer)
    }

    /// Takes a batch.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        transactionalID = try reader.readText()
        producerID = ProducerID(rawValue: try reader.readInteger(Int64.self))
        epoch = try reader.readInteger(Int16.self)
        batch = try OffsetCommitBatch(from: &reader)
    }
}
