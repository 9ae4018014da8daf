// SPDX-License-Identifier: Apache-2.0
//
// PeerSession.swift
// One connection between two brokers as a value: introductions, identity, requests and their deadlines, vectors of
// heartbeats, signs of life. Frames and time go in; directives come out.

internal import Model
internal import NIOCore

/// Why a connection ends.
enum PeerClosure: Error, Sendable, Hashable {
    /// The other side closed it, or the network did.
    case lost
    /// What came is no frame, or none that belongs there.
    case invalid(PeerFrameError)
    /// A frame that has no place at this point.
    case outOfTurn
    /// The other side is not who it should be.
    case refused(PeerWelcome.Status)
    /// The other side says so of us.
    case refusedByPeer(PeerWelcome.Status)
    /// No introduction in time.
    case handshakeTimeout
    /// Nothing was heard for too long.
    case silent
    /// A newer connection of the same broker took its place.
    case replaced
    /// The TLS session could not be made.
    case tls
    /// This broker stops, or does not know the peer any more.
    case stopped

    /// How it is called in metrics.
    var name: String {
        switch self {
        case .lost: "lost"
        case .invalid: "invalid_frame"
        case .outOfTurn: "out_of_turn"
        case .refused(let status): "refused_\(status)"
        case .refusedByPeer(let status): "refused_by_peer_\(status)"
        case .handshakeTimeout: "handshake_timeout"
        case .silent: "silent"
        case .replaced: "replaced"
        case .tls: "tls"
        case .stopped: "stopped"
        }
    }
}

/// The state of one connection.
///
/// The side that connected sends messages, vectors and requests; the other answers requests, and says when it misses a
/// vector. Both give signs of life.
struct PeerSession: Sendable {
    /// Which side of the connection this is.
    enum Side: Sendable, Hashable {
        /// It connected, to speak to this broker on this lane.
        case dialer(to: NodeID, PeerLane)
        /// It was connected to.
        case acceptor
    }

    /// What the shell is to do, in order.
    enum Directive: Sendable {
        case send(PeerFrame)
        /// The introductions are made: the other side is `remote`.
        case established(PeerIdentity, PeerLane)
        case messages([PeerMessage])
        case heartbeats(HeartbeatRoster)
        case leaders([GroupLeader])
        case request(id: UInt64, type: UInt16, timeout: Duration, body: ByteBuffer)
        case answered(id: UInt64, Result<ByteBuffer, PeerCallError>)
        /// Close once what was to be sent has left.
        case close(PeerClosure)
    }

    /// What a session is held to.
    struct Limits: Sendable {
        var requestsInFlightMax: Int
        var requestBytesInFlightMax: Int
        var frameBytesMax: Int
        var handshakeTimeout: Duration
        var pingInterval: Duration
        var silenceLimit: Duration

        init(_ settings: PeerTransportSettings) {
            requestsInFlightMax = settings.requestsInFlightMax
            requestBytesInFlightMax = settings.requestBytesInFlightMax
            frameBytesMax = settings.frameBytesMax
            handshakeTimeout = settings.handshakeTimeout
            pingInterval = settings.pingInterval
            silenceLimit = settings.silenceLimit
        }
    }

    private enum Phase {
        case introducing
        case established
        case closed
    }

    /// The versions this code speaks.
    static let versions: ClosedRange<UInt8> = 1...1
    /// The largest frame before the introductions are made.
    static let introductionBytesMax = 8 << 10
    /// The room that a frame needs around a body.
    static let frameOverhead = 256

    let side: Side
    private let local: PeerIdentity
    private let address: PeerAddress
    private let limits: Limits
    private var phase = Phase.introducing
    /// The other side, once it has introduced itself.
    private(set) var remote: PeerIdentity?
    /// The brokers that the other side's certificate names; nil without TLS.
    var certified: Set<NodeID>?

    private var nextRequest: UInt64 = 1
    private var asked: PeerCalls
    private var serving: PeerCalls
    private var sender = HeartbeatSender()
    private var receiver = HeartbeatReceiver()

    private let started: Instant
    private var lastHeard: Instant
    private var lastAsked: Instant
    private var lastTick: Instant

    init(side: Side, local: PeerIdentity, address: PeerAddress, limits: Limits, now: Instant) {
        self.side = side
        self.local = local
        self.address = address
        self.limits = limits
        asked = PeerCalls(countMax: limits.requestsInFlightMax)
        serving = PeerCalls(countMax: limits.requestsInFlightMax, bytesMax: limits.requestBytesInFlightMax)
        started = now
        lastHeard = now
        lastAsked = now
        lastTick = now
    }

    var isEstablished: Bool { phase == .established }
    var isClosed: Bool { phase == .closed }

    // MARK: - What comes

    /// The connection stands.
    mutating func begin(_ directives: inout [Directive]) {
        guard case .dialer(let target, let lane) = side else { return }
        let hello = PeerHello(
            identity: local, target: target, versions: Self.versions, lane: lane, address: address)
        directives.append(.send(.hello(hello)))
    }

    /// Bytes came, perhaps not yet a frame.
    mutating func heard(at now: Instant) { lastHeard = now }

    /// Takes a frame.
    mutating func receive(_ frame: PeerFrame, at now: Instant, _ directives: inout [Directive]) {
        lastHeard = now
        switch (phase, side) {
        case (.closed, _): return
        case (.introducing, .acceptor):
            guard case .hello(let hello) = frame else { return close(.outOfTurn, &directives) }
            answer(hello, &directives)
        case (.introducing, .dialer(let target, let lane)):
            guard case .welcome(let welcome) = frame else { return close(.outOfTurn, &directives) }
            take(welcome, from: target, lane, &directives)
        case (.established, .acceptor): serve(frame, at: now, &directives)
        case (.established, .dialer): hear(frame, &directives)
        }
    }

    /// Ends the connection because of what came.
    mutating func close(_ reason: PeerClosure, _ directives: inout [Directive]) {
        guard phase != .closed else { return }
        phase = .closed
        directives.append(.close(reason))
    }

    // MARK: - Introductions

    private mutating func answer(_ hello: PeerHello, _ directives: inout [Directive]) {
        let version = min(hello.versions.upperBound, Self.versions.upperBound)
        var status = verdict(on: hello.identity)
        if hello.target != local.node { status = .wrongNode }
        if version < max(hello.versions.lowerBound, Self.versions.lowerBound) { status = .unknownVersion }
        let welcome = PeerWelcome(status: status, identity: local, version: status == .accepted ? version : 0)
        directives.append(.send(.welcome(welcome)))
        guard status == .accepted else { return close(.refused(status), &directives) }
        establish(hello.identity, hello.lane, &directives)
    }

    private mutating func take(
        _ welcome: PeerWelcome, from target: NodeID, _ lane: PeerLane, _ directives: inout [Directive]
    ) {
        guard welcome.status == .accepted else { return close(.refusedByPeer(welcome.status), &directives) }
        var status = verdict(on: welcome.identity)
        if welcome.identity.node != target { status = .wrongNode }
        if !Self.versions.contains(welcome.version) { status = .unknownVersion }
        guard status == .accepted else { return close(.refused(status), &directives) }
        establish(welcome.identity, lane, &directives)
    }

    /// Whether the other side may be who it says it is.
    private func verdict(on other: PeerIdentity) -> PeerWelcome.Status {
        if other.node == local.node { return .ownID }
        let bothKnow = !other.clusterID.isEmpty && !local.clusterID.isEmpty
        if bothKnow && other.clusterID != local.clusterID { return .wrongCluster }
        if let certified, !certified.contains(other.node) { return .wrongCertificate }
        return .accepted
    }

    private mutating func establish(
        _ other: PeerIdentity, _ lane: PeerLane, _ directives: inout [Directive]
    ) {
        remote = other
        phase = .established
        directives.append(.established(other, lane))
    }

    // MARK: - The side that was connected to

    private mutating func serve(_ frame: PeerFrame, at now: Instant, _ directives: inout [Directive]) {
        switch frame {
        case .messages(let messages): directives.append(.messages(messages))
        case .leaders(let leaders): directives.append(.leaders(leaders))
        case .heartbeats(let vector): complete(vector, &directives)
        case .ping: directives.append(.send(.pong))
        case .request(let id, let type, let timeout, let body):
            let deadline = now.advanced(byMilliseconds: Int64(timeout))
            guard serving.add(id, byteCount: body.readableBytes, deadline: deadline) else {
                return directives.append(
                    .send(.response(id: id, status: PeerCallStatus.busy.rawValue, body: ByteBuffer())))
            }
            directives.append(
                .request(id: id, type: type, timeout: .milliseconds(Int64(timeout)), body: body))
        case .hello, .welcome, .heartbeatReset, .response, .pong: close(.outOfTurn, &directives)
        }
    }

    private mutating func complete(_ vector: HeartbeatVector, _ directives: inout [Directive]) {
        do throws(PeerFrameError) {
            switch try receiver.complete(vector) {
            case .rows(let rows): directives.append(.messages(rows.map { $0.message(vector.kind) }))
            case .roster(let roster): directives.append(.heartbeats(roster))
            case .unknown(let slot): directives.append(.send(.heartbeatReset(slot: slot)))
            }
        } catch {
            close(.invalid(error), &directives)
        }
    }

    /// The answer to a request is there; too late it is dropped.
    mutating func answer(
        _ id: UInt64, _ result: Result<ByteBuffer, PeerCallError>, _ directives: inout [Directive]
    ) {
        guard serving.finish(id), phase == .established else { return }
        var (status, body) = (PeerCallStatus(result), ByteBuffer())
        switch result {
        case .success(let answer): body = answer
        case .failure(let error) where status == .failed: body = ByteBuffer(string: "\(error)")
        case .failure: break
        }
        if body.readableBytes > limits.frameBytesMax - Self.frameOverhead {
            (status, body) = (.tooLarge, ByteBuffer())
        }
        directives.append(.send(.response(id: id, status: status.rawValue, body: body)))
    }

    // MARK: - The side that connected

    private mutating func hear(_ frame: PeerFrame, _ directives: inout [Directive]) {
        switch frame {
        case .pong: break
        case .heartbeatReset(let slot): sender.reset(slot: slot)
        case .response(let id, let status, let body):
            // One that nobody waits for comes after its deadline.
            guard asked.finish(id) else { return }
            directives.append(.answered(id: id, Self.result(status, body)))
        case .ping, .hello, .welcome, .messages, .heartbeats, .request, .leaders: close(.outOfTurn, &directives)
        }
    }

    private static func result(_ raw: UInt8, _ body: ByteBuffer) -> Result<ByteBuffer, PeerCallError> {
        switch PeerCallStatus(rawValue: raw) {
        case .ok: .success(body)
        case .unknownType: .failure(.unknownType)
        case .notPermitted: .failure(.notPermitted)
        case .busy: .failure(.busy)
        case .timedOut: .failure(.timedOut)
        case .tooLarge: .failure(.tooLarge)
        case .failed, nil: .failure(.failed(String(buffer: body)))
        }
    }

    /// The id of a new request; nil when too many wait already.
    mutating func ask(_ timeout: Duration, at now: Instant) -> UInt64? {
        let id = nextRequest
        guard asked.add(id, deadline: now.advanced(byMilliseconds: timeout.milliseconds)) else { return nil }
        nextRequest += 1
        return id
    }

    /// The frames for heartbeats that leave together.
    mutating func vectors(_ kind: HeartbeatVector.Kind, _ rows: [HeartbeatRow]) -> [HeartbeatVector] {
        sender.vectors(kind, rows)
    }

    /// The frame for a roster.
    mutating func vector(_ roster: HeartbeatRoster) -> HeartbeatVector { sender.vector(roster) }

    // MARK: - Time

    /// When ``tick(at:_:)`` is due.
    var nextTick: Instant {
        var next: Instant
        switch phase {
        case .introducing: next = started.advanced(byMilliseconds: limits.handshakeTimeout.milliseconds)
        case .established, .closed: next = lastTick.advanced(byMilliseconds: limits.pingInterval.milliseconds)
        }
        for earliest in [asked.earliest, serving.earliest] {
            if let earliest { next = min(next, earliest) }
        }
        return next
    }

    /// Time has passed.
    mutating func tick(at now: Instant, _ directives: inout [Directive]) {
        let interval = limits.pingInterval.milliseconds
        // A tick that comes this late says that this process stood still, not that the peer did.
        if now.milliseconds(since: lastTick) > 2 * interval { lastHeard = now }
        lastTick = now
        for id in asked.expire(at: now) { directives.append(.answered(id: id, .failure(.timedOut))) }
        for id in serving.expire(at: now) where phase == .established {
            directives.append(.send(.response(id: id, status: PeerCallStatus.timedOut.rawValue, body: ByteBuffer())))
        }
        switch phase {
        case .closed: return
        case .introducing:
            if now.milliseconds(since: started) >= limits.handshakeTimeout.milliseconds {
                close(.handshakeTimeout, &directives)
            }
        case .established:
            let silence = now.milliseconds(since: lastHeard)
            if silence >= limits.silenceLimit.milliseconds { return close(.silent, &directives) }
            guard case .dialer = side, silence >= interval || now.milliseconds(since: lastAsked) >= interval else {
                return
            }
            lastAsked = now
            directives.append(.send(.ping))
        }
    }
}

extension Duration {
    /// Whole milliseconds, at least 1 and never more than an instant can be moved by.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 1 }
        guard seconds < 1_000_000_000 else { return 1_000_000_000_000 }
        return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
