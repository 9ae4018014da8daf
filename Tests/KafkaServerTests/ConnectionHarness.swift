// SPDX-License-Identifier: Apache-2.0
//
// ConnectionHarness.swift
// One connection on an embedded loop, and the frames its tests speak.

import KafkaProtocol
import Model
import NIOCore
import NIOEmbedded
import Synchronization
import Telemetry
import TestSupport

@testable import KafkaServer

/// Requests as the handler got them.
final class Recorder: Sendable {
    private let requests = Mutex<[(request: InboundRequest, reply: Reply)]>([])
    func record(_ request: InboundRequest, _ reply: Reply) { requests.withLock { $0.append((request, reply)) } }
    func take() -> [(request: InboundRequest, reply: Reply)] {
        requests.withLock { requests in
            defer { requests = [] }
            return requests
        }
    }
}

/// Frames of a made-up exchange: the body of request n is its number, and so is the response.
enum Frames {
    static func request(_ number: Int32, padding: Int = 0) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(Int32(8 + 2 + 4 + padding))
        buffer.writeInteger(Int16(18))
        buffer.writeInteger(Int16(0))
        buffer.writeInteger(number)
        buffer.writeInteger(Int16(-1))
        buffer.writeInteger(number)
        buffer.writeRepeatingByte(UInt8(truncatingIfNeeded: number), count: padding)
        return buffer
    }

    static func requests(_ numbers: Range<Int32>, padding: Int = 0) -> ByteBuffer {
        var buffer = ByteBuffer()
        for number in numbers { buffer.writeImmutableBuffer(request(number, padding: padding)) }
        return buffer
    }

    static func response(_ number: Int32, padding: Int = 0) -> ResponseBody {
        var buffer = ByteBuffer(integer: number)
        guard padding > 0 else { return ResponseBody(pieces: [buffer]) }
        buffer.writeInteger(UInt8(1))
        return ResponseBody(pieces: [buffer, ByteBuffer(repeating: 7, count: padding)])
    }

    /// The numbers of the responses in `bytes`, which must be whole frames.
    static func numbers(in bytes: ByteBuffer) -> [Int32] {
        var bytes = bytes
        var numbers: [Int32] = []
        while let size = bytes.readInteger(as: Int32.self), var frame = bytes.readSlice(length: Int(size)),
            let number = frame.readInteger(as: Int32.self)
        {
            numbers.append(number)
        }
        return bytes.readableBytes == 0 ? numbers : numbers + [-1]
    }
}

/// Counts how often the socket would be read.
final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var reads = 0
    var flushes = 0
    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
    func flush(context: ChannelHandlerContext) {
        flushes += 1
        context.flush()
    }
}

/// A connection without a socket.
struct ConnectionHarness {
    let channel: EmbeddedChannel
    let recorder = Recorder()
    let registry = MetricRegistry()
    let connections: ConnectionLoop
    let handler: ConnectionHandler
    let counter = ReadCounter()

    init(
        _ change: (inout ListenerSettings) -> Void = { _ in }, handler: RequestHandler? = nil
    ) throws {
        var settings = ListenerSettings(host: "*", port: 0, advertisedHost: "here", advertisedPort: 1)
        change(&settings)
        let recorder = self.recorder
        channel = EmbeddedChannel()
        let mailbox = ReplyMailbox(eventLoop: channel.eventLoop)
        let shared = ServerShared(
            settings: settings, metrics: ServerMetrics(registry, listener: "test"),
            budget: RequestBudget(limit: settings.inflightBytesMax) {
                mailbox.eventLoop.execute { mailbox.connections?.budgetFreed() }
            },
            census: ConnectionCensus(totalMax: 10, perAddressMax: 10),
            handler: handler ?? { recorder.record($0, $1) },
            logger: .silent)
        connections = ConnectionLoop(shared: shared, mailbox: mailbox)
        mailbox.connections = connections
        let context = RequestContext(
            connectionID: 1, listener: ListenerAddress(name: "test", advertisedHost: "here", advertisedPort: 1),
            peerAddress: "192.0.2.1", eventLoop: channel.eventLoop)
        self.handler = ConnectionHandler(
            context: context, loop: connections, allocator: channel.allocator, buffers: ReceiveBuffers())
        try channel.pipeline.syncOperations.addHandler(counter)
        try channel.pipeline.syncOperations.addHandler(self.handler)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
    }

    /// Delivers one read of the socket.
    func receive(_ bytes: ByteBuffer) throws {
        try channel.writeInbound(bytes)
    }

    /// Runs what was scheduled for the end of the task, and returns everything that was sent.
    func sent() throws -> ByteBuffer {
        channel.embeddedEventLoop.run()
        var all = ByteBuffer()
        while let piece = try channel.readOutbound(as: ByteBuffer.self) { all.writeImmutableBuffer(piece) }
        return all
    }

    func sentNumbers() throws -> [Int32] { Frames.numbers(in: try sent()) }

    func advance(seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    func metric(_ line: String) -> Bool { registry.prometheusText().contains(line + "\n") }
}
