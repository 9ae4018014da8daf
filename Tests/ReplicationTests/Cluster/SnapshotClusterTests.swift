// SPDX-License-Identifier: Apache-2.0
//
// SnapshotClusterTests.swift
// Replicas whose next entries are gone get the segments themselves, whatever stops them on the way.

import CrashScenario
import Model
import NIOCore
import Raft
import Telemetry
import Testing

@testable import LogStore
@testable import Replication

@Suite struct SnapshotClusterTests {
    /// A cluster of three, one of which was away while the others let go of the entries it needs.
    private static func withOneBehind(seed: UInt64) throws -> (TestCluster, TestNode) {
        let cluster = try TestCluster(3, seed: seed)
        try cluster.startAll()
        var leader = try cluster.leader()
        try cluster.produce(5, to: leader)
        try cluster.settle()
        let away = try #require(cluster.nodes.last { $0.id != leader.node })
        cluster.stop(away, loss: .process)
        leader = try cluster.leader()
        try cluster.produce(60, to: leader, bytes: 2_000)
        try cluster.settle()
        let half = Offset(leader.log.logEndOffset.rawValue / 2)
        for replica in cluster.replicas { try cluster.trim(replica, to: half) }
        #expect(leader.log.firstIndex > LogIndex(10) && leader.log.segmentCount > 2)
        return (cluster, away)
    }

    @Test(arguments: [UInt64(1), 2]) func aReplicaBehindRetentionGetsTheSegments(seed: UInt64) throws {
        let (cluster, away) = try Self.withOneBehind(seed: seed)
        try cluster.start(away)
        try cluster.run("the snapshot") { !(away.replica?.installed.isEmpty ?? true) }
        let leader = try cluster.leader()
        try cluster.produce(20, to: leader, bytes: 1_000)
        try cluster.expectEqualSegments()
        let replica = try #require(away.replica)
        #expect(replica.log.firstIndex == leader.log.firstIndex && replica.installed.count == 1)
        #expect(replica.log.logStartOffset == leader.log.logStartOffset)
        #expect(replica.log.endOffset(ofEpoch: Term(1)) == leader.log.endOffset(ofEpoch: Term(1)))
        // Nobody needs it any more, so it keeps no file from retention and compaction.
        let ticks = cluster.ticks
        try cluster.run("the end of the offer") { leader.group.offer == nil && leader.log.pinnedFrom == nil }
        #expect(cluster.ticks - ticks < cluster.hostSettings.recovery.idleTicksMax / 10)
        // It holds after a power failure too, and nothing is left of the way here.
        cluster.stop(away, loss: .all)
        try cluster.start(away)
        try cluster.expectEqualSegments()
        let store = try #require(away.store)
        #expect(!away.disk.exists(SnapshotStage.directory(of: TestCluster.group, root: store.settings.directory)))
    }

    @Test func aFreshReplicaIsTakenInAndAnotherLeaves() throws {
        let cluster = try TestCluster(4, founders: 3, seed: 3)
        for node in cluster.nodes.prefix(3) { try cluster.start(node) }
        let leader = try cluster.leader()
        try cluster.produce(50, to: leader, bytes: 2_000)
        try cluster.settle()
        for replica in cluster.replicas { try cluster.trim(replica, to: Offset(25)) }
        let fresh = cluster.nodes[3]
        try cluster.start(fresh)
        let founders = cluster.founders
        let out = try #require(founders.last { $0 != leader.node })
        try cluster.change(leader, to: Raft.Configuration(voters: founders, learners: [fresh.id]))
        try cluster.run("the learner") { fresh.replica?.log.lastIndex == leader.log.lastIndex }
        #expect(fresh.replica?.installed.count == 1)
        let target = Raft.Configuration(voters: founders.filter { $0 != out } + [fresh.id])
        try cluster.change(leader, to: target)
        #expect(leader.group.configuration == target)
        cluster.stop(cluster.node(out), loss: .process)
        try cluster.produce(10, to: leader)
        try cluster.expectEqualSegments()
        // The new member counts: with it and one founder there is a majority.
        let other = try #require(founders.first { $0 != out && $0 != leader.node })
        cluster.stop(cluster.node(other), loss: .process)
        try cluster.produce(5, to: leader)
        // What it knows of members survives it.
        cluster.stop(fresh, loss: .all)
        try cluster.start(fresh)
        #expect(fresh.replica?.group.configuration == target)
        try cluster.settle()
    }

    /// Without others nobody fetches, and nobody counts the time until the offer is old.
    @Test func theLastReplicaKeepsNothingForOthers() throws {
        let (cluster, away) = try Self.withOneBehind(seed: 7)
        let before = cluster.metrics.snapshotBytes.value
        try cluster.start(away)
        try cluster.run("some of the snapshot") { cluster.metrics.snapshotBytes.value - before > 8_000 }
        let leader = try cluster.leader()
        #expect(leader.group.offer != nil && leader.log.pinnedFrom != nil)
        let other = try #require(cluster.founders.first { $0 != away.id && $0 != leader.node })
        cluster.stop(away, loss: .process)
        try cluster.change(leader, to: Raft.Configuration(voters: [leader.node, other]))
        try cluster.change(leader, to: Raft.Configuration(voters: [leader.node]))
        #expect(leader.group.offer == nil && leader.log.pinnedFrom == nil)
    }

    @Test func aFetchGoesOnWhereItWasStopped() throws {
        let (cluster, away) = try Self.withOneBehind(seed: 5)
        let before = cluster.metrics.snapshotBytes.value
        try cluster.start(away)
        try cluster.run("half of the snapshot") { cluster.metrics.snapshotBytes.value - before > 12_000 }
        cluster.stop(away, loss: .process)
        let fetched = Int(cluster.metrics.snapshotBytes.value - before)
        try cluster.start(away)
        try cluster.run("the snapshot") { !(away.replica?.installed.isEmpty ?? true) }
        let leader = try cluster.leader()
        let total = Int(cluster.metrics.snapshotBytes.value - before)
        let needed = leader.log.sizeBytes + 100 * leader.log.segmentCount
        #expect(fetched > 12_000 && total <= needed + 3 * cluster.hostSettings.recovery.rangeBytes)
        try cluster.expectEqualSegments()
    }

    @Test func damageOnTheWayIsFoundAndFetchedAgain() throws {
        let (cluster, away) = try Self.withOneBehind(seed: 6)
        let before = cluster.metrics.snapshotBytes.value
        try cluster.start(away)
        try cluster.run("some of the snapshot") { cluster.metrics.snapshotBytes.value - before > 8_000 }
        let store = try #require(away.store)
        let directory = SnapshotStage.directory(of: TestCluster.group, root: store.settings.directory)
        cluster.stop(away, loss: .process)
        let name = try #require(try away.disk.list(directory).sorted().first)
        away.disk.flip(directory + "/" + name, byte: 700, bit: 3)
        try cluster.start(away)
        try cluster.run("the snapshot") { !(away.replica?.installed.isEmpty ?? true) }
        try cluster.expectEqualSegments()
    }

    /// The machine of the receiver stops again and again on the way, and loses what was not synced.
    @Test(arguments: [Loss.all, .torn, .process]) func aCrashDuringTheInstallationLeavesOneOfTheLogs(loss: Loss) throws
    {
        let (cluster, away) = try Self.withOneBehind(seed: 8)
        var step = 0
        var isInstalled = false
        while !isInstalled {
            let disk = away.disk
            try cluster.start(away, withReplica: false)
            let operations = disk.operations
            disk.arrange { $0.crashAt = operations + 1 + step * 2 }
            try? cluster.startReplica(away)
            try cluster.run("the crash or the snapshot") {
                isInstalled = away.replica?.log.lastIndex == LogIndex(66)
                return isInstalled || disk.hasCrashed || away.store?.core.failure != nil
            }
            cluster.stop(away, loss: loss)
            step += 1
            #expect(step < 200)
        }
        #expect(step > 2)
        try cluster.start(away)
        try cluster.expectEqualSegments()
    }
}
