// SPDX-License-Identifier: Apache-2.0
//
// PartitionCluster.swift
// One partition with a replica on each of three brokers: real stores, one event loop, a network in memory.

import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import PeerTestSupport
import Raft
import Records
import Replication
import Settings
import Telemetry
import TestSupport
import Testing

@testable import Broker

/// A broker as far as one partition needs it; confined to the loop of the cluster.
final class PartitionNode {
    let id: NodeID
    let store: LogStore
    let shard: Shard
    let board: LeaderBoard
    var partition: Partition
    /// High watermarks as they were seen, to find one that went back.
    var watermarks: [Offset] = []

    init(id: NodeID, store: LogStore, shard: Shard, board: LeaderBoard, partition: Partition) {
        self.id = id
        self.store = store
        self.shard = shard
        self.board = board
        self.partition = partition
    }
}

final class PartitionCluster: Sendable {
    static let group = GroupID(rawValue: 1024)

    private let scratch: Scratch
    let loops: MultiThreadedEventLoopGroup
    private let validators = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop: any EventLoop
    let network: InMemoryPeerNetwork
    private let nodes: NIOLoopBoundBox<[NodeID: PartitionNode]>
    let members: [NodeID]

    private init(members: [NodeID]) throws {
        self.members = members
        scratch = try Scratch(inMemory: true)
        loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        loop = loops.next()
        network = InMemoryPeerNetwork(loop: loop)
        nodes = .makeBoxSendingValue([:], eventLoop: loop)
    }

    /// Starts three brokers; elections take some tenths of a second.
    static func start(configuration overrides: [String: String] = [:]) async throws -> PartitionCluster {
        let cluster = try PartitionCluster(members: (Int32(1)...3).map { NodeID(rawValue: $0) })
        for node in cluster.members { try await cluster.startNode(node, overrides) }
        return cluster
    }

    func stop() async throws {
        let stores = try await onLoop { cluster in
            let nodes = cluster.nodes.value
            for node in nodes.values { node.shard.stopAll {} }
            cluster.nodes.value = [:]
            return nodes.values.map(\.store)
        }
        for store in stores { store.close() }
        try await validators.shutdownGracefully()
        try await loops.shutdownGracefully()
    }

    private func startNode(_ id: NodeID, _ overrides: [String: String]) async throws {
        let logger = Logger.silent
        let registry = MetricRegistry()
        let store = try LogStore.openScratch(at: scratch.path("\(id)"), metrics: registry)
        let recovered = try store.recoverPartition(Self.group)
        let settings = ResolvedSettings.defaults.typed()
        let configuration = try TopicConfiguration(overrides: overrides, defaults: settings.topicDefaults)
        let inbox = PeerInbox()
        let link = network.join(id, events: inbox.events)
        let metrics = BrokerMetrics(registry: registry, seriesMax: 100)
        try await loop.submit { [self] in
            var hosting = GroupHostSettings()
            hosting.tickMilliseconds = 10
            let host = GroupHost(node: id, loop: loop, link: link, settings: hosting, logger: logger)
            host.start()
            let image = ClusterImage(clusterID: "c", node: id, controller: nil, topics: [:])
            let shard = Shard(
                number: 0, loop: loop, clock: .system, image: image, settings: CurrentSettings(.defaults),
                validator: BatchValidator(loops: validators.makeIterator().map { $0 }, waiting: Gauge()), host: host)
            let bound = NIOLoopBound(shard, eventLoop: loop)
            let hosts = GroupHosts([NIOLoopBound(host, eventLoop: loop)], loops: [loop])
            let shards = ShardDirectory([bound], loops: [loop], hosts: hosts)
            let board = LeaderBoard(node: id, shards: shards)
            board.start(on: loop)
            inbox.bind(
                PeerInbox.Receiver(
                    messages: { peer, messages in shards.receive(messages, from: peer) }, leaders: { _, _ in },
                    peer: { _, _ in }))
            let log = store.partitionLog(recovered, owner: CompletionOwner(eventLoop: loop))
            let replay = ProducerReplay(log, settings: ProducerStateTable.Settings(), now: Clock.system.wallTime())
            let replica = shard.makeReplica(
                node: id, log: log, configuration: Raft.Configuration(voters: members))
            let handle = PartitionHandle(
                topic: "t", index: PartitionIndex(rawValue: 0), group: Self.group, shard: 0)
            let limits = BatchController.Limits(bytesMax: 1 << 20, batchesMax: 1000, waitMax: 1_000_000)
            let partition = Partition(
                handle: handle, replica: replica, log: log, producers: replay, configuration: configuration,
                environment: shard.environment(node: id, batchLimits: limits, metrics: metrics, logger: logger))
            shard.add(partition)
            nodes.value[id] = PartitionNode(id: id, store: store, shard: shard, board: board, partition: partition)
            partition.start()
        }.get()
    }

    // MARK: Looking

    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (PartitionCluster) throws -> Value) async throws -> Value {
        try await loop.submit { try body(self) }.get()
    }

    func on<Value: Sendable>(_ node: NodeID, _ body: @escaping @Sendable (PartitionNode) -> Value) async throws -> Value
    {
        try await loop.submit { [self] in
            let node = try #require(nodes.value[node])
            return body(node)
        }.get()
    }

    /// Waits until `condition` holds; looks every few milliseconds, and gives up after half a minute.
    func until(
        _ what: String, _ condition: @escaping @Sendable ([NodeID: PartitionNode]) -> Bool
    ) async throws {
        for _ in 0..<6000 {
            let holds = try await onLoop { cluster in
                for node in cluster.nodes.value.values { node.watermarks.append(node.partition.highWatermark) }
                return condition(cluster.nodes.value)
            }
            if holds { return }
            // A condition may join several replicas' states, and no event says that it holds: it is looked at again.
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("waited in vain: \(what)")
    }

    /// The leader that serves, once there is one among `candidates`.
    func leader(among candidates: [NodeID]? = nil) async throws -> NodeID {
        let candidates = candidates ?? members
        try await until("a leader among \(candidates)") { nodes in
            candidates.contains { nodes[$0]?.partition.produceRefusal == nil }
        }
        return try await onLoop { cluster in
            try #require(candidates.first { cluster.nodes.value[$0]?.partition.produceRefusal == nil })
        }
    }

    func others(than node: NodeID) -> [NodeID] { members.filter { $0 != node } }

    /// Waits until all replicas hold the same and know it, and checks what was seen meanwhile.
    func settle() async throws {
        try await until("equal replicas") { nodes in
            let ends = Set(nodes.values.map(\.partition.endOffset))
            let watermarks = Set(nodes.values.map(\.partition.highWatermark))
            return ends.count == 1 && watermarks == ends && nodes.values.allSatisfy { !$0.partition.isReplaying }
        }
        try await onLoop { cluster in
            for node in cluster.nodes.value.values {
                #expect(node.watermarks == node.watermarks.sorted(), "a high watermark of \(node.id) went back")
                #expect(node.partition.handle.highWatermark == node.partition.highWatermark)
            }
            let tables = cluster.nodes.value.values.map { $0.partition.producers.encodeSnapshotForTests() }
            #expect(Set(tables).count == 1, "producers' state differs")
        }
    }

    // MARK: Clients

    func produce(
        _ values: [String], at node: NodeID, producer: ProducerFields = .none, transaction: String? = nil,
        acks: Int16 = -1, version: Int16 = 8, timeout milliseconds: Int64 = 20_000
    ) async throws -> ProduceOutcome {
        var builder = RecordBatchBuilder(producer: producer, isTransactional: transaction != nil)
        let now = Clock.system.wallTime()
        for value in values {
            builder.append(key: nil, value: ByteBuffer(string: value), timestamp: now.milliseconds)
        }
        let records = try builder.build()
        return await withCheckedContinuation { done in
            let pending = PendingProduce(count: 1) { done.resume(returning: $0[0]) }
            let received = Clock.system.now()
            let call = ProduceCall(
                records: records, acks: acks, version: version, receivedAt: received, wallTime: now,
                deadline: received.advanced(byMilliseconds: milliseconds), request: pending, slot: 0,
                transactionalID: transaction)
            loop.execute { [self] in
                guard let node = nodes.value[node] else { return pending.complete(0, .failure(.brokerNotAvailable)) }
                node.partition.produce(call, context: node.shard.compression)
            }
        }
    }

    /// Sends one batch for each of `producers` in one turn of the loop, all but the last with `acks=1`; the answers of
    /// those that wait for a majority.
    func produceTogether(_ producers: [ProducerFields], at node: NodeID) async throws -> [ProduceOutcome] {
        let now = Clock.system.wallTime()
        let received = Clock.system.now()
        let batches = try producers.map { producer in
            var builder = RecordBatchBuilder(producer: producer)
            builder.append(key: nil, value: ByteBuffer(string: "lost"), timestamp: now.milliseconds)
            return try builder.build()
        }
        return await withCheckedContinuation { done in
            loop.execute { [self] in
                let last = PendingProduce(count: 1) { done.resume(returning: $0) }
                for (number, records) in batches.enumerated() {
                    let isLast = number == batches.count - 1
                    let call = ProduceCall(
                        records: records, acks: isLast ? -1 : 1, version: 8, receivedAt: received, wallTime: now,
                        deadline: received.advanced(byMilliseconds: 20_000),
                        request: isLast ? last : PendingProduce(count: 1) { _ in }, slot: 0)
                    nodes.value[node]?.partition.produce(call, context: CompressionContext())
                }
            }
        }
    }

    /// Has `node` hand over to `target`, and sends batches while it does, each when the one before was answered.
    func produceWhileHandingOver(
        _ producers: [ProducerFields], from node: NodeID, to target: NodeID
    ) async throws -> [KafkaErrorCode] {
        let now = Clock.system.wallTime()
        let batches = try producers.map { producer in
            var builder = RecordBatchBuilder(producer: producer)
            builder.append(key: nil, value: ByteBuffer(string: "refused"), timestamp: now.milliseconds)
            return try builder.build()
        }
        return await withCheckedContinuation { done in
            loop.execute { [self] in
                nodes.value[node]?.partition.replica.transferLeadership(to: target) { _ in }
                send(batches[...], to: node, at: now, answers: []) { done.resume(returning: $0) }
            }
        }
    }

    private func send(
        _ batches: ArraySlice<ByteBuffer>, to node: NodeID, at now: WallTime, answers: [KafkaErrorCode],
        then: @escaping @Sendable ([KafkaErrorCode]) -> Void
    ) {
        guard let records = batches.first else { return then(answers) }
        let received = Clock.system.now()
        let answer = PendingProduce(count: 1) { [self] outcomes in
            loop.execute { [self] in
                send(batches.dropFirst(), to: node, at: now, answers: answers + [outcomes[0].error], then: then)
            }
        }
        nodes.value[node]?.partition.produce(
            ProduceCall(
                records: records, acks: -1, version: 8, receivedAt: received, wallTime: now,
                deadline: received.advanced(byMilliseconds: 20_000), request: answer, slot: 0),
            context: CompressionContext())
    }

    func deleteRecords(before offset: Int64, at node: NodeID) async -> (KafkaErrorCode, Int64) {
        await withCheckedContinuation { done in
            loop.execute { [self] in
                nodes.value[node]?.partition.deleteRecords(before: offset) { done.resume(returning: ($0, $1)) }
            }
        }
    }

    /// Ends a transaction at `node`; the answer comes when the marker is committed.
    func end(_ marker: TransactionMarker, at node: NodeID) async -> KafkaErrorCode {
        await withCheckedContinuation { done in
            loop.execute { [self] in
                guard let node = nodes.value[node] else { return done.resume(returning: .brokerNotAvailable) }
                node.partition.endTransaction(marker) { done.resume(returning: $0) }
            }
        }
    }

    /// Runs `body` with the partition of `node`; on the cluster's loop.
    func withPartition(_ node: NodeID, _ body: (Partition?) -> Void) { body(nodes.value[node]?.partition) }

    /// Has every broker ask `verifier` about transactions.
    func verify(with verifier: TransactionVerifier?) async throws {
        try await onLoop { cluster in
            for node in cluster.nodes.value.values { node.shard.transactionVerifier = verifier }
        }
    }

    func fetch(
        from offset: Int64, at node: NodeID, epoch: Int32 = -1, rack: [NodeID]? = nil,
        isolation: IsolationLevel = .readUncommitted
    ) async throws -> FetchResult {
        let call = FetchCall(
            offset: Offset(offset), bytesMax: 1 << 20, currentLeaderEpoch: epoch, lastFetchedEpoch: -1,
            rackNodes: rack, isolation: isolation)
        return await withCheckedContinuation { done in
            loop.execute { [self] in
                guard let node = nodes.value[node] else { return done.resume(returning: FetchResult()) }
                node.partition.fetch(call) { done.resume(returning: $0) }
            }
        }
    }

    /// The values from the start of the log, as a consumer of `node` sees them.
    func values(at node: NodeID) async throws -> [String] {
        let answer = try await fetch(from: 0, at: node, rack: [node])
        #expect(answer.error == .none)
        var values: [String] = []
        var cursor = RecordBatchCursor(RecordSlices(answer.records).contiguous())
        while let batch = try cursor.next() {
            for record in try batch.allRecords() { values.append(record.value.map { String(buffer: $0) } ?? "") }
        }
        return values
    }
}

extension ProducerStateTable {
    /// The state without the times at which producers were seen, which replicas need not agree on.
    func encodeSnapshotForTests() -> [String] {
        let known = producers.sorted { $0.key < $1.key }.map { id, entry in
            let batches = (0..<entry.count).map { entry[$0] }
            let open = transactions.open[id].map { "open from \($0.firstOffset)" } ?? "idle"
            return "\(id) \(entry.epoch) \(entry.coordinatorEpoch) \(open) \(batches)"
        }
        return known + Array(transactions.aborted).map { "\($0)" }
    }
}
