// SPDX-License-Identifier: Apache-2.0
//
// ClusterReconcilerTests.swift
// One broker's comparison of what the metadata says with what runs.

import LogStore
import Model
import Testing

@testable import Broker

@Suite struct ClusterReconcilerTests {
    private let group = GroupID(rawValue: 1024)

    private func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }

    private func script() -> ClusterScript {
        var script = ClusterScript(brokers: 4)
        script.topic("a", [[1, 2, 3]])
        return script
    }

    private func leader(
        _ voters: [Int32], learners: [Int32] = [], caughtUp: [Int32] = [], settled: Bool = true,
        floor: JoinFloor? = nil
    ) -> [GroupID: LocalReplica] {
        let membership = GroupMembership(voters: voters.map(node), learners: learners.map(node))
        return [
            group: LocalReplica(
                group: group, leads: true, membership: membership, isSettled: settled,
                caughtUp: Set(caughtUp.map(node)), floor: floor)
        ]
    }

    private func actions(
        _ id: Int32, _ script: ClusterScript, _ running: [GroupID: LocalReplica] = [:], stored: Set<GroupID> = []
    ) -> [ReconcileAction] {
        let known = script.state.brokers[node(id)]?.registration
        let reconciler = ClusterReconciler(
            node: node(id), storeID: known?.storeID ?? 1, incarnation: known?.incarnation ?? 1)
        return reconciler.actions(script.state, running: running, stored: stored.union(running.keys))
    }

    private func start(_ actions: [ReconcileAction], of topic: String = "a") -> ReplicaStart? {
        actions.compactMap { if case .start(let start) = $0, start.topic == topic { start } else { nil } }.last
    }

    private static let floor = JoinFloor(term: Term(7), index: LogIndex(50))

    private func begin(_ script: inout ClusterScript, _ target: [Int32]) {
        script.apply(.beginReassignment([ReassignmentTarget(group: group, replicas: target.map(node))]))
    }

    @Test func foundersStartAndOthersDoNot() {
        let script = script()
        let start = ReplicaStart(
            group: group, topic: "a", topicID: TopicID(high: 1, low: 1024), partition: PartitionIndex(rawValue: 0),
            founders: [node(1), node(2), node(3)], joins: false, isAlone: false)
        #expect(actions(2, script) == [.start(start)])
        #expect(actions(4, script).isEmpty)
        #expect(actions(2, script, [group: LocalReplica(group: group)]).isEmpty)
    }

    @Test func whatABrokerShouldLeadStartsFirst() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 3, 2], [2, 1, 3], [3, 2, 1]])
        let started = actions(2, script).map { action -> Int32 in
            if case .start(let start) = action { start.partition.rawValue } else { -1 }
        }
        #expect(started == [1, 4, 0, 2, 3, 5])
    }

    @Test func deletedAndUnassignedReplicasStop() {
        var script = script()
        #expect(actions(4, script, [group: LocalReplica(group: group)]) == [.stop(group)])
        #expect(
            actions(4, script, [group: LocalReplica(group: group, startedBy: 1_000)]).isEmpty,
            "newer metadata wants it")
        let unknown = GroupID(rawValue: 2_000)
        #expect(actions(4, script, [unknown: LocalReplica(group: unknown)]).isEmpty, "not known yet")
        script.apply(.deleteTopic(TopicID(high: 1, low: 1024)))
        #expect(actions(1, script, [group: LocalReplica(group: group)]) == [.stop(group)])
    }

    @Test func aReassignmentGoesStepByStep() {
        var script = script()
        begin(&script, [4, 1, 2])
        #expect(actions(1, script, leader([1, 2, 3])).isEmpty, "queued")
        #expect(actions(4, script).isEmpty)
        script.apply(.stepReassignment(group, from: .queued))
        let newcomer = start(actions(4, script))
        #expect(newcomer?.joins == true && newcomer?.founders == [node(1), node(2), node(3)])
        let listening = GroupMembership(voters: [1, 2, 3].map(node), learners: [node(4)])
        #expect(actions(1, script, leader([1, 2, 3])) == [.changeMembership(group, listening)])
        #expect(actions(1, script, leader([1, 2, 3], learners: [4])).isEmpty, "it copies")
        #expect(
            actions(1, script, leader([1, 2, 3], learners: [4], caughtUp: [2, 3, 4]))
                == [.propose(.stepReassignment(group, from: .copying))])
        script.apply(.stepReassignment(group, from: .copying))
        let final = GroupMembership(voters: [1, 2, 4].map(node))
        #expect(
            actions(1, script, leader([1, 2, 3], learners: [4], caughtUp: [4])) == [.changeMembership(group, final)])
        #expect(actions(1, script, leader([1, 2, 4], settled: false)).isEmpty)
        #expect(actions(1, script, leader([1, 2, 4])) == [.propose(.finishReassignment(group, floor: nil))])
        script.apply(.finishReassignment(group, floor: nil))
        #expect(actions(3, script, [group: LocalReplica(group: group)]) == [.stop(group)])
        #expect(actions(1, script, leader([1, 2, 4])).isEmpty)
    }

    @Test func turningBackLeavesTheOldMembers() {
        var script = script()
        begin(&script, [4, 1, 2])
        script.apply(.stepReassignment(group, from: .queued))
        script.apply(.stepReassignment(group, from: .copying))
        script.apply(.cancelReassignment(group))
        let old = GroupMembership(voters: [1, 2, 3].map(node))
        #expect(actions(1, script, leader([1, 2, 3], learners: [4])) == [.changeMembership(group, old)])
        // Had the new members taken effect already, the old one has to come in again.
        let back = GroupMembership(voters: [1, 2, 4].map(node), learners: [node(3)])
        #expect(actions(1, script, leader([1, 2, 4])) == [.changeMembership(group, back)])
        #expect(
            actions(1, script, leader([1, 2, 4], learners: [3], caughtUp: [3])) == [.changeMembership(group, old)])
        #expect(actions(1, script, leader([1, 2, 3])) == [.propose(.finishReassignment(group, floor: nil))])
        script.apply(.finishReassignment(group, floor: nil))
        #expect(actions(4, script, [group: LocalReplica(group: group)]) == [.stop(group)])
    }

    /// Broker `id` begins a life with an empty directory.
    private func wipe(_ script: inout ClusterScript, _ id: Int32) {
        let endpoint = BrokerEndpoint(host: "h", port: 1)
        script.apply(
            .registerBroker(
                BrokerRegistration(
                    id: node(id), incarnation: 2, storeID: 2, kafka: endpoint, peer: endpoint, isBlank: true)))
    }

    @Test func aReplicaThatLostItsLogLeavesAndComesAgain() {
        var script = script()
        wipe(&script, 3)
        #expect(actions(3, script).isEmpty, "where it begins is known when it has left")
        let forgetful = ClusterReconciler(node: node(3), storeID: 2, incarnation: 2)
        #expect(
            forgetful.actions(self.script().state, running: [:], stored: []).isEmpty,
            "metadata from before is not trusted")
        let without = GroupMembership(voters: [1, 2].map(node))
        #expect(actions(1, script, leader([1, 2, 3])) == [.changeMembership(group, without)])
        #expect(actions(1, script, leader([1, 2], learners: [3])) == [.changeMembership(group, without)])
        #expect(
            actions(1, script, leader([1, 2], floor: Self.floor))
                == [.propose(.rejoinReplica(group, node(3), floor: Self.floor))])
        script.apply(.rejoinReplica(group, node(3), floor: Self.floor))
        let listening = GroupMembership(voters: [1, 2].map(node), learners: [node(3)])
        #expect(actions(1, script, leader([1, 2])) == [.changeMembership(group, listening)])
        #expect(actions(1, script, leader([1, 2], learners: [3])).isEmpty)
        let whole = GroupMembership(voters: [1, 2, 3].map(node))
        #expect(actions(1, script, leader([1, 2], learners: [3], caughtUp: [3])) == [.changeMembership(group, whole)])
        let later = start(actions(3, script))
        #expect(later?.joins == true && later?.floor == Self.floor, "never a founder again")
        script.topic("b", [[3, 1, 2]])
        let fresh = start(actions(3, script), of: "b")
        #expect(fresh?.joins == false && fresh?.floor == nil, "but of groups that are younger than its directory")
    }

    @Test func whenAllReplicasLostTheirLogsNobodyPretends() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", [[1]])
        wipe(&script, 1)
        #expect(script.state.partition(group)?.membership == nil)
        #expect(actions(1, script).isEmpty)
    }

    /// A broker that left a group and comes back has deleted what it had promised there.
    @Test func aReplicaThatComesBackBeginsAtTheNewestChangeOfMembers() {
        var script = script()
        begin(&script, [1, 2, 4])
        script.apply(.stepReassignment(group, from: .queued))
        #expect(start(actions(4, script))?.joins == true)
        #expect(start(actions(4, script))?.floor == nil, "nobody ever left")
        script.apply(.stepReassignment(group, from: .copying))
        script.apply(.finishReassignment(group, floor: Self.floor))
        begin(&script, [1, 2, 3])
        script.apply(.stepReassignment(group, from: .queued))
        let back = start(actions(3, script))
        #expect(back?.joins == true && back?.floor == Self.floor)
        script.apply(.stepReassignment(group, from: .copying))
        let later = JoinFloor(term: Term(6), index: LogIndex(90))
        script.apply(.finishReassignment(group, floor: later))
        #expect(script.state.partition(group)?.floor == JoinFloor(term: Term(7), index: LogIndex(90)))
        // Now it is a founder among the replicas as in the beginning, but its log says more than that.
        #expect(start(actions(3, script))?.joins == true, "its log is gone")
        #expect(start(actions(3, script, stored: [group]))?.joins == false, "its log is there")
    }

    /// What is left of a damaged log is given up only when the group has removed the replica.
    @Test func aDamagedReplicaIsTakenInAgain() {
        var script = script()
        func ailing(_ ailment: Ailment) -> [GroupID: LocalReplica] {
            [group: LocalReplica(group: group, ailment: ailment)]
        }
        #expect(actions(3, script, ailing(.found(healthyOthers: 1))).isEmpty, "no majority without it")
        #expect(
            actions(3, script, ailing(.found(healthyOthers: 2))) == [.propose(.loseReplica(group, node(3)))])
        script.apply(.loseReplica(group, node(3)))
        #expect(actions(3, script, ailing(.found(healthyOthers: 0))) == [.awaitLeaving(group)])
        #expect(actions(3, script, ailing(.leaving)).isEmpty)
        let without = GroupMembership(voters: [1, 2].map(node))
        #expect(actions(1, script, leader([1, 2, 3])) == [.changeMembership(group, without)])
        script.apply(.rejoinReplica(group, node(3), floor: Self.floor))
        #expect(actions(3, script, ailing(.leaving)) == [.setAside(group)])
        let again = start(actions(3, script))
        #expect(again?.joins == true && again?.floor == Self.floor)
    }

    @Test func noMajorityIsGivenUp() {
        var script = script()
        script.apply(.loseReplica(group, node(3)))
        #expect(script.state.apply(.loseReplica(group, node(2))) == .refused(.tooFewReplicas(group)))
        script.topic("b", [[1, 2]])
        let pair = GroupID(rawValue: 1025)
        #expect(script.state.apply(.loseReplica(pair, node(2))) == .refused(.tooFewReplicas(pair)))
        #expect(script.state.apply(.loseReplica(pair, node(4))) == .refused(.invalidAssignment(.notReplica(node(4)))))
    }

    /// After a power failure the metadata may be older than what was done by it: replicas that were deleted are missing.
    @Test func nothingIsMadeFromOldMetadata() {
        let script = script()
        let restarted = ClusterReconciler(node: node(2), storeID: 1, incarnation: 99)
        #expect(restarted.actions(script.state, running: [:], stored: []).isEmpty)
        let kept = restarted.actions(script.state, running: [:], stored: [group])
        #expect(start(kept)?.joins == false, "what is there goes on")
    }

    /// Members on the way from one set to another; every step changes one thing that the core allows.
    @Test func membersChangeByWayOfLearners() {
        let from = GroupMembership(voters: [1, 2, 3].map(node))
        let to = GroupMembership(voters: [4, 5, 6].map(node))
        let listening = GroupMembership(voters: [1, 2, 3].map(node), learners: [4, 5, 6].map(node))
        #expect(ClusterReconciler.next(from: from, to: to, caughtUp: []) == listening)
        #expect(ClusterReconciler.next(from: listening, to: to, caughtUp: [node(4), node(5)]) == nil)
        #expect(ClusterReconciler.next(from: listening, to: to, caughtUp: [node(4), node(5), node(6)]) == to)
        #expect(ClusterReconciler.next(from: listening, to: from, caughtUp: []) == from)
    }
}
