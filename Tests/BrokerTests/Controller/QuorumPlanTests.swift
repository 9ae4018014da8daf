// SPDX-License-Identifier: Apache-2.0
//
// QuorumPlanTests.swift
// Who votes in the groups of the brokers themselves as brokers come, fail, lose their disks and leave.

import Model
import Testing

@testable import Broker

@Suite struct QuorumPlanTests {
    private func members(
        _ script: ClusterScript, _ voters: [Int32], _ learners: [Int32] = [], replaceable: [Int32] = []
    ) -> [[Int32]]? {
        let current = GroupMembership(
            voters: voters.map(ClusterScript.node), learners: learners.map(ClusterScript.node))
        let planned = QuorumPlan.members(
            of: .controller, current: current, brokers: script.state.brokers,
            replaceable: Set(replaceable.map(ClusterScript.node)))
        return planned.map { [$0.voters.map(\.rawValue), $0.learners.map(\.rawValue)] }
    }

    @Test func beforeAnyoneRegisteredNothingChanges() {
        let current = GroupMembership(voters: [1, 2, 3].map(ClusterScript.node))
        #expect(QuorumPlan.members(of: .controller, current: current, brokers: [:], replaceable: []) == nil)
    }

    @Test func theFirstFiveFoundersVote() {
        let founders = [7, 3, 1, 6, 2, 5, 4].map(ClusterScript.node)
        #expect(QuorumPlan.first(of: founders).voters.map(\.rawValue) == [1, 2, 3, 4, 5])
        #expect(QuorumPlan.first(of: founders).learners.map(\.rawValue) == [6, 7])
        #expect(QuorumPlan.first(of: []) == GroupMembership(voters: []))
    }

    @Test func foundersThatAreNotThereYetKeepTheirVotes() {
        let script = ClusterScript(brokers: 1)
        #expect(members(script, [1, 2, 3]) == [[1, 2, 3], []])
    }

    @Test func newcomersListenAndAnEvenNumberDoesNotVote() {
        #expect(members(ClusterScript(brokers: 4), [1, 2, 3]) == [[1, 2, 3], [4]])
        #expect(members(ClusterScript(brokers: 5), [1, 2, 3]) == [[1, 2, 3, 4, 5], []])
        #expect(members(ClusterScript(brokers: 7), [1, 2, 3, 4, 5], [6, 7]) == [[1, 2, 3, 4, 5], [6, 7]])
    }

    @Test func aShortFailureCostsNoVote() {
        var script = ClusterScript(brokers: 4)
        script.fence(2)
        #expect(members(script, [1, 2, 3], [4]) == [[1, 2, 3], [4]])
        #expect(members(script, [1, 2, 3], [4], replaceable: [2]) == [[1, 3, 4], [2]])
    }

    @Test func whoLeavesHandsItsVoteOn() {
        var script = ClusterScript(brokers: 4)
        script.apply(.drainBroker(ClusterScript.node(1), .replicas))
        #expect(members(script, [1, 2, 3], [4]) == [[1, 2, 3], [4]], "a drained broker may come back")
        script.apply(.drainBroker(ClusterScript.node(1), .decommission))
        #expect(members(script, [1, 2, 3], [4]) == [[2, 3, 4], [1]])
        #expect(members(script, [2, 3, 4], [1]) == [[2, 3, 4], [1]])
        script.apply(.unregisterBroker(ClusterScript.node(1), retiring: 1))
        #expect(members(script, [2, 3, 4], [1]) == [[2, 3, 4], []])
    }

    @Test func aLostDiskLosesTheVoteUntilItWasTaken() {
        var script = ClusterScript(brokers: 3)
        let endpoint = BrokerEndpoint(host: "h", port: 1)
        script.apply(
            .registerBroker(
                BrokerRegistration(
                    id: ClusterScript.node(3), incarnation: 2, storeID: 2, kafka: endpoint, peer: endpoint)))
        script.apply(.unfenceBroker(ClusterScript.node(3), incarnation: 2))
        #expect(members(script, [1, 2, 3]) == [[1, 2], []])
        script.apply(.rejoinReplica(.controller, ClusterScript.node(3), floor: nil))
        #expect(members(script, [1, 2]) == [[1, 2, 3], []])
    }
}
