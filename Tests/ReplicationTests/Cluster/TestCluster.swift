// SPDX-License-Identifier: Apache-2.0
//
// TestCluster.swift
// Several brokers in one process: real stores on disks that can lose what was not synced, and one partition on them.

import CrashScenario
import Model
import NIOCore
import Raft
import RocksKV
import TestSupport
import Testing

@testable import LogStore
@testable import Replication

/// One broker: a disk, and while it runs a store, a host and the replica.
final class TestNode {
    let id: NodeID
    let index: LossyIndex
    var disk = FaultyFileSystem()
    var store: LogStore?
    var host: GroupHost?
    var replica: TestReplica?
    /// A state machine instead of a partition.
    var machine: ReplicatedStateMachine?
    var ledger: Ledger?
    var owner: CompletionOwner?

    init(_ id: NodeID) throws {
        self.id = id
        index = try LossyIndex()
    }
}

/// A cluster whose time passes when the test pumps it.
///
/// Everything but the stores' threads runs on the test's thread. A tick passes only when no message is on its way and no
/// store has had anything to say for a moment, so a slow disk is no silent leader.
final class TestCluster {
    static let group = GroupID(rawValue: 1024)

    let loop = PumpedLoop()
    let network: TestNetwork
    let metrics = GroupHostMetrics()
    var nodes: [TestNode] = []
    var founders: [NodeID]
    var groupSettings = GroupLogSettings(segmentBytes: 16 << 10, segmentMilliseconds: nil)
    var hostSettings = GroupHostSettings()
    var ticks = 0
    private var random: SeededRandom

    /// Nothing came of it for so many steps that the test hangs.
    struct Stuck: Error, CustomStringConvertible {
        let description: String
    }

    init(_ count: Int, founders: Int? = nil, seed: UInt64) throws {
        network = TestNetwork(seed: seed)
        random = SeededRandom(seed: seed)
        self.founders = (1...(founders ?? count)).map { NodeID(rawValue: Int32($0)) }
        for number in 1...count { nodes.append(try TestNode(NodeID(rawValue: Int32(number)))) }
        hostSettings.recovery.rangeBytes = 4096
    }

    deinit {
        for node in nodes { stop(node, loss: nil) }
    }

    // MARK: Brokers

    /// Starts a broker that does not run, on what its disk has.
    func start(_ node: TestNode, withReplica: Bool = true) throws {
        var settings = StoreLife.settings(node.index.directory.path, journal: .auto)
        settings.nodeID = node.id
        settings.journalFile = .kibibytes(512)
        let store = try LogStore.open(
            settings, system: node.disk, metrics: nil, logger: .silent,
            tuning: node.index.tuning)
        node.store = store
        let owner = CompletionOwner(eventLoop: loop)
        node.owner = owner
        let host = GroupHost(
            node: node.id, loop: loop, link: network.link(of: node.id), settings: hostSettings, metrics: metrics,
            logger: .silent)
        node.host = host
        let bound = NIOLoopBound(host, eventLoop: loop)
        let requests = PeerRequestTable()
        let hosts = GroupHosts([bound], loops: [loop])
        hosts.serve(on: requests)
        network.connect(
            node.id,
            TestNetwork.Receiver(
                messages: { peer, messages in hosts.receive(messages, from: peer) },
                heartbeats: { peer, roster in hosts.receive(roster, from: peer) }, requests: requests))
        if withReplica { try startReplica(node) }
    }

    /// With a `floor`, the replica joins.
    func startReplica(_ node: TestNode, floor: JoinFloor? = nil) throws {
        let store = try #require(node.store)
        let recovered = try store.recoverPartition(Self.group, settings: groupSettings, floor: floor)
        let log = store.partitionLog(recovered, owner: try #require(node.owner))
        let group = ReplicaGroup(
            node: node.id, log: log,
            configuration: floor == nil && founders.contains(node.id) ? Raft.Configuration(voters: founders) : .empty,
            settings: hostSettings.raft, seed: random.next())
        let replica = TestReplica(group, log)
        node.replica = replica
        node.host?.add(group)
        group.start(observer: replica)
    }

    /// The replica of a broker that does not host it any more goes, and comes back having forgotten everything.
    func recreateReplica(_ node: TestNode, floor: JoinFloor) throws {
        let store = try #require(node.store)
        node.replica?.group.stop()
        node.replica?.log.close()
        node.replica = nil
        while loop.turn(waiting: 2) {}
        try store.deleteGroup(Self.group)
        try startReplica(node, floor: floor)
    }

    func startAll() throws { for node in nodes where node.store == nil { try start(node) } }

    /// Stops a broker; with a loss as if killed, or as if the power failed.
    func stop(_ node: TestNode, loss: Loss?) {
        guard let store = node.store else { return }
        network.connect(node.id, nil)
        if loss != nil, store.core.failure == nil { store.core.fail(.closed, during: "the end of the scenario") }
        node.machine?.replica.stop()
        node.machine?.replica.log.close()
        node.machine = nil
        node.replica?.group.stop()
        node.replica?.log.close()
        node.host?.stop()
        // Entries with the codec thread let go of their log when they come back.
        while loop.turn(waiting: 2) {}
        store.close()
        node.store = nil
        node.host = nil
        node.replica = nil
        guard let loss else { return }
        do {
            try node.index.crash(loss, seed: random.next())
        } catch {
            Issue.record("\(error)")
        }
        node.disk = node.disk.afterCrash(loss, seed: random.next())
    }

    /// Lets go of the records below `offset`, as retention does.
    func trim(_ replica: TestReplica, to offset: Offset) throws {
        try replica.log.trim(to: offset)
        replica.group.whenIdle { replica.group.noteCompaction() }
    }

    // MARK: Time

    /// One step of everything.
    func pump() {
        var moved = loop.turn()
        moved = network.step() || moved
        if moved { return }
        if !network.isQuiet || loop.turn(waiting: 2) { return }
        ticks += 1
        for node in nodes { node.host?.tick() }
    }

    /// Pumps until `condition` holds.
    func run(
        _ what: @autoclosure () -> String = "", steps: Int = 10_000, until condition: () throws -> Bool
    ) throws {
        for _ in 0..<steps {
            if try condition() { return }
            pump()
        }
        let states = nodes.map { node in
            guard let replica = node.replica else { return "\(node.id): stopped" }
            let log = replica.log
            return """
                \(node.id): \(replica.group.role) in \(replica.group.term), \(log.firstIndex)...\(log.lastIndex), \
                flushed \(log.flushedIndex), committed \(replica.group.committed), \(replica.failures), \
                \(replica.group.progress)
                """
        }
        throw Stuck(description: "waiting in vain for \(what()): \(states.joined(separator: "; "))")
    }

    func runTicks(_ count: Int) throws {
        let end = ticks + count
        try run("\(count) ticks") { ticks >= end }
    }

    // MARK: The group

    var replicas: [TestReplica] { nodes.compactMap(\.replica) }
    func node(_ id: NodeID) -> TestNode { nodes[Int(id.rawValue) - 1] }
    func others(than node: TestNode) -> [TestNode] { nodes.filter { $0 !== node } }

    /// The replica that leads the highest term, once there is one that a majority follows.
    func leader(among ids: [NodeID]? = nil) throws -> TestReplica {
        var found: TestReplica?
        try run("a leader") {
            let running = replicas.filter { ids?.contains($0.node) ?? true }
            found = running.filter(\.isLeading).max { $0.group.term < $1.group.term }
            guard let found else { return false }
            return running.allSatisfy { $0.group.term <= found.group.term }
        }
        return try #require(found)
    }

    /// Proposes one frame, of `bytes` bytes that compress well or not.
    @discardableResult
    func propose(_ replica: TestReplica, bytes: Int = 200, compressible: Bool = true) throws -> LogIndex {
        var payload = ByteBuffer()
        let number = UInt64(replica.log.lastIndex.rawValue)
        var random = SeededRandom(seed: number ^ replica.group.term.rawValue << 32)
        while payload.readableBytes < bytes { payload.writeInteger(compressible ? number : random.next()) }
        return try replica.group.propose(
            EntryContent(
                kind: .data, baseOffset: replica.log.logEndOffset, recordCount: 1, maxTimestamp: Int64(number),
                payload: payload))
    }

    /// Proposes frames and waits until they are committed on the leader.
    func produce(_ count: Int, to replica: TestReplica, bytes: Int = 200) throws {
        var last = replica.log.lastIndex
        for number in 0..<count {
            last = try propose(replica, bytes: bytes, compressible: number % 2 == 0)
            if number % 8 == 7 { pump() }
        }
        try run("\(last) to be committed") { replica.group.committed >= last }
    }

    /// Changes the members, as soon as the leader agrees, and waits until that is done.
    func change(_ leader: TestReplica, to target: Raft.Configuration) throws {
        var outcome: Result<LogIndex, ReplicationError>?
        leader.group.changeMembership(to: target) { outcome = $0 }
        try run("\(target)") {
            switch outcome {
            case .success: return true
            case .failure(.refused(.laggingVoters)), .failure(.refused(.changeInProgress)):
                outcome = nil
                pump()
                leader.group.changeMembership(to: target) { outcome = $0 }
            case .failure(let error): throw error
            case nil: break
            }
            return false
        }
    }

    /// Pumps until all running replicas hold the same, committed and in their segments.
    func settle(_ ids: [NodeID]? = nil) throws {
        try run("equal replicas") {
            let running = replicas.filter { ids?.contains($0.node) ?? true }
            guard let leader = running.first(where: \.isLeading) else { return false }
            return running.allSatisfy { replica in
                replica.log.lastIndex == leader.log.lastIndex && replica.group.committed == leader.log.lastIndex
                    && replica.log.flushedIndex == leader.log.lastIndex
                    && replica.log.progress.applied == leader.log.lastIndex
            }
        }
    }

    /// The segments of a broker, by base, as far as there are frames: a file may have bytes of an earlier life behind them.
    func segments(_ node: TestNode) throws -> [LogIndex: [UInt8]] {
        let store = try #require(node.store)
        let last = try #require(node.replica).log.lastIndex
        store.checkpoint()
        let directory = Segment.directory(of: Self.group, root: store.settings.directory)
        var segments: [LogIndex: [UInt8]] = [:]
        for name in try node.disk.list(directory) {
            guard let base = Segment.name(ofFileName: name) else { continue }
            let file = try node.disk.open(directory + "/" + name, .read)
            var bytes = ByteBuffer()
            _ = try file.read(try file.size(), at: 0, into: &bytes)
            var end = 0
            while case .header(let header) = FrameHeader.probe(bytes.readableBytesSpan, at: end),
                header.group == Self.group, header.index >= base, header.kind == .footer || header.index <= last
            { end += header.frameBytes }
            segments[base] = Array(bytes.readableBytesView.prefix(end))
        }
        return segments
    }

    /// Compares the segments that brokers have in common; each must have the newest ones.
    func expectEqualSegments(_ ids: [NodeID]? = nil) throws {
        try settle(ids)
        let chosen = nodes.filter { $0.replica != nil && (ids?.contains($0.id) ?? true) }
        let all = try chosen.map { try segments($0) }
        for (node, segments) in zip(chosen, all) {
            let first = try #require(all.first)
            let common = Set(segments.keys).intersection(first.keys)
            #expect(!common.isEmpty && segments.keys.max() == first.keys.max(), "\(node.id): \(segments.keys.sorted())")
            for base in common.sorted() where segments[base] != first[base] {
                let one = try #require(segments[base])
                let other = try #require(first[base])
                let at = zip(one, other).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                Issue.record(
                    "\(node.id): segment \(base) differs at \(at.map(String.init) ?? "its end"), \(one.count) bytes, \(other.count)"
                )
            }
            if let least = common.min() {
                let mine = segments.keys.filter { $0 >= least }
                let theirs = first.keys.filter { $0 >= least }
                #expect(Set(mine) == Set(theirs), "\(node.id)")
            }
        }
    }
}
