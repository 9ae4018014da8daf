// SPDX-License-Identifier: Apache-2.0
//
// SimulatedClock.swift
// The clock that one simulated machine's store reads: simulated time, and what its threads would have waited.

internal import Model
internal import Synchronization

/// A clock in microseconds of simulated time.
final class SimulatedClock: Sendable {
    private let state = Mutex((now: 0, waited: 0))

    /// Sets the simulated time.
    func set(_ now: Int) { state.withLock { $0.now = max($0.now, now) } }

    /// Lets time pass for this machine only, because a thread of it would have waited.
    func wait(microseconds: Int) { state.withLock { $0.waited += microseconds } }

    /// The clock as the store reads it.
    var clock: Clock {
        Clock(
            instant: { Instant(nanoseconds: UInt64(self.microseconds) * 1_000) },
            wallTime: { WallTime(milliseconds: 1_700_000_000_000 + Int64(self.microseconds / 1_000)) })
    }

    private var microseconds: Int { state.withLock { 1_000_000 + $0.now + $0.waited } }
}
