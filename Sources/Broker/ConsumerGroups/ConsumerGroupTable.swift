// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupTable.swift
// The live groups under the consumer protocol: finds or makes the group an event is for. Pure, as the groups are; the
// shell proposes changes and keeps the replies.

import Model

/// All groups under the consumer protocol of one coordinator, from winning leadership until losing it.
///
/// A group is live while it has members or changes on their way; an empty one is made from what is stored when needed.
struct ConsumerGroupTable: Sendable {
    /// Limits and delays.
    private(set) var settings: SettingsByGroup
    /// The live groups by id.
    private(set) var live: [String: ConsumerGroupInstance] = [:]
    /// What subscriptions stand for.
    private var resolver: SubscriptionResolver
    private var deadlines = DeadlineHeap()

    /// The groups at the moment leadership was won.
    init(leading state: CoordinatorState, topics: TopicCatalogue, settings: SettingsByGroup, now: Moment) {
        self.settings = settings
        resolver = SubscriptionResolver(topics: topics)
        for (id, group) in state.groups {
            guard let consumer = group.consumer, !consumer.members.isEmpty else { continue }
            put(ConsumerGroupInstance(id: id, restoring: consumer, settings: settings[id], now: now))
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
    var memberCount: Int { live.values.reduce(0) { $0 + $1.snapshot.members.count } }

    // MARK: Events

    /// A ConsumerGroupHeartbeat; answered by an `answer` for `waiter`.
    ///
    /// - Parameter hasRoom: whether a new group may be made.
    mutating func heartbeat(
        group: String, _ request: ConsumerHeartbeat, waiter: WaiterID, state: CoordinatorState, hasRoom: Bool,
        now: Moment, into directives: inout [ConsumerGroupDirective]
    ) {
        var request = request
        do throws(ConsumerGroupRefusal) {
            guard GroupTable.isValid(group) else {
                throw ConsumerGroupRefusal(.invalidRequest, "GroupId can't be empty.")
            }
            try request.validate(settings.common)
            var instance = try take(group, request, state: state, hasRoom: hasRoom, now: now)
            instance.heartbeat(request, waiter: waiter, &resolver, now: now, into: &directives)
            put(instance)
        } catch {
            directives.append(.answer(waiter, .failure(error)))
        }
    }

    private mutating func take(
        _ group: String, _ request: ConsumerHeartbeat, state: CoordinatorState, hasRoom: Bool, now: Moment
    ) throws(ConsumerGroupRefusal) -> ConsumerGroupInstance {
        if let instance = live.removeValue(forKey: group) { return instance }
        // A group with members is always live, so this one has none.
        guard request.epoch == ConsumerHeartbeat.joinEpoch else {
            throw ConsumerGroupRefusal(
                .unknownMemberID, "Member \(request.memberID) is not a member of group \(group).")
        }
        if state.groups[group] == nil, !hasRoom {
            throw ConsumerGroupRefusal(.groupMaxSizeReached, "The coordinator has its maximum number of groups.")
        }
        let stored = state.groups[group]?.consumer ?? ConsumerGroupSnapshot()
        return ConsumerGroupInstance(id: group, restoring: stored, settings: settings[group], now: now)
    }

    /// A change is committed; it may not have applied, when the state was another than the one it was made for.
    mutating func committed(
        group: String, revision: UInt64, state: CoordinatorState, now: Moment,
        into directives: inout [ConsumerGroupDirective]
    ) {
        guard (state.groups[group]?.consumer?.header.revision ?? 0) >= revision else {
            return failed(group: group, revision: revision, state: state, now: now, into: &directives)
        }
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.applied(revision: revision, into: &directives)
        put(instance)
    }

    /// A change was refused while this broker goes on leading; the group goes on from what is stored.
    mutating func failed(
        group: String, revision: UInt64, error: GroupError = .coordinatorNotAvailable, state: CoordinatorState,
        now: Moment, into directives: inout [ConsumerGroupDirective]
    ) {
        guard var instance = live.removeValue(forKey: group) else { return }
        instance.failed(revision: revision, error: error, into: &directives)
        put(instance)
        guard live[group] == nil, let stored = state.groups[group]?.consumer else { return }
        put(ConsumerGroupInstance(id: group, restoring: stored, settings: settings[group], now: now))
    }

    /// Does everything that is due; calling it early is harmless.
    mutating func timerFired(now: Moment, into directives: inout [ConsumerGroupDirective]) {
        while let group = deadlines.popDue(now: now.instant) {
            guard var instance = live.removeValue(forKey: group) else { continue }
            instance.timerFired(now: now, &resolver, into: &directives)
            put(instance)
        }
    }

    /// There are other topics; groups are told with `topicsChanged`, new subscriptions find them at once.
    mutating func know(_ topics: TopicCatalogue) { resolver.replace(topics) }

    /// There are other topics, or other partitions.
    ///
    /// Cost: one walk over all groups, their members and what these read.
    mutating func topicsChanged(
        _ topics: TopicCatalogue, now: Moment, into directives: inout [ConsumerGroupDirective]
    ) {
        resolver.replace(topics)
        for group in live.keys.sorted() {
            guard var instance = live.removeValue(forKey: group) else { continue }
            instance.topicsChanged(&resolver, now: now, into: &directives)
            put(instance)
        }
    }

    /// Leadership is lost, or the broker closes: every waiting request is answered with `error`.
    mutating func resign(_ error: GroupError, into directives: inout [ConsumerGroupDirective]) {
        for id in live.keys.sorted() { live[id]?.resign(error, into: &directives) }
        live = [:]
        deadlines = DeadlineHeap()
    }

    /// Puts a group back, unless nothing is left in it that is not stored.
    private mutating func put(_ instance: ConsumerGroupInstance) {
        if instance.isIdle {
            deadlines.remove(instance.id)
            return
        }
        if let deadline = instance.nextDeadline { deadlines.schedule(instance.id, at: deadline) }
        live[instance.id] = instance
    }
}

// MARK: - Both kinds of groups

extension ConsumerGroupTable {
    /// Why nobody can join `group` under the classic protocol; nil when nobody is in it under this one.
    func classicRefusal(group: String) -> GroupError? {
        guard let instance = live[group] else { return nil }
        return instance.snapshot.members.isEmpty ? .coordinatorNotAvailable : .inconsistentGroupProtocol
    }

    /// Why a group cannot be deleted; nil when it has nobody under this protocol.
    func deleteRefusal(group: String, state: CoordinatorState) -> GroupError? {
        guard let instance = live[group] else { return nil }
        return instance.snapshot.members.isEmpty ? .coordinatorNotAvailable : .nonEmptyGroup
    }

    /// Whether offsets may be committed.
    func verdict(on request: OffsetCommit, state: CoordinatorState) -> CommitVerdict {
        guard let instance = live[request.group] else {
            guard state.groups[request.group]?.consumer != nil, request.claim.generation >= 0 else { return .other }
            return .refuse(.unknownMemberID)
        }
        if instance.snapshot.members.isEmpty, request.claim.generation < 0 { return .other }
        guard let member = instance.snapshot.members[request.claim.memberID] else { return .refuse(.unknownMemberID) }
        guard request.knowsMemberEpoch else { return .refuse(.unsupportedVersion) }
        return member.epoch == request.claim.generation ? .admit : .refuse(.staleMemberEpoch)
    }

    /// Whether offsets may be committed in a transaction.
    ///
    /// Every version can say a member's epoch there, and none has an error of its own for an old one. Whoever says
    /// nothing of itself is let through: its producer's epoch fences it.
    func transactionalVerdict(on request: OffsetCommit, state: CoordinatorState) -> CommitVerdict {
        let claim = request.claim
        if live[request.group] != nil, claim.generation < 0, claim.memberID.isEmpty, claim.instanceID == nil {
            return .admit
        }
        var request = request
        request.knowsMemberEpoch = true
        let plain = verdict(on: request, state: state)
        return plain == .refuse(.staleMemberEpoch) ? .refuse(.illegalGeneration) : plain
    }

    /// An answer to whether offsets may be committed.
    enum CommitVerdict: Hashable, Sendable {
        /// They may not.
        case refuse(GroupError)
        /// By a member of the group.
        case admit
        /// The group has nobody under this protocol: the other one decides.
        case other
    }

    /// Why a member cannot read its offsets; nil when it can, or does not say who it is.
    func fetchRefusal(group: String, memberID: String?, epoch: Int32) -> GroupError? {
        if memberID == nil, epoch < 0 { return nil }
        guard let instance = live[group] else { return nil }
        guard let member = memberID.flatMap({ instance.snapshot.members[$0] }) else { return .unknownMemberID }
        return member.epoch == epoch ? nil : .staleMemberEpoch
    }

    /// Decides about an OffsetDelete; nil when nobody is in the group under this protocol.
    func deleteOffsets(
        group: String, _ partitions: [TopicPartition], state: CoordinatorState
    ) -> CoordinatorDecision? {
        guard let instance = live[group], !instance.snapshot.members.isEmpty else { return nil }
        var resolver = self.resolver
        var read = instance.snapshot.members.values.reduce(into: Set<String>()) { $0.formUnion($1.topicNames) }
        for member in instance.snapshot.members.values where member.pattern != nil {
            read.formUnion(resolver.topics(of: member).compactMap { resolver.topics.names[$0] })
        }
        let refused = partitions.map { read.contains($0.topic) ? GroupError.groupSubscribedToTopic : nil }
        let accepted = zip(partitions, refused).filter { $0.1 == nil }.map(\.0)
        guard !accepted.isEmpty else { return .propose(nil, refused: refused) }
        return .propose(.deleteOffsets(group: group, partitions: accepted), refused: refused)
    }

    // MARK: Showing groups

    /// A group with its members; nil when it is none under this protocol.
    func describe(group: String, state: CoordinatorState, now: Moment) -> ConsumerGroupInstance? {
        if let instance = live[group] { return instance }
        guard let stored = state.groups[group]?.consumer else { return nil }
        return ConsumerGroupInstance(id: group, restoring: stored, settings: settings[group], now: now)
    }

    /// All groups under this protocol, by id, except those that are in use under the classic one.
    func list(state: CoordinatorState, except: (String) -> Bool) -> [(id: String, phase: ConsumerGroupPhase)] {
        var ids = Set(live.keys)
        for (id, group) in state.groups where group.consumer != nil { ids.insert(id) }
        return ids.filter { !except($0) }.sorted().map { ($0, live[$0]?.phase ?? .empty) }
    }

    /// The name of a topic that there is.
    func name(of topic: TopicID) -> String? { resolver.topics.names[topic] }
}
