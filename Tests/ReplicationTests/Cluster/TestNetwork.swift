// SPDX-License-Identifier: Apache-2.0
//
// TestNetwork.swift
// A network in memory that loses, delays, reorders and repeats by a seed. Its time passes when the test says so.

import Model
import NIOCore
import Synchronization

@testable import Replication

/// Brokers that speak to each other in memory.
final class TestNetwork: Sendable {
    /// What the network does to messages.
    struct Weather: Sendable {
        /// The share that is lost.
        var loss = 0.0
        /// The share that arrives twice.
        var repeats = 0.0
        /// Each message takes fewer steps than this, so later ones may overtake earlier ones.
        var delayMax = 1
    }

    private struct Route: Hashable {
        let from: NodeID
        let to: NodeID
    }

    private struct Envelope {
        let due: Int
        let number: Int
        let route: Route
        let open: @Sendable () -> Void
    }

    private struct State {
        var weather = Weather()
        var cut: Set<Route> = []
        var flying: [Envelope] = []
        var now = 0
        var next = 0
        var random: SeededRandom
        var sent: [String: Int] = [:]
        var receivers: [NodeID: Receiver] = [:]
    }

    /// What a broker does with what it gets.
    struct Receiver: Sendable {
        let messages: @Sendable (NodeID, [PeerMessage]) -> Void
        let heartbeats: @Sendable (NodeID, HeartbeatRoster) -> Void
        let requests: PeerRequestTable
    }

    private let state: Mutex<State>

    init(seed: UInt64) { state = Mutex(State(random: SeededRandom(seed: seed))) }

    // MARK: Switches

    var weather: Weather {
        get { state.withLock { $0.weather } }
        set { state.withLock { $0.weather = newValue } }
    }

    func connect(_ node: NodeID, _ receiver: Receiver?) { state.withLock { $0.receivers[node] = receiver } }

    /// Loses what goes between the node and the others, both ways, or only what it sends.
    func isolate(_ node: NodeID, from others: [NodeID], onlySending: Bool = false) {
        state.withLock { state in
            for other in others where other != node {
                state.cut.insert(Route(from: node, to: other))
                if !onlySending { state.cut.insert(Route(from: other, to: node)) }
            }
        }
    }

    func heal() { state.withLock { $0.cut = [] } }

    /// How many messages of each kind were sent.
    var sent: [String: Int] { state.withLock { $0.sent } }
    func resetCounts() { state.withLock { $0.sent = [:] } }

    /// Whether anything is on its way.
    var isQuiet: Bool { state.withLock { $0.flying.isEmpty } }

    // MARK: Time

    /// One step: delivers what is due.
    func step() -> Bool {
        let due: [Envelope] = state.withLock { state in
            state.now += 1
            let now = state.now
            let due = state.flying.filter { $0.due <= now }.sorted { ($0.due, $0.number) < ($1.due, $1.number) }
            state.flying.removeAll { $0.due <= now }
            return due
        }
        for envelope in due where !state.withLock({ $0.cut.contains(envelope.route) }) { envelope.open() }
        return !due.isEmpty
    }

    private func fly(from: NodeID, to: NodeID, _ open: @escaping @Sendable () -> Void) {
        state.withLock { state in
            let route = Route(from: from, to: to)
            let weather = state.weather
            if weather.loss > 0, Double.random(in: 0..<1, using: &state.random) < weather.loss { return }
            let isTwice = weather.repeats > 0 && Double.random(in: 0..<1, using: &state.random) < weather.repeats
            for _ in 0..<(isTwice ? 2 : 1) {
                let delay = Int.random(in: 1...max(1, weather.delayMax), using: &state.random)
                state.flying.append(Envelope(due: state.now + delay, number: state.next, route: route, open: open))
                state.next += 1
            }
        }
    }

    // MARK: Links

    func link(of node: NodeID) -> any PeerLink { Link(network: self, node: node) }

    private final class Link: PeerLink {
        let network: TestNetwork
        let node: NodeID

        init(network: TestNetwork, node: NodeID) {
            self.network = network
            self.node = node
        }

        func send(_ messages: [PeerMessage], to peer: NodeID) {
            for message in messages {
                let name = String(describing: message.body).prefix { $0.isLetter }
                network.state.withLock { $0.sent[String(name), default: 0] += 1 }
                network.fly(from: node, to: peer) { [network, node] in
                    network.state.withLock { $0.receivers[peer] }?.messages(node, [message])
                }
            }
        }

        func send(_ roster: HeartbeatRoster, to peer: NodeID) {
            network.state.withLock { $0.sent["\(roster.kind) roster", default: 0] += 1 }
            network.fly(from: node, to: peer) { [network, node] in
                network.state.withLock { $0.receivers[peer] }?.heartbeats(node, roster)
            }
        }

        func announce(_ leaders: [GroupLeader], to peer: NodeID) {}

        func call(
            _ type: PeerRequestType, _ body: ByteBuffer, to peer: NodeID, timeout: Duration,
            then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
        ) {
            // Whoever is gone or cut off answers at once that nobody is there: the network has no time to wait for.
            let isCut = network.state.withLock { state in
                state.cut.contains(Route(from: node, to: peer)) || state.cut.contains(Route(from: peer, to: node))
                    || state.receivers[peer] == nil
            }
            network.state.withLock { $0.sent[type.name, default: 0] += 1 }
            let weather = network.weather
            network.weather = Weather(delayMax: weather.delayMax)
            defer { network.weather = weather }
            network.fly(from: node, to: isCut ? node : peer) { [network, node] in
                guard !isCut, let receiver = network.state.withLock({ $0.receivers[peer] }) else {
                    return then(.failure(.notConnected))
                }
                receiver.requests.carryOut(type.rawValue, body, from: node, isMember: true, timeout: timeout) {
                    then($0)
                }
            }
        }
    }
}
