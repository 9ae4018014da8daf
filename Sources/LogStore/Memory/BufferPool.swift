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
/// Positions count the bytes that came before a frame, of all logs of the loop. Confined to the loop.
final class TailLedger {
    private struct Entry {
        weak var log: PartitionLog?
        var index: LogIndex
        var position: Int
    }

    private var entries: Deque<Entry> = []
    private let pool: BufferPool
    private let clock: Clock
    private var window: TailWindow
    /// The position of the next frame.
    private(set) var end = 0

    init(pool: BufferPool, clock: Clock) {
        self.pool = pool
        self.clock = clock
        window = TailWindow(budget: pool.budget, now: clock.now())
    }

    /// The position that is as far back as anything can be kept.
    var horizon: Int { end - window.budget }

    /// Notes that `log` keeps the frame at `index`, of `byteCount` bytes, and lets old frames go that are too many.
    func added(_ log: PartitionLog, _ index: LogIndex, byteCount: Int) {
        entries.append(Entry(log: log, index: index, position: end))
        end += byteCount
        window.advance(to: clock.now())
        shrink()
    }

    /// Notes a read of the frame at `position`, whether it is in memory still or not.
    func read(at position: Int) { window.read(distance: end - position, now: clock.now()) }

    /// Lets the oldest frames go while there are too many; stops at one that is not in its segment yet.
    func shrink() {
        while let oldest = entries.first, pool.isOver || end - oldest.position > window.target {
            if let log = oldest.log, !log.evictTail(through: oldest.index) { return }
            entries.removeFirst()
        }
    }
}
