// SPDX-License-Identifier: Apache-2.0
//
// PeerSockets.swift
// Opens sockets between brokers and puts the pipeline on them.

internal import Logging
internal import NIOCore
internal import NIOPosix

/// The sockets of a transport.
enum PeerSockets {
    private struct Refused: Error {}

    /// Connects to a peer's listener, on `loop`.
    static func dial(
        _ address: PeerAddress, on loop: any EventLoop, shared: PeerShared, dialer: PeerDialer
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(shared.settings.connectTimeout.milliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel, shared, dialer) }
            }
            .connect(host: address.host, port: address.port)
    }

    /// Listens for peers.
    static func listen(
        on group: any EventLoopGroup, shared: PeerShared
    ) async throws(PeerTransportError) -> any Channel {
        let backlogMax: Int32 = 256
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlogMax)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            // A second read in a row would find the first pieces of a large frame instead of all of it.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel, shared) }
            }
        let listen = shared.settings.listen
        // `::` takes IPv4 too where the system has IPv6 at all.
        let hosts = listen.host == "*" ? ["::", "0.0.0.0"] : [listen.host]
        var reason = ""
        for host in hosts {
            do {
                return try await bootstrap.bind(host: host, port: listen.port).get()
            } catch {
                reason = "\(error)"
            }
        }
        throw .cannotListen(address: listen, reason: reason)
    }

    private static func accept(_ channel: any Channel, _ shared: PeerShared) throws {
        let remote = channel.remoteAddress?.ipAddress ?? ""
        guard shared.settings.accepts(remote) else {
            shared.logger.warning(
                "a connection was refused: its address is not allowed", metadata: ["remote": "\(remote)"])
            throw Refused()
        }
        guard shared.accept(channel) else {
            shared.logger.warning(
                "too many connections of brokers; one was refused",
                metadata: ["limit": "\(shared.settings.inboundConnectionsMax)"])
            throw Refused()
        }
        channel.closeFuture.whenComplete { _ in shared.closed(channel, remote: nil, on: nil) }
        try prepare(channel, shared, nil)
    }

    private static func prepare(_ channel: any Channel, _ shared: PeerShared, _ dialer: PeerDialer?) throws {
        let buffers = PeerReceiveBuffers()
        try channel.syncOptions?.setOption(.recvAllocator, value: buffers)
        try shared.security?.secure(channel, isDialer: dialer != nil)
        let connection = PeerConnection(shared: shared, dialer: dialer, loop: channel.eventLoop, buffers: buffers)
        try channel.pipeline.syncOperations.addHandler(connection)
    }
}
