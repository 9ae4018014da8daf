// SPDX-License-Identifier: Apache-2.0
//
// TransactionTable.swift
// The transactions of one partition: those that are open, those whose marker is not committed yet, and those that were
// aborted. What consumers may read of committed data follows from it.

import DequeModule
import Model

/// A transaction without a marker in the log.
struct OpenTransaction: Hashable, Sendable {
    /// The offset of its first record in the partition.
    var firstOffset: Int64
    /// When that record was appended, by the broker's clock.
    var startedAt: WallTime
}

/// A transaction whose records must not be read.
struct AbortedTransaction: Hashable, Sendable {
    /// Who produced it.
    var producerID: Int64
    /// The offset of its first record in the partition.
    var firstOffset: Int64
    /// The offset of its marker.
    var lastOffset: Int64
    /// Where transactions that end behind this one begin, or further on.
    var stableOffset: Int64
}

/// A marker that is in the log and may be cut from it; with what was before it.
struct PendingMarker: Sendable {
    var producerID: Int64
    var offset: Int64
    /// The producer as it was before the marker; nil when it was not known.
    var former: ProducerEntry?
    /// The transaction that the marker ended; nil when none was open.
    var transaction: OpenTransaction?
}

/// The transactions of a partition, up to the end of the log.
///
/// Invariants: `pending` and `aborted` rise by the offset of the marker; `order` holds every open transaction once, by
/// rising first offset, and perhaps some that have ended.
///
/// Cost: 32 bytes for an aborted transaction, as long as its marker is in the log.
struct TransactionTable: Sendable {
    /// Markers that can be taken back without reading the log again.
    static let pendingMax = 16_384
    /// Aborted transactions of a partition; beyond it no new transaction is admitted until retention makes room.
    static let abortedMax = 262_144

    /// The open transactions by producer.
    private(set) var open: [Int64: OpenTransaction] = [:]
    /// The markers that are not known to be committed.
    private(set) var pending = Deque<PendingMarker>()
    /// The aborted transactions whose markers lie behind the log's start.
    private(set) var aborted = Deque<AbortedTransaction>()
    private var order = Deque<(producerID: Int64, firstOffset: Int64)>()
    /// What is known of older markers that are not committed, and not in `pending`: where the first of their transactions
    /// began, and the last of them.
    private var merged: (firstOffset: Int64, through: Int64)?

    /// No transactions.
    init() {}

    /// How many aborted transactions are kept in mind.
    var abortedCount: Int { aborted.count }
    /// How many markers can be taken back.
    var pendingCount: Int { pending.count }
    /// Whether another transaction can be kept in mind.
    var hasRoom: Bool { aborted.count + open.count < Self.abortedMax }

    /// Whether `producer` has a transaction without a marker.
    func isOpen(_ producer: Int64) -> Bool { open[producer] != nil }

    // MARK: Following the log

    /// The first batch of a transaction stands at `offset`, behind everything else.
    mutating func begin(_ producer: Int64, at offset: Offset, now: WallTime) {
        guard open[producer] == nil else { return }
        open[producer] = OpenTransaction(firstOffset: offset.rawValue, startedAt: now)
        order.append((producer, offset.rawValue))
        if order.count > 64 + 2 * open.count { sortOpen() }
    }

    /// A marker of `producer` stands at `offset`, behind everything else; `former` is the producer before it.
    mutating func end(_ producer: Int64, isAborted: Bool, at offset: Offset, former: ProducerEntry?) {
        let transaction = open.removeValue(forKey: producer)
        if pending.count == Self.pendingMax, let oldest = pending.popFirst() {
            let first = min(oldest.transaction?.firstOffset ?? .max, merged?.firstOffset ?? .max)
            merged = (first, oldest.offset)
        }
        pending.append(
            PendingMarker(producerID: producer, offset: offset.rawValue, former: former, transaction: transaction))
        guard let transaction, isAborted else { return }
        let stable = min(firstOpen() ?? .max, offset.rawValue + 1)
        aborted.append(
            AbortedTransaction(
                producerID: producer, firstOffset: transaction.firstOffset, lastOffset: offset.rawValue,
                stableOffset: stable))
    }

    /// Markers below the high watermark stay.
    mutating func commit(upTo highWatermark: Offset) {
        while let first = pending.first, first.offset < highWatermark.rawValue { pending.removeFirst() }
        if let merged, merged.through < highWatermark.rawValue { self.merged = nil }
    }

    /// Forgets aborted transactions that nobody can read, as the log begins behind them.
    mutating func trim(to logStart: Offset) {
        while let first = aborted.first, first.lastOffset < logStart.rawValue { aborted.removeFirst() }
    }

    /// Forgets aborted transactions of which compaction has left nothing, not even the marker.
    mutating func forget(markersAt offsets: Set<Int64>) {
        guard !offsets.isEmpty else { return }
        aborted.removeAll { offsets.contains($0.lastOffset) }
    }

    // MARK: Cutting back

    /// The newest marker at `offset` or behind it, taken back; nil when there is none.
    mutating func takeBackMarker(from offset: Offset) -> PendingMarker? {
        guard let last = pending.last, last.offset >= offset.rawValue else { return nil }
        pending.removeLast()
        if aborted.last?.lastOffset == last.offset { aborted.removeLast() }
        if let transaction = last.transaction { open[last.producerID] = transaction }
        return last
    }

    /// Completes a cut: transactions that begin at `offset` or behind it are gone.
    ///
    /// Returns false when markers were cut of which too little is known.
    mutating func cut(to offset: Offset) -> Bool {
        open = open.filter { $0.value.firstOffset < offset.rawValue }
        sortOpen()
        return canCut(to: offset)
    }

    /// Whether every marker from `offset` on can be taken back.
    func canCut(to offset: Offset) -> Bool { merged.map { $0.through < offset.rawValue } ?? true }

    private mutating func sortOpen() {
        order = Deque(
            open.map { (producerID: $0.key, firstOffset: $0.value.firstOffset) }
                .sorted { $0.firstOffset < $1.firstOffset })
    }

    // MARK: Reading

    /// Where the first transaction begins that is open, or whose marker is not committed; nil when there is none.
    mutating func firstUnstable() -> Int64? {
        var first = min(firstOpen() ?? .max, merged?.firstOffset ?? .max)
        for marker in pending { first = min(first, marker.transaction?.firstOffset ?? .max) }
        return first == .max ? nil : first
    }

    private mutating func firstOpen() -> Int64? {
        while let first = order.first {
            if open[first.producerID]?.firstOffset == first.firstOffset { return first.firstOffset }
            order.removeFirst()
        }
        return nil
    }

    /// The aborted transactions that have records or their marker in `from..<upTo`, by rising first offset.
    ///
    /// - Cost: a binary search, and a look at the transactions from there to the last one that begins before `upTo`.
    func aborted(from: Offset, upTo: Offset) -> [AbortedTransaction] {
        guard from < upTo, let last = aborted.last, last.lastOffset >= from.rawValue else { return [] }
        var (low, high) = (0, aborted.count)
        while low < high {
            let middle = (low + high) / 2
            if aborted[middle].lastOffset < from.rawValue { low = middle + 1 } else { high = middle }
        }
        var found: [AbortedTransaction] = []
        for one in aborted[low...] {
            if one.firstOffset < upTo.rawValue { found.append(one) }
            if one.stableOffset >= upTo.rawValue { break }
        }
        return found.sorted { $0.firstOffset < $1.firstOffset }
    }

    /// The aborted transactions that begin before `end`, wherever they end, in the order of their markers.
    func aborted(before end: Offset) -> [AbortedTransaction] { aborted.filter { $0.firstOffset < end.rawValue } }

    // MARK: Snapshots

    /// Puts back what a snapshot says: open transactions and aborted ones, which rise by their markers.
    mutating func restore(open: [Int64: OpenTransaction], aborted: [AbortedTransaction]) {
        self.open = open
        self.aborted = Deque(aborted)
        sortOpen()
    }
}
