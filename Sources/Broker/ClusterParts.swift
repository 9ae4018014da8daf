// SPDX-License-Identifier: Apache-2.0
//
// ClusterParts.swift
// What makes a broker one of several: the way to the others, who they are, and what comes from them.

package import Model
package import Raft
package import Replication
import Synchronization

/// What a broker that is one of several is made with.
package struct ClusterParts: Sendable {
    /// The way to the other brokers.
    package let link: any PeerLink
    /// The requests that other brokers make of this one; the broker adds its own.
    package let requests: PeerRequestTable
    /// What comes from other brokers.
    package let inbox: PeerInbox
    /// The brokers that form the cluster, this one among them; empty for a broker that joins later.
    package let founders: [NodeID]
    /// Times and limits of replicas.
    package let hosting: GroupHostSettings
    /// A random number of this process, the same that peers are told when they are connected to.
    package let incarnation: UInt64
    /// Learns from the metadata where a broker can be reached.
    package let know: @Sendable (NodeID, BrokerEndpoint) -> Void
    /// Told when it is known whether there is a cluster, and this broker has its place in it.
    package let entered: @Sendable () -> Void

    package init(
        link: any PeerLink, requests: PeerRequestTable, inbox: PeerInbox, founders: [NodeID],
        hosting: GroupHostSettings = GroupHostSettings(), incarnation: UInt64 = UInt64.random(in: 1...UInt64.max),
        know: @escaping @Sendable (NodeID, BrokerEndpoint) -> Void = { _, _ in },
        entered: @escaping @Sendable () -> Void = {}
    ) {
        self.link = link
        self.requests = requests
        self.inbox = inbox
        self.founders = founders
        self.hosting = hosting
        self.incarnation = incarnation
        self.know = know
        self.entered = entered
    }

    /// The first members of the broker's own groups.
    package var configuration: Raft.Configuration {
        let first = QuorumPlan.first(of: founders)
        return Raft.Configuration(voters: first.voters, learners: first.learners)
    }
}

/// What comes from other brokers, from the start of the transport on: what arrives before there is a broker is dropped,
/// which Raft allows, but who can be reached is remembered.
package final class PeerInbox: Sendable {
    /// Who gets what comes in.
    struct Receiver: Sendable {
        let messages: @Sendable (NodeID, [PeerMessage]) -> Void
        let leaders: @Sendable (NodeID, [GroupLeader]) -> Void
        let peer: @Sendable (NodeID, PeerState) -> Void
        /// Without it a roster comes as its messages.
        var heartbeats: (@Sendable (NodeID, HeartbeatRoster) -> Void)?
    }

    private struct State {
        var receiver: Receiver?
        var peers: [NodeID: PeerState] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// To be given to the transport.
    package var events: PeerEvents {
        PeerEvents(
            messages: { [self] peer, messages in receiver?.messages(peer, messages) },
            heartbeats: { [self] peer, roster in
                guard let receiver else { return }
                if let heartbeats = receiver.heartbeats { return heartbeats(peer, roster) }
                receiver.messages(peer, roster.messages)
            },
            leaders: { [self] peer, leaders in receiver?.leaders(peer, leaders) },
            peer: { [self] peer, news in
                let receiver = state.withLock { state in
                    state.peers[peer] = news
                    return state.receiver
                }
                receiver?.peer(peer, news)
            })
    }

    private var receiver: Receiver? { state.withLock { $0.receiver } }

    /// The brokers that can be spoken to.
    package var connected: [NodeID] {
        state.withLock { state in
            state.peers.compactMap { if case .up = $0.value { $0.key } else { nil } }.sorted()
        }
    }

    /// Begins to pass on; tells at once who can be reached.
    func bind(_ receiver: Receiver) {
        let known = state.withLock { state in
            state.receiver = receiver
            return state.peers
        }
        for (peer, news) in known { receiver.peer(peer, news) }
    }

    /// Drops what comes from now on.
    func unbind() { state.withLock { $0.receiver = nil } }
}
