// SPDX-License-Identifier: Apache-2.0
//
// ClusterTests.swift
// Partitions with several replicas on real stores: elections, replication, and what is left after losses.

import CrashScenario
import Model
import NIOCore
import Raft
import Telemetry
import Testing

@testable import LogStore
@testable import Replication

@Suite struct ClusterTests {
    @Test(arguments: [3, 5]) func replicasElectALeaderAndStoreTheSameBytes(count: Int) throws {
        let cluster = try TestCluster(count, seed: UInt64(count))
        try cluster.startAll()
        let leader = try cluster.leader()
        // Frames of all sizes: small ones, compressed ones, some that get a lead, and enough for several segments.
        for bytes in [100, 3_000, 20_000, 500] { try cluster.produce(10, to: leader, bytes: bytes) }
        try cluster.expectEqualSegments()
        #expect(try cluster.segments(cluster.nodes[0]).count > 3)
        #expect(cluster.replicas.filter(\.isLeading).count == 1)
        for replica in cluster.replicas where !replica.isLeading {
            #expect(
                replica.appended.last == leader.log.lastIndex && replica.log.logEndOffset == leader.log.logEndOffset)
        }
        #expect(leader.group.inSyncReplicas.count == count)
    }

    @Test(arguments: [UInt64(1), 2, 3]) func lossDelayAndReorderingOnlyCostTime(seed: UInt64) throws {
        let cluster = try TestCluster(3, seed: seed)
        cluster.network.weather = TestNetwork.Weather(loss: 0.1, repeats: 0.1, delayMax: 6)
        try cluster.startAll()
        for _ in 0..<5 {
            let leader = try cluster.leader()
            for number in 0..<20 {
                // A leader may lose its followers meanwhile; then the next one goes on.
                _ = try? cluster.propose(leader, bytes: 100 + number * 50)
                cluster.pump()
            }
        }
        cluster.network.weather = TestNetwork.Weather()
        _ = try cluster.leader()
        try cluster.expectEqualSegments()
    }

    @Test func whatALostLeaderHadNotCommittedIsCutAndReplaced() throws {
        let cluster = try TestCluster(3, seed: 7)
        try cluster.startAll()
        let old = try cluster.leader()
        try cluster.produce(10, to: old)
        try cluster.settle()
        let rest = cluster.nodes.map(\.id).filter { $0 != old.node }
        cluster.network.isolate(old.node, from: rest)
        let kept = old.log.lastIndex
        for _ in 0..<6 { try cluster.propose(old, bytes: 6_000, compressible: false) }
        try cluster.run("the cut-off leader's own flush") { old.log.flushedIndex == old.log.lastIndex }
        #expect(old.group.committed == kept)
        let new = try cluster.leader(among: rest)
        try cluster.produce(5, to: new)
        try cluster.run("the old leader to step down") { !old.isLeading }
        cluster.network.heal()
        try cluster.expectEqualSegments()
        #expect(old.truncations == [kept.next])
        #expect(old.group.leader == new.node && new.group.leadingTerm != nil)
    }

    @Test(arguments: [Loss.process, .all, .torn]) func eachBrokerRestartsInTurn(loss: Loss) throws {
        let cluster = try TestCluster(3, seed: 11)
        try cluster.startAll()
        for node in cluster.nodes {
            let leader = try cluster.leader()
            try cluster.produce(12, to: leader, bytes: 900)
            cluster.stop(node, loss: loss)
            let next = try cluster.leader()
            try cluster.produce(12, to: next, bytes: 900)
            try cluster.start(node)
            try cluster.settle()
        }
        try cluster.expectEqualSegments()
    }

    @Test(arguments: [Loss.process, .all, .torn]) func whatWasCommittedSurvivesThePowerFailureOfAll(loss: Loss) throws {
        let cluster = try TestCluster(3, seed: 13)
        try cluster.startAll()
        let leader = try cluster.leader()
        try cluster.produce(30, to: leader, bytes: 700)
        let committed = leader.group.committed
        let term = leader.group.term
        for _ in 0..<5 { try cluster.propose(leader) }
        for node in cluster.nodes { cluster.stop(node, loss: loss) }
        try cluster.startAll()
        let next = try cluster.leader()
        #expect(next.group.term > term)
        #expect(next.group.committed >= committed && next.log.term(at: committed) == term)
        try cluster.expectEqualSegments()
    }

    @Test func aReplicaThatWasAwayIsFedFromDisk() throws {
        let cluster = try TestCluster(3, seed: 17)
        try cluster.startAll()
        var leader = try cluster.leader()
        let away = try #require(cluster.nodes.last { $0.id != leader.node })
        cluster.stop(away, loss: .process)
        leader = try cluster.leader()
        try cluster.produce(60, to: leader, bytes: 2_000)
        try cluster.settle()
        // Nothing of it is in memory any more.
        #expect(leader.log.evictTail(through: leader.log.lastIndex))
        try cluster.start(away)
        try cluster.expectEqualSegments()
        #expect(cluster.metrics.catchUpEntries.value >= 60)
    }
}
