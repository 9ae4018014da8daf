// SPDX-License-Identifier: Apache-2.0
//
// PeerDialer.swift
// One lane to one peer: keeps a connection up, and hands it what any thread wants to send.

internal import Logging
internal import Model
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import Telemetry

/// Dials a peer until it is stopped, at each of its addresses in turn, with pauses that grow from round to round.
///
/// What is offered while there is no connection is refused: a message that waited would be old news, and a caller can do
/// something better than wait.
final class PeerDialer: Sendable {
    /// What is confined to the loop.
    private struct State {
        var connection: PeerConnection?
        var channel: (any Channel)?
        var isUp = false
        var isStopped = false
        /// The place in the list of addresses, counted on past its end, of the last attempt or of the next.
        var place = 0
        /// Whether the last attempt came as far as an introduction.
        var isIntroduced = false
        var failures: UInt64 = 0
        var retry: Scheduled<Void>?
        var random: SeededRandom
    }

    let peer: NodeID
    let lane: PeerLane
    private let loop: any EventLoop
    private let shared: PeerShared
    private let addresses: Mutex<[PeerAddress]>
    private let outbox: Mutex<PeerOutbox>
    private let state: NIOLoopBoundBox<State>

    /// Makes a dialer that tries `addresses`, of which there is at least one, in turn.
    init(_ peer: NodeID, _ lane: PeerLane, at addresses: [PeerAddress], on loop: any EventLoop, shared: PeerShared) {
        precondition(!addresses.isEmpty, "broker \(peer) has no address")
        self.peer = peer
        self.lane = lane
        self.loop = loop
        self.shared = shared
        self.addresses = Mutex(addresses)
        let settings = shared.settings
        let bytesMax = lane == .bulk ? settings.bulkOutboxBytesMax : settings.controlOutboxBytesMax
        outbox = Mutex(
            PeerOutbox(bytesMax: bytesMax, messageBytesMax: settings.frameBytesMax - PeerSession.frameOverhead))
        let seed = settings.incarnation ^ UInt64(UInt32(bitPattern: peer.rawValue)) << 8 ^ UInt64(lane.rawValue)
        state = NIOLoopBoundBox.makeBoxSendingValue(State(random: SeededRandom(seed: seed)), eventLoop: loop)
    }

    // MARK: - Any thread

    /// Begins to dial.
    func start() { loop.execute { self.connect() } }

    /// Dials no more, and closes what stands.
    func stop() -> EventLoopFuture<Void> {
        loop.flatSubmit {
            self.state.value.isStopped = true
            self.state.value.retry?.cancel()
            self.state.value.connection?.close(.stopped)
            guard let channel = self.state.value.channel else { return self.loop.makeSucceededVoidFuture() }
            channel.close(promise: nil)
            return channel.closeFuture
        }
    }

    /// The peer is elsewhere now: what stands is closed if another address comes first than did.
    func move(to addresses: [PeerAddress]) {
        precondition(!addresses.isEmpty, "broker \(peer) has no address")
        let isOther = self.addresses.withLock { known in
            defer { known = addresses }
            return known.first != addresses.first
        }
        guard isOther else { return }
        loop.execute {
            self.state.value.place = 0
            self.state.value.connection?.close(.stopped)
        }
    }

    /// Sends messages, none of them a heartbeat.
    func send(_ messages: [PeerMessage]) { settle { $0.offer(messages) } }

    /// Sends the heartbeats of one host.
    func send(_ kind: HeartbeatVector.Kind, _ rows: [HeartbeatRow]) { settle { $0.offer(kind, rows) } }

    /// Sends the heartbeats of groups that rest.
    func send(_ roster: HeartbeatRoster) { settle { $0.offer(roster) } }

    /// Sends word of who leads.
    func announce(_ leaders: [GroupLeader]) { settle { $0.offer(leaders) } }

    /// Sends a request.
    func call(_ call: PeerCall) {
        let refusal = settle { $0.offer(call) }
        guard let refusal else { return }
        let error: PeerCallError = refusal == .disconnected ? .notConnected : .busy
        shared.metrics.called(.failure(error))
        call.then(.failure(error))
    }

    /// Offers something to the outbox, wakes the loop for the first, and counts what was dropped.
    @discardableResult
    private func settle(_ offer: (inout PeerOutbox) -> PeerOutbox.Verdict) -> PeerOutbox.Refusal? {
        let verdict = withOutbox(offer)
        if verdict.wakes { loop.execute { self.drain() } }
        guard let refusal = verdict.refusal else { return nil }
        switch refusal {
        case .disconnected: shared.metrics.dropped(verdict.dropped, .disconnected)
        case .full: shared.metrics.dropped(verdict.dropped, .full)
        case .tooLarge:
            shared.metrics.dropped(verdict.dropped, .tooLarge)
            shared.logger.error("message is larger than a frame between brokers", metadata: ["peer": "\(peer)"])
        }
        return refusal
    }

    /// Changes the outbox and counts its bytes.
    private func withOutbox<Result: Sendable>(_ change: (inout PeerOutbox) -> Result) -> Result {
        let (result, grown) = outbox.withLock { outbox in
            let before = outbox.byteCount
            let result = change(&outbox)
            return (result, outbox.byteCount - before)
        }
        if grown != 0 { shared.metrics.waiting(grown, on: lane) }
        return result
    }

    // MARK: - The loop

    /// Hands everything that waits to the connection: once for all that was offered during a turn of the loop.
    private func drain() {
        let items = withOutbox { $0.take() }
        guard !items.isEmpty else { return }
        guard let connection = state.value.connection else {
            // The connection ended between offer and turn; closing the outbox has told every caller, so none is here.
            return
        }
        connection.send(items, countedBytes: items.reduce(0) { $0 + $1.byteCount })
    }

    /// What `connection` was given has left.
    func sent(_ bytes: Int, by connection: PeerConnection) {
        guard state.value.connection === connection else { return }
        withOutbox { $0.sent(bytes) }
    }

    private func connect() {
        guard !state.value.isStopped, state.value.connection == nil, state.value.channel == nil else { return }
        state.value.retry = nil
        state.value.isIntroduced = false
        let address = addresses.withLock { $0[state.value.place % $0.count] }
        shared.metrics.dials.increment()
        PeerSockets.dial(address, on: loop, shared: shared, dialer: self).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.connected(channel)
            case .failure(let error): self.failed(error, address)
            }
        }
    }

    private func connected(_ channel: any Channel) {
        state.value.channel = channel
        if state.value.isStopped { return channel.close(promise: nil) }
        channel.closeFuture.assumeIsolated().whenComplete { _ in
            self.state.value.channel = nil
            self.retryLater()
        }
    }

    private func failed(_ error: any Error, _ address: PeerAddress) {
        let level: Logger.Level = state.value.failures == 0 ? .notice : .debug
        shared.logger.log(
            level: level, "broker cannot be reached",
            metadata: ["peer": "\(peer)", "lane": "\(lane)", "address": "\(address)", "error": "\(error)"])
        retryLater()
    }

    private func retryLater() {
        guard !state.value.isStopped, state.value.retry == nil else { return }
        let range = shared.settings.reconnectDelay
        let (least, most) = (range.lowerBound.milliseconds, range.upperBound.milliseconds)
        // What worked is tried again first; what did not makes room for the next address.
        if !state.value.isIntroduced { state.value.place += 1 }
        let rounds = state.value.failures / UInt64(addresses.withLock { $0.count })
        let full = min(most, least << Int64(min(rounds, 20)))
        state.value.failures += 1
        let delay = full - Int64(state.value.random.next() % UInt64(full / 2 + 1))
        state.value.retry = loop.scheduleTask(in: .milliseconds(delay)) { self.connect() }
    }

    /// The introductions are made.
    func established(_ connection: PeerConnection, _ remote: PeerIdentity) {
        state.value.connection = connection
        state.value.isIntroduced = true
        state.value.failures = 0
        withOutbox { $0.open() }
        shared.logger.debug("lane to a broker is open", metadata: ["peer": "\(peer)", "lane": "\(lane)"])
        guard lane == .control else { return }
        state.value.isUp = true
        shared.metrics.up.add(1)
        shared.logger.info("broker is connected", metadata: ["peer": "\(peer)"])
        shared.events.peer(peer, .up(incarnation: remote.incarnation))
    }

    /// A connection ended, introduced or not.
    func lost(_ connection: PeerConnection, _ reason: PeerClosure) {
        guard state.value.connection === connection else { return }
        state.value.connection = nil
        for call in withOutbox({ $0.close() }) {
            shared.metrics.called(.failure(.notConnected))
            call.then(.failure(.notConnected))
        }
        shared.logger.debug("lane to a broker is closed", metadata: ["peer": "\(peer)", "lane": "\(lane)"])
        guard state.value.isUp else { return }
        state.value.isUp = false
        shared.metrics.up.add(-1)
        shared.logger.notice("broker is not connected any more", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
        shared.events.peer(peer, .down)
    }
}
