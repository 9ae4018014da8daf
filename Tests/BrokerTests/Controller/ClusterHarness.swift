// SPDX-License-Identifier: Apache-2.0
//
// ClusterHarness.swift
// Several brokers in one process: real stores and event loops, a network in memory, times a tenth of the usual ones.

import Foundation
import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import PeerTestSupport
import Records
import Replication
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Broker

/// A broker of the cluster while it runs.
final class ClusterBroker: Sendable {
    let node: NodeID
    let group: MultiThreadedEventLoopGroup
    let threads: NIOThreadPool
    let store: LogStore
    let broker: Broker

    init(
        node: NodeID, group: MultiThreadedEventLoopGroup, threads: NIOThreadPool, store: LogStore, broker: Broker
    ) {
        self.node = node
        self.group = group
        self.threads = threads
        self.store = store
        self.broker = broker
    }

    /// Runs `body` with the controller on its loop.
    func controller<Value: Sendable>(_ body: @escaping @Sendable (Controller) -> Value) async -> Value {
        await withCheckedContinuation { done in
            broker.withController { done.resume(returning: body($0)) }
        }
    }

    /// Asks the controller something that is answered later; nil is no refusal.
    func ask(
        _ body: @escaping @Sendable (Controller, @escaping Controller.Done) -> Void
    ) async -> AdminRefusal? {
        await withCheckedContinuation { done in
            broker.withController { controller in body(controller) { done.resume(returning: $0) } }
        }
    }
}

/// Brokers 1 to n, and those that are added.
final class ClusterHarness: Sendable {
    private let scratch: Scratch
    let network: InMemoryPeerNetwork
    private let wire: MultiThreadedEventLoopGroup
    private let brokers = Mutex<[NodeID: ClusterBroker]>([:])
    private let founders: [NodeID]

    private init(founders: [NodeID]) throws {
        self.founders = founders
        scratch = try Scratch(inMemory: true)
        wire = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        network = InMemoryPeerNetwork(loop: wire.next())
    }

    static func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }

    /// Forms a cluster of `count` brokers, of which one may not be there yet.
    static func start(_ count: Int32 = 3, without absent: NodeID? = nil) async throws -> ClusterHarness {
        let harness = try ClusterHarness(founders: (1...count).map { NodeID(rawValue: $0) })
        try await withThrowingTaskGroup { group in
            for node in harness.founders where node != absent { group.addTask { try await harness.start(node) } }
            try await group.waitForAll()
        }
        return harness
    }

    func stop() async throws {
        for node in brokers.withLock({ $0.keys.sorted() }) { try await stop(node) }
        try await wire.shutdownGracefully()
    }

    /// Starts a broker, and waits until it is registered and serves.
    func start(_ node: NodeID, joins: Bool = false) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        let resolved = try SettingsLoader.load(
            path: nil,
            commandLine: [
                ("node.id", "\(node)"), ("groups.initial_rebalance_delay", "0s"),
                ("topics.default_replication_factor", "\(founders.count)"),
            ])
        // With SHOW_LOGS set a test that fails tells what its brokers did.
        let isShown = ProcessInfo.processInfo.environment["SHOW_LOGS"] != nil
        let logger = Logger(label: "broker \(node)") { label in
            guard isShown else { return SwiftLogNoOpLogHandler() }
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .debug
            return handler
        }
        let registry = MetricRegistry()
        let store = try LogStore.openScratch(at: scratch.path("\(node)"), metrics: registry, logger: logger)
        let inbox = PeerInbox()
        let requests = PeerRequestTable()
        var hosting = GroupHostSettings()
        hosting.tickMilliseconds = 5
        let cluster = ClusterParts(
            link: network.join(node, events: inbox.events, requests: requests), requests: requests, inbox: inbox,
            founders: joins ? [] : founders, hosting: hosting)
        let parts = BrokerParts(
            settings: resolved, store: store,
            loops: group.makeIterator().map { $0 }, registry: registry, clock: .system,
            runBlocking: { body in threads.submit { state in if state == .active { body() } } },
            logger: { _ in logger }, onStorageFailure: { _ in }, cluster: cluster)
        let broker = try await withCheckedThrowingContinuation { done in
            Broker.start(parts) { result in done.resume(with: result.mapError { $0 as any Error }) }
        }
        let running = ClusterBroker(node: node, group: group, threads: threads, store: store, broker: broker)
        brokers.withLock { $0[node] = running }
    }

    /// Stops a broker; `wiped` takes its disk with it.
    func stop(_ node: NodeID, gracefully: Bool = true, wiped: Bool = false) async throws {
        guard let running = brokers.withLock({ $0.removeValue(forKey: node) }) else { return }
        if !gracefully { network.leave(node) }
        await withCheckedContinuation { done in running.broker.stop { done.resume() } }
        network.leave(node)
        running.store.close()
        try await running.threads.shutdownGracefully()
        try await running.group.shutdownGracefully()
        if wiped { try FileManager.default.removeItem(atPath: scratch.path("\(node)")) }
    }

    subscript(id: Int32) -> ClusterBroker {
        get throws { try #require(brokers.withLock { $0[NodeID(rawValue: id)] }) }
    }

    var all: [ClusterBroker] { brokers.withLock { $0.values.sorted { $0.node < $1.node } } }

    // MARK: Waiting

    /// Waits until `condition` holds for the states of all running brokers; gives up after half a minute.
    func until(_ what: String, _ condition: @escaping @Sendable (Controller) -> Bool) async throws {
        try await untilAny(what) { cluster in
            for broker in cluster.all where await !broker.controller(condition) { return false }
            return true
        }
    }

    /// Waits until `condition` holds; gives up after half a minute.
    func untilAny(_ what: String, _ condition: (ClusterHarness) async throws -> Bool) async throws {
        let start = Clock.system.now()
        while Clock.system.now().milliseconds(since: start) < 30_000 {
            if try await condition(self) { return }
            // A condition may join several brokers' states, and no event says that it holds: it is looked at again.
            try await Task.sleep(for: .milliseconds(10))
        }
        var states: [String] = []
        for broker in all { states.append(await broker.controller { $0.summary }) }
        Issue.record("waited in vain: \(what)\n\(states.joined(separator: "\n"))")
    }

    /// The broker that leads the controller, once there is one.
    func leader() async throws -> ClusterBroker {
        var found: ClusterBroker?
        try await untilAny("a controller") { cluster in
            for broker in cluster.all where await broker.controller({ $0.isLeading }) { found = broker }
            return found != nil
        }
        return try #require(found)
    }

    /// Waits until every partition of a topic is led by its preferred replica, as every broker sees it.
    func untilPreferredLeaders(_ topic: String) async throws {
        try await until("preferred leaders of \(topic)") { controller in
            guard let record = controller.state.topic(named: topic) else { return false }
            return controller.partitionLeaders(of: topic).map(\.leader) == record.partitions.map(\.preferredLeader)
        }
    }

    // MARK: Clients

    func createTopic(_ name: String, partitions: Int32, factor: Int16 = 3) async throws {
        let leader = try await leader()
        try await untilAny("enough brokers") { _ in
            await leader.controller { $0.state.brokers.values.count(where: \.acceptsReplicas) >= Int(factor) }
        }
        let request = TopicRequest(name: name, partitionCount: partitions, replicationFactor: factor)
        let refusal = await leader.ask { controller, then in controller.create(request, then: then) }
        #expect(refusal == nil, "\(refusal?.message ?? "")")
    }

    /// Sends a request to a broker as a connection would, and decodes the answer.
    func call<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, at broker: ClusterBroker
    ) async throws -> Request.Response {
        var writer = WireWriter()
        request.encode(to: &writer, version: version)
        let body = writer.finishContiguous()
        let loop = broker.group.next()
        let header = RequestHeader(
            apiKey: Request.apiKey.rawValue, version: version, correlationID: 7, clientID: "test")
        let answer: ResponseBody? = await withCheckedContinuation { done in
            let answer = Answer(
                send: { done.resume(returning: $0) }, close: { _ in done.resume(returning: nil) },
                onDisconnect: { _ in })
            let call = Call(
                header: header, loop: loop,
                advertised: BrokerAddress(id: broker.node, host: "localhost", port: 9092), peer: "127.0.0.1",
                receivedAt: Clock.system.now(), answer: answer)
            loop.execute { broker.broker.handle(call, body: body) }
        }
        return try ResponseDecoder.decode(
            Request.Response.self, from: try #require(answer).contiguous(), version: version)
    }

    /// Produces one record to the leader of a partition, trying again while that moves; returns its offset.
    func produce(_ value: String, to topic: String, _ partition: Int32) async throws -> Int64 {
        var offset: Int64 = -1
        try await untilAny("a produced record") { cluster in
            guard let any = cluster.all.first else { return false }
            let known = await any.controller { $0.partitionLeaders(of: topic) }
            guard known.indices.contains(Int(partition)), let leader = known[Int(partition)].leader,
                let broker = cluster.brokers.withLock({ $0[leader] })
            else { return false }
            var builder = RecordBatchBuilder(producer: .none)
            builder.append(
                key: nil, value: ByteBuffer(string: value), timestamp: Clock.system.wallTime().milliseconds)
            let request = ProduceRequest(
                acks: -1, timeoutMilliseconds: 5_000,
                topics: [.init(name: topic, partitions: [.init(index: partition, records: try builder.build())])])
            let answer = try await cluster.call(request, version: 8, at: broker).topics[0].partitions[0]
            guard answer.errorCode == .none else { return false }
            offset = answer.baseOffset
            return true
        }
        return offset
    }
}

extension Controller {
    /// What a test that waits in vain should tell.
    fileprivate var summary: String {
        let brokers = state.brokers.values.sorted { $0.id < $1.id }.map { "\($0.id) \($0.state.rawValue)" }
        let partitions = state.locations.keys.sorted().compactMap { state.partition($0) }.map { partition in
            let leader = member?.context.leaders()[partition.group]?.leader
            return "\(partition.group) \(partition.replicas) led by \(leader.map { "\($0)" } ?? "nobody")"
                + " rejoining \(partition.rejoining) \(partition.reassignment.map { "\($0)" } ?? "")"
        }
        return "broker \(node)\(isLeading ? " leads" : "") at \(state.lastOperation), members "
            + "\(machine.replica.configuration): \(brokers)\n  \(partitions.joined(separator: "\n  "))"
    }
}
