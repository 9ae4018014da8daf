// SPDX-License-Identifier: Apache-2.0
//
// HTTPClient.swift
// One HTTP request at a time over a connection of its own: enough for a few small requests now and then.

public import NIOCore
import NIOHTTP1
import NIOPosix

/// A request with a small body.
public struct HTTPRequest: Sendable {
    /// `GET`, `POST`, `PUT`.
    public var method: String
    /// The path with the query.
    public var path: String
    /// Beside those that every request has.
    public var headers: [(String, String)]
    /// JSON.
    public var body: [UInt8]?

    /// Makes a request.
    public init(_ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil) {
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
    }
}

/// The whole answer.
public struct HTTPAnswer: Sendable {
    /// The code; an answer that says no is an answer.
    public let status: Int
    /// What came.
    public let body: [UInt8]

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Why there is no answer.
public struct HTTPFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// A sentence's end, for operators.
    public let description: String
}

/// Asks one server.
///
/// There is no TLS, no redirection and no reuse of connections.
public struct HTTPClient: Sendable {
    /// Longer answers are refused.
    public static let answerBytesMax = 16 << 20

    private let loop: any EventLoop
    private let host: String
    private let port: Int
    private let timeout: TimeAmount

    /// Makes a client; each request may take `timeout` twice, to connect and to be answered.
    public init(loop: any EventLoop, host: String, port: Int, timeout: TimeAmount = .seconds(3)) {
        self.loop = loop
        self.host = host
        self.port = port
        self.timeout = timeout
    }

    /// Sends `request` and returns the answer, whatever it says.
    public func send(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPAnswer {
        do {
            return try await exchange(request)
        } catch let failure as HTTPFailure {
            throw failure
        } catch {
            throw HTTPFailure(description: "\(error)")
        }
    }

    private func exchange(_ request: HTTPRequest) async throws -> HTTPAnswer {
        let answer = loop.makePromise(of: HTTPAnswer.self)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(timeout).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandler(HTTPExchange(answer: answer))
            }
        }
        let channel: any Channel
        do {
            channel = try await bootstrap.connect(host: host, port: port).get()
        } catch {
            // A promise must be kept, also when nobody waits for it.
            answer.fail(error)
            throw error
        }
        let deadline = loop.scheduleTask(in: timeout) {
            answer.fail(HTTPFailure(description: "no answer in time"))
            channel.close(promise: nil)
        }
        write(request, to: channel)
        defer {
            deadline.cancel()
            channel.close(promise: nil)
        }
        return try await answer.futureResult.get()
    }

    private func write(_ request: HTTPRequest, to channel: any Channel) {
        let shown = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        var headers = HTTPHeaders([("host", shown), ("connection", "close"), ("accept", "application/json")])
        for (name, value) in request.headers { headers.add(name: name, value: value) }
        if let body = request.body {
            headers.add(name: "content-type", value: "application/json")
            headers.add(name: "content-length", value: "\(body.count)")
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: request.path, headers: headers)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body = request.body {
            channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
        }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }
}

/// Gathers one answer.
private final class HTTPExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let answer: EventLoopPromise<HTTPAnswer>
    private var status = 0
    private var body: [UInt8] = []

    init(answer: EventLoopPromise<HTTPAnswer>) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = Int(head.status.code)
        case .body(let part):
            guard body.count + part.readableBytes <= HTTPClient.answerBytesMax else {
                return fail(HTTPFailure(description: "the answer is too long"), context)
            }
            body.append(contentsOf: part.readableBytesView)
        case .end: answer.succeed(HTTPAnswer(status: status, body: body))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.fail(HTTPFailure(description: "the connection was closed before the answer"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error, context) }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        answer.fail(error)
        context.close(promise: nil)
    }
}
