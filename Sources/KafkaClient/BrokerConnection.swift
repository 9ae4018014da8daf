// SPDX-License-Identifier: Apache-2.0
//
// BrokerConnection.swift
// One socket to one broker: requests out, answers in, in order, each with a deadline.
// Confined to the channel's event loop.

import KafkaProtocol
import NIOCore

/// The last handler of a broker's channel.
///
/// A request that passes its deadline ends the connection: later answers could not be told apart from its own.
final class BrokerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias FrameCompletion = (Result<ByteBuffer, ClientError>) -> Void

    private struct Waiter {
        let attempted: String
        let completion: FrameCompletion
    }

    private static let overdueCheckInterval = TimeAmount.milliseconds(50)

    let address: BrokerAddress
    private let settings: ClientSettings
    private let onClose: (BrokerConnection) -> Void
    private var context: ChannelHandlerContext?
    private var splitter: FrameSplitter
    private var pending = PendingRequests<Waiter>()
    private var overdueCheck: Scheduled<Void>?
    private var flushIsScheduled = false
    private var closeReason: ClientError.Code?
    private var closeDetail: String?

    init(address: BrokerAddress, settings: ClientSettings, onClose: @escaping (BrokerConnection) -> Void) {
        self.address = address
        self.settings = settings
        self.onClose = onClose
        self.splitter = FrameSplitter(frameBytesMax: settings.responseBytesMax)
    }

    /// Whether requests can be sent.
    var isOpen: Bool { context != nil && closeReason == nil }

    /// How many requests wait for answers.
    var inFlight: Int { pending.count }

    // MARK: Sending

    /// Sends `request` in `version`; `completion` runs once, on the loop, with the answer's frame or an error.
    func send<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, timeoutMilliseconds: Int64, completion: @escaping FrameCompletion
    ) {
        guard pending.count < settings.inFlightMax else {
            return completion(.failure(error(.connectionLost, Request.apiKey.name, "too many requests in flight")))
        }
        guard isOpen else { return completion(.failure(error(.connectionLost, Request.apiKey.name, nil))) }
        let correlationID = pending.makeCorrelationID()
        let deadline = NIODeadline.now() + .milliseconds(timeoutMilliseconds)
        pending.add(
            .init(
                correlationID: correlationID, deadlineNanoseconds: deadline.uptimeNanoseconds,
                completion: Waiter(attempted: Request.apiKey.name, completion: completion)))
        write(request, version: version, correlationID: correlationID)
        armOverdueCheck()
    }

    /// Sends a request that the broker does not answer; `completion` runs when the system has taken it.
    func sendOneWay<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, completion: @escaping (Result<Void, ClientError>) -> Void
    ) {
        guard isOpen, let context else {
            return completion(.failure(error(.connectionLost, Request.apiKey.name, nil)))
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            completion(result.mapError { self.error(.connectionLost, Request.apiKey.name, "\($0)") })
        }
        write(request, version: version, correlationID: pending.makeCorrelationID(), promise: promise)
    }

    private func write<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, correlationID: Int32, promise: EventLoopPromise<Void>? = nil
    ) {
        guard let context else { return }
        let pieces = RequestEncoder.encode(
            request, version: version, correlationID: correlationID, clientID: settings.clientID)
        for piece in pieces.dropLast() { context.write(wrapOutboundOut(piece), promise: nil) }
        context.write(wrapOutboundOut(pieces[pieces.count - 1]), promise: promise)
        guard !flushIsScheduled else { return }
        flushIsScheduled = true
        // Requests of one turn of the loop leave in one system call.
        context.eventLoop.assumeIsolated().execute {
            self.flushIsScheduled = false
            self.context?.flush()
        }
    }

    /// Ends the connection; everything that waits fails with `code`.
    func close(_ code: ClientError.Code, detail: String? = nil) {
        guard closeReason == nil else { return }
        closeReason = code
        closeDetail = detail
        if let context { context.close(promise: nil) } else { failAll() }
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { ended() }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(.connectionLost, detail: "\(error)")
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        splitter.append(unwrapInboundIn(data))
        do {
            while closeReason == nil, let frame = try splitter.next() { receive(frame) }
        } catch {
            close(.malformedResponse, detail: "a frame of \(error.size) bytes")
        }
    }

    private func receive(_ frame: ByteBuffer) {
        guard let correlationID = try? ResponseDecoder.correlationID(of: frame) else {
            return close(.malformedResponse, detail: "a frame of \(frame.readableBytes) bytes")
        }
        guard let entry = pending.answer(correlationID: correlationID) else {
            return close(.malformedResponse, detail: "unexpected correlation id \(correlationID)")
        }
        entry.completion.completion(.success(frame))
    }

    /// Looks at the deadlines now and then while anything waits, so that requests need no timer of their own.
    ///
    /// A deadline counts when it had passed an interval ago: a process that stood still first reads the answers that came
    /// in the meantime.
    private func armOverdueCheck() {
        guard overdueCheck == nil, let context, pending.count > 0 else { return }
        let armedAt = NIODeadline.now().uptimeNanoseconds
        overdueCheck = context.eventLoop.assumeIsolated().scheduleTask(in: Self.overdueCheckInterval) {
            self.overdueCheck = nil
            if self.pending.isOverdue(nowNanoseconds: armedAt) { self.close(.timedOut) }
            self.armOverdueCheck()
        }
    }

    private func ended() {
        guard context != nil else { return }
        context = nil
        overdueCheck?.cancel()
        overdueCheck = nil
        if closeReason == nil { closeReason = .connectionLost }
        failAll()
        onClose(self)
    }

    private func failAll() {
        let code = closeReason ?? .connectionLost
        for entry in pending.removeAll() {
            entry.completion.completion(.failure(error(code, entry.completion.attempted, closeDetail)))
        }
    }

    private func error(_ code: ClientError.Code, _ attempted: String, _ detail: String?) -> ClientError {
        ClientError(code, attempted: attempted, place: address.description, detail: detail)
    }
}
