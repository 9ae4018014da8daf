// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance+Leave.swift
// Members that go: by LeaveGroup, or because the connection of a parked request was closed.

import Model

extension GroupInstance {
    /// Members leave, or an operator removes them: one result for each entry; nil means it is out.
    mutating func leave(
        _ leaving: [LeavingMember], now: Moment, into directives: inout [GroupDirective]
    ) -> [GroupError?] {
        if state == .dead { return leaving.map { _ in .coordinatorNotAvailable } }
        let countBefore = members.count
        let results = leaving.map { leave($0, into: &directives) }
        if members.count < countBefore {
            membershipChanged(now: now, into: &directives)
        } else {
            // Only reserved ids went: that can end a join phase, but never starts one.
            completeJoinIfReady(now: now, into: &directives)
        }
        return results
    }

    private mutating func leave(_ one: LeavingMember, into directives: inout [GroupDirective]) -> GroupError? {
        var memberID = one.memberID
        if memberID.isEmpty, let instanceID = one.instanceID {
            guard let current = staticMembers[instanceID] else { return .unknownMemberID }
            memberID = current
        } else if one.instanceID == nil, pendingMembers.removeValue(forKey: memberID) != nil {
            return nil
        } else if let error = rejection(memberID: memberID, instanceID: one.instanceID) {
            return error
        }
        remove(memberID, .left, into: &directives)
        return nil
    }

    /// The connection of a parked request is gone; its waiter is not answered any more.
    ///
    /// The member's session runs from now on. A dynamic member that was never told its id goes at once: its client
    /// can only come back as somebody else.
    mutating func waiterGone(_ waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]) {
        guard let memberID = parked.removeValue(forKey: waiter), let member = members[memberID] else { return }
        if member.joinWaiter == waiter {
            members[memberID]?.joinWaiter = nil
            joinWaiting -= 1
            if member.isNew, !member.clientKnowsID, member.instanceID == nil {
                remove(memberID, .disconnected, into: &directives)
                membershipChanged(now: now, into: &directives)
                return
            }
        } else if member.syncWaiter == waiter {
            members[memberID]?.syncWaiter = nil
            // It has to ask again, and no later than if the sync phase began now.
            pendingSync.insert(memberID)
            if syncDeadline == nil { armSyncDeadline(now: now) }
        }
        armSession(memberID, now: now)
    }
}
