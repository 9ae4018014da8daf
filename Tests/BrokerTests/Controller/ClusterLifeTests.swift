// SPDX-License-Identifier: Apache-2.0
//
// ClusterLifeTests.swift
// Clusters of whole brokers: forming, creating, failing, coming back, growing, shrinking.

import KafkaProtocol
import LogStore
import Model
import PeerTestSupport
import Raft
import Replication
import Settings
import Testing

@testable import Broker

@Suite(.serialized) struct ClusterLifeTests {
    private func withCluster(_ count: Int32 = 3, _ body: (ClusterHarness) async throws -> Void) async throws {
        let cluster = try await ClusterHarness.start(count)
        try await body(cluster)
        try await cluster.stop()
    }

    private static func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }

    @Test func threeBrokersFormAClusterAndServeATopic() async throws {
        try await withCluster { cluster in
            try await cluster.until("three active brokers") { controller in
                controller.state.brokers.count == 3
                    && controller.state.brokers.values.allSatisfy { $0.state == .active }
            }
            try await cluster.createTopic("orders", partitions: 6)
            try await cluster.untilPreferredLeaders("orders")
            let ids = await cluster.all.asyncMap { await $0.controller { $0.state.clusterID } }
            #expect(Set(ids).count == 1 && ids[0] != nil)
            for partition in Int32(0)..<6 {
                #expect(try await cluster.produce("a", to: "orders", partition) == 0)
            }
            let leaders = try await cluster[1].controller { $0.partitionLeaders(of: "orders").compactMap(\.leader) }
            #expect(Dictionary(grouping: leaders) { $0 }.values.allSatisfy { $0.count == 2 }, "\(leaders)")
            for broker in cluster.all {
                let finding = await broker.verifyOperations()
                #expect(finding == nil, "\(finding.map { "\($0)" } ?? "")")
            }
        }
    }

    @Test func aBrokerThatDoesNotLeadNamesTheOneThatDoes() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            let other = try #require(cluster.all.first { $0.node != leader.node })
            try await cluster.untilAny("the leader is known") { _ in
                await other.controller { $0.status.controller } == leader.node
            }
            let refusal = await other.ask { controller, then in
                controller.create(TopicRequest(name: "t"), then: then)
            }
            #expect(refusal?.code == .notController && refusal?.controller == leader.node)
            // Not even what it knows: it may be old.
            let unknown = await other.ask { controller, then in controller.delete("t", then: then) }
            #expect(unknown?.code == .notController)
            let absent = await leader.ask { controller, then in controller.delete("t", then: then) }
            #expect(absent?.code == .unknownTopicOrPartition)
            // Commands that need no numbers are passed on.
            let block = await withCheckedContinuation { done in
                other.broker.withController { controller in
                    controller.allocateProducerIDs { done.resume(returning: $0) }
                }
            }
            #expect(block != nil)
        }
    }

    @Test func aFailedBrokerIsFencedAndComesBack() async throws {
        try await withCluster { cluster in
            try await cluster.createTopic("orders", partitions: 6)
            try await cluster.untilPreferredLeaders("orders")
            let leader = try await cluster.leader()
            let victim = try #require(cluster.all.first { $0.node != leader.node }).node
            try await cluster.stop(victim, gracefully: false)
            for partition in Int32(0)..<6 { _ = try await cluster.produce("b", to: "orders", partition) }
            try await cluster.until("the broker is fenced") { $0.state.brokers[victim]?.health == .failed }
            try await cluster.start(victim)
            try await cluster.until("the broker is active") { $0.state.brokers[victim]?.health == .active }
            try await cluster.untilPreferredLeaders("orders")
        }
    }

    @Test func theControllerSurvivesItsLeader() async throws {
        try await withCluster { cluster in
            try await cluster.createTopic("orders", partitions: 3)
            let first = try await cluster.leader()
            try await cluster.stop(first.node, gracefully: false)
            try await cluster.until("the broker is fenced") { $0.state.brokers[first.node]?.health == .failed }
            try await cluster.createTopic("later", partitions: 2, factor: 2)
            _ = try await cluster.produce("x", to: "later", 0)
        }
    }

    @Test func aBrokerIsAddedAndAnotherLeaves() async throws {
        try await withCluster { cluster in
            try await cluster.createTopic("orders", partitions: 6)
            for partition in Int32(0)..<6 { _ = try await cluster.produce("a", to: "orders", partition) }
            try await cluster.start(Self.node(4), joins: true)
            try await cluster.until("the newcomer has its share") { controller in
                controller.state.reassigning.isEmpty && controller.state.partitionCount(of: Self.node(4)) >= 4
            }
            let leader = try await cluster.leader()
            let leaving = try #require(cluster.all.first { $0.node != leader.node && $0.node.rawValue < 4 }).node
            let refusal = await leader.ask { controller, then in
                controller.drain(leaving, .decommission, actor: "test", then: then)
            }
            #expect(refusal == nil, "\(refusal?.message ?? "")")
            try await cluster.untilAny("the broker has left") { cluster in
                let leader = try await cluster.leader()
                return await leader.controller { $0.state.brokers[leaving] == nil && $0.state.reassigning.isEmpty }
            }
            // It runs on, and asks to be let in again.
            let left = try cluster[leaving.rawValue]
            try await cluster.untilAny("it is not let in") { _ in
                await left.controller { $0.member?.exclusion?.contains("decommissioned") == true }
            }
            let last = try await cluster.leader()
            #expect(await last.controller { $0.state.brokers[leaving] == nil })
            try await cluster.stop(leaving)
            for partition in Int32(0)..<6 {
                #expect(try await cluster.produce("b", to: "orders", partition) == 1)
            }
        }
    }

    @Test(arguments: [true, false]) func aBrokerThatLostItsDiskIsTakenInAgain(isToldToJoin: Bool) async throws {
        try await withCluster { cluster in
            try await cluster.createTopic("orders", partitions: 3)
            for partition in Int32(0)..<3 { _ = try await cluster.produce("a", to: "orders", partition) }
            let leader = try await cluster.leader()
            let victim = try #require(cluster.all.first { $0.node != leader.node }).node
            try await cluster.stop(victim, gracefully: false, wiped: true)
            try await cluster.start(victim, joins: isToldToJoin)
            try await cluster.until("the replicas are whole") { controller in
                let state = controller.state
                return state.brokers[victim]?.state == .active && state.brokers[victim]?.lostGroups == []
                    && state.topics.values.flatMap(\.partitions).allSatisfy(\.rejoining.isEmpty)
            }
            try await cluster.untilPreferredLeaders("orders")
            for partition in Int32(0)..<3 {
                #expect(try await cluster.produce("b", to: "orders", partition) == 1)
            }
            let returned = try cluster[victim.rawValue]
            #expect(await returned.controller { $0.machine.replica.log.floor != nil }, "no founder any more")
            // Nor after a restart.
            try await cluster.stop(victim)
            try await cluster.start(victim)
            try await cluster.untilPreferredLeaders("orders")
        }
    }

    @Test func aFounderThatIsLateIsTakenIn() async throws {
        let cluster = try await ClusterHarness.start(3, without: Self.node(3))
        try await cluster.start(Self.node(3))
        try await cluster.until("three active brokers") { controller in
            controller.state.brokers.count == 3 && controller.state.brokers.values.allSatisfy { $0.state == .active }
                && controller.machine.replica.configuration.voters.count == 3
        }
        try await cluster.createTopic("orders", partitions: 3)
        _ = try await cluster.produce("a", to: "orders", 0)
        try await cluster.stop()
    }

    @Test func brokersThatCannotBeReachedAreProbed() async throws {
        try await withCluster { cluster in
            try await cluster.createTopic("orders", partitions: 3)
            try await cluster.untilPreferredLeaders("orders")
            let leader = try await cluster.leader()
            let others = cluster.all.map(\.node).filter { $0 != leader.node }
            let untrue = await leader.leaders(of: "orders", unreachable: [others[0]])
            #expect(untrue?.agreed == [] && untrue?.reachable == [others[0]])
            cluster.network.isolate(others[0])
            let report = await leader.leaders(of: "orders", unreachable: others)
            #expect(report?.agreed == [others[0]] && report?.reachable == [others[1]])
            #expect(report?.leaders.allSatisfy { $0.leader != nil && $0.leader != others[0] } == true)
            cluster.network.heal()
            try await cluster.until("all active") { $0.state.brokers.values.allSatisfy { $0.state == .active } }
        }
    }

    @Test func topicsGrowAndGo() async throws {
        try await withCluster { cluster in
            try await cluster.createTopic("orders", partitions: 2)
            let leader = try await cluster.leader()
            let grown = await leader.ask { controller, then in
                controller.addPartitions(to: "orders", total: 4, assignments: nil, validateOnly: false, then: then)
            }
            #expect(grown == nil)
            _ = try await cluster.produce("x", to: "orders", 3)
            let gone = await leader.ask { controller, then in controller.delete("orders", then: then) }
            #expect(gone == nil)
            try await cluster.until("nothing is left") { controller in
                controller.state.topics.isEmpty && controller.host.count == 0
            }
        }
    }
}

extension ClusterBroker {
    /// What differs when this broker's recorded operations are replayed.
    fileprivate func verifyOperations() async -> OperationHistory.Finding? {
        await withCheckedContinuation { done in
            broker.withController { controller in
                controller.verifyOperations { result in done.resume(returning: try? result.get()) }
            }
        }
    }

    fileprivate func leaders(of topic: String, unreachable: [NodeID]) async -> LeaderReport? {
        await withCheckedContinuation { done in
            broker.withController { controller in
                controller.leaders(of: topic, unreachable: unreachable) { done.resume(returning: try? $0.get()) }
            }
        }
    }
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ transform: (Element) async -> Value) async -> [Value] {
        var values: [Value] = []
        for element in self { values.append(await transform(element)) }
        return values
    }
}
