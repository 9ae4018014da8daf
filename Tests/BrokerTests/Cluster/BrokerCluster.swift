// SPDX-License-Identifier: Apache-2.0
//
// BrokerCluster.swift
// Three brokers in one process: real stores, real event loops, the real transport on loopback.

import KafkaProtocol
import LogStore
import Model
import NIOCore
import NIOPosix
import Records
import Replication
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Broker

/// One broker of a ``BrokerCluster``.
struct ClusterNode: Sendable {
    let harness: BrokerHarness
    let transport: PeerTransport
}

/// A cluster whose brokers answer requests as bytes.
final class BrokerCluster: Sendable {
    let members = (Int32(1)...3).map { NodeID(rawValue: $0) }
    private let nodes = Mutex<[NodeID: ClusterNode]>([:])

    /// The network of a broker, before there is a broker.
    private struct Network: Sendable {
        let transport: PeerTransport
        let inbox: PeerInbox
        let requests: PeerRequestTable
        let loops: MultiThreadedEventLoopGroup
        let incarnation: UInt64
        let port: Int
    }

    /// Starts three brokers whose elections take about a second, and waits until all of them serve.
    static func start() async throws -> BrokerCluster {
        let cluster = BrokerCluster()
        var networks: [NodeID: Network] = [:]
        for node in cluster.members { networks[node] = try await startNetwork(node) }
        let addresses = networks.mapValues { Replication.PeerAddress(host: "127.0.0.1", port: $0.port) }
        for (node, network) in networks {
            network.transport.setPeers(addresses.filter { $0.key != node }.mapValues { [$0] })
        }
        try await withThrowingTaskGroup { group in
            for (node, network) in networks {
                group.addTask { try await cluster.start(node, network) }
            }
            try await group.waitForAll()
        }
        return cluster
    }

    private static func startNetwork(_ node: NodeID) async throws -> Network {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let inbox = PeerInbox()
        let requests = PeerRequestTable()
        let incarnation = UInt64.random(in: 1...UInt64.max)
        let transport = PeerTransport(
            settings: PeerTransportSettings(
                node: node, incarnation: incarnation, listen: .init(host: "127.0.0.1", port: 0)),
            group: loops, requests: requests, metrics: MetricRegistry(),
            logger: .silent)
        let port = try await transport.start(events: inbox.events)
        return Network(
            transport: transport, inbox: inbox, requests: requests, loops: loops, incarnation: incarnation, port: port)
    }

    private func start(_ node: NodeID, _ network: Network) async throws {
        var hosting = GroupHostSettings()
        hosting.tickMilliseconds = 25
        let parts = ClusterParts(
            link: network.transport, requests: network.requests, inbox: network.inbox, founders: members,
            hosting: hosting, incarnation: network.incarnation)
        let harness = try await BrokerHarness.start(
            options: [("node.id", "\(node)")], on: network.loops, cluster: parts)
        nodes.withLock { $0[node] = ClusterNode(harness: harness, transport: network.transport) }
    }

    /// The brokers that run.
    var running: [NodeID] { nodes.withLock { $0.keys.sorted() } }

    subscript(node: NodeID) -> BrokerHarness {
        guard let found = nodes.withLock({ $0[node] }) else { preconditionFailure("broker \(node) does not run") }
        return found.harness
    }

    /// Stops a broker; as SIGTERM does, or as one that is cut off and ends.
    func stop(_ node: NodeID, gracefully: Bool) async throws {
        guard let stopped = nodes.withLock({ $0.removeValue(forKey: node) }) else { return }
        if !gracefully { await stopped.transport.stop() }
        try await stopped.harness.stop { if gracefully { await stopped.transport.stop() } }
    }

    func stop() async throws {
        for node in running { try await stop(node, gracefully: false) }
    }

    // MARK: Clients

    /// Calls until `done` likes the answer, from broker to broker, for half a minute.
    func eventually<Request: KafkaRequestMessage>(
        _ what: String, _ request: Request, version: Int16, done: (Request.Response) -> Bool
    ) async throws -> Request.Response {
        for attempt in 0..<1500 {
            let node = running[attempt % running.count]
            let answer = try await self[node].call(request, version: version)
            if done(answer) { return answer }
            // Kafka's protocol tells a client nothing by itself: what another broker has learned can only be asked again.
            try await Task.sleep(for: .milliseconds(20))
        }
        throw BrokerHarness.Closed(description: "in vain: \(what)")
    }

    /// The leader of each partition of a topic, once all have one that is asked of every broker.
    func leaders(of topic: String) async throws -> [NodeID] {
        let answer = try await eventually("leaders", MetadataRequest(topics: [.init(name: topic)]), version: 8) {
            let partitions = $0.topics.first?.partitions ?? []
            return !partitions.isEmpty
                && partitions.allSatisfy { $0.errorCode == .none && running.map(\.rawValue).contains($0.leaderID) }
        }
        return answer.topics[0].partitions.sorted { $0.index < $1.index }.map { NodeID(rawValue: $0.leaderID) }
    }

    /// Produces as a client does: asks for the leader, and tries again while the error says so.
    func produce(
        _ values: [String], to topic: String, partition: Int32, producer: ProducerFields
    ) async throws -> ProduceResponse.Partition {
        for _ in 0..<500 {
            let leader = try await leaders(of: topic)[Int(partition)]
            guard running.contains(leader) else { continue }
            let answer = try await self[leader].produce(values, to: topic, partition: partition, producer: producer)
            if !answer.errorCode.isRetriable { return answer }
            // Kafka's protocol tells a client nothing by itself: what another broker has learned can only be asked again.
            try await Task.sleep(for: .milliseconds(20))
        }
        throw BrokerHarness.Closed(description: "nobody takes records of \(topic) \(partition)")
    }
}
