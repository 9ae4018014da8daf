// SPDX-License-Identifier: Apache-2.0
//
// ConnectionHandler.swift
// The shell of a connection: sockets in, requests out; replies in, bytes out. Decides nothing that ConnectionInstance can.
// Confined to its event loop.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Telemetry

/// One client connection in its channel's pipeline.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let id: UInt64
    let requestContext: RequestContext
    private let loop: ConnectionLoop
    private let shared: ServerShared
    private var instance: ConnectionInstance
    private var decoder: FrameDecoder
    private var writer: ResponseWriter
    private let buffers: ReceiveBuffers
    private var context: ChannelHandlerContext?
    /// How many bytes the kernel gathers before it tells of them.
    private var lowWater = 1
    /// What was read while the connection stood still; at most what one read burst delivers.
    private var backlog: [ByteBuffer] = []
    private var isReadWanted = false
    /// Inside `settle` or the handling of requests: replies that come now leave at its end.
    private var isBusy = false
    private var isReady = false
    private var isClosed = false
    /// Replies are not waited for any more.
    private var isAbandoned = false
    private var throttledUntil: NIODeadline?
    private var disconnectActions: [UInt64: @Sendable () -> Void] = [:]

    init(context: RequestContext, loop: ConnectionLoop, allocator: ByteBufferAllocator, buffers: ReceiveBuffers) {
        self.buffers = buffers
        self.id = context.connectionID
        self.requestContext = context
        self.loop = loop
        self.shared = loop.shared
        self.instance = ConnectionInstance(limits: loop.shared.limits, now: loop.now)
        self.decoder = FrameDecoder(bytesMax: loop.shared.settings.requestBytesMax, allocator: allocator)
        self.writer = ResponseWriter(allocator: allocator)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        shared.metrics.created.increment()
        shared.metrics.connections.add(1)
        loop.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended(.peer)
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended(.peer)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        shared.logger.debug(
            "connection failed", metadata: ["peer": "\(requestContext.peerAddress)", "error": "\(error)"])
        close(.peer)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            instance.resume(.responses)
            becameReady()
        } else {
            pause(.responses)
        }
        context.fireChannelWritabilityChanged()
    }

    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { isReadWanted = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var chunk = unwrapInboundIn(data)
        let byteCount = chunk.readableBytes
        shared.metrics.bytesIn.increment(by: byteCount)
        let now = loop.now
        if backlog.isEmpty && instance.mayContinue {
            busy { handleRequests(in: &chunk, now: now) }
        }
        if chunk.readableBytes > 0 && !isClosed { backlog.append(chunk) }
        instance.received(byteCount, isPartial: decoder.isPartial, at: now)
        buffers.limit(to: backlog.isEmpty ? decoder.nextReadBytes : 0)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        settle()
        context.fireChannelReadComplete()
    }

    // MARK: Requests

    private var mayRead: Bool { instance.mayContinue && backlog.isEmpty }

    private func busy(_ body: () -> Void) {
        let outer = isBusy
        isBusy = true
        body()
        isBusy = outer
    }

    private func handleRequests(in chunk: inout ByteBuffer, now: Instant) {
        do throws(FrameError) {
            while instance.mayContinue {
                if shared.budget.isExhausted { return waitForBudget() }
                guard let frame = try decoder.next(from: &chunk) else { return }
                instance.frameCompleted()
                handle(frame, now: now)
            }
        } catch {
            refuse(error)
        }
    }

    private func handle(_ frame: ByteBuffer, now: Instant) {
        var body = frame
        let header: RequestHeader
        do throws(WireError) {
            header = try RequestHeader.read(from: &body)
        } catch {
            logRefusal("request header cannot be read", ["error": "\(error)"])
            return close(.invalidRequest)
        }
        let before = instance.pauses
        let slot = instance.admit(byteCount: frame.readableBytes)
        shared.budget.charge(frame.readableBytes)
        shared.metrics.requests.increment()
        shared.metrics.inflight.add(1)
        noteNewPauses(since: before)
        let request = InboundRequest(header: header, body: body, receivedAt: now, context: requestContext)
        shared.handler(request, Reply(mailbox: loop.mailbox, connection: id, slot: slot))
    }

    private func refuse(_ error: FrameError) {
        switch error {
        case .foreignProtocol(let name):
            logRefusal("client speaks another protocol on the Kafka port", ["protocol": "\(name)"])
        case .negativeSize(let size): logRefusal("request has a negative size", ["bytes": "\(size)"])
        case .tooLarge(let size, let limit):
            logRefusal("request is too large", ["bytes": "\(size)", "limit": "\(limit)"])
        }
        close(.invalidFrame)
    }

    private func logRefusal(_ message: Logger.Message, _ metadata: Logger.Metadata) {
        shared.logger.warning(
            message, metadata: metadata.merging(["peer": "\(requestContext.peerAddress)"]) { own, _ in own })
    }

    // MARK: Replies

    func receive(_ message: ReplyMessage) {
        guard !isAbandoned else { return message.releaseUndelivered() }
        guard instance.isWaiting(message.slot) else { return checkLate(message) }
        switch message.event {
        case .onDisconnect(let release):
            disconnectActions[message.slot] = release
            return
        case .complete(let body, let throttleMilliseconds):
            if throttleMilliseconds > 0 { throttle(milliseconds: Int64(throttleMilliseconds)) }
            complete(message.slot, body.map { .response($0) } ?? .nothing)
        case .close(let reason):
            complete(message.slot, .close(reason))
        }
    }

    /// A disconnect action may come after its reply, from another thread; a second answer may not.
    private func checkLate(_ message: ReplyMessage) {
        guard case .onDisconnect = message.event else {
            preconditionFailure("slot \(message.slot) of connection \(id) was completed twice")
        }
    }

    private func complete(_ slot: UInt64, _ outcome: ConnectionInstance.Outcome) {
        let bytes = instance.complete(slot, outcome)
        shared.budget.release(bytes)
        shared.metrics.inflight.add(-1)
        if !disconnectActions.isEmpty { disconnectActions[slot] = nil }
        becameReady()
    }

    private func becameReady() {
        guard !isBusy, !isReady else { return }
        isReady = true
        loop.becameReady(self)
    }

    /// Sends what is ready, begins requests that waited for room, and reads on when nothing stands in the way.
    func settle() {
        isReady = false
        guard !isBusy, let context, !isClosed else { return }
        isBusy = true
        repeat { sendReady(context) } while handleBacklog()
        isBusy = false
        guard !isClosed else { return }
        if instance.pauses.contains(.closing), instance.isQuiet { return closeAfterFlush(context) }
        setLowWater(backlog.isEmpty ? decoder.lowWater : 1, context)
        if isReadWanted && mayRead {
            isReadWanted = false
            context.read()
        }
    }

    /// Has the kernel wake this connection once for a large request instead of once for each piece of it.
    private func setLowWater(_ byteCount: Int, _ context: ChannelHandlerContext) {
        guard byteCount != lowWater else { return }
        lowWater = byteCount
        // Where there is no such option every piece wakes us, as before.
        try? context.channel.syncOptions?.setOption(SocketTuning.lowWater, value: byteCount)
    }

    private func sendReady(_ context: ChannelHandlerContext) {
        var closeReason: String?
        while closeReason == nil, let outcome = instance.nextOutcome() {
            switch outcome {
            case .response(let body): writer.append(body) { context.write(self.wrapOutboundOut($0), promise: nil) }
            case .nothing: break
            case .close(let reason): closeReason = reason
            }
        }
        let sent = writer.finish { context.write(self.wrapOutboundOut($0), promise: nil) }
        if sent > 0 {
            shared.metrics.bytesOut.increment(by: sent)
            context.flush()
            if instance.isQuiet { instance.answered(at: loop.now) }
        }
        if let closeReason {
            logRefusal("request was refused", ["reason": "\(closeReason)"])
            abandonRequests()
            closeAfterFlush(context, .invalidRequest)
        }
    }

    /// Begins requests that were read while the connection stood still; returns whether there may be something to send.
    private func handleBacklog() -> Bool {
        guard !backlog.isEmpty, instance.mayContinue, !isClosed else { return false }
        let now = loop.now
        let waiting = backlog
        backlog = []
        for var chunk in waiting {
            if backlog.isEmpty { handleRequests(in: &chunk, now: now) }
            if chunk.readableBytes > 0 && !isClosed { backlog.append(chunk) }
        }
        instance.received(0, isPartial: decoder.isPartial, at: now)
        return true
    }

    // MARK: Standing still

    private func pause(_ reason: PauseReasons) {
        if instance.pause(reason) { shared.metrics.paused(reason) }
    }

    private func noteNewPauses(since before: PauseReasons) {
        let new = instance.pauses.subtracting(before)
        guard !new.isEmpty else { return }
        shared.metrics.paused(new)
        shared.logger.debug(
            "connection has too much in flight and is not read",
            metadata: [
                "peer": "\(requestContext.peerAddress)", "requests": "\(instance.incomplete)",
                "bytes": "\(instance.inflightBytes)",
            ])
    }

    private func waitForBudget() {
        pause(.broker)
        shared.logger.notice(
            "requests in flight reached the broker's limit; clients are not read",
            metadata: ["limit": "\(shared.settings.inflightBytesMax)"])
    }

    func budgetFreed() {
        guard instance.pauses.contains(.broker) else { return }
        instance.resume(.broker)
        becameReady()
    }

    private func throttle(milliseconds: Int64) {
        guard let context else { return }
        let until = context.eventLoop.now + .milliseconds(milliseconds)
        pause(.throttle)
        if let throttledUntil, throttledUntil >= until { return }
        throttledUntil = until
        context.eventLoop.assumeIsolated().scheduleTask(deadline: until) {
            // A longer throttle came meanwhile and has a task of its own.
            guard self.throttledUntil == until else { return }
            self.throttledUntil = nil
            self.instance.resume(.throttle)
            self.becameReady()
        }
    }

    func checkTimers(now: Instant) {
        // A slow client is to be seen making progress, however little.
        if lowWater > 1, let context { setLowWater(1, context) }
        guard let reason = instance.expired(at: now) else { return }
        shared.logger.debug(
            "connection is given up",
            metadata: ["peer": "\(requestContext.peerAddress)", "reason": "\(reason.rawValue)"])
        close(reason)
    }

    // MARK: The end

    /// Reads nothing more, answers what was begun, then closes.
    func beginDrain() {
        _ = instance.pause(.closing)
        backlog = []
        becameReady()
    }

    /// Closes now; what was not sent is lost.
    func close(_ reason: CloseReason) {
        guard !isClosed else { return }
        let context = self.context
        ended(reason)
        context?.close(promise: nil)
    }

    /// Closes when everything that was written has left.
    private func closeAfterFlush(_ context: ChannelHandlerContext, _ reason: CloseReason = .shutdown) {
        _ = instance.pause(.closing)
        backlog = []
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in self.close(reason) }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(capacity: 0)), promise: written)
    }

    /// Gives back what unanswered requests hold and tells those who parked them.
    private func abandonRequests() {
        isAbandoned = true
        shared.metrics.inflight.add(-instance.incomplete)
        shared.budget.release(instance.abandon())
        let actions = disconnectActions
        disconnectActions = [:]
        for (_, release) in actions.sorted(by: { $0.key < $1.key }) { release() }
    }

    private func ended(_ reason: CloseReason) {
        guard !isClosed else { return }
        isClosed = true
        backlog = []
        shared.metrics.connections.add(-1)
        shared.metrics.closed(reason)
        shared.census.leave(requestContext.peerAddress)
        abandonRequests()
        requestContext.end.come()
        loop.remove(self)
    }
}
