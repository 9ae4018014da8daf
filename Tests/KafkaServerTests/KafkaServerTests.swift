// SPDX-License-Identifier: Apache-2.0
//
// KafkaServerTests.swift
// The server over real sockets: replies from other threads, limits on connections, draining.

import Dispatch
import KafkaProtocol
import NIOCore
import NIOPosix
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import KafkaServer

@Suite struct KafkaServerTests {
    private typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private func withServer(
        _ change: (inout ListenerSettings) -> Void = { _ in }, handler: @escaping RequestHandler,
        _ body: (KafkaServer, [SocketAddress], MetricRegistry) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        var settings = ListenerSettings(host: "127.0.0.1", port: 0, advertisedHost: "here", advertisedPort: 0)
        change(&settings)
        let registry = MetricRegistry()
        let server = KafkaServer(
            settings: settings, group: group, metrics: registry,
            logger: .silent, handler: handler)
        let addresses = try await server.start()
        do {
            try await body(server, addresses, registry)
        } catch {
            Issue.record("\(error)")
        }
        await server.drain(seconds: 1)
        #expect(server.connectionCount == 0)
        try await group.shutdownGracefully()
    }

    private func connect(_ address: SocketAddress) async throws -> Client {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: address) { channel in
            channel.eventLoop.makeCompletedFuture { try Client(wrappingChannelSynchronously: channel) }
        }
    }

    /// Sends `requests`, and reads until `count` responses have come or the server closes.
    private func exchange(_ client: Client, _ requests: ByteBuffer, count: Int) async throws -> [Int32] {
        try await client.executeThenClose { inbound, outbound in
            async let writing: Void = outbound.write(requests)
            var received = ByteBuffer()
            for try await chunk in inbound {
                received.writeImmutableBuffer(chunk)
                let numbers = Frames.numbers(in: received)
                if numbers.count >= count, numbers.last != -1 { break }
            }
            try? await writing
            return Frames.numbers(in: received)
        }
    }

    @Test func repliesFromOtherThreadsKeepTheOrder() async throws {
        // Answers in batches, the last first, from another thread.
        let waiting = Recorder()
        let queue = DispatchQueue(label: "answers")
        try await withServer { request, reply in
            waiting.record(request, reply)
            queue.async {
                for entry in waiting.take().reversed() {
                    entry.reply.complete(Frames.response(entry.request.header.correlationID))
                }
            }
        } _: { _, addresses, _ in
            try await withThrowingTaskGroup(of: [Int32].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await self.exchange(
                            try await self.connect(addresses[0]), Frames.requests(0..<5000), count: 5000)
                    }
                }
                for try await numbers in group { #expect(numbers == Array(0..<5000)) }
            }
        }
    }

    @Test func largeRequestsAndResponses() async throws {
        try await withServer { request, reply in
            let padding = request.body.readableBytes - 4
            var body = request.body
            body.moveReaderIndex(forwardBy: 4)
            #expect(body == ByteBuffer(repeating: UInt8(request.header.correlationID), count: padding))
            reply.complete(Frames.response(request.header.correlationID, padding: padding))
        } _: { _, addresses, _ in
            let numbers = try await self.exchange(
                try await self.connect(addresses[0]), Frames.requests(0..<12, padding: 3 << 20), count: 12)
            #expect(numbers == Array(0..<12))
        }
    }

    @Test func everyAddressOfTheHostIsListenedOn() async throws {
        try await withServer {
            $0.host = "*"
        } handler: { request, reply in
            #expect(request.context.listener.advertisedPort > 0)
            #expect(request.context.listener.advertisedHost == "here")
            reply.complete(Frames.response(request.header.correlationID))
        } _: { _, addresses, _ in
            #expect(!addresses.isEmpty)
            #expect(Set(addresses.map(\.port)).count == 1)
            for address in addresses {
                let loopback = address.protocol == .inet ? "127.0.0.1" : "::1"
                let target = try SocketAddress(ipAddress: loopback, port: address.port ?? 0)
                #expect(try await self.exchange(try await self.connect(target), Frames.request(7), count: 1) == [7])
            }
        }
    }

    @Test func connectionsPastTheLimitAreClosed() async throws {
        try await withServer {
            $0.connectionsPerAddressMax = 1
        } handler: { request, reply in
            reply.complete(Frames.response(request.header.correlationID))
        } _: { _, addresses, registry in
            let first = try await self.connect(addresses[0])
            try await first.executeThenClose { inbound, outbound in
                var iterator = inbound.makeAsyncIterator()
                try await outbound.write(Frames.request(1))
                #expect(try await iterator.next().map(Frames.numbers(in:)) == [1])
                let second = try await self.connect(addresses[0])
                let numbers = try? await self.exchange(second, ByteBuffer(), count: 1)
                #expect(numbers ?? [] == [])
            }
            let line = "goulette_connections_rejected_total{listener=\"kafka\",reason=\"max_connections_per_ip\"} 1\n"
            #expect(registry.prometheusText().contains(line))
        }
    }

    @Test func drainReleasesParkedRequests() async throws {
        let released = DispatchSemaphore(value: 0)
        let (parked, park) = AsyncStream.makeStream(of: Void.self)
        try await withServer { _, reply in
            reply.onDisconnect { released.signal() }
            park.yield()
        } _: { server, addresses, _ in
            let client = try await self.connect(addresses[0])
            try await client.executeThenClose { inbound, outbound in
                try await outbound.write(Frames.request(1))
                for await _ in parked { break }
                await server.drain(seconds: 0)
                // The server has closed: the stream ends, by a close or a reset.
                do { for try await _ in inbound {} } catch {}
            }
        }
        #expect(released.wait(timeout: .now()) == .success)
    }

    @Test func portInUseIsAnError() async throws {
        try await withServer { _, reply in
            reply.complete(nil)
        } _: { _, addresses, _ in
            let port = addresses[0].port ?? 0
            let other = KafkaServer(
                settings: ListenerSettings(host: "127.0.0.1", port: port, advertisedHost: "x", advertisedPort: 1),
                group: .singleton, metrics: MetricRegistry(),
                logger: .silent, handler: { $1.complete(nil) })
            await #expect(throws: KafkaServerError.self) { try await other.start() }
            await other.drain(seconds: 0)
        }
    }

    @Test func unknownHostIsAnError() async {
        let server = KafkaServer(
            settings: ListenerSettings(host: "no.such.host.invalid", port: 0, advertisedHost: "x", advertisedPort: 1),
            group: .singleton, metrics: MetricRegistry(),
            logger: .silent, handler: { $1.complete(nil) })
        await #expect(throws: KafkaServerError.unknownHost("no.such.host.invalid")) { try await server.start() }
    }
}
