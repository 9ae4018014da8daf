// SPDX-License-Identifier: Apache-2.0
//
// KafkaServer.swift
// Listens, accepts and drains. What a connection does is in ConnectionHandler; what requests mean is the handler's business.

public import Logging
public import NIOCore
public import NIOPosix
import Synchronization
public import Telemetry

/// Why the server cannot start.
public enum KafkaServerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The host of the listener has no address.
    case unknownHost(String)
    /// No address could be listened on.
    case cannotListen(address: String, reason: String)
    /// `start` was called twice, or after `drain`.
    case alreadyStarted

    /// A sentence for an operator.
    public var description: String {
        switch self {
        case .unknownHost(let host): "the host \(host) of the listener has no address"
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .alreadyStarted: "the server was started before"
        }
    }
}

/// A Kafka listener: reads requests, keeps the order of responses, and holds clients to their limits.
public final class KafkaServer: Sendable {
    private enum Phase {
        case idle
        case listening([any Channel])
        case draining
    }

    private let settings: ListenerSettings
    private let group: MultiThreadedEventLoopGroup
    private let shared: ServerShared
    private let mailboxes: [ObjectIdentifier: ReplyMailbox]
    private let phase = Mutex(Phase.idle)
    private let nextConnectionID = Atomic<UInt64>(1)

    /// Makes a server that calls `handler` for every request, on the loop of its connection.
    public init(
        settings: ListenerSettings, group: MultiThreadedEventLoopGroup, metrics: MetricRegistry, logger: Logger,
        handler: @escaping RequestHandler
    ) {
        let mailboxes = group.makeIterator().map { ReplyMailbox(eventLoop: $0) }
        self.settings = settings
        self.group = group
        self.mailboxes = Dictionary(uniqueKeysWithValues: mailboxes.map { (ObjectIdentifier($0.eventLoop), $0) })
        let budget = RequestBudget(limit: settings.inflightBytesMax) {
            for mailbox in mailboxes { mailbox.eventLoop.execute { mailbox.connections?.budgetFreed() } }
        }
        self.shared = ServerShared(
            settings: settings, metrics: ServerMetrics(metrics, listener: settings.name), budget: budget,
            census: ConnectionCensus(
                totalMax: settings.connectionsMax, perAddressMax: settings.connectionsPerAddressMax),
            handler: handler, logger: logger)
        metrics.gauge(
            "goulette_requests_inflight_bytes", help: "Bytes of requests that are not answered yet.",
            labels: ["listener": settings.name]
        ) { Double(budget.usedBytes) }
    }

    /// Open connections.
    public var connectionCount: Int { shared.metrics.connections.value }

    /// Listens on every address of the host, and returns those that are listened on, all with the same port.
    ///
    /// An address that cannot be used, as IPv6 on a machine without it, is passed over while another can.
    public func start() async throws(KafkaServerError) -> [SocketAddress] {
        let isFirst = phase.withLock { phase in
            guard case .idle = phase else { return false }
            phase = .listening([])
            return true
        }
        guard isFirst else { throw .alreadyStarted }
        let addresses = try AddressResolution.addresses(host: settings.host, port: settings.port)
        for mailbox in mailboxes.values {
            let shared = self.shared
            mailbox.eventLoop.execute { mailbox.connections = ConnectionLoop(shared: shared, mailbox: mailbox) }
        }
        var channels: [any Channel] = []
        var port = settings.port
        var failure: KafkaServerError?
        for var address in addresses {
            address.port = port
            do throws(KafkaServerError) {
                let channel = try await listen(on: address)
                channels.append(channel)
                port = channel.localAddress?.port ?? port
            } catch {
                failure = error
                shared.logger.warning("address of the listener cannot be used", metadata: ["error": "\(error)"])
            }
        }
        if channels.isEmpty, let failure { throw failure }
        phase.withLock { $0 = .listening(channels) }
        return channels.compactMap(\.localAddress)
    }

    /// Stops accepting and reading, lets requests that were begun finish, and closes every connection.
    ///
    /// Connections that are not done after `seconds` are closed as they are. Returns when all are gone.
    public func drain(seconds: Int64 = 30) async {
        let channels = phase.withLock { phase in
            defer { phase = .draining }
            if case .listening(let channels) = phase { return channels }
            return []
        }
        // A listener that is closed already is as good.
        for channel in channels { try? await channel.close() }
        let deadline = NIODeadline.now() + .seconds(seconds)
        await withTaskGroup(of: Void.self) { tasks in
            for mailbox in mailboxes.values {
                tasks.addTask {
                    let drained = mailbox.eventLoop.flatSubmit {
                        mailbox.connections?.drain(deadline: deadline)
                            ?? mailbox.eventLoop.makeSucceededVoidFuture()
                    }
                    // Fails only when the loop has been shut down, and its connections with it.
                    try? await drained.get()
                    mailbox.eventLoop.execute { mailbox.connections = nil }
                }
            }
        }
    }

    // MARK: Accepting

    private func listen(on address: SocketAddress) async throws(KafkaServerError) -> any Channel {
        let backlogMax: Int32 = 1024
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlogMax)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            // A second read in a row would find the first pieces of a request instead of all of it.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: settings.responseBacklogBytesMax / 2, high: settings.responseBacklogBytesMax)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
            }
        if address.protocol == .inet6 {
            bootstrap = bootstrap.serverChannelOption(SocketTuning.onlyIPv6, value: 1)
        }
        do {
            return try await bootstrap.bind(to: address).get()
        } catch {
            throw .cannotListen(address: "\(address)", reason: "\(error)")
        }
    }

    /// Adds a connection to its loop; an error closes it.
    private func accept(_ channel: any Channel) throws {
        let peer = channel.remoteAddress?.ipAddress ?? "unknown"
        guard let loop = mailboxes[ObjectIdentifier(channel.eventLoop)]?.connections, !loop.isDraining else {
            throw ConnectionRefused()
        }
        switch shared.census.admit(peer) {
        case .admitted: break
        case .tooMany:
            shared.metrics.rejectedByTotal.increment()
            try refuse(peer, limit: settings.connectionsMax)
        case .tooManyFromAddress:
            shared.metrics.rejectedByAddress.increment()
            try refuse(peer, limit: settings.connectionsPerAddressMax)
        }
        let listener = ListenerAddress(
            name: settings.name, advertisedHost: settings.advertisedHost,
            advertisedPort: settings.advertisedPort == 0
                ? channel.localAddress?.port ?? settings.port : settings.advertisedPort)
        let context = RequestContext(
            connectionID: nextConnectionID.wrappingAdd(1, ordering: .relaxed).oldValue, listener: listener,
            peerAddress: peer, eventLoop: channel.eventLoop)
        let buffers = ReceiveBuffers()
        try channel.syncOptions?.setOption(.recvAllocator, value: buffers)
        let handler = ConnectionHandler(context: context, loop: loop, allocator: channel.allocator, buffers: buffers)
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func refuse(_ peer: String, limit: Int) throws {
        shared.logger.warning(
            "too many connections; one was refused", metadata: ["peer": "\(peer)", "limit": "\(limit)"])
        throw ConnectionRefused()
    }

    private struct ConnectionRefused: Error {}
}
