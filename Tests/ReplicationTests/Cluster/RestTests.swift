// SPDX-License-Identifier: Apache-2.0
//
// RestTests.swift
// Groups that have nothing to do: what they cost, what ends their rest, and that nobody rests who should act.

import CrashScenario
import Model
import NIOCore
import Raft
import Telemetry
import TestSupport
import Testing

@testable import LogStore
@testable import Replication

/// Three brokers with a replica of each of many groups.
private final class ManyGroups {
    let cluster: TestCluster
    private(set) var replicas: [GroupID: [TestReplica]] = [:]

    init(_ count: Int, seed: UInt64) throws {
        cluster = try TestCluster(3, seed: seed)
        for node in cluster.nodes { try cluster.start(node, withReplica: false) }
        for number in 0..<UInt64(count) {
            for node in cluster.nodes { try add(GroupID(rawValue: 2000 + number), to: node) }
        }
        try cluster.run("all leaders") { replicas.keys.allSatisfy { leader(of: $0) != nil } }
    }

    deinit {
        for replica in replicas.values.joined() {
            replica.group.stop()
            replica.log.close()
        }
    }

    private func add(_ id: GroupID, to node: TestNode) throws {
        let store = try #require(node.store)
        let log = store.partitionLog(try store.recoverPartition(id), owner: try #require(node.owner))
        let group = ReplicaGroup(
            node: node.id, log: log, configuration: Raft.Configuration(voters: cluster.founders),
            settings: cluster.hostSettings.raft, seed: id.rawValue << 8 | UInt64(node.id.rawValue))
        let replica = TestReplica(group, log)
        replicas[id, default: []].append(replica)
        node.host?.add(group)
        group.start(observer: replica)
    }

    var ids: [GroupID] { replicas.keys.sorted { $0.rawValue < $1.rawValue } }
    var all: [TestReplica] { ids.flatMap { replicas[$0] ?? [] } }
    var resting: Int { all.count { $0.group.restNumber != nil } }

    func leader(of id: GroupID) -> TestReplica? {
        replicas[id]?.filter(\.isLeading).max { $0.group.term < $1.group.term }
    }

    func allRest(_ what: String = "rest") throws { try cluster.run(what) { resting == replicas.count } }

    var isLevel: Bool {
        replicas.values.allSatisfy { group in
            let last = group[0].log.lastIndex
            return group.allSatisfy { $0.group.committed == last && $0.log.flushedIndex == last }
        }
    }
}

@Suite struct RestTests {
    /// While nothing happens, a beat is one object and its answer for each peer, and no core is entered.
    @Test func whatIdleGroupsCostFollowsThePeers() throws {
        let many = try ManyGroups(100, seed: 26)
        let cluster = many.cluster
        try many.allRest()
        try cluster.runTicks(40)
        cluster.network.resetCounts()
        let ticks = cluster.metrics.ticks.value
        let quiet = cluster.metrics.quietHeartbeats.value
        let rounds = 10
        try cluster.runTicks(rounds * cluster.hostSettings.raft.heartbeatTicks)
        let routes = Set(many.ids.compactMap { many.leader(of: $0)?.node }).count * 2
        #expect(
            cluster.network.sent == ["heartbeats roster": routes * rounds, "answers roster": routes * rounds])
        #expect(cluster.metrics.ticks.value == ticks, "no core")
        #expect(Int(cluster.metrics.quietHeartbeats.value - quiet) == 100 * 2 * rounds, "all were vouched for")
        #expect(many.ids.allSatisfy { many.leader(of: $0)?.group.inSyncReplicas == cluster.founders })
    }

    @Test func anEntryEndsTheRestOfItsGroupOnly() throws {
        let many = try ManyGroups(20, seed: 27)
        try many.allRest()
        let terms = many.all.map(\.group.term)
        for id in many.ids.prefix(3) {
            let leader = try #require(many.leader(of: id))
            let number = leader.group.restNumber
            try many.cluster.propose(leader)
            #expect(leader.group.restNumber == nil)
            try many.cluster.run("the entry on all") { many.isLevel }
            #expect(many.resting == 19)
            try many.allRest("rest again")
            #expect(leader.group.restNumber != number)
        }
        #expect(many.all.map(\.group.term) == terms)
    }

    /// A leader at rest whose broker is cut off is replaced, and steps down itself.
    @Test func leadersThatCannotBeHeardAreReplaced() throws {
        let many = try ManyGroups(20, seed: 28)
        let cluster = many.cluster
        try many.allRest()
        let lost = try #require(many.leader(of: many.ids[0])).node
        let led = many.ids.filter { many.leader(of: $0)?.node == lost }
        cluster.network.isolate(lost, from: cluster.founders)
        let election = cluster.hostSettings.raft.electionTicks
        try cluster.runTicks(5 * election)
        for id in led {
            let leaders = try #require(many.replicas[id]).filter(\.isLeading)
            #expect(leaders.count == 1 && leaders.first?.node != lost, "\(id)")
        }
        #expect(many.resting == 0, "nobody rests while a replica is silent")
        cluster.network.heal()
        try many.allRest("rest after the return")
    }

    @Test func aSilentFollowerIsNoticed() throws {
        let many = try ManyGroups(10, seed: 29)
        let cluster = many.cluster
        try many.allRest()
        let leader = try #require(many.leader(of: many.ids[0]))
        let silent = try #require(cluster.founders.first { $0 != leader.node })
        let term = leader.group.term
        cluster.network.isolate(silent, from: cluster.founders)
        try cluster.run("the follower to be missed") { !leader.group.inSyncReplicas.contains(silent) }
        #expect(leader.isLeading && leader.group.term == term)
        try cluster.propose(leader)
        cluster.network.heal()
        try cluster.run("the follower's return") { leader.group.inSyncReplicas == cluster.founders && many.isLevel }
        try many.allRest("rest after the return")
    }

    /// Whoever comes back over a new connection may have lost its disk.
    @Test func aFollowerWhoseConnectionIsLostIsNotInSync() throws {
        let many = try ManyGroups(10, seed: 33)
        let cluster = many.cluster
        try many.allRest()
        let leader = try #require(many.leader(of: many.ids[0]))
        let lost = try #require(cluster.founders.first { $0 != leader.node })
        cluster.network.isolate(lost, from: cluster.founders)
        cluster.node(leader.node).host?.disconnected(from: lost)
        try cluster.runTicks(1)
        #expect(leader.isLeading && !leader.group.inSyncReplicas.contains(lost), "at once")
        cluster.network.heal()
        try cluster.run("the follower's return") { leader.group.inSyncReplicas == cluster.founders }
        try many.allRest("rest after the return")
    }

    /// The broker lives and goes on to speak for its other leaders, but not for this one.
    @Test func aLeaderThatStopsIsReplaced() throws {
        let many = try ManyGroups(10, seed: 30)
        try many.allRest()
        let gone = try #require(many.leader(of: many.ids[4]))
        let others = try #require(many.replicas[many.ids[4]]).filter { $0 !== gone }
        gone.group.stop()
        try many.cluster.run("another leader") { others.contains(where: \.isLeading) }
        #expect(many.ids.count { many.leader(of: $0)?.group.restNumber != nil } == 9)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func restAndWorkInBadWeather(_ seed: UInt64) throws {
        let many = try ManyGroups(8, seed: seed)
        let cluster = many.cluster
        var random = SeededRandom(seed: seed)
        for _ in 0..<40 {
            cluster.network.weather = .init(
                loss: Double(random.next() % 3) * 0.05, repeats: Double(random.next() % 2) * 0.2,
                delayMax: 1 + Int(random.next() % 5))
            switch random.next() % 6 {
            case 0: cluster.network.isolate(cluster.founders[Int(random.next() % 3)], from: cluster.founders)
            case 1, 2: cluster.network.heal()
            default:
                for id in many.ids where random.next() % 4 == 0 {
                    if let leader = many.leader(of: id) { _ = try? cluster.propose(leader) }
                }
            }
            try cluster.runTicks(Int(random.next() % 60))
        }
        cluster.network.heal()
        cluster.network.weather = .init()
        try cluster.run("equal replicas") { many.isLevel }
        try many.allRest("rest at the end")
        for group in many.replicas.values { #expect(Set(group.map(\.group.term)).count == 1) }
    }

    /// A roster for groups of several loops has the same parts each time it comes.
    @Test func aRosterIsSplitOnceForSeveralLoops() throws {
        let loops = [PumpedLoop(), PumpedLoop()]
        let hosts = loops.map { GroupHost(node: NodeID(rawValue: 1), loop: $0, link: nil, logger: .silent) }
        let all = GroupHosts(zip(hosts, loops).map { NIOLoopBound($0, eventLoop: $1) }, loops: loops)
        let rows = (2000..<2005 as Range<UInt64>).map {
            HeartbeatRow(group: GroupID(rawValue: $0), term: Term(1), value: 1, round: 0, session: 0)
        }
        let peer = NodeID(rawValue: 2)
        let roster = HeartbeatRoster(.heartbeats, name: 3, rows: rows)
        let source = RosterSource(roster, of: peer)
        func parts() -> [HeartbeatRoster?] {
            all.receive(roster, from: peer)
            for loop in loops { _ = loop.turn() }
            return hosts.map { $0.rest.known[source]?.roster }
        }
        let first = parts()
        #expect(first.map { $0?.rows.map(\.group.rawValue) } == [[2000, 2002, 2004], [2001, 2003]])
        #expect(zip(first, parts()).allSatisfy { $0 === $1 })
        #expect(hosts.map { Int($0.metrics.received.value) } == [6, 4])
    }
}
