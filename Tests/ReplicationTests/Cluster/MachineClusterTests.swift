// SPDX-License-Identifier: Apache-2.0
//
// MachineClusterTests.swift
// A state machine with several replicas: each command is applied once and in the same order everywhere, whoever fails.

import CrashScenario
import Model
import Raft
import Testing

@testable import LogStore
@testable import Replication

@Suite struct MachineClusterTests {
    private static func start(_ node: TestNode, in cluster: TestCluster, rule: CompactionRule) throws {
        try cluster.start(node, withReplica: false)
        let store = try #require(node.store)
        let log = store.commandLog(try store.recoverCommandLog(.controller), owner: try #require(node.owner))
        let applied = try store.metadata.applied(in: .controller, of: .controller)?.index ?? .zero
        let group = ReplicaGroup(
            node: node.id, log: log,
            configuration: cluster.founders.contains(node.id) ? Raft.Configuration(voters: cluster.founders) : .empty,
            settings: cluster.hostSettings.raft, seed: UInt64(node.id.rawValue) * 77, applied: applied)
        let machine = ReplicatedStateMachine(
            replica: group, index: store.metadata, family: .controller, applied: applied, compaction: rule)
        let ledger = try Ledger(loading: store.metadata)
        ledger.store = store.metadata
        node.host?.add(group)
        node.machine = machine
        node.ledger = ledger
        machine.start(logic: ledger)
    }

    private static func leader(_ cluster: TestCluster) throws -> TestNode {
        var found: TestNode?
        try cluster.run("a leading machine") {
            found = cluster.nodes.first { $0.machine?.replica.leadingTerm != nil }
            return found != nil
        }
        return try #require(found)
    }

    /// Proposes commands and waits for their outcome; returns the sums of those that were carried out.
    private static func propose(_ count: Int, in cluster: TestCluster, to node: TestNode) throws -> Int {
        var open = count
        var sum = 0
        for number in 1...count {
            node.machine?.propose(Ledger.command("account", number)) { result in
                open -= 1
                if case .success = result { sum += number }
            }
            if number % 5 == 0 { cluster.pump() }
        }
        try cluster.run("answers") { open == 0 }
        return sum
    }

    private static func settle(_ cluster: TestCluster) throws {
        try cluster.run("equal machines") {
            let machines = cluster.nodes.compactMap(\.machine)
            guard let last = machines.map(\.replica.log.lastIndex).max() else { return false }
            return machines.allSatisfy { $0.applied == last } && machines.contains { $0.replica.leadingTerm != nil }
        }
    }

    @Test(arguments: [Loss.process, .all, .torn]) func commandsSurviveTheirLeaders(loss: Loss) throws {
        let cluster = try TestCluster(3, seed: 31)
        let rule = CompactionRule()
        for node in cluster.nodes { try Self.start(node, in: cluster, rule: rule) }
        var sum = 0
        for _ in 0..<4 {
            let leader = try Self.leader(cluster)
            sum += try Self.propose(25, in: cluster, to: leader)
            // It goes down in the middle of more, whose outcome nobody is told.
            var unknown = 0
            for _ in 0..<10 {
                leader.machine?.propose(Ledger.command("other", 1)) { if case .success = $0 { unknown += 1 } }
            }
            cluster.stop(leader, loss: loss)
            _ = try Self.leader(cluster)
            try Self.start(leader, in: cluster, rule: rule)
            try Self.settle(cluster)
        }
        try Self.settle(cluster)
        let ledgers = cluster.nodes.compactMap(\.ledger)
        #expect(ledgers.count == 3 && ledgers.allSatisfy { $0.accounts == ledgers[0].accounts && $0.failures.isEmpty })
        #expect(ledgers[0].accounts["account"] == sum)
        for node in cluster.nodes {
            let stored = try Ledger(loading: try #require(node.store?.metadata))
            #expect(stored.accounts == node.ledger?.accounts, "what is stored is what was applied")
        }
    }

    @Test(arguments: [Loss.process, .all]) func oneThatIsBehindTheLogGetsTheState(loss: Loss) throws {
        let cluster = try TestCluster(4, founders: 3, seed: 33)
        var rule = CompactionRule()
        rule.keptEntries = 4
        rule.stepEntries = 6
        for node in cluster.nodes.prefix(3) { try Self.start(node, in: cluster, rule: rule) }
        var leader = try Self.leader(cluster)
        var sum = try Self.propose(20, in: cluster, to: leader)
        let away = try #require(cluster.nodes.prefix(3).last { $0 !== leader })
        cluster.stop(away, loss: loss)
        leader = try Self.leader(cluster)
        sum += try Self.propose(60, in: cluster, to: leader)
        #expect(try #require(leader.machine).replica.log.firstIndex > LogIndex(60))
        try Self.start(away, in: cluster, rule: rule)
        try Self.settle(cluster)
        #expect(away.ledger?.reloads.count == 1 && away.ledger?.accounts["account"] == sum)
        // A new learner has nothing but the snapshot.
        let fresh = cluster.nodes[3]
        try Self.start(fresh, in: cluster, rule: rule)
        leader = try Self.leader(cluster)
        let target = Raft.Configuration(voters: cluster.founders, learners: [fresh.id])
        leader.machine?.replica.changeMembership(to: target) { _ in }
        try cluster.run("the learner") { fresh.ledger?.accounts["account"] == sum }
        sum += try Self.propose(20, in: cluster, to: leader)
        try Self.settle(cluster)
        cluster.stop(fresh, loss: loss)
        try Self.start(fresh, in: cluster, rule: rule)
        try Self.settle(cluster)
        #expect(fresh.ledger?.accounts["account"] == sum && fresh.ledger?.failures.isEmpty == true)
        #expect(fresh.machine?.replica.configuration == target)
    }
}
