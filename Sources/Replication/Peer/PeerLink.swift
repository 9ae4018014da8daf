// SPDX-License-Identifier: Apache-2.0
//
// PeerLink.swift
// The seam between replicas and the network: sockets in a broker, memory in tests.

public import Model
public import NIOCore

/// Sends to other brokers.
///
/// All functions may be called from any thread and return at once.
public protocol PeerLink: AnyObject, Sendable {
    /// Sends messages, each once or never.
    ///
    /// What exceeds the limits, or finds no connection, is dropped and counted: Raft sends again. Heartbeats of one call
    /// travel as one vector, so the groups of a host belong into one call, in the same order each time.
    func send(_ messages: [PeerMessage], to peer: NodeID)

    /// Sends the heartbeats of groups that rest, or the answers, with the same promise; the same object costs no more than
    /// a frame of some bytes.
    func send(_ roster: HeartbeatRoster, to peer: NodeID)

    /// Tells a peer who leads, with the same promise as ``send(_:to:)``.
    func announce(_ leaders: [GroupLeader], to peer: NodeID)

    /// Asks `peer` to carry out a request; `then` is called exactly once, on any thread.
    ///
    /// Without a connection it fails at once. After ``PeerCallError/disconnected`` and ``PeerCallError/timedOut`` the
    /// outcome is not known.
    func call(
        _ type: PeerRequestType, _ body: ByteBuffer, to peer: NodeID, timeout: Duration,
        then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void)
}

extension PeerLink {
    /// Sends each of its messages, where there is no better way.
    public func send(_ roster: HeartbeatRoster, to peer: NodeID) { send(roster.messages, to: peer) }
}

/// Whether a peer can be spoken to.
public enum PeerState: Sendable, Hashable {
    /// A connection for votes, heartbeats and requests stands, to the process with this incarnation.
    case up(incarnation: UInt64)
    /// The connection is lost.
    case down
}

/// Who is told of what comes from peers.
///
/// Called on the loop of a connection, which must not be held up; in the order of the connection.
public struct PeerEvents: Sendable {
    /// Messages of one frame from a peer.
    public var messages: @Sendable (NodeID, [PeerMessage]) -> Void
    /// Heartbeats of groups that rest; the same object again when nothing changed.
    public var heartbeats: @Sendable (NodeID, HeartbeatRoster) -> Void
    /// A peer's word on who leads.
    public var leaders: @Sendable (NodeID, [GroupLeader]) -> Void
    /// A peer can be spoken to, or not any more.
    ///
    /// ``PeerState/up(incarnation:)`` and ``PeerState/down`` alternate for each peer.
    public var peer: @Sendable (NodeID, PeerState) -> Void

    /// Names the receivers; without one of its own a roster comes as its messages.
    public init(
        messages: @escaping @Sendable (NodeID, [PeerMessage]) -> Void,
        heartbeats: (@Sendable (NodeID, HeartbeatRoster) -> Void)? = nil,
        leaders: @escaping @Sendable (NodeID, [GroupLeader]) -> Void = { _, _ in },
        peer: @escaping @Sendable (NodeID, PeerState) -> Void = { _, _ in }
    ) {
        self.messages = messages
        self.heartbeats = heartbeats ?? { peer, roster in messages(peer, roster.messages) }
        self.leaders = leaders
        self.peer = peer
    }
}
