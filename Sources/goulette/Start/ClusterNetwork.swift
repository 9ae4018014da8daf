// SPDX-License-Identifier: Apache-2.0
//
// ClusterNetwork.swift
// What connects a broker with the others: the transport, discovery, and what they are told of addresses.

import Admin
import Broker
import Discovery
import Logging
import Model
import NIOCore
import NIOPosix
import Raft
import Replication
import Settings
import Synchronization
import Telemetry
import Terminal

/// The network of a broker that is one of several.
final class ClusterNetwork: Sendable {
    /// Tells this process from earlier ones of the same broker.
    let incarnation = UInt64.random(in: 1 ... .max)
    let inbox = PeerInbox()
    let requests: PeerRequestTable
    private let cluster: BrokerSettings.Cluster
    private let transport: PeerTransport
    private let discovery: Discovery
    private let peers: PeerBook
    /// How long a start waits for the directory of brokers.
    private static let patience = TimeAmount.seconds(5)
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(
        _ settings: BrokerSettings, _ cluster: BrokerSettings.Cluster, loops: MultiThreadedEventLoopGroup,
        registry: MetricRegistry, logs: LogSystem
    ) {
        self.cluster = cluster
        requests = PeerRequestTable(metrics: registry)
        let transport = PeerTransport(
            settings: PeerTransportSettings(settings, cluster, incarnation: incarnation), group: loops,
            requests: requests, metrics: registry, logger: logs.logger("goulette.peers"))
        self.transport = transport
        let peers = PeerBook(transport)
        discovery = Discovery(
            node: settings.node.id, cluster: cluster, loop: loops.next(), metrics: registry,
            logger: logs.logger("goulette.discovery")
        ) { found in
            var addresses: [NodeID: NetworkAddress] = [:]
            for peer in found { addresses[peer.id] = peer.address }
            peers.found(addresses)
        }
        self.peers = peers
    }

    /// What the broker is told.
    func parts(_ startup: Startup) -> ClusterParts {
        ClusterParts(
            link: transport, requests: requests, inbox: inbox,
            founders: cluster.joins ? [] : cluster.peers.map(\.id), hosting: GroupHostSettings(cluster),
            incarnation: incarnation,
            know: { [peers] id, endpoint in
                peers.registered(id, at: NetworkAddress(host: endpoint.host, port: Int(endpoint.port)))
            }, entered: { startup.finish(.membership) })
    }

    /// Listens for other brokers, and begins to look for them.
    func start(_ startup: Startup) async throws {
        do {
            let port = try await transport.start(events: inbox.events)
            startup.logger.info(
                "Listening for brokers", metadata: ["listen": "\(cluster.peerListen)", "port": "\(port)"])
        } catch {
            throw StartFailure(
                Failure(
                    "Cannot take part in the cluster", place: "\(error)",
                    advice: "Correct listeners.peer or the section cluster.", exitCode: .failed))
        }
        task.withLock { $0 = Task { [discovery] in await discovery.run() } }
        // A directory that is away must not keep a broker from starting: the configuration may say enough.
        let isReady = await discovery.waitUntilReady(atMost: Self.patience)
        if !isReady { startup.logger.warning("Starting without an answer of the directory of brokers") }
        startup.finish(.discovery)
        startup.finish(.registration)
    }

    /// Only brokers of this cluster are spoken to from now on.
    func belongs(to clusterID: String) { transport.setClusterID(clusterID) }

    /// Leaves the directory of brokers and closes every connection.
    func stop() async {
        discovery.stop()
        await task.withLock { $0 }?.value
        await transport.stop()
    }
}

/// The addresses the transport uses.
///
/// A broker is looked for where it registered with the controller, and where the configuration or the directory says: the
/// newest word first. What is registered is only corrected through a controller that is reachable, so it must not hide the
/// others when all brokers have moved.
private final class PeerBook: Sendable {
    private struct Entry: Equatable {
        var found: Replication.PeerAddress?
        var registered: Replication.PeerAddress?
        var registeredLast = false

        var addresses: [Replication.PeerAddress] {
            let known = (registeredLast ? [registered, found] : [found, registered]).compactMap(\.self)
            return found == registered ? Array(known.prefix(1)) : known
        }
    }

    private let transport: PeerTransport
    private let entries = Mutex<[NodeID: Entry]>([:])

    init(_ transport: PeerTransport) { self.transport = transport }

    /// The configuration or the directory names addresses.
    func found(_ addresses: [NodeID: NetworkAddress]) {
        learn(addresses) { entry, address in
            entry.found = address
            entry.registeredLast = false
        }
    }

    /// The controller names an address.
    func registered(_ id: NodeID, at address: NetworkAddress) {
        learn([id: address]) { entry, address in
            entry.registered = address
            entry.registeredLast = true
        }
    }

    private func learn(
        _ addresses: [NodeID: NetworkAddress], _ note: (inout Entry, Replication.PeerAddress) -> Void
    ) {
        entries.withLock { entries in
            let before = entries
            for (id, address) in addresses where id != transport.node {
                note(&entries[id, default: Entry()], .init(host: address.host, port: address.port))
            }
            // Under the lock: the transport must not be told an older list after a newer one.
            if entries != before { transport.setPeers(entries.mapValues(\.addresses)) }
        }
    }
}

extension PeerTransportSettings {
    init(_ settings: BrokerSettings, _ cluster: BrokerSettings.Cluster, incarnation: UInt64) {
        self.init(
            node: settings.node.id, incarnation: incarnation, clusterID: settings.node.clusterID ?? "",
            listen: .init(host: cluster.peerListen.host, port: cluster.peerListen.port))
        advertised = .init(host: cluster.peerAdvertised.host, port: cluster.peerAdvertised.port)
        tls = cluster.tls.map {
            PeerTLS(certificateFile: $0.certificate, keyFile: $0.key, trustRootsFile: $0.authorities)
        }
        let allowed = cluster.peerAllowlist
        if !allowed.isEmpty { accepts = { address in allowed.contains { $0.contains(address) } } }
        // A broker that comes back should be spoken to before an election would have helped.
        reconnectDelay = .milliseconds(50)...max(.milliseconds(200), cluster.electionTimeout)
    }
}

extension GroupHostSettings {
    init(_ cluster: BrokerSettings.Cluster) {
        self.init()
        func ticks(_ duration: Duration) -> Int {
            max(1, Int((duration.wholeMilliseconds + Int64(tickMilliseconds) / 2) / Int64(tickMilliseconds)))
        }
        raft.heartbeatTicks = ticks(cluster.heartbeatInterval)
        raft.electionTicks = max(raft.heartbeatTicks + 1, ticks(cluster.electionTimeout))
        raft.transferBlockTicks = raft.electionTicks
        raft.transferPrepareTicks = 10 * raft.electionTicks
        recovery.groupsMax = cluster.recoveryConcurrency
        recovery.bytesPerSecond = cluster.recoveryRate?.bytes ?? 1 << 40
    }
}
