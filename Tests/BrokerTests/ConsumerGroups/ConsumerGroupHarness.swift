// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupHarness.swift
// A coordinator of groups under the consumer protocol without a shell: changes are applied at once, or when a test
// says so.

import Model
import Settings

@testable import Broker

final class ConsumerGroupHarness {
    var settings: GroupSettings
    /// What groups have for themselves.
    var configurations: [String: GroupConfiguration] = [:] {
        didSet { table.adopt(settingsByGroup) }
    }
    var settingsByGroup: SettingsByGroup { SettingsByGroup(common: settings, configurations: configurations) }
    var state = CoordinatorState()
    var table: ConsumerGroupTable
    var milliseconds: Int64 = 0
    var lastWaiter: UInt64 = 0
    var answers: [WaiterID: ConsumerHeartbeatResult] = [:]
    var removed: [String: RemovalReason] = [:]
    var assignments = 0
    /// Changes are kept here instead of being applied while it is not nil.
    var held: [ConsumerGroupChange]?
    var topics: [TopicCatalogue.Topic] = []

    init(_ settings: GroupSettings = GroupSettings()) {
        self.settings = settings
        table = ConsumerGroupTable(
            leading: state, topics: TopicCatalogue(), settings: SettingsByGroup(common: settings), now: Self.moment(0))
    }

    static func moment(_ milliseconds: Int64) -> Moment {
        Moment(instant: Instant(nanoseconds: UInt64(milliseconds) * 1_000_000), wallTime: wall(milliseconds))
    }

    var now: Moment { Self.moment(milliseconds) }

    /// Another broker takes over with what is stored.
    func failOver() {
        held = held.map { _ in [] }
        table = ConsumerGroupTable(
            leading: state, topics: TopicCatalogue(topics), settings: settingsByGroup, now: now)
    }

    static func id(_ number: Int) -> TopicID { TopicID(high: 7, low: UInt64(number)) }

    func setTopics(_ topics: [(String, Int32)]) {
        self.topics = topics.enumerated().map { number, topic in
            .init(
                name: topic.0,
                id: self.topics.first { $0.name == topic.0 }?.id ?? Self.id(self.topics.count * 100 + number),
                partitions: topic.1)
        }
        var directives: [ConsumerGroupDirective] = []
        table.topicsChanged(TopicCatalogue(self.topics), now: now, into: &directives)
        carryOut(directives)
    }

    func topic(_ name: String) -> TopicID { topics.first { $0.name == name }?.id ?? .zero }

    func carryOut(_ directives: [ConsumerGroupDirective]) {
        for directive in directives {
            switch directive {
            case .answer(let waiter, let result): answers[waiter] = result
            case .propose(let change):
                if held == nil { commit(change) } else { held?.append(change) }
            case .memberRemoved(_, let member, let reason): removed[member] = reason
            case .reassigned: assignments += 1
            }
        }
    }

    func commit(_ change: ConsumerGroupChange) {
        var writes: [CoordinatorWrite] = []
        state.apply(.consumerGroup(change), into: &writes)
        var directives: [ConsumerGroupDirective] = []
        table.committed(
            group: change.group, revision: change.header.revision, state: state, now: now, into: &directives)
        carryOut(directives)
    }

    func fail(_ change: ConsumerGroupChange) {
        var directives: [ConsumerGroupDirective] = []
        table.failed(
            group: change.group, revision: change.header.revision, state: state, now: now, into: &directives)
        carryOut(directives)
    }

    @discardableResult
    func heartbeat(
        _ member: String, _ epoch: Int32, group: String = "g", instance: String? = nil, names: [String]? = nil,
        pattern: String? = nil, assignor: String? = nil, owned: PartitionSet? = nil, timeout: Int32 = -1
    ) -> ConsumerHeartbeatResult? {
        lastWaiter += 1
        let waiter = WaiterID(rawValue: lastWaiter)
        let request = ConsumerHeartbeat(
            memberID: member, epoch: epoch, instanceID: instance, rackID: nil, rebalanceTimeoutMilliseconds: timeout,
            topicNames: names, pattern: pattern, assignor: assignor, owned: owned, clientID: "c", clientHost: "/h",
            wantsMemberID: false, entropy: MemberIDEntropy(high: 1, low: lastWaiter))
        var directives: [ConsumerGroupDirective] = []
        table.heartbeat(
            group: group, request, waiter: waiter, state: state, hasRoom: state.groups.count < settings.groupsMax,
            now: now, into: &directives)
        carryOut(directives)
        return answers[waiter]
    }

    @discardableResult
    func join(
        _ member: String, instance: String? = nil, names: [String]? = ["t"], pattern: String? = nil,
        assignor: String? = nil, timeout: Int32 = 60_000
    ) -> ConsumerHeartbeatResult? {
        heartbeat(
            member, 0, instance: instance, names: names, pattern: pattern, assignor: assignor, owned: PartitionSet(),
            timeout: timeout)
    }

    func pass(_ milliseconds: Int64) {
        self.milliseconds += milliseconds
        var directives: [ConsumerGroupDirective] = []
        table.timerFired(now: now, into: &directives)
        carryOut(directives)
    }

    func commitRefusal(_ member: String, _ epoch: Int32, knowsEpoch: Bool = true) -> GroupError? {
        let verdict = table.verdict(
            on: OffsetCommit(
                group: "g", claim: MemberClaim(memberID: member, instanceID: nil, generation: epoch), entries: [],
                knowsGroupIDNotFound: true, knowsMemberEpoch: knowsEpoch), state: state)
        return if case .refuse(let error) = verdict { error } else { nil }
    }
}

extension Result<ConsumerHeartbeatAnswer, ConsumerGroupRefusal> {
    /// The refusal's code, or nil.
    var error: GroupError? { if case .failure(let refusal) = self { refusal.error } else { nil } }
    /// The member's epoch, or nil.
    var epoch: Int32? { try? get().epoch }
    /// What the member was told that it may read; nil when it was told nothing.
    var assignment: PartitionSet? { try? get().assignment }
}
