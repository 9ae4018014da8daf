// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance+Rebalance.swift
// The join phase: how it starts, when it is over, and what the next generation looks like.

import Model

extension GroupInstance {
    /// Starts a join phase, or ends the running one if it waits for nobody any more.
    mutating func rebalance(now: Moment, into directives: inout [GroupDirective]) {
        if state != .preparingRebalance { beginJoinPhase(now: now, into: &directives) }
        completeJoinIfReady(now: now, into: &directives)
    }

    /// Members went: what remains has to share anew.
    mutating func membershipChanged(now: Moment, into directives: inout [GroupDirective]) {
        switch state {
        case .stable, .completingRebalance, .preparingRebalance: rebalance(now: now, into: &directives)
        case .empty, .dead: break
        }
    }

    /// Enters PreparingRebalance; parked syncs of the generation that ends are told to join again.
    private mutating func beginJoinPhase(now: Moment, into directives: inout [GroupDirective]) {
        for member in membersInOrder where member.syncWaiter != nil {
            answerSync(member.id, .failure(.rebalanceInProgress), into: &directives)
            armSession(member.id, now: now)
        }
        pendingSync = []
        syncDeadline = nil
        let timeout = rebalanceTimeoutMilliseconds
        let isInitial = state == .empty
        let delay = isInitial ? min(max(settings.initialRebalanceDelayMilliseconds, 0), timeout) : timeout
        let deadline = now.instant.advanced(byMilliseconds: delay)
        joinPhase = JoinPhase(
            deadline: deadline, isInitial: isInitial, remainingMilliseconds: timeout - delay, newMemberAdded: false)
        lowerDeadline(to: deadline)
        enter(.preparingRebalance, now: now, into: &directives)
    }

    /// Ends the join phase when everybody it waits for is there.
    mutating func completeJoinIfReady(now: Moment, into directives: inout [GroupDirective]) {
        guard let joinPhase else { return }
        let isReady =
            joinPhase.isInitial
            ? settings.initialRebalanceDelayMilliseconds <= 0
            : joinWaiting == members.count && pendingMembers.isEmpty
        if isReady || members.isEmpty { completeJoin(now: now, into: &directives) }
    }

    /// The join phase's deadline passed; an initial phase goes on while members keep arriving.
    mutating func joinDeadlineReached(now: Moment, into directives: inout [GroupDirective]) {
        guard var phase = joinPhase else { return }
        guard phase.isInitial, phase.newMemberAdded, phase.remainingMilliseconds > 0 else {
            completeJoin(now: now, into: &directives)
            return
        }
        let delay = min(settings.initialRebalanceDelayMilliseconds, phase.remainingMilliseconds)
        phase.deadline = phase.deadline.advanced(byMilliseconds: delay)
        phase.remainingMilliseconds -= delay
        phase.newMemberAdded = false
        joinPhase = phase
        lowerDeadline(to: phase.deadline)
    }

    /// Drops who did not come, and makes the next generation out of the rest.
    ///
    /// Static members are not dropped: they have until their session ends to come back.
    private mutating func completeJoin(now: Moment, into directives: inout [GroupDirective]) {
        for member in membersInOrder where member.joinWaiter == nil && member.instanceID == nil {
            remove(member.id, .didNotRejoin, into: &directives)
        }
        guard !members.isEmpty else {
            becomeEmpty(now: now, into: &directives)
            return
        }
        guard electLeader() else {
            // Only silent static members are left: nobody can lead, and nobody waits for an answer.
            let deadline = now.instant.advanced(byMilliseconds: rebalanceTimeoutMilliseconds)
            joinPhase = JoinPhase(
                deadline: deadline, isInitial: false, remainingMilliseconds: 0, newMemberAdded: false)
            lowerDeadline(to: deadline)
            return
        }
        advanceGeneration()
        joinPhase = nil
        protocolName = selectProtocol()
        subscribedTopics = topicsOfMembers()
        enter(.completingRebalance, now: now, into: &directives)
        for member in membersInOrder where member.joinWaiter != nil {
            members[member.id]?.isNew = false
            members[member.id]?.clientKnowsID = true
            pendingSync.insert(member.id)
            answerJoin(member.id, joinResult(for: member.id), into: &directives)
            armSession(member.id, now: now)
        }
        armSyncDeadline(now: now)
    }

    /// Gives the members in `pendingSync` a rebalance timeout from now on.
    mutating func armSyncDeadline(now: Moment) {
        let deadline = now.instant.advanced(byMilliseconds: rebalanceTimeoutMilliseconds)
        syncDeadline = deadline
        lowerDeadline(to: deadline)
    }

    /// The last member went.
    private mutating func becomeEmpty(now: Moment, into directives: inout [GroupDirective]) {
        advanceGeneration()
        joinPhase = nil
        protocolName = nil
        leaderID = nil
        subscribedTopics = []
        enter(.empty, now: now, into: &directives)
        persist(then: .none, now: now, into: &directives)
    }

    /// Keeps the leader if it joined, otherwise takes the longest-standing member that did; false when nobody did.
    private mutating func electLeader() -> Bool {
        if let leaderID, members[leaderID]?.joinWaiter != nil { return true }
        guard let next = membersInOrder.first(where: { $0.joinWaiter != nil }) else { return false }
        leaderID = next.id
        return true
    }

    /// The protocol that everyone supports and most members prefer among those; the oldest member breaks ties.
    func selectProtocol() -> String? {
        let candidates = Set(protocolSupport.filter { $0.value == members.count }.keys)
        let ordered = membersInOrder
        guard let first = ordered.first else { return nil }
        var votes: [String: Int] = [:]
        for member in ordered {
            guard let vote = member.protocols.first(where: { candidates.contains($0.name) }) else { continue }
            votes[vote.name, default: 0] += 1
        }
        var best: (name: String, votes: Int)?
        for candidate in first.protocols where candidates.contains(candidate.name) {
            let count = votes[candidate.name] ?? 0
            if count > best?.votes ?? -1 { best = (candidate.name, count) }
        }
        precondition(best != nil, "the members of group \(id) share no protocol")
        return best?.name
    }

    /// What all members subscribe to; nil when the group is not of consumers or a member's bytes cannot be read.
    func topicsOfMembers() -> Set<String>? {
        guard protocolType == ConsumerSubscription.protocolType else { return nil }
        var topics: Set<String> = []
        for member in members.values {
            guard let own = ConsumerSubscription.topics(in: member.metadata(for: protocolName)) else { return nil }
            topics.formUnion(own)
        }
        return topics
    }

    /// Changes the state.
    mutating func enter(_ next: GroupState, now: Moment, into directives: inout [GroupDirective]) {
        state = next
        changedAt = now.wallTime
        directives.append(.stateChanged(group: id, state: next, generation: generation))
    }

    /// Counts on; after the largest int32 from 1 again, since a negative generation means "none" on the wire.
    private mutating func advanceGeneration() {
        generation = generation == .max ? 1 : generation + 1
    }
}
