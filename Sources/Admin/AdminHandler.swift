// SPDX-License-Identifier: Apache-2.0
//
// AdminHandler.swift
// One HTTP connection: a request at a time, each within its limits and its time.

import Logging
import NIOCore
import NIOHTTP1
import Telemetry

/// What one HTTP connection may do.
struct AdminLimits: Sendable {
    /// Bytes of the request line and all headers.
    var headerBytesMax = 16 << 10
    /// Bytes of a body, which nobody reads: orders say everything in their path.
    var bodyBytesMax = 64 << 10
    /// How long the next request may take to arrive, from the response before it.
    var requestTimeout = TimeAmount.seconds(30)
}

/// Answers the requests of one connection.
///
/// Confined to its loop.
final class AdminHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let routes: AdminRoutes
    private let limits: AdminLimits
    private let requests: CounterFamily
    private let logger: Logger
    private var head: HTTPRequestHead?
    private var bodyBytes = 0
    private var timeout: Scheduled<Void>?

    init(routes: AdminRoutes, limits: AdminLimits, requests: CounterFamily, logger: Logger) {
        self.routes = routes
        self.limits = limits
        self.requests = requests
        self.logger = logger
    }

    func channelActive(context: ChannelHandlerContext) {
        awaitRequest(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyBytes = 0
            if Self.byteCount(head) > limits.headerBytesMax {
                refuse(context, .problem(.requestHeaderFieldsTooLarge, "the headers are too large"))
            }
        case .body(let part):
            bodyBytes += part.readableBytes
            if bodyBytes > limits.bodyBytesMax { refuse(context, .problem(.payloadTooLarge, "the body is too large")) }
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("HTTP connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    /// Answers now or when the broker has; no further request of this connection comes before that.
    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        timeout?.cancel()
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        routes.respond(to: AdminRequest(method: head.method, uri: head.uri)) { response in
            @Sendable func send() {
                let (handler, context) = bound.value
                guard context.channel.isActive else { return }
                handler.write(response, to: context, head: head, keepAlive: head.isKeepAlive)
            }
            if loop.inEventLoop { send() } else { loop.execute(send) }
        }
    }

    /// Answers before the request is complete, and closes: what follows is not read.
    private func refuse(_ context: ChannelHandlerContext, _ response: AdminResponse) {
        guard let head else { return }
        self.head = nil
        write(response, to: context, head: head, keepAlive: false)
    }

    private func write(
        _ response: AdminResponse, to context: ChannelHandlerContext, head: HTTPRequestHead, keepAlive: Bool
    ) {
        let path = AdminRoutes.label(AdminRequest(method: head.method, uri: head.uri))
        requests.counter(path, "\(response.status.code)").increment()
        var headers = HTTPHeaders([
            ("content-type", response.contentType), ("content-length", "\(response.body.utf8.count)"),
            ("cache-control", "no-store"), ("x-content-type-options", "nosniff"),
        ])
        if let allow = response.allow { headers.add(name: "allow", value: allow) }
        if !keepAlive { headers.add(name: "connection", value: "close") }
        let responseHead = HTTPResponseHead(version: head.version, status: response.status, headers: headers)
        context.write(wrapOutboundOut(.head(responseHead)), promise: nil)
        if head.method != .HEAD {
            let body = context.channel.allocator.buffer(string: response.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        let loopBound = context.loopBound
        if !keepAlive { written.futureResult.whenComplete { _ in loopBound.value.close(promise: nil) } }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        awaitRequest(context)
    }

    private func awaitRequest(_ context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: limits.requestTimeout) {
            context.close(promise: nil)
        }
    }

    private static func byteCount(_ head: HTTPRequestHead) -> Int {
        head.headers.reduce(head.uri.utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
    }
}
