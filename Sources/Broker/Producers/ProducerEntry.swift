// SPDX-License-Identifier: Apache-2.0
//
// ProducerEntry.swift
// One producer's state in one partition: 152 bytes, no allocation.

import Model

/// A batch as it is remembered for recognising duplicates.
struct RememberedBatch: Hashable, Sendable, BitwiseCopyable {
    /// The sequence of the first record.
    var firstSequence: Int32
    /// The sequence of the last record.
    var lastSequence: Int32
    /// The offset of the first record.
    var baseOffset: Int64
    /// The batch's largest timestamp.
    var timestamp: Int64

    /// The offset of the last record.
    var lastOffset: Int64 { baseOffset + Int64(ProducerSequence.distance(from: firstSequence, to: lastSequence)) }
}

/// One producer's epoch and its last five batches, oldest first.
///
/// Invariants: `0 <= count <= 5`; offsets in the ring rise; all of its batches are of `epoch`.
struct ProducerEntry: Sendable {
    /// How many batches are remembered: the most a client keeps in flight.
    static let batchesMax = 5

    /// The current epoch.
    private(set) var epoch: Int16
    /// True when a batch that belongs to the log left the ring, by a sixth batch or a new epoch: cutting the log back
    /// cannot bring it back.
    private(set) var hasForgotten: Bool
    /// How many batches may still come that were sent behind one that was taken back, or that another leader refused.
    private var behindTakenBack: UInt8 = 0
    /// The newest epoch of a coordinator that ended a transaction; -1 when none did.
    var coordinatorEpoch: Int32 = -1
    /// When the last batch was appended, by the broker's clock.
    private(set) var lastWrite: WallTime
    /// How many batches are remembered.
    private(set) var count: Int
    /// The sequence that must come next when no batch is remembered, because those that were had to be taken back.
    private(set) var awaited: Int32 = 0
    private var start: Int
    private var ring: InlineArray<5, RememberedBatch>

    /// A producer without batches.
    init(epoch: Int16, lastWrite: WallTime, hasForgotten: Bool = false) {
        self.epoch = epoch
        self.hasForgotten = hasForgotten
        self.lastWrite = lastWrite
        self.count = 0
        self.start = 0
        self.ring = InlineArray(
            repeating: RememberedBatch(firstSequence: 0, lastSequence: 0, baseOffset: 0, timestamp: 0))
    }

    /// The batch at `position` from the oldest.
    subscript(position: Int) -> RememberedBatch {
        precondition(position < count, "batch \(position) of \(count)")
        return ring[(start + position) % Self.batchesMax]
    }

    /// The newest batch.
    var newest: RememberedBatch? { count == 0 ? nil : self[count - 1] }

    /// The batch with exactly these sequences, newest first.
    func batch(from first: Int32, to last: Int32) -> RememberedBatch? {
        for position in stride(from: count - 1, through: 0, by: -1) {
            let batch = self[position]
            if batch.firstSequence == first, batch.lastSequence == last { return batch }
        }
        return nil
    }

    /// Remembers an appended batch; a new epoch forgets the batches of the old one.
    mutating func append(_ batch: RememberedBatch, epoch: Int16, at now: WallTime) {
        if epoch != self.epoch { enter(epoch: epoch) }
        if count == Self.batchesMax {
            start = (start + 1) % Self.batchesMax
            count -= 1
            hasForgotten = true
        }
        ring[(start + count) % Self.batchesMax] = batch
        count += 1
        behindTakenBack = 0
        lastWrite = max(lastWrite, now)
    }

    /// A marker or a new epoch's first batch: the old epoch's batches are no duplicates any more.
    mutating func enter(epoch: Int16) {
        if count > 0 { hasForgotten = true }
        self.epoch = epoch
        count = 0
        start = 0
        awaited = 0
        behindTakenBack = 0
    }

    /// Forgets the batches that reach `offset` or beyond; returns how many there were.
    mutating func truncate(to offset: Offset) -> Int {
        let before = count
        while count > 0, self[count - 1].lastOffset >= offset.rawValue { count -= 1 }
        return before - count
    }

    /// Takes back the batches from `offset` on, which the log did not get: the first of them has to come again, before any
    /// that was sent behind it.
    mutating func takeBack(from offset: Offset) {
        while count > 0, self[count - 1].lastOffset >= offset.rawValue {
            awaited = self[count - 1].firstSequence
            count -= 1
            behindTakenBack = UInt8(Self.batchesMax - 1)
        }
    }

    /// Another leader may have refused the batch that comes next, and those behind it may come here first.
    mutating func expectStragglers() { behindTakenBack = UInt8(Self.batchesMax) }

    /// Whether a batch out of order was on its way behind one that was taken back: a producer has at most five on their way.
    mutating func excuses() -> Bool {
        guard behindTakenBack > 0 else { return false }
        behindTakenBack -= 1
        return true
    }

    /// The producer is alive.
    mutating func touch(at now: WallTime) { lastWrite = max(lastWrite, now) }
}
