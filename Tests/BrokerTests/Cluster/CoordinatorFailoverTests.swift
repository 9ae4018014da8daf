// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorFailoverTests.swift
// The group coordinator on three brokers: a member keeps its generation and its offsets when the leader is lost.

import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import PeerTestSupport
import Raft
import Replication
import Telemetry
import TestSupport
import Testing

@testable import Broker

/// The coordinator's group on three brokers, on one event loop.
final class CoordinatorCluster: Sendable {
    private let scratch: Scratch
    let members = (Int32(1)...3).map { NodeID(rawValue: $0) }
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop: any EventLoop
    let network: InMemoryPeerNetwork
    private let nodes: NIOLoopBoundBox<[NodeID: Node]>

    /// Confined to the loop.
    final class Node {
        let store: LogStore
        let host: GroupHost
        let coordinator: GroupCoordinator

        init(store: LogStore, host: GroupHost, coordinator: GroupCoordinator) {
            self.store = store
            self.host = host
            self.coordinator = coordinator
        }
    }

    private init() throws {
        scratch = try Scratch(inMemory: true)
        loop = loops.next()
        network = InMemoryPeerNetwork(loop: loop)
        nodes = .makeBoxSendingValue([:], eventLoop: loop)
    }

    static func start() async throws -> CoordinatorCluster {
        let cluster = try CoordinatorCluster()
        for node in cluster.members { try await cluster.startNode(node) }
        return cluster
    }

    private func startNode(_ id: NodeID) async throws {
        let logger = Logger.silent
        let registry = MetricRegistry()
        let store = try LogStore.openScratch(at: scratch.path("\(id)"), metrics: registry)
        let recovered = try store.recoverCommandLog(.coordinator)
        let (state, applied) = try CoordinatorState.load(from: store.metadata)
        let inbox = PeerInbox()
        let link = network.join(id, events: inbox.events)
        try await loop.submit { [self] in
            // Not faster than brokers are: beside other tests a leader that has no time would be taken for lost.
            let hosting = GroupHostSettings()
            let host = GroupHost(node: id, loop: loop, link: link, settings: hosting, logger: logger)
            host.start()
            let bound = NIOLoopBound(host, eventLoop: loop)
            inbox.bind(
                PeerInbox.Receiver(
                    messages: { peer, messages in bound.value.receive(messages, from: peer) }, leaders: { _, _ in },
                    peer: { _, _ in }))
            let replica = ReplicaGroup(
                node: id, log: store.commandLog(recovered, owner: CompletionOwner(eventLoop: loop)),
                configuration: Raft.Configuration(voters: members), settings: hosting.raft,
                seed: UInt64(id.rawValue) * 7919)
            host.add(replica)
            let machine = ReplicatedStateMachine(
                replica: replica, index: store.metadata, family: .groups, applied: applied)
            var settings = GroupSettings()
            settings.initialRebalanceDelayMilliseconds = 0
            let coordinator = GroupCoordinator(
                state: state, machine: machine, settings: settings, clock: .system, loop: loop,
                random: SystemRandomNumberGenerator(), metrics: GroupMetrics(registry: registry), logger: logger,
                reload: { () throws(StoreError) in try CoordinatorState.load(from: store.metadata).0 })
            coordinator.topics = TopicCatalogue([
                .init(name: "t", id: CoordinatorFailoverTests.topic, partitions: 4)
            ])
            nodes.value[id] = Node(store: store, host: host, coordinator: coordinator)
            coordinator.start(waitsForLeadership: false) { error in #expect(error == nil) }
        }.get()
    }

    func stop() async throws {
        let stores = try await loop.submit { [self] in
            for node in nodes.value.values {
                node.coordinator.stop()
                node.coordinator.machine.replica.stop()
                node.coordinator.machine.replica.log.close()
                node.host.stop()
            }
            defer { nodes.value = [:] }
            return nodes.value.values.map(\.store)
        }.get()
        for store in stores { store.close() }
        try await loops.shutdownGracefully()
    }

    func on<Value: Sendable>(
        _ node: NodeID, _ body: @escaping @Sendable (GroupCoordinator) -> Value
    ) async throws -> Value {
        try await loop.submit { [self] in body(try #require(nodes.value[node]).coordinator) }.get()
    }

    /// The broker that serves groups, once there is one among `candidates`.
    func leader(among candidates: [NodeID]) async throws -> NodeID {
        for _ in 0..<6000 {
            for node in candidates where try await on(node, { $0.table != nil }) { return node }
            // Elections and replication run on the brokers' own clocks, and no event leaves them: they are asked again.
            try await Task.sleep(for: .milliseconds(5))
        }
        throw CancellationError()
    }

    /// The broker that serves groups, once the others have told a client that they do not.
    ///
    /// On a machine that stands still for longer than an election takes, another one may lead by the time they are asked.
    func onlyCoordinator() async throws -> NodeID {
        for _ in 0..<3000 {
            let first = try await leader(among: members)
            var refusals = 0
            for node in members where node != first {
                if try await join("nobody", at: node).error == .notCoordinator { refusals += 1 }
            }
            if refusals == members.count - 1, try await on(first, { $0.table != nil }) { return first }
            // They hear of the leader on their own clocks, and no event leaves them: they are asked again.
            try await Task.sleep(for: .milliseconds(5))
        }
        throw CancellationError()
    }

    // MARK: Clients

    func join(_ member: String, at node: NodeID) async throws -> JoinResult {
        await withCheckedContinuation { done in
            loop.execute { [self] in
                _ = nodes.value[node]?.coordinator.join(
                    group: "g", memberID: member,
                    { entropy in
                        GroupJoin(
                            memberID: member, instanceID: nil, clientID: "c", clientHost: "/h",
                            sessionTimeoutMilliseconds: 30_000, rebalanceTimeoutMilliseconds: 60_000,
                            protocolType: "consumer", protocols: [GroupProtocol(name: "range", metadata: [1])],
                            requiresKnownMemberID: false, entropy: entropy)
                    }, then: { done.resume(returning: $0) })
            }
        }
    }

    func sync(_ member: String, _ generation: Int32, at node: NodeID) async throws -> SyncResult {
        await withCheckedContinuation { done in
            loop.execute { [self] in
                let request = GroupSync(
                    memberID: member, instanceID: nil, generation: generation, protocolType: "consumer",
                    protocolName: "range", assignments: [.init(memberID: member, assignment: [9, 9])])
                _ = nodes.value[node]?.coordinator.sync(group: "g", request) { done.resume(returning: $0) }
            }
        }
    }

    func consume(
        _ member: String, _ epoch: Int32, owned: [Int32]? = nil, at node: NodeID
    ) async throws -> ConsumerHeartbeatResult {
        await withCheckedContinuation { done in
            loop.execute { [self] in
                let isJoin = epoch == 0
                nodes.value[node]?.coordinator.consumerHeartbeat(
                    group: "k",
                    {
                        ConsumerHeartbeat(
                            memberID: member, epoch: epoch, rebalanceTimeoutMilliseconds: isJoin ? 60_000 : -1,
                            topicNames: isJoin ? ["t"] : nil,
                            owned: isJoin
                                ? PartitionSet()
                                : owned.map { PartitionSet([CoordinatorFailoverTests.topic: Set($0)]) },
                            clientID: "c", clientHost: "/h", entropy: $0)
                    }, then: { done.resume(returning: $0) })
            }
        }
    }

    func commit(
        _ offset: Int64, _ claim: MemberClaim, at node: NodeID
    ) async throws -> Result<[GroupError?], GroupError> {
        await withCheckedContinuation { done in
            loop.execute { [self] in
                let entry = OffsetCommitBatch.Entry(
                    partition: CoordinatorFailoverTests.partition, offset: offset, leaderEpoch: 1, metadata: "m")
                let commit = OffsetCommit(
                    group: "g", claim: claim, entries: [entry], retentionMilliseconds: nil, knowsGroupIDNotFound: false)
                nodes.value[node]?.coordinator.commit(commit) { done.resume(returning: $0) }
            }
        }
    }
}

@Suite struct CoordinatorFailoverTests {
    static let partition = TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 0))

    static let topic = TopicID(high: 8, low: 48)

    @Test func membersUnderTheConsumerProtocolKeepTheirEpochs() async throws {
        let cluster = try await CoordinatorCluster.start()
        let first = try await cluster.onlyCoordinator()
        let others = cluster.members.filter { $0 != first }
        #expect(try await cluster.consume("a", 0, at: first).get().assignment?.count == 4)
        #expect(try await cluster.consume("b", 0, at: first).get().epoch == 2)
        let asked = try await cluster.consume("a", 1, at: first).get()
        let kept = try #require(asked.assignment?.topics[Self.topic])
        #expect(asked.epoch == 1 && kept.count == 2)

        cluster.network.isolate(first)
        let second = try await cluster.leader(among: others)
        #expect(try await cluster.consume("b", 2, at: second).get().assignment == nil, "a has not given up yet")
        #expect(try await cluster.consume("a", 1, owned: Array(kept), at: second).get().epoch == 2)
        let given = try await cluster.consume("b", 2, at: second).get()
        #expect(given.epoch == 2 && given.assignment?.topics[Self.topic]?.isDisjoint(with: kept) == true)
        #expect(given.assignment?.count == 2)

        // The old one finds out that its word counts no more.
        let lost = try await cluster.consume("c", 0, at: first)
        #expect(lost.error == .notCoordinator)
        cluster.network.heal()
        #expect(try await cluster.consume("a", 2, at: second).get().epoch == 2)
        try await cluster.stop()
    }

    @Test func aMemberKeepsItsGenerationAndOffsets() async throws {
        let cluster = try await CoordinatorCluster.start()
        let first = try await cluster.onlyCoordinator()
        let others = cluster.members.filter { $0 != first }
        let joined = try await cluster.join("", at: first)
        #expect(joined.error == nil && joined.generation == 1)
        let member = joined.memberID
        let synced = try await cluster.sync(member, 1, at: first)
        #expect(synced.error == nil && synced.assignment == [9, 9])
        let claim = MemberClaim(memberID: member, instanceID: nil, generation: 1)
        #expect(try await cluster.commit(42, claim, at: first) == .success([nil]))

        cluster.network.isolate(first)
        let second = try await cluster.leader(among: others)
        #expect(try await cluster.on(second) { $0.heartbeat(group: "g", claim) } == nil, "no rebalance")
        let found = try await cluster.on(second) { $0.state.fetch(group: "g", Self.partition) }
        #expect(found.offset == 42 && found.metadata == "m")
        #expect(try await cluster.commit(43, claim, at: second) == .success([nil]))
        let described = try await cluster.on(second) { $0.describe(group: "g") }
        #expect(described?.members.map(\.id) == [member] && described?.members.first?.assignment == [9, 9])

        // The old one learns that it does not coordinate any more, and answers so.
        let lost = try await cluster.commit(44, claim, at: first)
        #expect(lost == .failure(.notCoordinator))
        cluster.network.heal()
        #expect(try await cluster.on(first) { $0.heartbeat(group: "g", claim) } == .notCoordinator)
        #expect(try await cluster.commit(45, claim, at: second) == .success([nil]))
        for _ in 0..<6000 {
            let seen = try await cluster.on(first) { $0.state.fetch(group: "g", Self.partition).offset }
            if seen == 45 { break }
            // Elections and replication run on the brokers' own clocks, and no event leaves them: they are asked again.
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(try await cluster.on(first) { $0.state.fetch(group: "g", Self.partition).offset } == 45)
        try await cluster.stop()
    }
}
