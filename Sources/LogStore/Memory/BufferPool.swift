// SPDX-License-Identifier: Apache-2.0
//
// BufferPool.swift
// The account of the bytes that the store keeps in memory for others. At rest, when no log is open, its balance is zero.

internal import DequeModule
internal import Model
internal import Synchronization

/// Counts the bytes of write buffers against one budget for all logs.
///
/// Any thread.
final class BufferPool: Sendable {
    /// What may be kept.
    let budget: Int
    private let held = Atomic(0)

    init(budget: Int) { self.budget = budget }

    /// The bytes held now.
    var balance: Int { held.load(ordering: .relaxed) }
    /// Whether more is held than the budget allows.
    var isOver: Bool { balance > budget }

    /// Notes `byteCount` bytes as held.
    func take(_ byteCount: Int) { held.wrappingAdd(byteCount, ordering: .relaxed) }

    /// Notes `byteCount` bytes as given back.
    func giveBack(_ byteCount: Int) {
        let left = held.wrappingSubtract(byteCount, ordering: .relaxed).newValue
        precondition(left >= 0, "\(-left) bytes more were given back than taken")
    }
}

/// The frames in memory of one loop's logs in the order they came: the oldest go first, whichever log they belong to.
///
/// Confined to the loop.
final class TailLedger {
    private struct Entry {
        weak var log: PartitionLog?
        var index: LogIndex
    }

    private var entries: Deque<Entry> = []
    private let pool: BufferPool

    init(pool: BufferPool) { self.pool = pool }

    /// Notes that `log` keeps the frame at `index`, and lets old frames go while the budget is exceeded.
    func added(_ log: PartitionLog, _ index: LogIndex) {
        entries.append(Entry(log: log, index: index))
        shrink()
    }

    /// Lets the oldest frames go while the budget is exceeded; stops at one that is not in its segment yet.
    func shrink() {
        while pool.isOver, let oldest = entries.first {
            if let log = oldest.log, !log.evictTail(through: oldest.index) { return }
            entries.removeFirst()
        }
    }
}
