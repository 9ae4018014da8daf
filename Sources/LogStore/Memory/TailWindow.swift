// SPDX-License-Identifier: Apache-2.0
//
// TailWindow.swift
// How much of the newest data is worth keeping in memory: twice as far back as anybody read lately. A value: it does nothing by
// itself.

internal import Model

/// Decides how many of the newest bytes stay in memory.
///
/// Memory that is used again soon is still in the processor's caches, and what nobody reads costs there what readers and
/// writers need; so without readers only `floor` is kept. A reader that falls back has its place kept for it, up to `budget`.
///
/// Invariant: `floor <= target <= budget`.
struct TailWindow: Sendable {
    /// What is kept when nobody reads.
    static let floorBytes = 8 << 20
    /// How long a reader's place is remembered, at least; at most twice as long.
    static let memoryNanoseconds: UInt64 = 10_000_000_000

    let floor: Int
    let budget: Int
    private var current = 0
    private var previous = 0
    private var since: Instant

    init(budget: Int, now: Instant) {
        self.budget = budget
        floor = min(Self.floorBytes, budget)
        since = now
    }

    /// The bytes to keep.
    var target: Int { min(budget, max(floor, 2 * max(current, previous))) }

    /// Notes a read at `distance` bytes before the newest one.
    mutating func read(distance: Int, now: Instant) {
        advance(to: now)
        current = max(current, min(distance, budget))
    }

    /// Forgets what was read long ago.
    mutating func advance(to now: Instant) {
        let age = now.nanoseconds(since: since)
        guard age >= Self.memoryNanoseconds else { return }
        previous = age >= 2 * Self.memoryNanoseconds ? 0 : current
        current = 0
        since = now
    }
}
