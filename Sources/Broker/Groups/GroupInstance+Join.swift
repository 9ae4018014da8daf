// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance+Join.swift
// JoinGroup: who is let in, under which id, and whether that starts a rebalance.

import Model

extension GroupInstance {
    /// A member wants to join, or to join again; answered by a `completeJoin` for `waiter`, now or later.
    mutating func join(
        _ request: GroupJoin, waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]
    ) {
        if let error = rejection(of: request) {
            directives.append(.completeJoin(waiter, .failure(error, memberID: request.memberID)))
            if error == .groupMaxSizeReached, members[request.memberID] != nil {
                remove(request.memberID, .groupFull, into: &directives)
                membershipChanged(now: now, into: &directives)
            }
        } else if request.memberID.isEmpty {
            joinFirst(request, waiter: waiter, now: now, into: &directives)
        } else {
            joinAgain(request, waiter: waiter, now: now, into: &directives)
        }
    }

    /// The checks that do not depend on what the member already is.
    private func rejection(of request: GroupJoin) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        let timeouts = settings.sessionTimeoutMinMilliseconds...settings.sessionTimeoutMaxMilliseconds
        if !timeouts.contains(request.sessionTimeoutMilliseconds) { return .invalidSessionTimeout }
        let present = request.memberID.isEmpty ? request.instanceID.flatMap { staticMembers[$0] } : request.memberID
        if !hasRoom(for: present) { return .groupMaxSizeReached }
        if !supports(request, besides: present) { return .inconsistentGroupProtocol }
        return nil
    }

    /// During a rebalance only those who joined count, so that new members can take the place of dead ones.
    private func hasRoom(for memberID: String?) -> Bool {
        let member = memberID.flatMap { members[$0] }
        switch state {
        case .empty, .dead: return settings.membersMax > 0
        case .preparingRebalance: return member?.joinWaiter != nil || joinWaiting < settings.membersMax
        case .completingRebalance, .stable: return member != nil || members.count < settings.membersMax
        }
    }

    /// True when the request's protocol type fits and one of its protocols suits everyone but `memberID` itself.
    private func supports(_ request: GroupJoin, besides memberID: String?) -> Bool {
        guard !request.protocolType.isEmpty, !request.protocols.isEmpty else { return false }
        guard !members.isEmpty else { return true }
        guard request.protocolType == protocolType else { return false }
        let member = memberID.flatMap { members[$0] }
        let others = members.count - (member == nil ? 0 : 1)
        return request.protocols.contains { candidate in
            let own = member?.supports(candidate.name) == true ? 1 : 0
            return (protocolSupport[candidate.name] ?? 0) - own == others
        }
    }

    // MARK: Without a member id

    /// The sender has no id: a static member is found by its name, a dynamic one is given an id.
    private mutating func joinFirst(
        _ request: GroupJoin, waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]
    ) {
        if let instanceID = request.instanceID {
            let memberID = instanceID + "-" + request.entropy.uuidText
            if let oldID = staticMembers[instanceID] {
                replaceStatic(oldID, by: memberID, request, waiter: waiter, now: now, into: &directives)
            } else {
                add(request, as: memberID, clientKnowsID: false, waiter: waiter, now: now, into: &directives)
            }
            return
        }
        let memberID = request.clientID + "-" + request.entropy.uuidText
        guard request.requiresKnownMemberID else {
            add(request, as: memberID, clientKnowsID: false, waiter: waiter, now: now, into: &directives)
            return
        }
        guard pendingMembers.count < settings.pendingMembersMax else {
            directives.append(.completeJoin(waiter, .failure(.groupMaxSizeReached, memberID: "")))
            return
        }
        let deadline = now.instant.advanced(byMilliseconds: Int64(request.sessionTimeoutMilliseconds))
        pendingMembers[memberID] = deadline
        lowerDeadline(to: deadline)
        directives.append(.completeJoin(waiter, .failure(.memberIDRequired, memberID: memberID)))
    }

    /// Adds a member and rebalances.
    private mutating func add(
        _ request: GroupJoin, as memberID: String, clientKnowsID: Bool, waiter: WaiterID, now: Moment,
        into directives: inout [GroupDirective]
    ) {
        if members.isEmpty { protocolType = request.protocolType }
        if leaderID == nil { leaderID = memberID }
        lastJoinNumber += 1
        insert(GroupMember(id: memberID, request: request, joinNumber: lastJoinNumber, clientKnowsID: clientKnowsID))
        joinPhase?.newMemberAdded = true
        parkJoin(memberID, waiter, now: now, into: &directives)
        rebalance(now: now, into: &directives)
    }

    // MARK: With a member id

    /// The sender names its id: a reserved one is used for the first time, a member's one must still be valid.
    private mutating func joinAgain(
        _ request: GroupJoin, waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]
    ) {
        let memberID = request.memberID
        if request.instanceID == nil, pendingMembers.removeValue(forKey: memberID) != nil {
            add(request, as: memberID, clientKnowsID: true, waiter: waiter, now: now, into: &directives)
            return
        }
        if let error = rejection(memberID: memberID, instanceID: request.instanceID) {
            directives.append(.completeJoin(waiter, .failure(error, memberID: memberID)))
            return
        }
        let isUnchanged = members[memberID]?.matches(request.protocols) == true
        let keepsGeneration =
            switch state {
            case .stable: isUnchanged && leaderID != memberID
            case .completingRebalance: isUnchanged
            case .empty, .preparingRebalance, .dead: false
            }
        if keepsGeneration {
            armSession(memberID, now: now)
            directives.append(.completeJoin(waiter, joinResult(for: memberID)))
        } else {
            update(memberID, from: request)
            parkJoin(memberID, waiter, now: now, into: &directives)
            rebalance(now: now, into: &directives)
        }
    }

    /// What a member of the current generation is told; the leader gets everyone's metadata.
    func joinResult(for memberID: String) -> JoinResult {
        JoinResult(
            error: nil, generation: generation, protocolType: protocolType, protocolName: protocolName,
            leaderID: leaderID ?? "", memberID: memberID, skipAssignment: false,
            members: leaderID == memberID ? memberList() : [])
    }

    /// Everyone with their bytes for the chosen protocol.
    func memberList() -> [JoinResult.Member] {
        membersInOrder.map {
            JoinResult.Member(id: $0.id, instanceID: $0.instanceID, metadata: $0.metadata(for: protocolName))
        }
    }

    // MARK: Static members

    /// A process with a known instance id comes without a member id: it is given a new one and the old one is fenced.
    ///
    /// In Stable, when the choice of protocol stands, nobody else notices; the new id is stored before it is told.
    private mutating func replaceStatic(
        _ oldID: String, by newID: String, _ request: GroupJoin, waiter: WaiterID, now: Moment,
        into directives: inout [GroupDirective]
    ) {
        let oldLeaderID = leaderID ?? ""
        let wasPendingSync = pendingSync.contains(oldID)
        answerJoin(oldID, .failure(.fencedInstanceID, memberID: oldID), into: &directives)
        answerSync(oldID, .failure(.fencedInstanceID), into: &directives)
        guard let old = extract(oldID) else {
            preconditionFailure("instance of \(oldID) is known to group \(id), its member is not")
        }
        failUnstoredJoins(of: oldID, into: &directives)
        directives.append(.memberRemoved(group: id, memberID: oldID, instanceID: old.instanceID, reason: .replaced))
        var member = GroupMember(id: newID, request: request, joinNumber: old.joinNumber, clientKnowsID: true)
        member.assignment = old.assignment
        member.isNew = false
        insert(member)
        if leaderID == oldID { leaderID = newID }
        if wasPendingSync { pendingSync.insert(newID) }

        guard state == .stable, selectProtocol() == protocolName else {
            parkJoin(newID, waiter, now: now, into: &directives)
            rebalance(now: now, into: &directives)
            return
        }
        var result = joinResult(for: newID)
        if request.supportsSkippingAssignment {
            result.skipAssignment = leaderID == newID
        } else {
            // Older clients would assign again if they knew that they lead; under the old id they do not notice.
            result.leaderID = oldLeaderID
            result.members = []
        }
        armSession(newID, now: now)
        parked[waiter] = newID
        persist(then: .answerJoin(waiter, result), now: now, into: &directives)
    }

    /// Answers replacements of `memberID` that were not stored before the next process took over.
    private mutating func failUnstoredJoins(of memberID: String, into directives: inout [GroupDirective]) {
        for index in persistence.indices {
            guard case .answerJoin(let waiter, let result) = persistence[index].effect, result.memberID == memberID
            else { continue }
            fail(.answerJoin(waiter, result), .fencedInstanceID, into: &directives)
            persistence[index].effect = .none
        }
    }
}
