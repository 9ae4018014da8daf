// SPDX-License-Identifier: Apache-2.0
//
// InMemoryPeerNetwork.swift
// A network without sockets for tests of what stands above it: delivers, delays, drops and cuts as the test says.

public import Model
public import NIOCore
public import Replication
internal import Synchronization

/// Brokers that speak to each other in memory.
///
/// What is sent is delivered by the network's loop, later than the call that sent it and in order for each pair of
/// brokers while the delay is not changed. With an `EmbeddedEventLoop` nothing moves but by the test.
public final class InMemoryPeerNetwork: Sendable {
    struct Route: Hashable {
        let from: NodeID
        let to: NodeID
    }

    struct Member: Sendable {
        let events: PeerEvents
        let requests: PeerRequestTable
        let incarnation: UInt64
    }

    struct State {
        var members: [NodeID: Member] = [:]
        var cut: Set<Route> = []
        var delay = Duration.zero
        var dropShare = 0.0
        var random: SeededRandom
        var filter: (@Sendable (NodeID, NodeID, PeerMessage) -> Bool)?
        var delivered = 0
        var dropped = 0
        var nextIncarnation: UInt64 = 1
    }

    private let loop: any EventLoop
    private let state: Mutex<State>

    /// A network that delivers on `loop`.
    public init(loop: any EventLoop, seed: UInt64 = 1) {
        self.loop = loop
        self.state = Mutex(State(random: SeededRandom(seed: seed)))
    }

    // MARK: The test's switches

    /// Lets a broker take part, as another process when it did before; the others hear of it and it of them.
    public func join(
        _ node: NodeID, events: PeerEvents, requests: PeerRequestTable = PeerRequestTable()
    ) -> any PeerLink {
        leave(node)
        state.withLock { state in
            state.members[node] = Member(events: events, requests: requests, incarnation: state.nextIncarnation)
            state.nextIncarnation += 1
        }
        for other in others(than: node) {
            announceIfConnected(node, other)
            announceIfConnected(other, node)
        }
        return Link(network: self, node: node)
    }

    /// Takes a broker out, as when its process ends.
    public func leave(_ node: NodeID) {
        guard state.withLock({ $0.members[node] }) != nil else { return }
        let affected = others(than: node).filter { isConnected($0, node) }
        state.withLock { $0.members[node] = nil }
        for other in affected { tell(other, of: node, .down) }
    }

    /// Loses what `from` sends to `to`, until ``heal()``.
    public func cut(from: NodeID, to: NodeID) {
        let wasWhole = state.withLock { $0.cut.insert(Route(from: from, to: to)).inserted }
        if wasWhole { tell(from, of: to, .down) }
    }

    /// Cuts a broker off from all others, both ways.
    public func isolate(_ node: NodeID) {
        for other in others(than: node) {
            cut(from: node, to: other)
            cut(from: other, to: node)
        }
    }

    /// Cuts every route between the two sides.
    public func partition(_ one: [NodeID], from other: [NodeID]) {
        for a in one {
            for b in other {
                cut(from: a, to: b)
                cut(from: b, to: a)
            }
        }
    }

    /// Mends every route.
    public func heal() {
        let mended = state.withLock { state in
            defer { state.cut = [] }
            return state.cut
        }
        for route in mended { announceIfConnected(route.from, route.to) }
    }

    /// Delivers everything sent from now on so much later.
    public func delay(_ delay: Duration) { state.withLock { $0.delay = delay } }

    /// Loses this share of the messages sent from now on.
    public func drop(share: Double) { state.withLock { $0.dropShare = share } }

    /// Asks before each message whether it is delivered.
    public func filter(_ filter: (@Sendable (_ from: NodeID, _ to: NodeID, PeerMessage) -> Bool)?) {
        state.withLock { $0.filter = filter }
    }

    /// Messages that were delivered.
    public var delivered: Int { state.withLock { $0.delivered } }
    /// Messages that were lost.
    public var dropped: Int { state.withLock { $0.dropped } }

    // MARK: Delivery

    private func others(than node: NodeID) -> [NodeID] {
        state.withLock { $0.members.keys.filter { $0 != node }.sorted() }
    }

    fileprivate func isConnected(_ from: NodeID, _ to: NodeID) -> Bool {
        state.withLock { state in
            state.members[from] != nil && state.members[to] != nil && !state.cut.contains(Route(from: from, to: to))
        }
    }

    private func announceIfConnected(_ node: NodeID, _ peer: NodeID) {
        guard isConnected(node, peer), let incarnation = state.withLock({ $0.members[peer]?.incarnation }) else {
            return
        }
        tell(node, of: peer, .up(incarnation: incarnation))
    }

    private func tell(_ node: NodeID, of peer: NodeID, _ news: PeerState) {
        guard let member = state.withLock({ $0.members[node] }) else { return }
        loop.execute { member.events.peer(peer, news) }
    }

    private func later(_ action: @escaping @Sendable () -> Void) {
        let delay = state.withLock { $0.delay }
        guard delay > .zero else { return loop.execute(action) }
        loop.scheduleTask(in: TimeAmount(delay), action)
    }

    fileprivate func send(_ messages: [PeerMessage], from: NodeID, to: NodeID) {
        let route = Route(from: from, to: to)
        let kept = state.withLock { state -> [PeerMessage] in
            guard !state.cut.contains(route) else { return [] }
            return messages.filter { message in
                if state.dropShare > 0, Double.random(in: 0..<1, using: &state.random) < state.dropShare {
                    return false
                }
                return state.filter?(from, to, message) ?? true
            }
        }
        state.withLock { $0.dropped += messages.count - kept.count }
        guard !kept.isEmpty else { return }
        later {
            // Cut meanwhile: what was on its way is lost too.
            let receiver = self.isConnected(from, to) ? self.state.withLock { $0.members[to] } : nil
            self.state.withLock {
                if receiver == nil { $0.dropped += kept.count } else { $0.delivered += kept.count }
            }
            receiver?.events.messages(from, kept)
        }
    }

    fileprivate func announce(_ leaders: [GroupLeader], from: NodeID, to: NodeID) {
        later {
            guard self.isConnected(from, to) else { return }
            self.state.withLock { $0.members[to] }?.events.leaders(from, leaders)
        }
    }

    fileprivate func call(
        _ type: PeerRequestType, _ body: ByteBuffer, from: NodeID, to: NodeID, timeout: Duration,
        then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
    ) {
        let once = Once(then)
        guard state.withLock({ $0.members[to] }) != nil else { return later { once.give(.failure(.unknownPeer)) } }
        guard isConnected(from, to) else { return later { once.give(.failure(.notConnected)) } }
        loop.scheduleTask(in: TimeAmount(timeout)) { once.give(.failure(.timedOut)) }
        later {
            guard self.isConnected(from, to), let server = self.state.withLock({ $0.members[to] }) else {
                return once.give(.failure(.disconnected))
            }
            server.requests.carryOut(type.rawValue, body, from: from, isMember: true, timeout: timeout) { result in
                self.later { once.give(self.isConnected(from, to) ? result : .failure(.disconnected)) }
            }
        }
    }

    private final class Link: PeerLink {
        private let network: InMemoryPeerNetwork
        private let node: NodeID

        init(network: InMemoryPeerNetwork, node: NodeID) {
            self.network = network
            self.node = node
        }

        func send(_ messages: [PeerMessage], to peer: NodeID) { network.send(messages, from: node, to: peer) }

        func announce(_ leaders: [GroupLeader], to peer: NodeID) { network.announce(leaders, from: node, to: peer) }

        func call(
            _ type: PeerRequestType, _ body: ByteBuffer, to peer: NodeID, timeout: Duration,
            then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
        ) {
            network.call(type, body, from: node, to: peer, timeout: timeout, then: then)
        }
    }

    /// Passes on the first result only.
    private final class Once: Sendable {
        private let then: Mutex<(@Sendable (Result<ByteBuffer, PeerCallError>) -> Void)?>

        init(_ then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void) { self.then = Mutex(then) }

        func give(_ result: Result<ByteBuffer, PeerCallError>) {
            then.withLock { $0.take() }?(result)
        }
    }
}
