// SPDX-License-Identifier: Apache-2.0
//
// MarkerQueue.swift
// Which partitions are still to be told how their transaction ended, and what is on its way to which broker.

import KafkaProtocol
import Model

/// How a transaction ended, as its partitions are told.
struct TransactionEnd: Hashable, Sendable {
    /// The producer id.
    var producerID: ProducerID
    /// The epoch of the marker: the transaction's own, or the one above it when each end raises it.
    var epoch: Int16
    /// Whether it was committed.
    var isCommit: Bool
    /// The version of transactions, which says what a partition demands of the epoch.
    var version: UInt8

    /// The end that a prepared record tells of; nil when it is not prepared.
    init?(_ record: TransactionRecord) {
        guard record.state.isPrepared else { return nil }
        producerID = record.producerID
        epoch = record.epoch
        isCommit = record.state == .prepareCommit
        version = record.version
    }
}

/// The end of one transaction for partitions that one broker leads.
struct MarkerBatch: Hashable, Sendable {
    /// Whose transaction.
    var transactionalID: String
    /// How it ended.
    var end: TransactionEnd
    /// The partitions to tell.
    var partitions: [TopicPartition]
}

/// The markers of all transactions that are prepared and not complete.
///
/// At most one request is on its way to a broker; what gathers meanwhile leaves with the next one.
///
/// Invariant: a partition of a transaction is in at most one request.
struct MarkerQueue: Sendable {
    /// Where a partition is led.
    enum Place: Hashable, Sendable {
        /// By this broker.
        case broker(NodeID)
        /// By nobody that is known; ask again later.
        case unknown
        /// It was deleted, and there is nobody to tell.
        case gone
    }

    private struct Entry: Sendable {
        var end: TransactionEnd
        /// What metadata must have handed out to say that one of the partitions is gone.
        var groupsEnd: GroupID
        /// Partitions that have not taken their marker yet.
        var waiting: Set<TopicPartition>
        /// Those of `waiting` that are in a request.
        var sent: Set<TopicPartition> = []
    }

    private var entries: [String: Entry] = [:]
    private var busy: [NodeID: [MarkerBatch]] = [:]
    /// Most partitions of one request.
    let partitionsMax: Int
    /// How many markers wait or are on their way.
    private(set) var count = 0

    /// A queue whose requests have at most `partitionsMax` partitions.
    init(partitionsMax: Int) { self.partitionsMax = partitionsMax }

    /// True when nothing waits.
    var isEmpty: Bool { entries.isEmpty }

    /// Whether the markers of a transaction wait or are on their way.
    func contains(_ transactionalID: String) -> Bool { entries[transactionalID] != nil }

    /// Takes a prepared transaction; one that is known already is left as it is.
    mutating func add(
        _ transactionalID: String, _ end: TransactionEnd, partitions: [TopicPartition],
        groupsEnd: GroupID = GroupID(rawValue: 0)
    ) {
        guard entries[transactionalID] == nil else { return }
        entries[transactionalID] = Entry(end: end, groupsEnd: groupsEnd, waiting: Set(partitions))
        count += entries[transactionalID]?.waiting.count ?? 0
    }

    /// What can be sent now: for each broker that has no request one with as much as fits.
    ///
    /// Partitions that are gone count as told; ``takeComplete()`` comes afterwards.
    ///
    /// Cost: one walk over what waits.
    mutating func takeRequests(place: (TopicPartition, GroupID) -> Place) -> [NodeID: [MarkerBatch]] {
        var requests: [NodeID: [MarkerBatch]] = [:]
        var sizes: [NodeID: Int] = [:]
        for (id, entry) in entries.sorted(by: { $0.key < $1.key }) {
            for partition in entry.waiting.subtracting(entry.sent).sorted(by: TopicPartition.isBefore) {
                switch place(partition, entry.groupsEnd) {
                case .unknown: continue
                case .gone: tell(partition, id)
                case .broker(let node):
                    guard busy[node] == nil, sizes[node, default: 0] < partitionsMax else { continue }
                    sizes[node, default: 0] += 1
                    entries[id]?.sent.insert(partition)
                    Self.add(partition, id, entry.end, to: &requests[node, default: []])
                }
            }
        }
        for (node, request) in requests { busy[node] = request }
        return requests
    }

    private static func add(
        _ partition: TopicPartition, _ id: String, _ end: TransactionEnd, to batches: inout [MarkerBatch]
    ) {
        if batches.last?.transactionalID == id {
            batches[batches.count - 1].partitions.append(partition)
        } else {
            batches.append(MarkerBatch(transactionalID: id, end: end, partitions: [partition]))
        }
    }

    /// A broker answered, or did not (nil): what took its marker is told, the rest waits again.
    ///
    /// - Parameter code: the answer for a partition and the producer of its transaction.
    /// - Returns: how many partitions are to be told again.
    mutating func answered(
        _ node: NodeID, code: ((ProducerID, TopicPartition) -> KafkaErrorCode)?
    ) -> Int {
        var again = 0
        for batch in busy.removeValue(forKey: node) ?? [] {
            for partition in batch.partitions {
                entries[batch.transactionalID]?.sent.remove(partition)
                if let code, Self.isTold(code(batch.end.producerID, partition)) {
                    tell(partition, batch.transactionalID)
                } else {
                    again += 1
                }
            }
        }
        return again
    }

    /// Whether an answer says that the partition needs no marker any more.
    ///
    /// With INVALID_PRODUCER_EPOCH it knows a later
    /// epoch, which it got with a marker or a batch of a later transaction, so this one has ended there.
    private static func isTold(_ code: KafkaErrorCode) -> Bool { code == .none || code == .invalidProducerEpoch }

    private mutating func tell(_ partition: TopicPartition, _ transactionalID: String) {
        if entries[transactionalID]?.waiting.remove(partition) != nil { count -= 1 }
    }

    /// The transactions whose partitions have all been told, in order; they are not known any more.
    mutating func takeComplete() -> [String] {
        let complete = entries.filter { $0.value.waiting.isEmpty }.keys.sorted()
        for id in complete { entries[id] = nil }
        return complete
    }

    /// Takes over what other leaders than this broker now have to do: nothing waits here any more.
    mutating func removeAll() {
        entries = [:]
        busy = [:]
        count = 0
    }
}
