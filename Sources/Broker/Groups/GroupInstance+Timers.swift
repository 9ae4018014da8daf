// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance+Timers.swift
// What happens because time passed: reservations, sessions, join and sync phases end.

import Model

extension GroupInstance {
    /// Does everything that is due and computes `nextDeadline` anew; calling it early or often is harmless.
    mutating func timerFired(now: Moment, into directives: inout [GroupDirective]) {
        guard let due = nextDeadline, due <= now.instant else { return }
        expireReservations(now: now, into: &directives)
        expireSessions(now: now, into: &directives)
        if let deadline = syncDeadline, deadline <= now.instant {
            syncDeadlineReached(now: now, into: &directives)
        }
        if let deadline = joinPhase?.deadline, deadline <= now.instant {
            joinDeadlineReached(now: now, into: &directives)
        }
        if let deadline = storeRetryDeadline, deadline <= now.instant {
            storeRetryDeadline = nil
            // During a rebalance the snapshot that ends it takes the place of the refused one.
            let isSettled = state == .empty || state == .stable
            if isSettled, persistence.isEmpty { persist(then: .none, now: now, into: &directives) }
        }
        nextDeadline = earliestDeadline()
    }

    /// Ids that were handed out and never used; a join phase may have waited for them.
    private mutating func expireReservations(now: Moment, into directives: inout [GroupDirective]) {
        let before = pendingMembers.count
        pendingMembers = pendingMembers.filter { $0.value > now.instant }
        if pendingMembers.count < before { completeJoinIfReady(now: now, into: &directives) }
    }

    /// Members that were silent for too long.
    private mutating func expireSessions(now: Moment, into directives: inout [GroupDirective]) {
        let silent = membersInOrder.filter { member in member.sessionDeadline.map { $0 <= now.instant } ?? false }
        guard !silent.isEmpty else { return }
        for member in silent { remove(member.id, .sessionExpired, into: &directives) }
        membershipChanged(now: now, into: &directives)
    }

    /// The earliest of all deadlines.
    ///
    /// Cost: one walk over the members.
    private func earliestDeadline() -> Instant? {
        var earliest: Instant?
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        consider(joinPhase?.deadline)
        consider(syncDeadline)
        consider(storeRetryDeadline)
        for deadline in pendingMembers.values { consider(deadline) }
        for member in members.values { consider(member.sessionDeadline) }
        return earliest
    }
}
