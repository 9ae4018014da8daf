// SPDX-License-Identifier: Apache-2.0
//
// AdminServerTests.swift
// The admin server over real sockets.

import Foundation
import Model
import NIOCore
import NIOPosix
import Telemetry
import TestSupport
import Testing

@testable import Admin

@Suite struct AdminServerTests {
    private typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private func withServer(
        _ change: (inout AdminSettings) -> Void = { _ in },
        _ body: (SocketAddress, MetricRegistry, HealthState) async throws -> Void
    ) async throws {
        var settings = AdminSettings(host: "127.0.0.1", port: 0)
        // Between its connect and its request a test may stand behind all others of the process.
        settings.limits.requestTimeout = .minutes(10)
        change(&settings)
        let registry = MetricRegistry()
        let health = HealthState()
        let server = AdminServer(
            settings: settings, metrics: registry, health: health, logger: .silent)
        let addresses = try await server.start()
        do {
            try await body(try #require(addresses.first), registry, health)
        } catch {
            Issue.record("\(error)")
        }
        await server.stop()
    }

    /// Sends `text` and returns everything until the server closes.
    private func exchange(_ address: SocketAddress, _ text: String) async throws -> String {
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: address) {
            channel in
            channel.eventLoop.makeCompletedFuture { try Client(wrappingChannelSynchronously: channel) }
        }
        return try await client.executeThenClose { inbound, outbound in
            // The server may have closed already.
            if !text.isEmpty { try? await outbound.write(ByteBuffer(string: text)) }
            var all = ByteBuffer()
            // A reset after the answer is as good as a close.
            do { for try await chunk in inbound { all.writeImmutableBuffer(chunk) } } catch {}
            return String(buffer: all)
        }
    }

    private func request(_ address: SocketAddress, _ line: String) async throws -> (head: String, body: String) {
        let text = try await exchange(address, "\(line) HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        let parts = text.components(separatedBy: "\r\n\r\n")
        return (parts.first ?? "", parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    @Test func readinessFollowsTheChecks() async throws {
        try await withServer { address, _, health in
            var answer = try await self.request(address, "GET /health/ready")
            #expect(answer.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.body == "{\"status\":\"ready\",\"checks\":{}}\n")
            health.set("storage", .healthy)
            health.register("disk") { .unhealthy(reason: "only 1 \"GiB\" is free") }
            answer = try await self.request(address, "GET /health/ready")
            #expect(answer.head.hasPrefix("HTTP/1.1 503 "))
            #expect(
                answer.body == "{\"status\":\"not_ready\",\"checks\":{\"disk\":{\"healthy\":false,\"reason\":"
                    + "\"only 1 \\\"GiB\\\" is free\"},\"storage\":{\"healthy\":true}}}\n")
            health.register("disk") { .degraded(reason: "produce is refused") }
            answer = try await self.request(address, "GET /health/ready")
            #expect(answer.head.hasPrefix("HTTP/1.1 200 "), "what else it does is still served")
            #expect(
                answer.body == "{\"status\":\"degraded\",\"checks\":{\"disk\":{\"healthy\":true,\"degraded\":true,"
                    + "\"reason\":\"produce is refused\"},\"storage\":{\"healthy\":true}}}\n")
            health.remove("disk")
            #expect(try await self.request(address, "GET /health/ready?verbose=1").head.hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func methodsAndPaths() async throws {
        try await withServer { address, registry, _ in
            #expect(try await self.request(address, "GET /health/live").body == "{\"status\":\"live\"}\n")
            let head = try await self.request(address, "HEAD /health/live")
            #expect(head.head.contains("content-length: 18"))
            #expect(head.body.isEmpty)
            let post = try await self.request(address, "POST /metrics")
            #expect(post.head.hasPrefix("HTTP/1.1 405 ") && post.head.contains("allow: GET, HEAD"))
            let missing = try await self.request(address, "GET /nothing/here")
            #expect(missing.head.hasPrefix("HTTP/1.1 404 "))
            #expect(missing.body == "{\"error\":\"nothing is served under /nothing/here\"}\n")
            #expect(
                registry.prometheusText().contains("goulette_admin_requests_total{path=\"other\",code=\"404\"} 1\n"))
        }
    }

    @Test func requestsArePipelined() async throws {
        try await withServer { address, _, _ in
            let line = "GET /health/live HTTP/1.1\r\nhost: x\r\n"
            let text = try await self.exchange(address, "\(line)\r\n\(line)\r\n\(line)connection: close\r\n\r\n")
            #expect(text.components(separatedBy: "HTTP/1.1 200 OK").count == 4)
        }
    }

    @Test func limits() async throws {
        try await withServer { address, _, _ in
            let padding = String(repeating: "a", count: 20_000)
            let large = try await self.exchange(
                address, "GET /metrics HTTP/1.1\r\nhost: x\r\nx-pad: \(padding)\r\n\r\n")
            #expect(large.hasPrefix("HTTP/1.1 431 "))
            let body = String(repeating: "b", count: 70_000)
            let long = try await self.exchange(
                address, "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 70000\r\n\r\n\(body)")
            #expect(long.hasPrefix("HTTP/1.1 413 "))
            #expect(try await self.exchange(address, "nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test func connectionsPastTheLimitAreClosed() async throws {
        try await withServer {
            $0.connectionsMax = 0
        } _: { address, registry, _ in
            let answer = try await self.exchange(address, "")
            #expect(answer.isEmpty)
            #expect(registry.prometheusText().contains("goulette_admin_connections_rejected_total 1\n"))
        }
    }

    @Test func silentConnectionsAreClosed() async throws {
        try await withServer {
            $0.limits.requestTimeout = .milliseconds(1)
        } _: { address, _, _ in
            let answer = try await self.exchange(address, "GET /metr")
            #expect(answer.isEmpty)
        }
    }

    @Test func portInUseIsAnError() async throws {
        try await withServer { address, _, _ in
            let other = AdminServer(
                settings: AdminSettings(host: "127.0.0.1", port: address.port ?? 0), metrics: MetricRegistry(),
                health: HealthState(), logger: .silent)
            await #expect(throws: AdminError.self) { try await other.start() }
            await other.stop()
        }
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/promtool")))
    func promtoolAcceptsWhatIsServed() async throws {
        try await withServer { address, registry, _ in
            ProcessMetrics.register(in: registry, version: "1", revision: "r", clock: .system)
            let answer = try await self.request(address, "GET /metrics")
            #expect(answer.head.contains("content-type: text/plain; version=0.0.4"))
            let scratch = try Scratch()
            try scratch.write(answer.body, to: "metrics")
            let (ending, said) = try ChildProcess.run(
                "/usr/bin/promtool", ["check", "metrics"], input: scratch.path("metrics"))
            #expect(ending == .exited(0), "\(said)")
        }
    }
}
