// SPDX-License-Identifier: Apache-2.0
//
// PeerCalls.swift
// The requests on a connection that wait for their answer, on the side that asked and on the side that serves.

internal import Model

/// Requests with their deadlines, by id.
///
/// Invariant: `earliest` is at or before every deadline.
struct PeerCalls: Sendable {
    private struct Waiting {
        var deadline: Instant
        var byteCount: Int
    }

    private let countMax: Int
    private let bytesMax: Int
    private var waiting: [UInt64: Waiting] = [:]
    private var byteCount = 0
    /// When the next one may expire; nil when none waits.
    private(set) var earliest: Instant?

    /// At most `countMax` requests of `bytesMax` bytes together; one of any size is always taken.
    init(countMax: Int, bytesMax: Int = .max) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    var count: Int { waiting.count }

    /// Takes a request; false when there are too many, or it is there already.
    mutating func add(_ id: UInt64, byteCount: Int = 0, deadline: Instant) -> Bool {
        guard waiting.count < countMax, waiting[id] == nil else { return false }
        guard waiting.isEmpty || byteCount <= bytesMax - self.byteCount else { return false }
        waiting[id] = Waiting(deadline: deadline, byteCount: byteCount)
        self.byteCount += byteCount
        earliest = earliest.map { min($0, deadline) } ?? deadline
        return true
    }

    /// Whether `id` waited; it does not any more.
    mutating func finish(_ id: UInt64) -> Bool {
        guard let one = waiting.removeValue(forKey: id) else { return false }
        byteCount -= one.byteCount
        if waiting.isEmpty { earliest = nil }
        return true
    }

    /// Those whose time is over, oldest first; they do not wait any more.
    mutating func expire(at now: Instant) -> [UInt64] {
        guard let first = earliest, first <= now else { return [] }
        let expired = waiting.filter { $0.value.deadline <= now }.keys.sorted()
        for id in expired { _ = finish(id) }
        earliest = waiting.values.map(\.deadline).min()
        return expired
    }
}
