// SPDX-License-Identifier: Apache-2.0
//
// GroupTable.swift
// The live groups of the broker that coordinates them: finds or makes the group an event is for, and answers for
// groups that do not exist. Pure, as the groups are; the shell proposes commands and keeps the replies.

import Model

/// All live groups of one coordinator, from winning leadership until losing it.
///
/// A group is live while something waits or runs in it; an empty group is made from the replicated state when needed.
/// The shell calls `timerFired` no later than `nextDeadline`, and asks for that after every event.
struct GroupTable: Sendable {
    /// Limits and delays.
    private(set) var settings: GroupSettings
    /// The live groups by id.
    private(set) var live: [String: GroupInstance] = [:]
    private var deadlines = DeadlineHeap()

    /// The groups at the moment leadership was won: everything up to the first entry of the own term is applied.
    init(leading state: CoordinatorState, settings: GroupSettings, now: Moment) {
        self.settings = settings
        for (id, group) in state.groups {
            guard let snapshot = group.snapshot, !snapshot.members.isEmpty else { continue }
            let instance = GroupInstance(id: id, restoring: snapshot, settings: settings, now: now)
            if let deadline = instance.nextDeadline { deadlines.schedule(id, at: deadline) }
            live[id] = instance
        }
    }

    /// Takes over changed limits and delays; what runs already keeps its deadline.
    mutating func adopt(_ settings: GroupSettings) {
        self.settings = settings
        for id in live.keys { live[id]?.settings = settings }
    }

    /// When `timerFired` wants to be called.
    var nextDeadline: Instant? { deadlines.earliest }

    // MARK: Members

    /// A JoinGroup request; answered by a `completeJoin` for `waiter`.
    mutating func join(
        group: String, _ request: GroupJoin, waiter: WaiterID, state: CoordinatorState, now: Moment,
        into directives: inout [GroupDirective]
    ) {
        if let error = joinRejection(group: group, request, state: state) {
            directives.append(.completeJoin(waiter, .failure(error, memberID: request.memberID)))
            return
        }
        var instance = take(group, state: state, now: now) ?? GroupInstance(id: group, settings: settings, now: now)
        instance.join(request, waiter: waiter, now: now, into: &directives)
        put(instance)
    }

    /// A group comes into being with its first member, which cannot have an id yet.
    private func joinRejection(group: String, _ request: GroupJoin, state: CoordinatorState) -> GroupError? {
        if !Self.isValid(group) { return .invalidGroupID }
        if exists(group, state: state) { return nil }
        if !request.memberID.isEmpty { return .unknownMemberID }
        return hasRoom(state: state) ? nil : .groupMaxSizeReached
    }

    /// A SyncGroup request; answered by a `completeSync` for `waiter`.
    mutating func sync(
        group: String, _ request: GroupSync, waiter: WaiterID, state: CoordinatorState, now: Moment,
        into directives: inout [GroupDirective]
    ) {
        guard Self.isValid(group), var instance = take(group, state: state, now: now) else {
            let error: GroupError = Self.isValid(group) ? .unknownMemberID : .invalidGroupID
            directives.append(.completeSync(waiter, .failure(error)))
            return
        }
        instance.sync(request, waiter: waiter, now: now, into: &directives)
        put(instance)
    }

    /// A Heartbeat request; nil means all is well.
    mutating func heartbeat(
        group: String, _ claim: MemberClaim, state: CoordinatorState, now: Moment
    ) -> GroupError? {
        if !Self.isValid(group) { return .invalidGroupID }
        guard var instance = take(group, state: state, now: now) else { return .unknownMemberID }
        let error = instance.heartbeat(claim, now: now)
        put(instance)
        return error
    }

    /// A LeaveGroup request: one result for each entry; nil means it is out.
    mutating func leave(
        group: String, _ leaving: [LeavingMember], state: CoordinatorState, now: Moment,
        into directives: inout [GroupDirective]
    ) -> [GroupError?] {
        if !Self.isValid(group) { return leaving.map { _ in .invalidGroupID } }
        guard var instance = take(group, state: state, now: now) else { return leaving.map { _ in .unknownMemberID } }
        let results = instance.leave(leaving, now: now, into: &directives)
        put(instance)
        return results
    }

    // MARK: What the shell reports

    /// The connection of a request that is parked in `group` is gone.
    mutating func waiterGone(
        group: String, _ waiter: WaiterID, now: Moment, into directives: inout [GroupDirective]
    ) {
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.waiterGone(waiter, now: now, into: &directives)
        put(instance)
    }

    /// A snapshot is committed and applied.
    mutating func persisted(
        group: String, sequence: UInt64, now: Moment, into directives: inout [GroupDirective]
    ) {
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.persisted(sequence: sequence, now: now, into: &directives)
        put(instance)
    }

    /// A snapshot was refused while this broker goes on leading; `error` is what the clients that wait are told.
    mutating func persistFailed(
        group: String, sequence: UInt64, error: GroupError = .coordinatorNotAvailable, now: Moment,
        into directives: inout [GroupDirective]
    ) {
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.persistFailed(sequence: sequence, error: error, now: now, into: &directives)
        put(instance)
    }

    /// Does everything that is due; calling it early is harmless.
    mutating func timerFired(now: Moment, into directives: inout [GroupDirective]) {
        while let group = deadlines.popDue(now: now.instant) {
            guard var instance = live.removeValue(forKey: group) else { continue }
            instance.timerFired(now: now, into: &directives)
            put(instance)
        }
    }

    /// Leadership is lost, or the broker closes: every parked request is answered with `error`.
    mutating func resign(_ error: GroupError = .notCoordinator, into directives: inout [GroupDirective]) {
        for id in live.keys.sorted() { live[id]?.resign(error, into: &directives) }
        live = [:]
        deadlines = DeadlineHeap()
    }

    // MARK: Finding groups

    /// True when a group id can be stored.
    static func isValid(_ group: String) -> Bool {
        !group.isEmpty && group.utf8.count <= CoordinatorKey.nameBytesMax
    }

    /// True when the group is live or stored.
    func exists(_ group: String, state: CoordinatorState) -> Bool {
        live[group] != nil || state.groups[group] != nil
    }

    /// True when one more group may come into being.
    ///
    /// Most live groups are stored as well, so the greater of the two numbers is what counts.
    func hasRoom(state: CoordinatorState) -> Bool {
        max(live.count, state.groups.count) < settings.groupsMax
    }

    /// Why no member can enter `group` under the consumer protocol; nil when none is in it under the classic one.
    func consumerRefusal(group: String, state: CoordinatorState) -> GroupError? {
        if let instance = live[group] { return instance.state == .dead ? .coordinatorNotAvailable : .groupIDNotFound }
        return state.groups[group]?.snapshot?.members.isEmpty == false ? .groupIDNotFound : nil
    }

    /// Moves the group out of the table, or makes it from what is stored; nil when it does not exist.
    ///
    /// Moving keeps the value unique, so that its tables are changed in place; `put` brings it back.
    mutating func take(_ group: String, state: CoordinatorState, now: Moment) -> GroupInstance? {
        if let instance = live.removeValue(forKey: group) { return instance }
        guard let stored = state.groups[group] else { return nil }
        guard let snapshot = stored.snapshot else { return GroupInstance(id: group, settings: settings, now: now) }
        return GroupInstance(id: group, restoring: snapshot, settings: settings, now: now)
    }

    /// Puts the group back, unless nothing is left in it that is not stored.
    mutating func put(_ instance: GroupInstance) {
        if instance.isIdle {
            deadlines.remove(instance.id)
            return
        }
        if let deadline = instance.nextDeadline { deadlines.schedule(instance.id, at: deadline) }
        live[instance.id] = instance
    }

    /// Drops a live group without a word to anyone; it was deleted and had nobody waiting.
    mutating func forget(_ group: String) {
        live[group] = nil
        deadlines.remove(group)
    }
}
