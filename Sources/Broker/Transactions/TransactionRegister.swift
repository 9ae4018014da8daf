// SPDX-License-Identifier: Apache-2.0
//
// TransactionRegister.swift
// The transactional ids as the replicas agree on them, and the offsets that wait for the end of a transaction.

import Model

/// The offsets of one TxnOffsetCommit request; they hold once the transaction commits.
struct PendingOffsetBatch: Hashable, Sendable {
    /// Whose transaction.
    var transactionalID: String
    /// The producer that has the transaction.
    var producerID: ProducerID
    /// The producer's epoch.
    var epoch: Int16
    /// The offsets.
    var batch: OffsetCommitBatch
}

/// Every transactional id of a coordinator; a part of ``CoordinatorState``.
///
/// Deterministic, as all of that is.
struct TransactionRegister: Hashable, Sendable {
    /// What is agreed of each transactional id.
    private(set) var records: [String: TransactionRecord] = [:]
    /// Offsets of open transactions: by group, by transactional id.
    private var pending: [String: [String: [TopicPartition: CommittedOffset]]] = [:]

    /// Whether an open transaction is about to change the offset of a partition.
    func isPending(group: String, _ partition: TopicPartition) -> Bool {
        pending[group]?.contains { $0.value[partition] != nil } ?? false
    }

    /// The partitions of a group whose offsets an open transaction is about to change, in order.
    func pendingPartitions(of group: String) -> [TopicPartition] {
        let all = (pending[group] ?? [:]).values.flatMap(\.keys)
        return Set(all).sorted(by: TopicPartition.isBefore)
    }

    /// How many offsets wait for the end of a transaction.
    func pendingCount(of transactionalID: String) -> Int {
        let groups = records[transactionalID]?.groups ?? []
        return groups.reduce(0) { $0 + (pending[$1]?[transactionalID]?.count ?? 0) }
    }

    /// The offsets that wait for the end of a transaction, in order.
    func pending(
        of transactionalID: String
    ) -> [(group: String, partition: TopicPartition, committed: CommittedOffset)] {
        pending.keys.sorted().flatMap { group in
            (pending[group]?[transactionalID] ?? [:]).sorted { TopicPartition.isBefore($0.key, $1.key) }
                .map { (group: group, partition: $0.key, committed: $0.value) }
        }
    }

    /// Sets a record; nil removes it.
    mutating func set(_ record: TransactionRecord?, for transactionalID: String) {
        records[transactionalID] = record
    }

    /// Whether offsets may be added: the transaction that they are meant for is still open.
    func takes(_ offsets: PendingOffsetBatch) -> Bool {
        guard let record = records[offsets.transactionalID] else { return false }
        return record.state == .ongoing && record.producerID == offsets.producerID && record.epoch == offsets.epoch
    }

    /// Sets an offset that waits.
    mutating func setPending(
        _ committed: CommittedOffset, group: String, _ partition: TopicPartition, by transactionalID: String
    ) {
        pending[group, default: [:]][transactionalID, default: [:]][partition] = committed
    }

    /// Removes an offset that waits.
    mutating func removePending(group: String, _ partition: TopicPartition, by transactionalID: String) {
        pending[group]?[transactionalID]?[partition] = nil
        if pending[group]?[transactionalID]?.isEmpty == true { pending[group]?[transactionalID] = nil }
        if pending[group]?.isEmpty == true { pending[group] = nil }
    }

    /// The offsets of a topic that wait, for when it is deleted.
    func pending(
        topic: String
    ) -> [(group: String, transactionalID: String, partition: TopicPartition)] {
        pending.sorted { $0.key < $1.key }.flatMap { group, transactions in
            transactions.sorted { $0.key < $1.key }.flatMap { id, offsets in
                offsets.keys.filter { $0.topic == topic }.sorted(by: TopicPartition.isBefore)
                    .map { (group: group, transactionalID: id, partition: $0) }
            }
        }
    }

    /// Every offset that waits, in order.
    var allPending: [(group: String, transactionalID: String, partition: TopicPartition, committed: CommittedOffset)] {
        records.keys.sorted().flatMap { id in
            pending(of: id).map {
                (group: $0.group, transactionalID: id, partition: $0.partition, committed: $0.committed)
            }
        }
    }
}
