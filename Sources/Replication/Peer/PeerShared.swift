// SPDX-License-Identifier: Apache-2.0
//
// PeerShared.swift
// What all connections of a transport share, on every loop.

internal import Logging
internal import Model
internal import NIOCore
internal import Synchronization
internal import Telemetry

/// Settings, receivers, who is a member, and which connections stand.
final class PeerShared: Sendable {
    /// A connection whose introductions are made.
    struct Connected: Sendable {
        let channel: any Channel
        let remote: PeerIdentity
    }

    /// What only one connection may be at a time.
    private struct InboundKey: Hashable {
        let node: NodeID
        let lane: PeerLane
    }

    private struct State {
        var clusterID: String
        var members: Set<NodeID> = []
        var address: PeerAddress
        /// Every channel that others opened, introduced or not.
        var accepted: [ObjectIdentifier: any Channel] = [:]
        var inbound: [InboundKey: Connected] = [:]
        var outbound: [ObjectIdentifier: Connected] = [:]
    }

    let settings: PeerTransportSettings
    let limits: PeerSession.Limits
    let requests: PeerRequestTable
    let events: PeerEvents
    let metrics: PeerMetrics
    let logger: Logger
    let security: PeerSecurity?
    private let state: Mutex<State>

    init(
        settings: PeerTransportSettings, requests: PeerRequestTable, events: PeerEvents, metrics: PeerMetrics,
        logger: Logger, security: PeerSecurity?
    ) {
        self.settings = settings
        self.limits = PeerSession.Limits(settings)
        self.requests = requests
        self.events = events
        self.metrics = metrics
        self.logger = logger
        self.security = security
        self.state = Mutex(
            State(clusterID: settings.clusterID, address: settings.advertised ?? settings.listen))
    }

    // MARK: Identity

    /// How this broker introduces itself.
    var identity: PeerIdentity {
        PeerIdentity(
            clusterID: state.withLock { $0.clusterID }, node: settings.node, incarnation: settings.incarnation)
    }

    /// Where others reach this broker.
    var address: PeerAddress { state.withLock { $0.address } }

    /// The listener has its port.
    func listens(on port: Int) {
        state.withLock { if $0.address.port == 0 { $0.address.port = port } }
    }

    /// The cluster's id is known now; returns the connections to brokers of another cluster.
    func setClusterID(_ clusterID: String) -> [any Channel] {
        state.withLock { state in
            state.clusterID = clusterID
            let all = Array(state.inbound.values) + Array(state.outbound.values)
            return all.filter { !$0.remote.clusterID.isEmpty && $0.remote.clusterID != clusterID }.map(\.channel)
        }
    }

    // MARK: Members

    func isMember(_ node: NodeID) -> Bool { state.withLock { $0.members.contains(node) } }

    func setMembers(_ members: Set<NodeID>) { state.withLock { $0.members = members } }

    // MARK: Connections

    /// Counts a channel that another broker opened; false when there are too many.
    func accept(_ channel: any Channel) -> Bool {
        state.withLock { state in
            guard state.accepted.count < settings.inboundConnectionsMax else { return false }
            state.accepted[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    /// Remembers a connection; returns the one whose place it takes.
    func established(_ connected: Connected, on lane: PeerLane, isInbound: Bool) -> Connected? {
        state.withLock { state in
            guard isInbound else {
                state.outbound[ObjectIdentifier(connected.channel)] = connected
                return nil
            }
            return state.inbound.updateValue(connected, forKey: InboundKey(node: connected.remote.node, lane: lane))
        }
    }

    /// Forgets a connection.
    func closed(_ channel: any Channel, remote: NodeID?, on lane: PeerLane?) {
        let id = ObjectIdentifier(channel)
        state.withLock { state in
            state.accepted[id] = nil
            state.outbound[id] = nil
            guard let remote, let lane else { return }
            let key = InboundKey(node: remote, lane: lane)
            if let known = state.inbound[key], ObjectIdentifier(known.channel) == id { state.inbound[key] = nil }
        }
    }

    /// The channels that others opened.
    var acceptedChannels: [any Channel] { state.withLock { Array($0.accepted.values) } }
}
