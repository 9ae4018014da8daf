// SPDX-License-Identifier: Apache-2.0
//
// ReassignmentPlannerTests.swift
// What moves when brokers fail, drain, leave and come, and in what order.

import Model
import Testing

@testable import Broker

/// A cluster's state made by commands, for tests.
struct ClusterScript {
    var state = ClusterState()

    /// Active brokers from 1 on.
    init(brokers: Int32, racks: Int32 = 0) {
        for id in 1...brokers { add(id, rack: racks > 0 ? "r\(id % racks)" : nil) }
    }

    static func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }

    mutating func apply(_ command: ClusterCommand) {
        if case .refused(let refusal) = state.apply(command) { Issue.record("\(command) was refused: \(refusal)") }
    }

    mutating func add(_ id: Int32, rack: String? = nil, isBlank: Bool = false) {
        let endpoint = BrokerEndpoint(host: "h\(id)", port: 1)
        apply(
            .registerBroker(
                BrokerRegistration(
                    id: Self.node(id), incarnation: 1, storeID: 1, kafka: endpoint, peer: endpoint, rack: rack,
                    isBlank: isBlank)))
        apply(.unfenceBroker(Self.node(id), incarnation: 1))
    }

    mutating func fence(_ id: Int32) { apply(.fenceBroker(Self.node(id), incarnation: 1)) }

    /// Creates a topic with these replicas.
    mutating func topic(_ name: String, _ partitions: [[Int32]]) {
        let first = state.nextGroup.rawValue
        let records = partitions.enumerated().map { number, replicas in
            PartitionRecord(group: GroupID(rawValue: first + UInt64(number)), replicas: replicas.map(Self.node))
        }
        let id = TopicID(high: 1, low: first)
        apply(.createTopic(TopicRecord(name: name, id: id, partitions: records, configuration: [:])))
    }

    func replicas(_ group: UInt64) -> [Int32] {
        state.partition(GroupID(rawValue: group))?.replicas.map(\.rawValue) ?? []
    }

    /// Carries out the planner's commands and every reassignment that began, until it has nothing to say.
    @discardableResult
    mutating func settle(_ planner: ReassignmentPlanner, replaceable: Set<NodeID> = []) -> Int {
        for round in 0..<10_000 {
            let commands = planner.plan(state, replaceable: replaceable)
            if commands.isEmpty, state.reassigning.isEmpty { return round }
            for command in commands { apply(command) }
            checkBounds(planner.settings)
            for group in state.reassigning.sorted() {
                switch state.partition(group)?.reassignment?.phase {
                case .copying: apply(.stepReassignment(group, from: .copying))
                case .switching, .cancelling: apply(.finishReassignment(group, floor: nil))
                case .queued, nil: break
                }
            }
        }
        Issue.record("the planner never ends")
        return -1
    }

    private func checkBounds(_ settings: ReassignmentPlanner.Settings) {
        let moving = state.reassigning.compactMap { state.partition($0) }.filter { $0.reassignment?.phase != .queued }
        #expect(moving.count <= settings.movesMax)
        for broker in state.brokers.keys {
            #expect(moving.count { $0.adding.contains(broker) } <= settings.movesPerBrokerMax)
        }
    }

    /// Replicas of each active broker.
    var counts: [Int32: Int] {
        var counts: [Int32: Int] = [:]
        for broker in state.brokers.values { counts[broker.id.rawValue] = state.partitionCount(of: broker.id) }
        return counts
    }
}

@Suite struct ReassignmentPlannerTests {
    private let planner = ReassignmentPlanner()

    private func quiet() -> ReassignmentPlanner {
        var settings = ReassignmentPlanner.Settings()
        settings.rebalances = false
        return ReassignmentPlanner(settings: settings)
    }

    @Test func anEvenClusterIsLeftAlone() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", [[1, 2, 3], [2, 3, 1], [3, 1, 2]])
        #expect(planner.plan(script.state, replaceable: []).isEmpty)
    }

    @Test func whatAnOperatorArrangedStays() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", [[1], [1], [1], [2]])
        #expect(planner.plan(script.state, replaceable: []).isEmpty, "uneven, as it was created")
        #expect(!planner.rebalance(script.state, limit: 8).isEmpty, "on request it would be evened out")
        script.add(4, isBlank: true)
        script.settle(planner)
        #expect(script.counts == [1: 1, 2: 1, 3: 1, 4: 1], "a broker came")
        script.apply(
            .beginReassignment([
                ReassignmentTarget(group: GroupID(rawValue: 1024), replicas: [ClusterScript.node(2)])
            ]))
        script.settle(planner)
        let counts = script.counts
        #expect(counts[2] == 2 || script.replicas(1024) == [2])
        script.apply(.drainBroker(ClusterScript.node(4), .decommission))
        script.settle(planner)
        #expect(script.counts.values.reduce(0, +) == 4 && !script.state.isBalanceDue, "a broker left")
    }

    @Test func aBrokerThatIsNotActiveYetGetsItsShareLater() {
        var script = ClusterScript(brokers: 2)
        script.topic("a", [[1], [1], [2], [2]])
        script.add(3, isBlank: true)
        script.fence(3)
        #expect(planner.plan(script.state, replaceable: []).isEmpty && script.state.isBalanceDue)
        script.apply(.unfenceBroker(ClusterScript.node(3), incarnation: 1))
        script.settle(planner)
        #expect(script.counts[3] == 1 && !script.state.isBalanceDue)
    }

    @Test func aFailedBrokersReplicasAreReplaced() {
        var script = ClusterScript(brokers: 4)
        script.topic("a", [[1, 2, 3], [3, 1, 2], [1, 2, 4]])
        script.fence(3)
        #expect(quiet().plan(script.state, replaceable: []).isEmpty, "not before the grace period")
        let commands = quiet().plan(script.state, replaceable: [ClusterScript.node(3)])
        let targets = [(1024, [1, 2, 4]), (1025, [4, 1, 2])].map { group, replicas in
            ReassignmentTarget(
                group: GroupID(rawValue: UInt64(group)), replicas: replicas.map { ClusterScript.node(Int32($0)) })
        }
        #expect(commands == [.beginReassignment(targets)])
        script.settle(quiet(), replaceable: [ClusterScript.node(3)])
        #expect(script.replicas(1024) == [1, 2, 4] && script.replicas(1025) == [4, 1, 2])
    }

    @Test func withoutAPlaceNothingMoves() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", [[1, 2, 3]])
        script.fence(3)
        #expect(planner.plan(script.state, replaceable: [ClusterScript.node(3)]).isEmpty)
        script.apply(.drainBroker(ClusterScript.node(1), .decommission))
        #expect(planner.plan(script.state, replaceable: []).isEmpty)
    }

    @Test func drainingMovesReplicasOnlyWhenItIsToldTo() {
        var script = ClusterScript(brokers: 4)
        script.topic("a", [[1, 2, 3]])
        script.apply(.drainBroker(ClusterScript.node(1), .leaders))
        #expect(quiet().plan(script.state, replaceable: []).isEmpty)
        script.apply(.drainBroker(ClusterScript.node(1), .replicas))
        script.settle(quiet())
        #expect(script.replicas(1024) == [4, 2, 3])
        #expect(script.state.brokers[ClusterScript.node(1)] != nil)
    }

    @Test func aDecommissionedBrokerLeavesOnceItIsEmpty() {
        var script = ClusterScript(brokers: 4)
        script.topic("a", [[1, 2, 3], [1, 3, 4]])
        script.apply(.drainBroker(ClusterScript.node(1), .decommission))
        script.settle(quiet())
        #expect(script.counts == [2: 2, 3: 2, 4: 2])
    }

    @Test func aVoterOfTheBrokersOwnGroupsStaysRegistered() {
        var script = ClusterScript(brokers: 4)
        script.apply(.drainBroker(ClusterScript.node(1), .decommission))
        let one = ClusterScript.node(1)
        #expect(quiet().plan(script.state, replaceable: [], voters: [one]).isEmpty)
        #expect(quiet().plan(script.state, replaceable: []) == [.unregisterBroker(one, retiring: 1)])
    }

    @Test func aNewBrokerGetsItsShareInBoundedSteps() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", (0..<30).map { [[1, 2, 3], [2, 3, 1], [3, 1, 2]][$0 % 3] })
        script.add(4, isBlank: true)
        let rounds = script.settle(planner)
        #expect(rounds > 90 / 4 / planner.settings.movesPerBrokerMax, "in \(rounds) rounds")
        let counts = script.counts.values
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 2, "\(script.counts)")
        var leaders: [Int32: Int] = [:]
        for group in 1024..<1054 { leaders[script.replicas(UInt64(group))[0], default: 0] += 1 }
        #expect(leaders.values.allSatisfy { (6...9).contains($0) }, "\(leaders)")
    }

    @Test func urgentMovesComeFirst() {
        var settings = planner.settings
        settings.movesMax = 1
        let narrow = ReassignmentPlanner(settings: settings)
        var script = ClusterScript(brokers: 5)
        script.topic("a", [[1, 2, 3], [2, 3, 4]])
        script.apply(
            .beginReassignment([
                ReassignmentTarget(group: GroupID(rawValue: 1024), replicas: [2, 3, 5].map(ClusterScript.node)),
                ReassignmentTarget(group: GroupID(rawValue: 1025), replicas: [2, 3, 5].map(ClusterScript.node)),
            ]))
        script.fence(4)
        let commands = narrow.plan(script.state, replaceable: [ClusterScript.node(4)])
        #expect(commands == [.stepReassignment(GroupID(rawValue: 1025), from: .queued)])
    }

    @Test func movesToABrokerThatFailedAreTurnedBack() {
        var script = ClusterScript(brokers: 4)
        script.topic("a", [[1, 2, 3]])
        let group = GroupID(rawValue: 1024)
        script.apply(
            .beginReassignment([ReassignmentTarget(group: group, replicas: [1, 2, 4].map(ClusterScript.node))]))
        script.fence(4)
        #expect(quiet().plan(script.state, replaceable: []).isEmpty, "a queued move waits for its broker")
        script.apply(.stepReassignment(group, from: .queued))
        #expect(quiet().plan(script.state, replaceable: [ClusterScript.node(4)]) == [.cancelReassignment(group)])
        script.settle(quiet(), replaceable: [ClusterScript.node(4)])
        #expect(script.replicas(1024) == [1, 2, 3])
    }

    @Test func racksAreKept() {
        var script = ClusterScript(brokers: 6, racks: 3)
        script.topic("a", [[1, 2, 3], [4, 5, 6], [1, 5, 3]])
        script.apply(.drainBroker(ClusterScript.node(1), .replicas))
        script.settle(planner)
        for group in UInt64(1024)...1026 {
            #expect(Set(script.replicas(group).map { $0 % 3 }).count == 3, "\(script.replicas(group))")
        }
    }

    @Test(arguments: 0..<10) func alwaysEndsEvenly(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let brokers = Int32.random(in: 4...7, using: &random)
        var script = ClusterScript(brokers: brokers)
        for name in 0..<3 {
            let factor = Int.random(in: 1...3, using: &random)
            script.topic("t\(name)", (0..<20).map { _ in Array((1...brokers).shuffled(using: &random).prefix(factor)) })
        }
        let leaving = ClusterScript.node(Int32.random(in: 1...brokers, using: &random))
        script.apply(.drainBroker(leaving, .decommission))
        script.add(brokers + 1, isBlank: true)
        script.settle(planner)
        #expect(script.state.brokers[leaving] == nil, "seed \(seed)")
        let counts = script.counts.values.sorted()
        let tolerance = max(1, counts.reduce(0, +) / counts.count / 10) + 1
        #expect((counts.last ?? 0) - (counts.first ?? 0) <= tolerance, "seed \(seed): \(counts)")
    }

    @Test func progressCountsWhatIsLeft() {
        var script = ClusterScript(brokers: 4)
        script.topic("a", [[1, 2, 3], [1, 2, 3]])
        let target = [2, 3, 4].map(ClusterScript.node)
        script.apply(
            .beginReassignment([
                ReassignmentTarget(group: GroupID(rawValue: 1024), replicas: target),
                ReassignmentTarget(group: GroupID(rawValue: 1025), replicas: target),
            ]))
        script.apply(.stepReassignment(GroupID(rawValue: 1024), from: .queued))
        let progress = ReassignmentPlanner.progress(script.state)
        #expect(progress.phases == [.queued: 1, .copying: 1] && progress.partitions == 2)
        #expect(progress.arriving == [ClusterScript.node(4): 2] && progress.leaving == [ClusterScript.node(1): 2])
    }
}
