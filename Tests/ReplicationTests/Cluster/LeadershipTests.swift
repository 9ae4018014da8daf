// SPDX-License-Identifier: Apache-2.0
//
// LeadershipTests.swift
// Handing over, confirming reads, replicas that may not vote, and disks that fail.

import CrashScenario
import Model
import NIOCore
import Raft
import RocksKV
import Telemetry
import Testing

@testable import LogStore
@testable import Replication

@Suite struct LeadershipTests {
    @Test func leadershipIsHandedOver() throws {
        let cluster = try TestCluster(3, seed: 21)
        try cluster.startAll()
        let old = try cluster.leader()
        try cluster.produce(10, to: old)
        let target = try #require(cluster.nodes.first { $0.id != old.node })
        var outcome: Result<Raft.TransferOutcome, ReplicationError>?
        old.group.transferLeadership(to: target.id) { outcome = $0 }
        try cluster.run("the transfer") { outcome != nil && target.replica?.isLeading == true }
        guard case .success(.handedOver) = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(!old.isLeading && old.group.leader == target.id)
        old.group.transferLeadership(to: target.id) { outcome = $0 }
        guard case .failure(.refused(.notLeader(leader: target.id))) = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        try cluster.produce(5, to: try #require(target.replica))
        try cluster.expectEqualSegments()
    }

    /// Starts replicas that leave the first election to the third, which is not there yet.
    private func clusterWithoutItsFirstLeader(seed: UInt64) throws -> TestCluster {
        let cluster = try TestCluster(3, seed: seed)
        for node in cluster.nodes {
            try cluster.start(node, withReplica: node.id != cluster.nodes[2].id)
            node.replica?.group.awaitFirstLeader(cluster.nodes[2].id)
        }
        return cluster
    }

    @Test(arguments: 31...38) func aNewGroupIsLedByItsFirst(seed: Int) throws {
        let cluster = try clusterWithoutItsFirstLeader(seed: UInt64(seed))
        // Longer than any wait for an election, and than the first needs for one of its own.
        try cluster.runTicks(cluster.hostSettings.founderTicks - 40)
        #expect(cluster.replicas.allSatisfy { $0.group.term == .zero })
        try cluster.startReplica(cluster.nodes[2])
        #expect(try cluster.leader().node == cluster.nodes[2].id)
        try cluster.produce(3, to: try cluster.leader())
    }

    @Test func aFirstLeaderThatDoesNotComeIsNotAwaitedForEver() throws {
        let cluster = try clusterWithoutItsFirstLeader(seed: 41)
        #expect(try cluster.leader().node != cluster.nodes[2].id)
        #expect(cluster.ticks >= cluster.hostSettings.founderTicks)
        #expect(cluster.ticks <= cluster.hostSettings.founderTicks + 4 * cluster.hostSettings.raft.electionTicks)
        let lost = try clusterWithoutItsFirstLeader(seed: 42)
        for node in lost.nodes.prefix(2) { node.host?.disconnected(from: lost.nodes[2].id) }
        #expect(try lost.leader().node != lost.nodes[2].id)
        #expect(lost.ticks < lost.hostSettings.founderTicks)
    }

    @Test func whoIsAskedToLeadDoesNotWaitForTheFirst() throws {
        let cluster = try clusterWithoutItsFirstLeader(seed: 43)
        cluster.nodes[0].replica?.group.campaign()
        #expect(try cluster.leader().node == cluster.nodes[0].id)
        #expect(cluster.ticks < cluster.hostSettings.founderTicks)
        // Its first message may be lost: it needs ticks to ask again.
        let lost = try clusterWithoutItsFirstLeader(seed: 44)
        lost.network.isolate(lost.nodes[0].id, from: lost.nodes.map(\.id))
        lost.nodes[0].replica?.group.campaign()
        try lost.runTicks(2)
        lost.network.heal()
        #expect(try lost.leader().node == lost.nodes[0].id)
        #expect(lost.ticks < lost.hostSettings.founderTicks)
    }

    @Test func aReadIsConfirmedByAMajorityOrNotAtAll() throws {
        let cluster = try TestCluster(3, seed: 22)
        try cluster.startAll()
        let leader = try cluster.leader()
        try cluster.produce(3, to: leader)
        var answer: Result<LogIndex, ReplicationError>?
        leader.group.readIndex { answer = $0 }
        try cluster.run("the read") { answer != nil }
        guard case .success(let index) = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect(index == leader.group.committed)
        answer = nil
        cluster.network.isolate(leader.node, from: cluster.nodes.map(\.id))
        leader.group.readIndex { answer = $0 }
        try cluster.run("the refusal") { answer != nil }
        guard case .failure(.refused(.notLeader)) = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
    }

    @Test func anAmnesiacNeitherVotesNorLeads() throws {
        let cluster = try TestCluster(3, seed: 23)
        try cluster.startAll()
        let leader = try cluster.leader()
        try cluster.produce(10, to: leader)
        try cluster.settle()
        let others = cluster.nodes.filter { $0.id != leader.node }
        let (forgetful, sound) = (others[0], others[1])
        cluster.stop(forgetful, loss: .process)
        try cluster.start(forgetful, withReplica: false)
        let store = try #require(forgetful.store)
        var batch = try store.metadata.makeBatch()
        var meta = try #require(try store.metadata.groupMeta(of: TestCluster.group))
        meta.isAmnesiac = true
        batch.putGroupMeta(meta, of: TestCluster.group)
        try batch.commit(durability: .synced)
        try cluster.startReplica(forgetful)
        #expect(forgetful.replica?.group.standing == .amnesiac)
        // It is fed like the others, and does not count: without the third there is no majority.
        try cluster.produce(5, to: leader)
        try cluster.settle()
        cluster.stop(cluster.node(leader.node), loss: .process)
        try cluster.runTicks(200)
        #expect(sound.replica?.isLeading == false && forgetful.replica?.isLeading == false)
        #expect(forgetful.replica?.group.role == .follower)
        try cluster.start(cluster.node(leader.node))
        let next = try cluster.leader()
        #expect(next.node != forgetful.id && !next.group.inSyncReplicas.contains(forgetful.id))
        try cluster.expectEqualSegments()
    }

    @Test func aLeaderWhoseDiskFailsHandsOver() throws {
        let cluster = try TestCluster(3, seed: 24)
        try cluster.startAll()
        let old = try cluster.leader()
        try cluster.produce(5, to: old)
        try cluster.settle()
        let ticks = cluster.ticks
        cluster.node(old.node).store?.core.fail(.closed, during: "a test")
        let rest = cluster.nodes.map(\.id).filter { $0 != old.node }
        let new = try cluster.leader(among: rest)
        #expect(old.failures.count == 1 && !old.isLeading)
        #expect(cluster.ticks - ticks < cluster.hostSettings.raft.electionTicks, "nobody had to wait for a timeout")
        try cluster.produce(5, to: new)
        #expect(throws: ReplicationError.self) { try cluster.propose(old) }
    }

    @Test func aLeaderWhoseConnectionsAreLostIsReplacedWithinTicks() throws {
        let cluster = try TestCluster(3, seed: 26)
        try cluster.startAll()
        let old = try cluster.leader()
        try cluster.produce(5, to: old)
        try cluster.settle()
        try cluster.runTicks(3)
        // A connection that is lost while its leader lives changes nothing: the other follower does not doubt it.
        let term = old.group.term
        let rest = cluster.nodes.filter { $0.id != old.node }
        rest[0].host?.disconnected(from: old.node)
        try cluster.runTicks(4 * cluster.hostSettings.raft.electionTicks)
        #expect(old.isLeading && old.group.term == term)
        #expect(cluster.metrics.quietHeartbeats.value > 0, "the heartbeats are quiet again")
        cluster.stop(cluster.node(old.node), loss: .process)
        for node in rest { node.host?.disconnected(from: old.node) }
        let ticks = cluster.ticks
        let new = try cluster.leader(among: rest.map(\.id))
        #expect(cluster.ticks - ticks < cluster.hostSettings.raft.electionTicks, "nobody had to wait for a timeout")
        try cluster.produce(5, to: new)
    }

    @Test func aGroupThatBecomesALoneOneAndBack() throws {
        let cluster = try TestCluster(2, founders: 1, seed: 25)
        try cluster.start(cluster.nodes[0])
        let leader = try cluster.leader()
        try cluster.produce(20, to: leader, bytes: 1_500)
        let sent = cluster.network.sent.values.reduce(0, +)
        #expect(sent == 0 && cluster.metrics.ticks.value == 0, "a lone voter needs neither time nor peers")
        try cluster.start(cluster.nodes[1])
        let both = cluster.nodes.map(\.id)
        try cluster.change(leader, to: Raft.Configuration(voters: [both[0]], learners: [both[1]]))
        try cluster.settle()
        try cluster.change(leader, to: Raft.Configuration(voters: both))
        try cluster.produce(5, to: leader)
        try cluster.expectEqualSegments()
        try cluster.change(leader, to: Raft.Configuration(voters: [both[0]]))
        cluster.stop(cluster.nodes[1], loss: .process)
        try cluster.produce(5, to: leader)
    }

    /// The log that a replica of a former group of one is sent says that it was alone once.
    ///
    /// It waits for its floor.
    @Test func aGroupOfOneMovesAwayAndBack() throws {
        let cluster = try TestCluster(2, founders: 1, seed: 26)
        cluster.hostSettings.raft.messageBytesMax = 500
        try cluster.startAll()
        let ids = cluster.nodes.map(\.id)
        let first = try cluster.leader()
        #expect(!first.log.isReplicated)
        try cluster.produce(20, to: first)
        try cluster.change(first, to: Raft.Configuration(voters: [ids[0]], learners: [ids[1]]))
        #expect(first.log.isReplicated)
        try cluster.produce(20, to: first)
        try cluster.change(first, to: Raft.Configuration(voters: ids))
        try cluster.change(first, to: Raft.Configuration(voters: [ids[1]]))
        let second = try cluster.leader(among: [ids[1]])
        try cluster.run("the second to be alone") { !second.log.isReplicated }
        let departure = try #require(second.log.configurations.last)
        try cluster.recreateReplica(
            cluster.nodes[0], floor: JoinFloor(term: second.group.term, index: departure.index))
        try cluster.change(second, to: Raft.Configuration(voters: [ids[1]], learners: [ids[0]]))
        let third = try #require(cluster.nodes[0].replica)
        var wasAlone = false
        try cluster.run("the first to catch up") {
            #expect(third.group.role == .follower && third.log.isReplicated)
            wasAlone = wasAlone || third.group.configuration.voters == [ids[0]]
            return third.log.lastIndex == second.log.lastIndex
        }
        #expect(wasAlone)
        try cluster.change(second, to: Raft.Configuration(voters: ids))
        try cluster.change(second, to: Raft.Configuration(voters: [ids[0]]))
        let last = try cluster.leader(among: [ids[0]])
        try cluster.run("the first to be alone") { !last.log.isReplicated }
        try cluster.produce(5, to: last)
    }
}
