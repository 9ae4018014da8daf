// SPDX-License-Identifier: Apache-2.0
//
// RecoveryGovernor.swift
// Keeps recoveries from drowning a broker: so many groups at once, so many bytes a second; the rest waits in line.

internal import Synchronization

/// Bounds what the recoveries of one broker cost, over all its loops.
///
/// Any thread.
public final class RecoveryGovernor: Sendable {
    private let state: Mutex<RecoveryBudget>

    /// A governor with these limits.
    public init(_ settings: RecoverySettings = RecoverySettings(), ticksPerSecond: Int = 20) {
        state = Mutex(RecoveryBudget(settings, ticksPerSecond: ticksPerSecond))
    }

    /// Whether one more group may recover; to be given back with ``finish()``.
    public func begin() -> Bool { state.withLock { $0.begin() } }

    /// A group has recovered, or gave up.
    public func finish() { state.withLock { $0.finish() } }

    /// Takes `byteCount` bytes from the budget; false when there is none for now.
    public func take(_ byteCount: Int) -> Bool { state.withLock { $0.take(byteCount) } }

    /// A tick has passed on one of the loops.
    func refill() { state.withLock { $0.refill() } }

    /// How many groups recover.
    public var active: Int { state.withLock { $0.active } }
}

/// The arithmetic of a ``RecoveryGovernor``.
///
/// Invariants: `0 <= active <= groupsMax`; what is left of the bytes never exceeds one second's.
struct RecoveryBudget: Sendable {
    private(set) var active = 0
    private(set) var left: Int
    private let groupsMax: Int
    private let bytesPerSecond: Int
    private let bytesPerTick: Int

    init(_ settings: RecoverySettings, ticksPerSecond: Int) {
        precondition(settings.groupsMax > 0 && settings.bytesPerSecond > 0 && ticksPerSecond > 0, "limits are positive")
        groupsMax = settings.groupsMax
        bytesPerSecond = settings.bytesPerSecond
        bytesPerTick = max(1, settings.bytesPerSecond / ticksPerSecond)
        left = settings.bytesPerSecond
    }

    mutating func begin() -> Bool {
        guard active < groupsMax else { return false }
        active += 1
        return true
    }

    mutating func finish() {
        precondition(active > 0, "more recoveries ended than began")
        active -= 1
    }

    /// One take may go below zero, so that a piece larger than the budget passes too.
    mutating func take(_ byteCount: Int) -> Bool {
        guard left > 0 else { return false }
        left -= byteCount
        return true
    }

    mutating func refill() { left = min(bytesPerSecond, left + bytesPerTick) }
}
