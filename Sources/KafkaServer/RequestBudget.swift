// SPDX-License-Identifier: Apache-2.0
//
// RequestBudget.swift
// The bytes of unanswered requests on the whole broker.

import Synchronization

/// A limit that all connections share.
///
/// It is checked before a request is begun, not after: a request that has arrived is
/// never refused, so the sum may pass the limit by one request per connection.
final class RequestBudget: Sendable {
    private let used = Atomic<Int>(0)
    private let limit: Int
    /// Called when the sum falls below the limit, on the thread that released.
    private let freed: @Sendable () -> Void

    init(limit: Int, freed: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.freed = freed
    }

    var isExhausted: Bool { used.load(ordering: .acquiring) >= limit }

    var usedBytes: Int { used.load(ordering: .relaxed) }

    func charge(_ bytes: Int) { used.wrappingAdd(bytes, ordering: .acquiringAndReleasing) }

    /// A connection that found the budget exhausted and stands still afterwards, in the same task of its loop, is woken:
    /// the call of `freed` comes after the addition it saw, and reaches the loop as a later task.
    func release(_ bytes: Int) {
        guard bytes > 0 else { return }
        let (before, after) = used.wrappingSubtract(bytes, ordering: .acquiringAndReleasing)
        if before >= limit && after < limit { freed() }
    }
}
