// SPDX-License-Identifier: Apache-2.0
//
// KeyHistory.swift
// What is committed in a compacted topic, record by record, and what a reader of it must end up with (K1 to K5).

internal import LogStore
internal import Model
internal import NIOCore
internal import Records

/// The committed records of one group whose log is compacted.
final class KeyHistory {
    /// A record as it was committed.
    private struct Item {
        let key: ByteBuffer
        /// Nil is a deletion.
        let value: ByteBuffer?
        let timestamp: Int64
        /// The marker that aborted it.
        var abortedBy: Offset?
    }

    /// A transaction, decided or not.
    private struct Transaction {
        let producer: ProducerID
        let first: Offset
        var marker: Offset?
        var isAborted = false
    }

    /// The last entry that is taken in.
    private(set) var through = LogIndex.zero
    private var items: [Offset: Item] = [:]
    /// The offsets of all records but markers, ascending.
    private var order: [Offset] = []
    /// Where each entry ends, from index 0 on.
    private var ends: [Offset] = [.zero]
    private var transactions: [Transaction] = []
    /// The last offset of each batch of a producer, ascending.
    private var produced: [(producer: ProducerID, last: Offset)] = []

    /// Takes in what has become committed.
    func extend(_ history: GroupHistory, _ ledger: EntryLedger) {
        while through < history.committedIndex, let entry = history.entry(at: through.next),
            let record = ledger.record(through.next, entry.term), let stored = record.stored
        {
            through = through.next
            if stored.kind == .data { add(record.raw) }
            ends.append(stored.baseOffset + Int(stored.recordCount))
        }
    }

    private func add(_ raw: ByteBuffer) {
        guard let batch = try? RecordBatch.batches(in: raw).first, let records = try? batch.allRecords() else {
            preconditionFailure("a batch of the simulation cannot be read")
        }
        let producer = batch.header.producerID
        let open = transactions.lastIndex { $0.producer == producer && $0.marker == nil }
        if batch.isControl {
            guard let open, let marker = try? ControlRecord(of: batch) else { return }
            transactions[open].marker = batch.baseOffset
            guard marker.kind == .abort else { return }
            transactions[open].isAborted = true
            for (offset, item) in items where offset >= transactions[open].first && item.abortedBy == .pending(producer)
            {
                items[offset]?.abortedBy = batch.baseOffset
            }
            return
        }
        if batch.isTransactional, open == nil {
            transactions.append(Transaction(producer: producer, first: batch.baseOffset))
        }
        for record in records {
            guard let key = record.key else { continue }
            items[record.offset] = Item(
                key: key, value: record.value, timestamp: record.timestamp,
                abortedBy: batch.isTransactional ? .pending(producer) : nil)
            order.append(record.offset)
        }
        if batch.hasProducer { produced.append((producer, batch.lastOffset)) }
    }

    // MARK: - How far

    /// The offset behind the entry at `index`, or where the first transaction begins that is not decided by then.
    func stable(at index: LogIndex) -> Offset {
        let end = ends[Int(min(index, through).rawValue)]
        let open = transactions.filter { $0.first < end && ($0.marker ?? end) >= end }
        return min(end, open.map(\.first).min() ?? end)
    }

    /// What a replica that knows the log to be committed up to `index` tells the store.
    func bounds(at index: LogIndex) -> CompactionBounds {
        let end = stable(at: index)
        let aborted = transactions.compactMap { transaction -> AbortedRange? in
            guard transaction.isAborted, transaction.first < end, let marker = transaction.marker else { return nil }
            guard marker < ends[Int(min(index, through).rawValue)] else { return nil }
            return AbortedRange(producer: transaction.producer, first: transaction.first, marker: marker)
        }
        return CompactionBounds(
            end: end, committed: min(index, through), aborted: aborted, lastBatches: lastBatches(before: end))
    }

    private func lastBatches(before end: Offset) -> [ProducerID: Offset] {
        var last: [ProducerID: Offset] = [:]
        for batch in produced where batch.last < end { last[batch.producer] = batch.last }
        return last
    }

    // MARK: - What is read

    /// What a reader has found so far.
    private struct Found {
        var table: [ByteBuffer: Offset] = [:]
        var markers: Set<Offset> = []
        var lasts: Set<Offset> = []
        var abortedBy: Set<Offset> = []
    }

    /// Compares what a log holds between two offsets with what is committed there; returns a broken rule.
    ///
    /// `end` is at most ``stable(at:)``; deletions may be gone `retention` milliseconds after they were made.
    func check(_ batches: [RecordBatch], from start: Offset, upTo end: Offset, now: Int64, retention: Int64) -> String?
    {
        var found = Found()
        var next = Offset.zero
        for batch in batches where batch.baseOffset < end {
            guard batch.baseOffset >= next else { return "K2: a batch at \(batch.baseOffset) behind \(next)" }
            next = batch.nextOffset
            found.lasts.insert(batch.lastOffset)
            if batch.isControl { found.markers.insert(batch.baseOffset) }
            guard !batch.isControl else { continue }
            if let problem = take(batch, from: start, into: &found) { return problem }
        }
        for marker in found.abortedBy.sorted() where marker >= start && marker < end && !found.markers.contains(marker)
        {
            return "K3: records are there that \(marker) aborted, which is gone"
        }
        for (producer, last) in lastBatches(before: end) where last >= start && !found.lasts.contains(last) {
            return "K5: the last batch of producer \(producer.rawValue), which ends at \(last), is gone"
        }
        return compare(found.table, from: start, upTo: end, now: now, retention: retention)
    }

    private func take(_ batch: RecordBatch, from start: Offset, into found: inout Found) -> String? {
        guard let records = try? batch.allRecords() else { return "K2: a batch at \(batch.baseOffset) cannot be read" }
        for record in records {
            guard let item = items[record.offset], item.key == record.key, item.value == record.value,
                item.timestamp == record.timestamp
            else { return "K2: offset \(record.offset) holds another record than was committed" }
            if let marker = item.abortedBy, marker >= .zero {
                found.abortedBy.insert(marker)
            } else if record.offset >= start {
                found.table[item.key] = record.offset
            }
        }
        return nil
    }

    /// K1: the newest record of each key is the one that is committed; K4: deletions stay for their time.
    private func compare(
        _ table: [ByteBuffer: Offset], from start: Offset, upTo end: Offset, now: Int64, retention: Int64
    ) -> String? {
        var newest: [ByteBuffer: Offset] = [:]
        for offset in order where offset < end {
            guard let item = items[offset], (item.abortedBy ?? .none) < .zero else { continue }
            newest[item.key] = offset
        }
        for (key, offset) in newest.sorted(by: { $0.value < $1.value }) {
            guard let item = items[offset] else { continue }
            let name = String(buffer: key)
            let there = table[key]
            if offset < start {
                if let there { return "K1: \(name) is back at \(there)" }
            } else if item.value != nil || there != nil {
                let told = there.map { "\($0)" } ?? "nowhere"
                if there != offset { return "K1: \(name) is at \(told), committed at \(offset)" }
            } else if now < item.timestamp - 3 + retention {
                return "K4: the deletion of \(name) at \(offset) is gone at \(now), made at \(item.timestamp)"
            }
        }
        return nil
    }
}

extension Offset {
    /// No marker.
    fileprivate static let none = Offset(-1)

    /// Stands for the marker of a transaction that is not decided yet.
    fileprivate static func pending(_ producer: ProducerID) -> Offset { Offset(-2 - producer.rawValue) }
}
