// SPDX-License-Identifier: Apache-2.0
//
// AdminServer.swift
// The HTTP server beside the Kafka listener. It has a thread of its own, so that a scrape never holds up a partition.

public import Logging
public import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
public import Telemetry

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why the admin server cannot start.
public enum AdminError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No address could be listened on.
    case cannotListen(address: String, reason: String)

    /// A sentence for an operator.
    public var description: String {
        switch self {
        case .cannotListen(let address, let reason): "the admin server cannot listen on \(address): \(reason)"
        }
    }
}

/// Where the admin server listens.
public struct AdminSettings: Sendable {
    /// A name, an address, or `*` for every address of the machine.
    public var host: String
    /// 0 lets the system choose.
    public var port: Int
    /// Open connections; further ones are closed at once.
    public var connectionsMax = 100
    var limits = AdminLimits()

    /// Makes settings with the default limits.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// Serves metrics, health and administration over HTTP.
public final class AdminServer: Sendable {
    private let settings: AdminSettings
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let routes: AdminRoutes
    private let requests: CounterFamily
    private let connections: Gauge
    private let rejected: Counter
    private let logger: Logger
    private let channels = Mutex<[any Channel]>([])

    /// Makes a server that renders `metrics` and reports `health`.
    public init(settings: AdminSettings, metrics: MetricRegistry, health: HealthState, logger: Logger) {
        self.settings = settings
        self.routes = AdminRoutes(metrics: metrics, health: health)
        self.logger = logger
        requests = CounterFamily(
            metrics, "goulette_admin_requests_total", help: "HTTP requests answered.", labels: ["path", "code"],
            limit: 100)
        connections = metrics.gauge("goulette_admin_connections", help: "Open HTTP connections.")
        rejected = metrics.counter(
            "goulette_admin_connections_rejected_total", help: "HTTP connections closed because there were too many.")
    }

    /// Serves `/v1` from now on, from what `api` has.
    public func serve(_ api: AdminAPI) { routes.serve(api) }

    /// Listens, and returns the addresses that are listened on, all with the same port.
    public func start() async throws(AdminError) -> [SocketAddress] {
        var bound: [any Channel] = []
        var port = settings.port
        var failure: AdminError?
        for host in hosts {
            do throws(AdminError) {
                let channel = try await listen(host: host, port: port)
                bound.append(channel)
                port = channel.localAddress?.port ?? port
            } catch {
                failure = error
            }
        }
        if bound.isEmpty, let failure { throw failure }
        channels.withLock { $0 = bound }
        return bound.compactMap(\.localAddress)
    }

    /// Closes the server and its connections; it cannot be started again.
    public func stop() async {
        let channels = self.channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        for channel in channels { try? await channel.close() }
        // Closes the connections that are left. It can only fail when it was done before.
        try? await group.shutdownGracefully()
    }

    private var hosts: [String] {
        switch settings.host {
        case "*": ["0.0.0.0", "::"]
        case "localhost": ["127.0.0.1", "::1"]
        default: [settings.host]
        }
    }

    private func listen(host: String, port: Int) async throws(AdminError) -> any Channel {
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
            }
        if host.contains(":") {
            // IPv4 has a socket of its own.
            let onlyIPv6 = ChannelOptions.Types.SocketOption(
                level: SocketOptionLevel(IPPROTO_IPV6), name: SocketOptionName(IPV6_V6ONLY))
            bootstrap = bootstrap.serverChannelOption(onlyIPv6, value: 1)
        }
        do {
            return try await bootstrap.bind(host: host, port: port).get()
        } catch {
            throw .cannotListen(address: "\(host):\(port)", reason: "\(error)")
        }
    }

    private func accept(_ channel: any Channel) throws {
        guard connections.adding(1) <= settings.connectionsMax else {
            connections.add(-1)
            rejected.increment()
            throw TooManyConnections()
        }
        let connections = self.connections
        channel.closeFuture.whenComplete { _ in connections.add(-1) }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: true, withErrorHandling: true)
        try pipeline.addHandler(
            AdminHandler(routes: routes, limits: settings.limits, requests: requests, logger: logger))
    }

    private struct TooManyConnections: Error {}
}
