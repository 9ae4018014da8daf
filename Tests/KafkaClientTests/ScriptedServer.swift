// SPDX-License-Identifier: Apache-2.0
//
// ScriptedServer.swift
// A server on a real socket whose answers a test decides, one closure call a request.

import KafkaProtocol
import NIOCore
import NIOPosix
import Synchronization

@testable import KafkaClient

/// What the server does with one request.
enum ScriptedReply {
    /// Answers in the version of the request.
    case answer(any KafkaResponseMessage)
    /// Answers with these bytes, which stand for header and body.
    case bytes(ByteBuffer)
    /// Answers later, when the test calls ``ScriptedServer/release()``; later requests are not held up.
    case held(any KafkaResponseMessage)
    /// Never answers.
    case silence
    /// Ends the connection.
    case close
}

/// Listens on a free port of the loopback address.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (RequestHeader, KafkaRequest) -> ScriptedReply

    private struct State {
        var seen: [RequestHeader] = []
        var held: [@Sendable () -> Void] = []
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state = Mutex(State())
    private let script: Script
    private let channel: Mutex<(any Channel)?> = Mutex(nil)

    init(_ script: @escaping Script) { self.script = script }

    /// Starts listening and returns the address.
    func start() async throws -> BrokerAddress {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(self))
                }
            }
        let channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        self.channel.withLock { $0 = channel }
        return BrokerAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)
    }

    func stop() async throws {
        try await channel.withLock { $0 }?.close()
        try await group.shutdownGracefully()
    }

    /// The requests so far, in the order of their arrival.
    var seen: [RequestHeader] { state.withLock { $0.seen } }

    /// How many requests of an API have come.
    func count(_ key: APIKey) -> Int { seen.count { $0.apiKey == key.rawValue } }

    /// Sends every answer that was held.
    func release() {
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for send in held { send() }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let server: ScriptedServer
        private var splitter = FrameSplitter(frameBytesMax: 64 << 20)
        private var isClosed = false

        init(_ server: ScriptedServer) { self.server = server }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            splitter.append(unwrapInboundIn(data))
            while !isClosed, let frame = try? splitter.next() { serve(frame, context) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func serve(_ frame: ByteBuffer, _ context: ChannelHandlerContext) {
            var body = frame
            guard let header = try? RequestHeader.read(from: &body), header.key != nil else {
                return context.close(promise: nil)
            }
            server.state.withLock { $0.seen.append(header) }
            guard let request = try? RequestDecoder.decode(header, body: body) else {
                return context.close(promise: nil)
            }
            switch server.script(header, request) {
            case .answer(let response): Self.send(Self.encode(response, header), on: context.channel)
            case .bytes(let bytes): Self.send(bytes, on: context.channel)
            case .held(let response):
                let (bytes, channel) = (Self.encode(response, header), context.channel)
                server.state.withLock { $0.held.append { Self.send(bytes, on: channel) } }
            case .silence: break
            case .close:
                isClosed = true
                context.close(promise: nil)
            }
        }

        private static func encode(_ response: some KafkaResponseMessage, _ header: RequestHeader) -> ByteBuffer {
            ResponseEncoder.encode(response, version: header.version, correlationID: header.correlationID).contiguous()
        }

        private static func send(_ bytes: ByteBuffer, on channel: any Channel) {
            var frame = ByteBuffer(integer: Int32(bytes.readableBytes))
            frame.writeImmutableBuffer(bytes)
            channel.writeAndFlush(frame, promise: nil)
        }
    }
}

/// Runs `body` with a client of a scripted server, and stops both.
func withScriptedServer(
    _ script: @escaping ScriptedServer.Script, configure: (inout ClientSettings) -> Void = { _ in },
    _ body: (ScriptedServer, KafkaClient) async throws -> Void
) async throws {
    let server = ScriptedServer(script)
    let address = try await server.start()
    var settings = ClientSettings(bootstrap: [address])
    settings.backoffMilliseconds = 2
    settings.backoffMaxMilliseconds = 10
    // What takes long on a slow machine is not what these tests are about.
    settings.connectTimeoutMilliseconds = 60_000
    settings.requestTimeoutMilliseconds = 60_000
    settings.reachTimeoutMilliseconds = 120_000
    settings.callTimeoutMilliseconds = 120_000
    settings.topicTimeoutMilliseconds = 120_000
    configure(&settings)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let client = await KafkaClient(settings: settings, eventLoop: group.next())
    do {
        try await body(server, client)
    } catch {
        await client.close()
        try await group.shutdownGracefully()
        try await server.stop()
        throw error
    }
    await client.close()
    try await group.shutdownGracefully()
    try await server.stop()
}

/// Metadata of one broker at `address` that leads every partition of every topic named.
func metadata(of topics: [String: Int], at address: BrokerAddress, leader: Int32 = 1) -> MetadataResponse {
    MetadataResponse(
        brokers: [.init(nodeID: 1, host: address.host, port: Int32(address.port))], clusterID: "test", controllerID: 1,
        topics: topics.sorted { $0.key < $1.key }.map { name, count in
            .init(
                name: name,
                partitions: (0..<Int32(count)).map {
                    .init(index: $0, leaderID: leader, leaderEpoch: 1, replicaNodes: [1], isrNodes: [1])
                })
        })
}
