// SPDX-License-Identifier: Apache-2.0
//
// GroupTable+Transactions.swift
// Whether a member may commit offsets in a transaction (KIP-447).

import Model

extension GroupTable {
    /// Why offsets may not be committed in a transaction in the name of `request`; nil means that they may.
    mutating func transactionalRefusal(of request: OffsetCommit, state: CoordinatorState, now: Moment) -> GroupError? {
        if !Self.isValid(request.group) { return .invalidGroupID }
        if let instance = take(request.group, state: state, now: now) {
            defer { put(instance) }
            return instance.transactionalRefusal(of: request.claim)
        }
        if request.claim.generation >= 0 { return .illegalGeneration }
        return hasRoom(state: state) ? nil : .groupMaxSizeReached
    }
}

extension GroupInstance {
    /// Why a member may not commit offsets in a transaction; nil means that it may.
    ///
    /// As for a plain commit, except that whoever says nothing of itself is let through: producers before KIP-447 know
    /// nothing of the group, and their epoch fences them. A session does not start anew.
    func transactionalRefusal(of claim: MemberClaim) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        if claim.generation < 0, claim.memberID.isEmpty, claim.instanceID == nil || state == .empty { return nil }
        if let error = rejection(memberID: claim.memberID, instanceID: claim.instanceID) { return error }
        return claim.generation == generation ? nil : .illegalGeneration
    }
}
