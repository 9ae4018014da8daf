// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupHarness.swift
// A coordinator of share groups without a shell: changes are applied at once, or when a test says so.

import Model
import Settings

@testable import Broker

final class ShareGroupHarness {
    var settings: GroupSettings
    /// What groups have for themselves.
    var configurations: [String: GroupConfiguration] = [:] {
        didSet { table.adopt(settingsByGroup) }
    }
    var settingsByGroup: SettingsByGroup { SettingsByGroup(common: settings, configurations: configurations) }
    var state = CoordinatorState()
    var table: ShareGroupTable
    var milliseconds: Int64 = 0
    var lastWaiter: UInt64 = 0
    var answers: [WaiterID: ConsumerHeartbeatResult] = [:]
    var removed: [String: RemovalReason] = [:]
    var proposals = 0
    /// Changes are kept here instead of being applied while it is not nil.
    var held: [ShareGroupChange]?
    var topics = TopicCatalogue()

    init(_ settings: GroupSettings = GroupSettings()) {
        self.settings = settings
        table = ShareGroupTable(
            leading: state, topics: topics, settings: SettingsByGroup(common: settings),
            now: ConsumerGroupHarness.moment(0))
    }

    var now: Moment { ConsumerGroupHarness.moment(milliseconds) }
    var members: [ShareGroupMember] { table.live["g"]?.members ?? [] }

    static func id(_ name: String) -> TopicID { TopicID(high: 7, low: UInt64(name.utf8.first ?? 0)) }

    func setTopics(_ topics: [(String, Int32)]) {
        self.topics = TopicCatalogue(topics.map { .init(name: $0.0, id: Self.id($0.0), partitions: $0.1) })
        var directives: [ShareGroupDirective] = []
        table.topicsChanged(self.topics, into: &directives)
        carryOut(directives)
    }

    /// Another broker takes over with what is stored.
    func failOver() {
        held = held.map { _ in [] }
        table = ShareGroupTable(
            leading: state, topics: topics, settings: settingsByGroup, now: now)
    }

    func carryOut(_ directives: [ShareGroupDirective]) {
        for directive in directives {
            switch directive {
            case .answer(let waiter, let result): answers[waiter] = result
            case .propose(let change):
                proposals += 1
                if held == nil { commit(change) } else { held?.append(change) }
            case .memberRemoved(_, let member, let reason): removed[member] = reason
            case .reassigned: break
            }
        }
    }

    func commit(_ change: ShareGroupChange) {
        var writes: [CoordinatorWrite] = []
        state.apply(.shareGroup(change), into: &writes)
        var directives: [ShareGroupDirective] = []
        table.committed(
            group: change.group, revision: change.header.revision, state: state, now: now, into: &directives)
        carryOut(directives)
    }

    func fail(_ change: ShareGroupChange) {
        var directives: [ShareGroupDirective] = []
        table.failed(
            group: change.group, revision: change.header.revision, error: .coordinatorNotAvailable, state: state,
            now: now, into: &directives)
        carryOut(directives)
    }

    @discardableResult
    func heartbeat(
        _ member: String, _ epoch: Int32, group: String = "g", names: [String]? = nil, rack: String? = nil
    ) -> ConsumerHeartbeatResult? {
        lastWaiter += 1
        let waiter = WaiterID(rawValue: lastWaiter)
        let request = ShareHeartbeat(
            memberID: member, epoch: epoch, rackID: rack, topicNames: names, clientID: "c", clientHost: "/h")
        var directives: [ShareGroupDirective] = []
        table.heartbeat(
            group: group, request, waiter: waiter, state: state, hasRoom: state.groups.count < settings.groupsMax,
            now: now, into: &directives)
        carryOut(directives)
        return answers[waiter]
    }

    @discardableResult
    func join(_ member: String, names: [String] = ["t"]) -> ConsumerHeartbeatResult? {
        heartbeat(member, 0, names: names)
    }

    func pass(_ milliseconds: Int64) {
        self.milliseconds += milliseconds
        var directives: [ShareGroupDirective] = []
        table.timerFired(now: now, into: &directives)
        carryOut(directives)
    }
}
