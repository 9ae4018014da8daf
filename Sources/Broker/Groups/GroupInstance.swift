// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance.swift
// One consumer group under the classic protocol, as a value: events in, directives out. It never reads a clock, draws
// a random number, waits or logs; the shell passes all of that in. One file per family of events.

import Model

/// The live state of one group on the broker that coordinates it.
///
/// Invariants:
/// - `joinWaiting` = number of members with a parked join; `parked.count` >= it.
/// - some protocol is supported by every member, as long as there are members.
/// - `nextDeadline` <= every deadline of the group (heartbeats leave it early; firing recomputes it).
/// - `pendingSync` is empty unless the state is CompletingRebalance or Stable.
///
/// The stored properties are written by this type's extensions only.
struct GroupInstance: Sendable {
    /// The group's id.
    let id: String
    /// Limits and delays.
    var settings: GroupSettings
    /// The state.
    var state: GroupState = .empty
    /// Counts completed join phases; never falls.
    var generation: Int32 = 0
    /// The kind of group, from its first member; nil while only simple consumers used it.
    var protocolType: String?
    /// The protocol chosen for the current generation.
    var protocolName: String?
    /// The member that computes assignments.
    var leaderID: String?
    /// Everyone, by member id.
    var members: [String: GroupMember] = [:]
    /// Member id by instance id.
    var staticMembers: [String: String] = [:]
    /// Ids that were handed out with MEMBER_ID_REQUIRED, and when they lapse.
    var pendingMembers: [String: Instant] = [:]
    /// How many members support each protocol.
    var protocolSupport: [String: Int] = [:]
    /// How many members have a parked join.
    var joinWaiting = 0
    /// Members of this generation that have not asked for their assignment.
    var pendingSync: Set<String> = []
    /// The running join phase; present exactly in PreparingRebalance.
    var joinPhase: JoinPhase?
    /// When the members in `pendingSync` are given up.
    var syncDeadline: Instant?
    /// The member that each parked request belongs to.
    var parked: [WaiterID: String] = [:]
    /// Snapshots on their way to the replicas, oldest first.
    var persistence: [PendingPersistence] = []
    /// When a refused snapshot is tried again; nil when what is stored is not older than it should be.
    var storeRetryDeadline: Instant?
    /// When the state was entered.
    var changedAt: WallTime
    /// The topics of all members of the current generation; nil when unknown.
    var subscribedTopics: Set<String>?
    /// When `timerFired` wants to be called next; the shell asks after every event.
    var nextDeadline: Instant?
    /// Numbers members and snapshots.
    var lastJoinNumber: UInt64 = 0
    /// The sequence of the last snapshot; counts from the instant at which the value was made, so that the late
    /// outcome of a snapshot never meets a later value of the same group that happens to have counted as far.
    var lastPersistSequence: UInt64

    /// A phase in which members join.
    struct JoinPhase: Hashable, Sendable {
        /// When it ends at the latest.
        var deadline: Instant
        /// True for the first rebalance of an empty group, which waits although everyone known has joined.
        var isInitial: Bool
        /// By how much an initial phase may still be extended.
        var remainingMilliseconds: Int64
        /// Somebody new came since the phase began or was extended.
        var newMemberAdded: Bool
    }

    /// A snapshot on its way, and what happens once it is stored.
    struct PendingPersistence: Sendable {
        /// Names the snapshot.
        var sequence: UInt64
        /// What waits for it.
        var effect: PersistenceEffect
    }

    /// What happens once a snapshot is stored.
    enum PersistenceEffect: Sendable {
        /// Nothing waits.
        case none
        /// The leader's assignments take effect, if the generation still stands.
        case installAssignments(generation: Int32, [String: [UInt8]])
        /// A replaced static member is answered.
        case answerJoin(WaiterID, JoinResult)
    }

    /// A group nobody has used yet.
    init(id: String, settings: GroupSettings, now: Moment) {
        self.id = id
        self.settings = settings
        self.changedAt = now.wallTime
        self.lastPersistSequence = now.instant.nanoseconds
    }

    /// A group as it was stored; its members get a full session timeout to be heard from.
    init(id: String, restoring snapshot: GroupSnapshot, settings: GroupSettings, now: Moment) {
        self.init(id: id, settings: settings, now: now)
        state = snapshot.members.isEmpty ? .empty : .stable
        generation = snapshot.generation
        protocolType = snapshot.protocolType
        protocolName = snapshot.protocolName
        leaderID = snapshot.leaderID
        changedAt = snapshot.changedAt
        for stored in snapshot.members {
            lastJoinNumber += 1
            insert(GroupMember(restoring: stored, joinNumber: lastJoinNumber))
            armSession(stored.id, now: now)
        }
        subscribedTopics = topicsOfMembers()
    }

    /// True when the group can be made again from what is stored: nothing is parked, pending or running.
    var isIdle: Bool {
        state == .empty && pendingMembers.isEmpty && parked.isEmpty && persistence.isEmpty && storeRetryDeadline == nil
    }

    /// Everyone in the order they joined.
    var membersInOrder: [GroupMember] { members.values.sorted { $0.joinNumber < $1.joinNumber } }

    /// The longest rebalance timeout of all members.
    var rebalanceTimeoutMilliseconds: Int64 {
        members.values.reduce(0) { max($0, Int64($1.rebalanceTimeoutMilliseconds)) }
    }

    /// Releases every parked request with `error`: the coordinator moves away or closes.
    ///
    /// The value is of no use afterwards.
    mutating func resign(_ error: GroupError, into directives: inout [GroupDirective]) {
        for member in membersInOrder {
            answerJoin(member.id, .failure(error, memberID: member.id), into: &directives)
            answerSync(member.id, .failure(error), into: &directives)
        }
        for pending in persistence { fail(pending.effect, error, into: &directives) }
        persistence = []
        state = .dead
        nextDeadline = nil
    }

    /// Marks an empty group as being deleted; whoever comes meanwhile is told to try again.
    ///
    /// Returns: NON_EMPTY_GROUP when it has members; the group is unchanged.
    mutating func beginDelete() -> GroupError? {
        switch state {
        case .dead: return .groupIDNotFound
        case .empty: break
        case .preparingRebalance, .completingRebalance, .stable: return .nonEmptyGroup
        }
        state = .dead
        pendingMembers = [:]
        nextDeadline = nil
        return nil
    }

    /// The deletion could not be stored: the group is empty again.
    mutating func cancelDelete() {
        precondition(state == .dead, "group \(id) is \(state) but its deletion is cancelled")
        state = .empty
    }
}

// MARK: - Members

extension GroupInstance {
    /// Why a request in the name of `memberID` is refused; nil when it is a current member.
    func rejection(memberID: String, instanceID: String?) -> GroupError? {
        if let instanceID {
            guard let current = staticMembers[instanceID] else { return .unknownMemberID }
            if current != memberID { return .fencedInstanceID }
        }
        return members[memberID] == nil ? .unknownMemberID : nil
    }

    /// Adds a member to the tables.
    mutating func insert(_ member: GroupMember) {
        precondition(members[member.id] == nil, "member \(member.id) is in group \(id) already")
        for one in member.protocols { protocolSupport[one.name, default: 0] += 1 }
        if let instanceID = member.instanceID { staticMembers[instanceID] = member.id }
        if member.joinWaiter != nil { joinWaiting += 1 }
        members[member.id] = member
    }

    /// Takes a member out of the tables; its parked requests are the caller's business.
    mutating func extract(_ memberID: String) -> GroupMember? {
        guard let member = members.removeValue(forKey: memberID) else { return nil }
        for one in member.protocols { releaseSupport(of: one.name) }
        if let instanceID = member.instanceID { staticMembers[instanceID] = nil }
        if member.joinWaiter != nil { joinWaiting -= 1 }
        pendingSync.remove(memberID)
        return member
    }

    /// Replaces what a member said in an earlier join.
    mutating func update(_ memberID: String, from request: GroupJoin) {
        for one in members[memberID]?.protocols ?? [] { releaseSupport(of: one.name) }
        members[memberID]?.update(from: request)
        for one in members[memberID]?.protocols ?? [] { protocolSupport[one.name, default: 0] += 1 }
    }

    /// Removes a member for `reason` and answers what it has parked; the caller decides about a rebalance.
    mutating func remove(_ memberID: String, _ reason: RemovalReason, into directives: inout [GroupDirective]) {
        answerJoin(memberID, .failure(reason.error, memberID: ""), into: &directives)
        answerSync(memberID, .failure(reason.error), into: &directives)
        guard let member = extract(memberID) else { return }
        if leaderID == memberID { leaderID = nil }
        directives.append(
            .memberRemoved(group: id, memberID: memberID, instanceID: member.instanceID, reason: reason))
    }

    private mutating func releaseSupport(of name: String) {
        let count = (protocolSupport[name] ?? 0) - 1
        precondition(count >= 0, "protocol \(name) of group \(id) lost more supporters than it had")
        protocolSupport[name] = count == 0 ? nil : count
    }
}

// MARK: - Parked requests

extension GroupInstance {
    /// Parks a member's join; an earlier one of the same member is answered, since only one reply can matter.
    mutating func parkJoin(
        _ memberID: String, _ waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]
    ) {
        answerJoin(memberID, .failure(.rebalanceInProgress, memberID: memberID), into: &directives)
        members[memberID]?.joinWaiter = waiter
        joinWaiting += 1
        parked[waiter] = memberID
        guard members[memberID]?.isNew == true else {
            members[memberID]?.sessionDeadline = nil
            return
        }
        let deadline = now.instant.advanced(byMilliseconds: settings.newMemberJoinTimeoutMilliseconds)
        members[memberID]?.sessionDeadline = deadline
        lowerDeadline(to: deadline)
    }

    /// Answers a member's parked join, if it has one.
    mutating func answerJoin(_ memberID: String, _ result: JoinResult, into directives: inout [GroupDirective]) {
        guard let waiter = members[memberID]?.joinWaiter else { return }
        members[memberID]?.joinWaiter = nil
        joinWaiting -= 1
        parked[waiter] = nil
        directives.append(.completeJoin(waiter, result))
    }

    /// Parks a member's sync; an earlier one of the same member is answered.
    mutating func parkSync(_ memberID: String, _ waiter: WaiterID, into directives: inout [GroupDirective]) {
        answerSync(memberID, .failure(.rebalanceInProgress), into: &directives)
        members[memberID]?.syncWaiter = waiter
        members[memberID]?.sessionDeadline = nil
        parked[waiter] = memberID
    }

    /// Answers a member's parked sync, if it has one.
    mutating func answerSync(_ memberID: String, _ result: SyncResult, into directives: inout [GroupDirective]) {
        guard let waiter = members[memberID]?.syncWaiter else { return }
        members[memberID]?.syncWaiter = nil
        parked[waiter] = nil
        directives.append(.completeSync(waiter, result))
    }

    /// Starts the member's session anew; a parked request keeps it alive without one.
    mutating func armSession(_ memberID: String, now: Moment) {
        guard let member = members[memberID], !member.isParked else { return }
        let deadline = now.instant.advanced(byMilliseconds: Int64(member.sessionTimeoutMilliseconds))
        members[memberID]?.sessionDeadline = deadline
        lowerDeadline(to: deadline)
    }

    /// Makes sure that the timer fires no later than `deadline`.
    mutating func lowerDeadline(to deadline: Instant) {
        nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
    }
}
