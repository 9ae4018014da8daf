// SPDX-License-Identifier: Apache-2.0
//
// ClusterReconcilerTests.swift
// One broker's comparison of what the metadata says with what runs.

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
        _ voters: [Int32], learners: [Int32] = [], caughtUp: [Int32] = [], settled: Bool = true
    ) -> [GroupID: LocalReplica] {
        let membership = GroupMembership(voters: voters.map(node), learners: learners.map(node))
        return [
            group: LocalReplica(
                group: group, leads: true, membership: membership, isSettled: settled,
                caughtUp: Set(caughtUp.map(node)))
        ]
    }

    private func actions(
        _ id: Int32, _ script: ClusterScript, _ running: [GroupID: LocalReplica] = [:]
    ) -> [ReconcileAction] {
        let storeID = script.state.brokers[node(id)]?.registration.storeID ?? 1
        return ClusterReconciler(node: node(id), storeID: storeID).actions(script.state, running: running)
    }

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
        guard case .start(let start) = actions(4, script).first else {
            Issue.record("the newcomer does not start")
            return
        }
        #expect(start.joins && start.founders == [node(1), node(2), node(3)])
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
        #expect(actions(1, script, leader([1, 2, 4])) == [.propose(.finishReassignment(group))])
        script.apply(.finishReassignment(group))
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
        #expect(actions(1, script, leader([1, 2, 3])) == [.propose(.finishReassignment(group))])
        script.apply(.finishReassignment(group))
        #expect(actions(4, script, [group: LocalReplica(group: group)]) == [.stop(group)])
    }

    @Test func aReplicaThatLostItsLogLeavesAndComesAgain() {
        var script = script()
        let endpoint = BrokerEndpoint(host: "h", port: 1)
        script.apply(
            .registerBroker(
                BrokerRegistration(id: node(3), incarnation: 2, storeID: 2, kafka: endpoint, peer: endpoint)))
        guard case .start(let start) = actions(3, script).first else {
            Issue.record("the replica does not start")
            return
        }
        #expect(start.joins, "it may have voted in a life it does not remember")
        let forgetful = ClusterReconciler(node: node(3), storeID: 2)
        #expect(forgetful.actions(self.script().state, running: [:]).isEmpty, "metadata from before is not trusted")
        let without = GroupMembership(voters: [1, 2].map(node))
        #expect(actions(1, script, leader([1, 2, 3])) == [.changeMembership(group, without)])
        #expect(actions(1, script, leader([1, 2], learners: [3])) == [.changeMembership(group, without)])
        #expect(actions(1, script, leader([1, 2])) == [.propose(.rejoinReplica(group, node(3)))])
        script.apply(.rejoinReplica(group, node(3)))
        let listening = GroupMembership(voters: [1, 2].map(node), learners: [node(3)])
        #expect(actions(1, script, leader([1, 2])) == [.changeMembership(group, listening)])
        #expect(actions(1, script, leader([1, 2], learners: [3])).isEmpty)
        let whole = GroupMembership(voters: [1, 2, 3].map(node))
        #expect(actions(1, script, leader([1, 2], learners: [3], caughtUp: [3])) == [.changeMembership(group, whole)])
        guard case .start(let later) = actions(3, script).first else {
            Issue.record("the replica does not start")
            return
        }
        #expect(later.joins, "never a founder again")
        script.topic("b", [[3, 1, 2]])
        guard case .start(let fresh) = actions(3, script).last else {
            Issue.record("the replica does not start")
            return
        }
        #expect(!fresh.joins, "but of groups that are younger than its directory")
    }

    @Test func whenAllReplicasLostTheirLogsNobodyPretends() {
        var script = ClusterScript(brokers: 3)
        script.topic("a", [[1]])
        let endpoint = BrokerEndpoint(host: "h", port: 1)
        script.apply(
            .registerBroker(
                BrokerRegistration(id: node(1), incarnation: 2, storeID: 2, kafka: endpoint, peer: endpoint)))
        #expect(script.state.partition(group)?.membership == nil)
        guard case .start(let start) = actions(1, script).first else {
            Issue.record("the replica does not start")
            return
        }
        #expect(start.joins)
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
