// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupTable.swift
// The live share groups: finds or makes the group an event is for. Pure, as the groups are; the shell proposes changes
// and keeps the replies.

import Model

/// All share groups of one coordinator, from winning leadership until losing it.
///
/// A group is live while it has members or changes on their way; an empty one is made from what is stored when needed.
struct ShareGroupTable: Sendable {
    /// Limits and delays.
    private(set) var settings: SettingsByGroup
    /// The live groups by id.
    private(set) var live: [String: ShareGroupInstance] = [:]
    private var topics: TopicCatalogue
    private var deadlines = DeadlineHeap()

    /// The groups at the moment leadership was won.
    init(leading state: CoordinatorState, topics: TopicCatalogue, settings: SettingsByGroup, now: Moment) {
        self.settings = settings
        self.topics = topics
        for (id, group) in state.groups {
            guard let share = group.share, !share.members.isEmpty else { continue }
            put(ShareGroupInstance(id: id, restoring: share, settings: settings[id], now: now))
        }
    }

    /// Takes over changed limits and delays: members have them from their next heartbeats on, and what runs already keeps
    /// its deadline.
    mutating func adopt(_ settings: SettingsByGroup) {
        self.settings = settings
        for id in live.keys { live[id]?.settings = settings[id] }
    }

    /// When `timerFired` wants to be called.
    var nextDeadline: Instant? { deadlines.earliest }

    /// How many members all live groups have.
    var memberCount: Int { live.values.reduce(0) { $0 + $1.membersByID.count } }

    // MARK: Events

    /// A ShareGroupHeartbeat; answered by an `answer` for `waiter`.
    ///
    /// - Parameter hasRoom: whether a new group may be made.
    mutating func heartbeat(
        group: String, _ request: ShareHeartbeat, waiter: WaiterID, state: CoordinatorState, hasRoom: Bool,
        now: Moment, into directives: inout [ShareGroupDirective]
    ) {
        do throws(ConsumerGroupRefusal) {
            guard GroupTable.isValid(group) else {
                throw ConsumerGroupRefusal(.invalidRequest, "GroupId can't be empty.")
            }
            try request.validate()
            var instance = try take(group, request, state: state, hasRoom: hasRoom, now: now)
            instance.heartbeat(request, waiter: waiter, topics, now: now, into: &directives)
            put(instance)
        } catch {
            directives.append(.answer(waiter, .failure(error)))
        }
    }

    private mutating func take(
        _ group: String, _ request: ShareHeartbeat, state: CoordinatorState, hasRoom: Bool, now: Moment
    ) throws(ConsumerGroupRefusal) -> ShareGroupInstance {
        if let instance = live.removeValue(forKey: group) { return instance }
        let stored = state.groups[group]?.share
        // A group with members is always live, so this one has none.
        guard request.epoch == ShareHeartbeat.joinEpoch else {
            if stored == nil { throw ConsumerGroupRefusal(.groupIDNotFound, "Share group \(group) not found.") }
            throw ConsumerGroupRefusal(
                .unknownMemberID, "Member \(request.memberID) is not a member of group \(group).")
        }
        if stored == nil, !hasRoom {
            throw ConsumerGroupRefusal(.groupMaxSizeReached, "The coordinator has its maximum number of groups.")
        }
        return ShareGroupInstance(
            id: group, restoring: stored ?? ShareGroupSnapshot(), settings: settings[group], now: now)
    }

    /// A change is committed; it may not have applied, when the state was another than the one it was made for.
    mutating func committed(
        group: String, revision: UInt64, state: CoordinatorState, now: Moment,
        into directives: inout [ShareGroupDirective]
    ) {
        guard (state.groups[group]?.share?.header.revision ?? 0) >= revision else {
            return failed(
                group: group, revision: revision, error: .coordinatorNotAvailable, state: state, now: now,
                into: &directives)
        }
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.applied(revision: revision, into: &directives)
        put(instance)
    }

    /// A change was refused while this broker goes on leading; the group goes on from what is stored.
    mutating func failed(
        group: String, revision: UInt64, error: GroupError, state: CoordinatorState, now: Moment,
        into directives: inout [ShareGroupDirective]
    ) {
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.failed(revision: revision, error: error, into: &directives)
        put(instance)
        guard live[group] == nil, let stored = state.groups[group]?.share else { return }
        put(ShareGroupInstance(id: group, restoring: stored, settings: settings[group], now: now))
    }

    /// Does everything that is due; calling it early is harmless.
    mutating func timerFired(now: Moment, into directives: inout [ShareGroupDirective]) {
        while let group = deadlines.popDue(now: now.instant) {
            guard var instance = live.removeValue(forKey: group) else { continue }
            instance.timerFired(now: now, topics, into: &directives)
            put(instance)
        }
    }

    /// There are other topics; groups are told with `topicsChanged`, new subscriptions find them at once.
    mutating func know(_ topics: TopicCatalogue) { self.topics = topics }

    /// There are other topics, or other partitions.
    ///
    /// Cost: one walk over all groups, their members and what these read.
    mutating func topicsChanged(_ topics: TopicCatalogue, into directives: inout [ShareGroupDirective]) {
        self.topics = topics
        for group in live.keys.sorted() {
            guard var instance = live.removeValue(forKey: group) else { continue }
            instance.topicsChanged(topics, into: &directives)
            put(instance)
        }
    }

    /// Leadership is lost, or the broker closes: every waiting request is answered with `error`.
    mutating func resign(_ error: GroupError, into directives: inout [ShareGroupDirective]) {
        for id in live.keys.sorted() { live[id]?.resign(error, into: &directives) }
        live = [:]
        deadlines = DeadlineHeap()
    }

    /// Puts a group back, unless nothing is left in it that is not stored.
    private mutating func put(_ instance: ShareGroupInstance) {
        if instance.isIdle {
            deadlines.remove(instance.id)
            return
        }
        if let deadline = instance.nextDeadline { deadlines.schedule(instance.id, at: deadline) }
        live[instance.id] = instance
    }

    // MARK: Showing groups

    /// Whether `group` is one of these, live or stored.
    func has(_ group: String, state: CoordinatorState) -> Bool {
        live[group] != nil || state.groups[group]?.share != nil
    }

    /// Why a group must not lose what it has; nil when it has nobody.
    func refusalWhileUsed(group: String) -> GroupError? {
        guard let instance = live[group] else { return nil }
        return instance.membersByID.isEmpty ? .coordinatorNotAvailable : .nonEmptyGroup
    }

    /// A group with its members; nil when it is no share group.
    func describe(group: String, state: CoordinatorState, now: Moment) -> ShareGroupInstance? {
        if let instance = live[group] { return instance }
        guard let stored = state.groups[group]?.share else { return nil }
        return ShareGroupInstance(id: group, restoring: stored, settings: settings[group], now: now)
    }

    /// All share groups, by id.
    func list(state: CoordinatorState) -> [(id: String, phase: ShareGroupPhase)] {
        var ids = Set(live.keys)
        for (id, group) in state.groups where group.share != nil { ids.insert(id) }
        return ids.sorted().map { ($0, live[$0]?.phase ?? .empty) }
    }

    /// The name of a topic that there is.
    func name(of topic: TopicID) -> String? { topics.names[topic] }

    /// A topic that there is.
    func topic(named name: String) -> TopicCatalogue.Topic? { topics.byName[name] }
}
