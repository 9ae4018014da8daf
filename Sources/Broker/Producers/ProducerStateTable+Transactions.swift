// SPDX-License-Identifier: Apache-2.0
//
// ProducerStateTable+Transactions.swift
// How transactions begin, end and are taken back in a partition; and how a log becomes a table.

import DequeModule
import Model
import Records

extension ProducerStateTable {
    // MARK: Markers

    /// Decides about a marker, considering everything recorded so far, committed or not; changes nothing.
    ///
    /// A marker that comes late never ends a later transaction: in version 2 that one has the epoch of the marker already,
    /// and the marker of an open transaction must have a higher one. In version 1 transactions of a producer share an
    /// epoch; there it is up to the coordinator not to begin one before all markers of the last one are answered.
    func check(_ marker: TransactionMarker) -> MarkerVerdict {
        let id = marker.producerID.rawValue
        guard id >= 0, marker.producerEpoch >= 0 else { return .error(.invalidProducerEpoch) }
        guard let entry = producers[id] else { return .append }
        if marker.coordinatorEpoch < entry.coordinatorEpoch { return .error(.transactionCoordinatorFenced) }
        if marker.producerEpoch < entry.epoch { return .error(.invalidProducerEpoch) }
        guard marker.producerEpoch == entry.epoch else { return .append }
        if transactions.isOpen(id) {
            return marker.transactionVersion < 2 ? .append : .error(.invalidProducerEpoch)
        }
        guard marker.coordinatorEpoch == entry.coordinatorEpoch else { return .append }
        return .repeated(offset: transactions.pending.last { $0.producerID == id }.map { Offset($0.offset) })
    }

    /// Decides about a marker that no coordinator has sent: it aborts what is open here under its own epoch, or repeats
    /// that, and does nothing else; no later transaction and no other producer may suffer from it (KIP-664).
    func checkOperators(_ marker: TransactionMarker) -> MarkerVerdict {
        let verdict = check(marker)
        guard verdict == .append else { return verdict }
        let isItsOwn =
            transactions.isOpen(marker.producerID.rawValue) && epoch(of: marker.producerID) == marker.producerEpoch
        return isItsOwn && marker.outcome == .abort ? .append : .error(.invalidTxnState)
    }

    /// A marker stands in the log at `offset`, behind everything else.
    mutating func end(_ marker: TransactionMarker, at offset: Offset, now: WallTime) {
        let id = marker.producerID.rawValue
        let former = producers[id]
        var entry = former ?? ProducerEntry(epoch: marker.producerEpoch, lastWrite: now)
        entry.observe(marker, at: now)
        restore(entry, of: id)
        transactions.end(id, isAborted: marker.outcome == .abort, at: offset, former: former)
        if former == nil, count > settings.producersMax { evictOldest(sparing: marker.producerID) }
    }

    /// Everything below the high watermark stays.
    mutating func commit(upTo highWatermark: Offset) { transactions.commit(upTo: highWatermark) }

    /// Takes back the markers from `offset` on, newest first, and the transactions that begin there.
    ///
    /// Producers that a marker changed are what they were before it; batches that lay before the marker, and at `offset`
    /// or behind it, are theirs again. Returns false when too little is remembered for that.
    mutating func takeBackTransactions(from offset: Offset) -> Bool {
        while let marker = transactions.takeBackMarker(from: offset) {
            restore(marker.former, of: marker.producerID)
        }
        return transactions.cut(to: offset)
    }

    // MARK: The log

    /// Takes over a batch of the log, whoever appended it; nothing is checked.
    ///
    /// Batches come in the order of their offsets, each marker once.
    mutating func replay(_ batch: RecordBatch, at now: WallTime) {
        guard batch.hasProducer else { return }
        guard batch.isControl else {
            return replay(ProducerBatch(batch, baseOffset: batch.baseOffset, maxTimestamp: batch.maxTimestamp), at: now)
        }
        guard let marker = TransactionMarker(batch) else { return }
        end(marker, at: batch.baseOffset, now: now)
    }
}

extension ProducerEntry {
    /// A marker stands in the log behind the producer's batches.
    fileprivate mutating func observe(_ marker: TransactionMarker, at now: WallTime) {
        if marker.producerEpoch > epoch { enter(epoch: marker.producerEpoch) }
        coordinatorEpoch = max(coordinatorEpoch, marker.coordinatorEpoch)
        touch(at: now)
    }
}
