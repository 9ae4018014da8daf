// SPDX-License-Identifier: Apache-2.0
//
// PendingRequests.swift
// What a connection waits for: answers come in the order of the requests, and each has a deadline.
// A value without I/O; the connection carries out what it says.

import DequeModule

/// The requests on one connection that have no answer yet.
struct PendingRequests<Completion> {
    /// One request.
    struct Entry {
        let correlationID: Int32
        let deadlineNanoseconds: UInt64
        let completion: Completion
    }

    private var entries: Deque<Entry> = []
    private var nextCorrelationID: Int32 = 0

    var count: Int { entries.count }

    /// The number for the next request; numbers wrap around to 0.
    mutating func makeCorrelationID() -> Int32 {
        defer { nextCorrelationID = nextCorrelationID == .max ? 0 : nextCorrelationID + 1 }
        return nextCorrelationID
    }

    mutating func add(_ entry: Entry) { entries.append(entry) }

    /// Removes and returns the oldest request if `correlationID` is its number; nil means the stream cannot be trusted.
    mutating func answer(correlationID: Int32) -> Entry? {
        guard entries.first?.correlationID == correlationID else { return nil }
        return entries.removeFirst()
    }

    /// Whether any deadline lies at or before `now`.
    func isOverdue(nowNanoseconds now: UInt64) -> Bool { entries.contains { $0.deadlineNanoseconds <= now } }

    /// Removes and returns everything, oldest first.
    mutating func removeAll() -> [Entry] {
        defer { entries.removeAll() }
        return Array(entries)
    }
}
