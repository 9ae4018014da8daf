// SPDX-License-Identifier: Apache-2.0
//
// RequestContext.swift
// Who sent a request, and the request itself as the handler gets it.

public import KafkaProtocol
public import Model
public import NIOCore

/// The listener a client came through; Metadata and FindCoordinator answer with its address.
public struct ListenerAddress: Hashable, Sendable {
    /// The listener's name.
    public let name: String
    /// The host clients are told.
    public let advertisedHost: String
    /// The port clients are told.
    public let advertisedPort: Int

    /// Makes an address; the server does, and tests of handlers.
    public init(name: String, advertisedHost: String, advertisedPort: Int) {
        self.name = name
        self.advertisedHost = advertisedHost
        self.advertisedPort = advertisedPort
    }
}

/// What all requests of one connection share; one object per connection.
public final class RequestContext: Sendable {
    /// Unique while the process runs.
    public let connectionID: UInt64
    /// The listener the client came through.
    public let listener: ListenerAddress
    /// The client's address as text, without its port.
    public let peerAddress: String
    /// What the client says of itself in ApiVersions.
    public let software = ClientSoftwareNote()
    /// Comes when the connection closes.
    public let end = ConnectionEnd()
    /// The loop the connection lives on, where the handler is called and replies cost least.
    public let eventLoop: any EventLoop

    /// Makes a context; the server does, and tests of handlers.
    public init(connectionID: UInt64, listener: ListenerAddress, peerAddress: String, eventLoop: any EventLoop) {
        self.connectionID = connectionID
        self.listener = listener
        self.peerAddress = peerAddress
        self.eventLoop = eventLoop
    }
}

/// A request whose header was read.
public struct InboundRequest: Sendable {
    /// The header.
    public let header: RequestHeader
    /// What follows the header.
    ///
    /// A slice of the frame: keep it no longer than needed.
    public let body: ByteBuffer
    /// When its last byte was read from the socket.
    public let receivedAt: Instant
    /// Whom it came from.
    public let context: RequestContext

    /// Makes a request; the server does, and tests of handlers.
    public init(header: RequestHeader, body: ByteBuffer, receivedAt: Instant, context: RequestContext) {
        self.header = header
        self.body = body
        self.receivedAt = receivedAt
        self.context = context
    }
}

/// Called for each request on its connection's loop, in the order of arrival; must not block.
///
/// The handler sees to it that the reply is completed exactly once, from any thread; until then the responses to later
/// requests of the connection wait.
public typealias RequestHandler = @Sendable (InboundRequest, Reply) -> Void
