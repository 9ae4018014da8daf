// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance+Sync.swift
// SyncGroup: followers wait for the leader's assignments, which are stored before anyone is told.

import Model

extension GroupInstance {
    /// A member asks for its share, the leader brings everyone's; answered by a `completeSync` for `waiter`.
    mutating func sync(
        _ request: GroupSync, waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]
    ) {
        if let error = rejection(of: request) {
            directives.append(.completeSync(waiter, .failure(error)))
            return
        }
        let memberID = request.memberID
        pendingSync.remove(memberID)
        guard state == .completingRebalance else {
            armSession(memberID, now: now)
            directives.append(.completeSync(waiter, syncResult(for: memberID)))
            endSyncPhaseIfDone()
            return
        }
        parkSync(memberID, waiter, into: &directives)
        if memberID == leaderID, !isStoringAssignments {
            store(request.assignments, now: now, into: &directives)
        }
    }

    private func rejection(of request: GroupSync) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        if let error = rejection(memberID: request.memberID, instanceID: request.instanceID) { return error }
        if request.generation != generation { return .illegalGeneration }
        if let type = request.protocolType, type != protocolType { return .inconsistentGroupProtocol }
        if let name = request.protocolName, name != protocolName { return .inconsistentGroupProtocol }
        return state == .preparingRebalance ? .rebalanceInProgress : nil
    }

    /// True while this generation's assignments are on their way to the replicas.
    private var isStoringAssignments: Bool {
        persistence.contains {
            if case .installAssignments(generation, _) = $0.effect { true } else { false }
        }
    }

    /// Sends the leader's assignments to the replicas; members the leader forgot get an empty one.
    private mutating func store(
        _ assignments: [MemberAssignment], now: Moment, into directives: inout [GroupDirective]
    ) {
        var byMember: [String: [UInt8]] = [:]
        for one in assignments where members[one.memberID] != nil { byMember[one.memberID] = one.assignment }
        persist(then: .installAssignments(generation: generation, byMember), now: now, into: &directives)
    }

    /// What a member of a stable group is told.
    private func syncResult(for memberID: String) -> SyncResult {
        SyncResult(
            error: nil, protocolType: protocolType, protocolName: protocolName,
            assignment: members[memberID]?.assignment ?? [])
    }

    /// Stops the sync timer once everyone has asked.
    private mutating func endSyncPhaseIfDone() {
        if state == .stable, pendingSync.isEmpty { syncDeadline = nil }
    }

    /// The sync deadline passed: whoever did not ask is removed and the others join again.
    mutating func syncDeadlineReached(now: Moment, into directives: inout [GroupDirective]) {
        syncDeadline = nil
        let silent = membersInOrder.filter { pendingSync.contains($0.id) }
        guard !silent.isEmpty else { return }
        for member in silent { remove(member.id, .didNotSync, into: &directives) }
        membershipChanged(now: now, into: &directives)
    }

    // MARK: Durability

    /// How long a refused snapshot rests before it is tried again.
    private static let storeRetryMilliseconds: Int64 = 1_000

    /// Asks for the group's snapshot to be stored.
    mutating func persist(then effect: PersistenceEffect, now: Moment, into directives: inout [GroupDirective]) {
        var stored = snapshot()
        if case .installAssignments(_, let assignments) = effect {
            stored.changedAt = now.wallTime
            for index in stored.members.indices {
                stored.members[index].assignment = assignments[stored.members[index].id] ?? []
            }
        }
        lastPersistSequence += 1
        persistence.append(PendingPersistence(sequence: lastPersistSequence, effect: effect))
        directives.append(.persistGroup(group: id, sequence: lastPersistSequence, snapshot: stored))
    }

    /// The snapshot `sequence` is committed: what waited for it takes effect.
    mutating func persisted(sequence: UInt64, now: Moment, into directives: inout [GroupDirective]) {
        guard let index = persistence.firstIndex(where: { $0.sequence == sequence }) else { return }
        storeRetryDeadline = nil
        switch persistence.remove(at: index).effect {
        case .none: break
        case .installAssignments(let stored, let assignments):
            if state == .completingRebalance, stored == generation {
                install(assignments, now: now, into: &directives)
            }
        case .answerJoin(let waiter, let result):
            guard parked.removeValue(forKey: waiter) != nil else { return }
            if members[result.memberID] == nil {
                directives.append(.completeJoin(waiter, .failure(.unknownMemberID, memberID: "")))
            } else {
                armSession(result.memberID, now: now)
                directives.append(.completeJoin(waiter, result))
            }
        }
    }

    /// The snapshot `sequence` was refused; `error` is what the clients that wait for it are told.
    mutating func persistFailed(
        sequence: UInt64, error: GroupError, now: Moment, into directives: inout [GroupDirective]
    ) {
        guard let index = persistence.firstIndex(where: { $0.sequence == sequence }) else { return }
        let retry = now.instant.advanced(byMilliseconds: Self.storeRetryMilliseconds)
        storeRetryDeadline = retry
        lowerDeadline(to: retry)
        let effect = persistence.remove(at: index).effect
        fail(effect, error, into: &directives)
        if case .installAssignments(generation, _) = effect, state == .completingRebalance {
            for member in membersInOrder where member.syncWaiter != nil {
                answerSync(member.id, .failure(error), into: &directives)
                armSession(member.id, now: now)
            }
            rebalance(now: now, into: &directives)
        }
    }

    /// Answers the request that waited for a snapshot.
    mutating func fail(_ effect: PersistenceEffect, _ error: GroupError, into directives: inout [GroupDirective]) {
        guard case .answerJoin(let waiter, _) = effect, parked.removeValue(forKey: waiter) != nil else { return }
        directives.append(.completeJoin(waiter, .failure(error, memberID: "")))
    }

    /// The assignments are stored: the group is stable and every parked sync is answered.
    private mutating func install(
        _ assignments: [String: [UInt8]], now: Moment, into directives: inout [GroupDirective]
    ) {
        for memberID in members.keys { members[memberID]?.assignment = assignments[memberID] ?? [] }
        enter(.stable, now: now, into: &directives)
        for member in membersInOrder where member.syncWaiter != nil {
            answerSync(member.id, syncResult(for: member.id), into: &directives)
            armSession(member.id, now: now)
        }
        endSyncPhaseIfDone()
    }

    /// The durable part of the group.
    func snapshot() -> GroupSnapshot {
        GroupSnapshot(
            protocolType: protocolType, generation: generation, protocolName: protocolName, leaderID: leaderID,
            changedAt: changedAt,
            members: membersInOrder.map {
                GroupSnapshot.Member(
                    id: $0.id, instanceID: $0.instanceID, clientID: $0.clientID, clientHost: $0.clientHost,
                    sessionTimeoutMilliseconds: $0.sessionTimeoutMilliseconds,
                    rebalanceTimeoutMilliseconds: $0.rebalanceTimeoutMilliseconds, protocols: $0.protocols,
                    assignment: $0.assignment)
            })
    }
}
