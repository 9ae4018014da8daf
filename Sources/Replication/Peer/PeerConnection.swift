// SPDX-License-Identifier: Apache-2.0
//
// PeerConnection.swift
// The shell of one connection between brokers: bytes in, frames to the session, its directives carried out, bytes out.
// Decides nothing that PeerSession can. Confined to its event loop.

internal import Logging
internal import Model
internal import NIOCore
internal import Telemetry

/// One connection in its channel's pipeline, of either side.
final class PeerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let shared: PeerShared
    /// The side that connected; nil on the other.
    private let dialer: PeerDialer?
    private let loop: any EventLoop
    private let buffers: PeerReceiveBuffers
    private let answers: PeerAnswers
    private var session: PeerSession
    private var stream: PeerStream
    private var output: PeerOutput
    private var lane: PeerLane?
    private var context: ChannelHandlerContext?
    private var directives: [PeerSession.Directive] = []
    /// What is to be told of the answers to requests.
    private var waiting: [UInt64: @Sendable (Result<ByteBuffer, PeerCallError>) -> Void] = [:]
    private var timer: (due: Instant, task: Scheduled<Void>)?
    private var lowWater = 1
    /// Bytes handed to the channel, and of those how many the kernel had taken at the last look.
    private var written = 0
    private var writtenThrough = 0
    private var hasBegun = false
    private var hasEnded = false

    init(shared: PeerShared, dialer: PeerDialer?, loop: any EventLoop, buffers: PeerReceiveBuffers) {
        self.shared = shared
        self.dialer = dialer
        self.loop = loop
        self.buffers = buffers
        self.answers = PeerAnswers(loop: loop)
        let allocator = ByteBufferAllocator()
        stream = PeerStream(bytesMax: PeerSession.introductionBytesMax, allocator: allocator)
        output = PeerOutput(allocator: allocator)
        let side = dialer.map { PeerSession.Side.dialer(to: $0.peer, $0.lane) } ?? .acceptor
        session = PeerSession(
            side: side, local: shared.identity, address: shared.address, limits: shared.limits,
            now: Instant(nanoseconds: loop.now.uptimeNanoseconds))
    }

    private var now: Instant { Instant(nanoseconds: loop.now.uptimeNanoseconds) }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        answers.owner = self
        setTimer()
        if context.channel.isActive { begin() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended(.lost)
        answers.owner = nil
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        begin()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended(.lost)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isTLS = shared.security?.isFailure(error) ?? false
        shared.logger.log(
            level: isTLS ? .warning : .debug, "connection between brokers failed",
            metadata: ["peer": "\(peerText)", "error": "\(error)"])
        close(isTLS ? .tls : .lost)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let security = shared.security, security.isHandshakeCompleted(event) {
            session.certified = security.brokers(namedBy: context)
            begin(isSecured: true)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var chunk = unwrapInboundIn(data)
        let now = self.now
        session.heard(at: now)
        if let lane { shared.metrics.received(chunk.readableBytes, on: lane) }
        do throws(PeerFrameError) {
            while !session.isClosed, let bytes = try stream.next(from: &chunk) {
                receive(try PeerFrameDecoder.decode(bytes), at: now)
            }
        } catch {
            session.close(.invalid(error), &directives)
        }
        buffers.limit(to: isSecured ? 0 : stream.nextReadBytes)
        carryOut()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush()
        setLowWater(isSecured ? 1 : stream.lowWater)
        setTimer()
        context.fireChannelReadComplete()
    }

    // MARK: - What comes

    /// The introductions begin, once TLS has made its own.
    private func begin(isSecured: Bool = false) {
        guard !hasBegun, isSecured || !self.isSecured else { return }
        hasBegun = true
        session.begin(&directives)
        carryOut()
        flush()
    }

    private var isSecured: Bool { shared.security != nil }

    private func receive(_ frame: PeerFrame, at now: Instant) {
        if case .request(let id, let type, let timeout, let body) = frame, let known = PeerRequestType(rawValue: type) {
            let limit = UInt32(clamping: shared.requests.deadline(of: known).milliseconds)
            let limited = PeerFrame.request(id: id, type: type, timeoutMilliseconds: min(timeout, limit), body: body)
            session.receive(limited, at: now, &directives)
        } else {
            session.receive(frame, at: now, &directives)
        }
        carryOut()
    }

    private func carryOut() {
        var done = 0
        while done < directives.count {
            carryOut(directives[done])
            done += 1
        }
        directives.removeAll(keepingCapacity: true)
    }

    private func carryOut(_ directive: PeerSession.Directive) {
        switch directive {
        case .send(let frame):
            if case .heartbeatReset = frame { shared.metrics.unknownVectors.increment() }
            output.write(frame)
        case .established(let remote, let lane): established(remote, lane)
        case .messages(let messages):
            guard let node = session.remote?.node, shared.isMember(node) else {
                return shared.metrics.dropped(messages.count, .stranger)
            }
            shared.events.messages(node, messages)
        case .heartbeats(let roster):
            guard let node = session.remote?.node, shared.isMember(node) else {
                return shared.metrics.dropped(roster.rows.count, .stranger)
            }
            shared.events.heartbeats(node, roster)
        case .leaders(let leaders):
            guard let node = session.remote?.node, shared.isMember(node) else {
                return shared.metrics.dropped(1, .stranger)
            }
            shared.events.leaders(node, leaders)
        case .request(let id, let type, let timeout, let body):
            guard let node = session.remote?.node else { return }
            let answers = self.answers
            shared.requests.carryOut(type, body, from: node, isMember: shared.isMember(node), timeout: timeout) {
                answers.post(id, $0)
            }
        case .answered(let id, let result):
            shared.metrics.called(result)
            waiting.removeValue(forKey: id)?(result)
        case .close(let reason): close(reason)
        }
    }

    private func established(_ remote: PeerIdentity, _ lane: PeerLane) {
        guard let channel = context?.channel else { return }
        self.lane = lane
        stream.bytesMax = shared.settings.frameBytesMax
        (dialer == nil ? shared.metrics.inbound : shared.metrics.outbound).add(1)
        let connected = PeerShared.Connected(channel: channel, remote: remote)
        if let older = shared.established(connected, on: lane, isInbound: dialer == nil) {
            if older.remote.incarnation != remote.incarnation {
                shared.logger.notice(
                    "broker was started again, or two processes have its id", metadata: ["peer": "\(remote.node)"])
            }
            older.channel.close(promise: nil)
        }
        dialer?.established(self, remote)
    }

    /// Answers of handlers came.
    func answer(_ results: [PeerAnswers.Result]) {
        for one in results { session.answer(one.id, one.result, &directives) }
        carryOut()
        flush()
        setTimer()
    }

    // MARK: - What goes

    /// Writes what the dialer has gathered; the bytes it was counted with are given back once it has left.
    func send(_ items: [PeerOutbox.Item], countedBytes: Int) {
        guard !hasEnded else { return }
        let now = self.now
        var messages: [PeerMessage] = []
        for item in items {
            switch item {
            case .messages(let more):
                if messages.isEmpty { messages = more } else { messages += more }
            case .heartbeats(let kind, let rows):
                for vector in session.vectors(kind, rows) { send(vector) }
            case .roster(let roster): send(session.vector(roster))
            case .leaders(let leaders):
                for start in stride(from: 0, to: leaders.count, by: Self.leadersPerFrame) {
                    let end = min(start + Self.leadersPerFrame, leaders.count)
                    output.write(.leaders(Array(leaders[start..<end])))
                }
            case .call(let call): send(call, at: now)
            }
        }
        output.write(messages[...])
        shared.metrics.messages.increment(by: messages.count)
        flush(countedBytes: countedBytes)
        setTimer()
    }

    private static let leadersPerFrame = 16_384

    private func send(_ vector: HeartbeatVector) {
        if case .full = vector.content {
            shared.metrics.fullVectors.increment()
        } else {
            shared.metrics.changedVectors.increment()
        }
        output.write(.heartbeats(vector))
    }

    private func send(_ call: PeerCall, at now: Instant) {
        guard let id = session.ask(call.timeout, at: now) else {
            shared.metrics.called(.failure(.busy))
            return call.then(.failure(.busy))
        }
        waiting[id] = call.then
        let timeout = UInt32(clamping: call.timeout.milliseconds)
        output.write(
            .request(id: id, type: call.type.rawValue, timeoutMilliseconds: timeout, body: call.body))
    }

    private func flush(countedBytes: Int = 0) {
        guard let context else { return }
        let dialer = self.dialer
        let byteCount = output.byteCount
        guard byteCount > 0 else {
            if countedBytes > 0 { dialer?.sent(countedBytes, by: self) }
            return
        }
        written += byteCount
        if let lane { shared.metrics.sent(byteCount, on: lane) }
        var pieces = output.take()
        let last = pieces.removeLast()
        for piece in pieces { context.write(wrapOutboundOut(piece), promise: nil) }
        if countedBytes > 0 {
            let promise = loop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenComplete { _ in dialer?.sent(countedBytes, by: self) }
            context.writeAndFlush(wrapOutboundOut(last), promise: promise)
        } else {
            context.writeAndFlush(wrapOutboundOut(last), promise: nil)
        }
    }

    // MARK: - Time

    private func setTimer() {
        guard !hasEnded else { return }
        let due = session.nextTick
        if let timer, timer.due <= due { return }
        timer?.task.cancel()
        let task = loop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) { self.tick() }
        timer = (due, task)
    }

    private func tick() {
        timer = nil
        guard !hasEnded else { return }
        let now = self.now
        if hasMadeProgress() { session.heard(at: now) }
        // A slow peer is to be seen making progress, however little.
        setLowWater(1)
        session.tick(at: now, &directives)
        carryOut()
        flush()
        setTimer()
    }

    /// Whether the kernel took bytes since the last look: a peer that still takes a large entry is not silent.
    private func hasMadeProgress() -> Bool {
        guard let pending = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes) else { return false }
        let through = written - pending
        defer { writtenThrough = through }
        return through > writtenThrough && pending > 0
    }

    /// Has the kernel wake this connection once for a large frame instead of once for each piece of it.
    private func setLowWater(_ byteCount: Int) {
        guard byteCount != lowWater, let context, !hasEnded else { return }
        lowWater = byteCount
        // Where there is no such option every piece wakes us.
        try? context.channel.syncOptions?.setOption(PeerReceiveBuffers.lowWater, value: byteCount)
    }

    // MARK: - The end

    /// Closes once what was written has left, as far as the kernel takes it at once.
    func close(_ reason: PeerClosure) {
        guard !hasEnded else { return }
        let context = self.context
        flush()
        ended(reason)
        context?.close(promise: nil)
    }

    private var peerText: String {
        if let remote = session.remote { return "\(remote.node)" }
        if let dialer { return "\(dialer.peer)" }
        return context?.channel.remoteAddress.map { "\($0)" } ?? "unknown"
    }

    private func ended(_ reason: PeerClosure) {
        guard !hasEnded else { return }
        hasEnded = true
        let wasEstablished = lane != nil
        session.close(reason, &directives)
        directives.removeAll()
        timer?.task.cancel()
        timer = nil
        if let context { shared.closed(context.channel, remote: session.remote?.node, on: lane) }
        if wasEstablished { (dialer == nil ? shared.metrics.inbound : shared.metrics.outbound).add(-1) }
        shared.metrics.closed(reason)
        log(reason)
        let unanswered = waiting
        waiting = [:]
        for (_, then) in unanswered.sorted(by: { $0.key < $1.key }) {
            shared.metrics.called(.failure(.disconnected))
            then(.failure(.disconnected))
        }
        dialer?.lost(self, reason)
    }

    private func log(_ reason: PeerClosure) {
        let metadata: Logger.Metadata = ["peer": "\(peerText)", "reason": "\(reason)"]
        switch reason {
        case .invalid, .outOfTurn, .refused, .refusedByPeer, .tls:
            shared.logger.warning("connection between brokers was refused", metadata: metadata)
        case .silent, .handshakeTimeout:
            shared.logger.notice("connection between brokers is given up", metadata: metadata)
        case .lost, .replaced, .stopped:
            shared.logger.debug("connection between brokers ended", metadata: metadata)
        }
    }
}
