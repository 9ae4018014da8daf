// SPDX-License-Identifier: Apache-2.0
//
// PeerTransport.swift
// The network between brokers: two connections to each peer for what this broker sends, a listener for what others send.

public import Logging
public import Model
public import NIOCore
internal import Synchronization
public import Telemetry

/// Sends to other brokers and receives from them.
///
/// Each peer is dialed on two lanes: `control` for votes, heartbeats, answers, who leads and requests, and `bulk` for
/// entries and pieces of snapshots, so that bulk never delays a heartbeat. An answer to a request comes back on the
/// connection it was asked on. See docs/PEER-PROTOCOL.md.
///
/// Memory: what waits for a peer is bounded by the outboxes of its lanes; what exceeds them is dropped and counted.
public final class PeerTransport: PeerLink {
    private struct Lanes: Sendable {
        let control: PeerDialer
        let bulk: PeerDialer

        var all: [PeerDialer] { [control, bulk] }
    }

    private enum Phase {
        case idle
        case running(PeerShared, listener: (any Channel)?)
        case stopped
    }

    private struct State {
        var phase = Phase.idle
        var clusterID: String
        var peers: [NodeID: [PeerAddress]] = [:]
        var lanes: [NodeID: Lanes] = [:]
    }

    /// This broker.
    public let node: NodeID
    private let settings: PeerTransportSettings
    private let group: any EventLoopGroup
    private let requests: PeerRequestTable
    private let metrics: PeerMetrics
    private let logger: Logger
    private let state: Mutex<State>

    /// Makes a transport whose connections live on `group`, and which serves the requests of `requests`.
    public init(
        settings: PeerTransportSettings, group: any EventLoopGroup, requests: PeerRequestTable, metrics: MetricRegistry,
        logger: Logger
    ) {
        self.node = settings.node
        self.settings = settings
        self.group = group
        self.requests = requests
        self.metrics = PeerMetrics(metrics)
        self.logger = logger
        self.state = Mutex(State(clusterID: settings.clusterID))
    }

    // MARK: - Life

    /// Listens, and dials the peers; returns the port that is listened on.
    public func start(events: PeerEvents) async throws(PeerTransportError) -> Int {
        let security: PeerSecurity?
        if let tls = settings.tls { security = try PeerSecurity(tls) } else { security = nil }
        let shared = PeerShared(
            settings: settings, requests: requests, events: events, metrics: metrics, logger: logger,
            security: security)
        let isFirst = state.withLock { state in
            guard case .idle = state.phase else { return false }
            state.phase = .running(shared, listener: nil)
            return true
        }
        guard isFirst else { throw .alreadyStarted }
        let listener = try await PeerSockets.listen(on: group, shared: shared)
        let port = listener.localAddress?.port ?? settings.listen.port
        shared.listens(on: port)
        let peers = state.withLock { state in
            guard case .running = state.phase else { return nil as [NodeID: [PeerAddress]]? }
            state.phase = .running(shared, listener: listener)
            _ = shared.setClusterID(state.clusterID)
            return state.peers
        }
        guard let peers else {
            // Stopped meanwhile.
            listener.close(promise: nil)
            return port
        }
        setPeers(peers)
        return port
    }

    /// Closes every connection and the listener; what was not sent is lost.
    ///
    /// Returns when all are closed.
    public func stop() async {
        let (phase, lanes) = state.withLock { state in
            defer {
                state.phase = .stopped
                state.lanes = [:]
            }
            return (state.phase, state.lanes)
        }
        guard case .running(let shared, let listener) = phase else { return }
        // A channel that is closed already is as good.
        if let listener { try? await listener.close() }
        for dialer in lanes.values.flatMap(\.all) { try? await dialer.stop().get() }
        for channel in shared.acceptedChannels { try? await channel.close() }
    }

    /// The brokers to be connected with, without this one, each with where it may be; replaces those of the last call.
    ///
    /// The addresses of a broker, at least one, are tried in turn until the broker itself answers at one of them; a
    /// connection that stands is closed when another address comes first than did. Messages and most requests are taken
    /// only from brokers that are named here.
    public func setPeers(_ peers: [NodeID: [PeerAddress]]) {
        let (begun, ended) = state.withLock { state -> ([PeerDialer], [PeerDialer]) in
            state.peers = peers
            guard case .running(let shared, .some) = state.phase else { return ([], []) }
            shared.setMembers(Set(peers.keys))
            var begun: [PeerDialer] = []
            var ended: [PeerDialer] = []
            for (peer, lanes) in state.lanes where peers[peer] == nil {
                ended += lanes.all
                state.lanes[peer] = nil
            }
            for (peer, addresses) in peers where peer != node {
                if let lanes = state.lanes[peer] {
                    for dialer in lanes.all { dialer.move(to: addresses) }
                    continue
                }
                let lanes = Lanes(
                    control: PeerDialer(peer, .control, at: addresses, on: group.next(), shared: shared),
                    bulk: PeerDialer(peer, .bulk, at: addresses, on: group.next(), shared: shared))
                state.lanes[peer] = lanes
                begun += lanes.all
            }
            return (begun, ended)
        }
        for dialer in begun { dialer.start() }
        for dialer in ended { _ = dialer.stop() }
    }

    /// The cluster's id, once the controller has made it: brokers of another cluster are refused from now on.
    ///
    /// A broker that did not know the id when it connected is not asked again.
    public func setClusterID(_ clusterID: String) {
        let phase = state.withLock { state in
            state.clusterID = clusterID
            return state.phase
        }
        guard case .running(let shared, _) = phase else { return }
        for channel in shared.setClusterID(clusterID) { channel.close(promise: nil) }
    }

    // MARK: - PeerLink

    /// Sends messages; heartbeats of the call as one vector.
    public func send(_ messages: [PeerMessage], to peer: NodeID) {
        guard !messages.isEmpty else { return }
        guard let lanes = lanes(to: peer) else { return metrics.dropped(messages.count, .unknown) }
        let sorted = SortedMessages(messages)
        if !sorted.bulk.isEmpty { lanes.bulk.send(sorted.bulk) }
        if !sorted.control.isEmpty { lanes.control.send(sorted.control) }
        for kind in HeartbeatVector.Kind.allCases {
            let rows = sorted.rows(kind)
            if !rows.isEmpty { lanes.control.send(kind, rows) }
        }
    }

    /// Sends the heartbeats of groups that rest.
    public func send(_ roster: HeartbeatRoster, to peer: NodeID) {
        guard let lanes = lanes(to: peer) else { return metrics.dropped(roster.rows.count, .unknown) }
        lanes.control.send(roster)
    }

    /// Tells a peer who leads.
    public func announce(_ leaders: [GroupLeader], to peer: NodeID) {
        guard !leaders.isEmpty else { return }
        guard let lanes = lanes(to: peer) else { return metrics.dropped(1, .unknown) }
        lanes.control.announce(leaders)
    }

    /// Asks a peer to carry out a request.
    public func call(
        _ type: PeerRequestType, _ body: ByteBuffer, to peer: NodeID, timeout: Duration,
        then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
    ) {
        func refuse(_ error: PeerCallError) {
            metrics.called(.failure(error))
            then(.failure(error))
        }
        guard let lanes = lanes(to: peer) else { return refuse(.unknownPeer) }
        guard body.readableBytes <= settings.frameBytesMax - PeerSession.frameOverhead else { return refuse(.tooLarge) }
        let dialer = type.lane == .bulk ? lanes.bulk : lanes.control
        dialer.call(PeerCall(type: type, body: body, timeout: timeout, then: then))
    }

    private func lanes(to peer: NodeID) -> Lanes? { state.withLock { $0.lanes[peer] } }
}

/// The messages of one call by the way they travel.
private struct SortedMessages {
    private(set) var control: [PeerMessage] = []
    private(set) var bulk: [PeerMessage] = []
    private var heartbeats: [HeartbeatRow] = []
    private var answers: [HeartbeatRow] = []

    init(_ messages: [PeerMessage]) {
        for message in messages {
            switch message.body {
            case .heartbeat: if let row = HeartbeatRow(message) { heartbeats.append(row) }
            case .heartbeatResponse: if let row = HeartbeatRow(message) { answers.append(row) }
            case .append: bulk.append(message)
            default: control.append(message)
            }
        }
    }

    func rows(_ kind: HeartbeatVector.Kind) -> [HeartbeatRow] {
        switch kind {
        case .heartbeats: heartbeats
        case .answers: answers
        }
    }
}
