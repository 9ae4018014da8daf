// SPDX-License-Identifier: Apache-2.0
//
// PeerClusterTests.swift
// Replicas of several groups on three brokers, over sockets and real stores: what is committed is the same everywhere,
// also after a broker was cut off.

import Foundation
import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import Raft
import Records
import Telemetry
import TestSupport
import Testing

@testable import Replication

/// What a replica has committed; confined to its loop.
private final class CommitRecorder: ReplicaObserver {
    var committed = LogIndex.zero
    var failures: [StoreError] = []

    func replicaLeads(term: Term) {}
    func replicaFollows(term: Term, leader: NodeID?) {}
    func replicaCommitted(upTo index: LogIndex) { committed = index }
    func replicaFailed(_ error: StoreError) { failures.append(error) }
}

/// One broker: a transport, a store, and a host with a replica of every group.
private final class ReplicatingBroker: Sendable {
    struct Replicas {
        var host: GroupHost?
        var replicas: [GroupID: (group: ReplicaGroup, recorder: CommitRecorder)] = [:]
    }

    static let groups = (0..<6 as Range<UInt64>).map { GroupID(rawValue: 1024 + $0) }

    let node: NodeID
    let transport: PeerTransport
    private let store: LogStore
    private let loop: any EventLoop
    private let replicas: NIOLoopBoundBox<Replicas>

    init(_ id: Int32, directory: URL) throws {
        node = NodeID(rawValue: id)
        loop = MultiThreadedEventLoopGroup.singleton.next()
        replicas = .makeBoxSendingValue(Replicas(), eventLoop: loop)
        let logger = Logger.silent
        var settings = StoreSettings(directory: directory.appending(path: "\(id)").path)
        settings.diskReserve = ByteCount(0)
        store = try LogStore.open(settings, metrics: nil, logger: logger)
        var peer = PeerTransportSettings(
            node: node, incarnation: UInt64(id), listen: PeerAddress(host: "127.0.0.1", port: 0))
        peer.reconnectDelay = .milliseconds(5)...(.milliseconds(50))
        transport = PeerTransport(
            settings: peer, group: MultiThreadedEventLoopGroup.singleton, requests: PeerRequestTable(),
            metrics: MetricRegistry(), logger: logger)
    }

    func start(_ members: [NodeID]) async throws -> PeerAddress {
        let recovered = try Self.groups.map { try store.recoverPartition($0) }
        try await loop.submit { [self] in
            var settings = GroupHostSettings()
            settings.tickMilliseconds = 20
            let host = GroupHost(
                node: node, loop: loop, link: transport, settings: settings,
                logger: .silent)
            host.start()
            replicas.value.host = host
            for one in recovered {
                let log = store.partitionLog(one, owner: CompletionOwner(eventLoop: loop))
                let group = ReplicaGroup(
                    node: node, log: log, configuration: Raft.Configuration(voters: members), settings: settings.raft,
                    seed: UInt64(node.rawValue) << 32 | one.id.rawValue)
                let recorder = CommitRecorder()
                host.add(group)
                replicas.value.replicas[one.id] = (group, recorder)
                group.start(observer: recorder)
            }
        }.get()
        let port = try await transport.start(
            events: PeerEvents(messages: { [self] from, messages in
                loop.execute { self.replicas.value.host?.receive(messages, from: from) }
            }))
        return PeerAddress(host: "127.0.0.1", port: port)
    }

    func stop() async throws {
        await transport.stop()
        try await loop.submit { [self] in
            for (group, _) in replicas.value.replicas.values {
                group.stop()
                group.log.close()
            }
            replicas.value.host?.stop()
            replicas.value = Replicas()
        }.get()
        store.close()
    }

    /// The groups this broker leads with a confirmed term.
    func led() async throws -> [GroupID] {
        try await loop.submit { [self] in
            replicas.value.replicas.values.filter { $0.group.leadingTerm != nil }.map(\.group.id).sorted()
        }.get()
    }

    /// Proposes an entry in each group it leads, and returns how many were taken.
    func propose(_ payload: ByteBuffer) async throws -> Int {
        try await loop.submit { [self] in
            var taken = 0
            for (group, _) in replicas.value.replicas.values where group.leadingTerm != nil {
                let content = EntryContent(
                    kind: .data, baseOffset: group.log.logEndOffset, recordCount: 1, maxTimestamp: 1, payload: payload)
                if (try? group.propose(content)) != nil { taken += 1 }
            }
            return taken
        }.get()
    }

    /// What is committed in a group.
    func committed(_ id: GroupID) async throws -> LogIndex {
        try await loop.submit { [self] in replicas.value.replicas[id]?.recorder.committed ?? .zero }.get()
    }

    /// The entries of a group up to `last`, as text.
    func entries(_ id: GroupID, through last: LogIndex) async throws -> [String] {
        var texts: [String] = []
        while UInt64(texts.count) < last.rawValue {
            let from = LogIndex(UInt64(texts.count) + 1)
            texts += try await withCheckedThrowingContinuation { done in
                loop.execute { [self] in
                    guard let log = replicas.value.replicas[id]?.group.log else { return }
                    log.readEntries(from: from, through: last, maxBytes: 1 << 20) { answer in
                        done.resume(
                            with: answer.map { entries in
                                entries.map {
                                    "\($0.index) \($0.term) \($0.kind) \($0.codec) \($0.rawLength) \($0.baseOffset) "
                                        + "\($0.startsSegment) \(CRC32C.checksum($0.payload))"
                                }
                            })
                    }
                }
            }
        }
        return texts
    }
}

@Suite(.timeLimit(.minutes(3))) struct PeerClusterTests {
    /// Looks until `condition` holds; the test's time limit ends it otherwise.
    private func until(_ condition: () async throws -> Bool) async throws {
        // Threads of brokers and their sockets tell the test nothing: they are asked again.
        while try await !condition() { try await Task.sleep(for: .milliseconds(10)) }
    }

    private func everyGroupIsLed(_ brokers: [ReplicatingBroker]) async throws -> Bool {
        var led: Set<GroupID> = []
        for broker in brokers { led.formUnion(try await broker.led()) }
        return led.count == ReplicatingBroker.groups.count
    }

    /// Proposes until at least `count` entries were taken.
    private func propose(_ count: Int, to brokers: [ReplicatingBroker], _ random: inout SeededRandom) async throws {
        var taken = 0
        while taken < count {
            let size = random.next() % 8 == 0 ? 300_000 : Int(random.next() % 3000) + 1
            // Half of each payload shrinks, so that stored forms travel.
            var payload = PeerSamples.bytes(size, seed: random.next())
            payload.writeRepeatingByte(1, count: size)
            for broker in brokers { taken += try await broker.propose(payload) }
            // While nobody leads nothing is taken; an election takes what it takes, within the test's limit.
            if taken == 0 { try await Task.sleep(for: .milliseconds(10)) }
        }
    }

    /// Waits until all brokers have committed what the one that is furthest has, and compares the logs.
    private func agree(_ brokers: [ReplicatingBroker]) async throws {
        for group in ReplicatingBroker.groups {
            var last = LogIndex.zero
            try await until {
                var committed: [LogIndex] = []
                for broker in brokers { committed.append(try await broker.committed(group)) }
                last = committed.max() ?? .zero
                return committed.allSatisfy { $0 == last }
            }
            let expected = try await brokers[0].entries(group, through: last)
            for broker in brokers.dropFirst() { #expect(try await broker.entries(group, through: last) == expected) }
        }
    }

    @Test func replicasAgreeOverSockets() async throws {
        let scratch = try Scratch(inMemory: true)
        var random = SeededRandom(seed: 5)
        let brokers = try (1...3).map { try ReplicatingBroker($0, directory: scratch.url) }
        var addresses: [NodeID: PeerAddress] = [:]
        for broker in brokers { addresses[broker.node] = try await broker.start(brokers.map(\.node)) }
        for broker in brokers { broker.transport.setPeers(addresses.mapValues { [$0] }) }
        try await until { try await everyGroupIsLed(brokers) }
        try await propose(120, to: brokers, &random)
        try await agree(brokers)

        // One that leads something is cut off: the others go on, and it catches up when it is back.
        var lost = brokers[0]
        for broker in brokers where try await !broker.led().isEmpty { lost = broker }
        lost.transport.setPeers([:])
        let rest = brokers.filter { $0 !== lost }
        try await until { try await everyGroupIsLed(rest) }
        try await propose(60, to: rest, &random)
        try await agree(rest)
        lost.transport.setPeers(addresses.mapValues { [$0] })
        try await until { try await everyGroupIsLed(brokers) }
        try await propose(30, to: brokers, &random)
        try await agree(brokers)
        for broker in brokers { try await broker.stop() }
    }
}
