// SPDX-License-Identifier: Apache-2.0
//
// ListenerSettings.swift
// Where the server listens and how much it lets one client ask for.

/// The settings of one listener.
public struct ListenerSettings: Sendable {
    /// The listener's name, as in metrics.
    public var name = "kafka"
    /// A name, an address, or `*` for every address of the machine.
    ///
    /// All addresses of a name are listened on.
    public var host: String
    /// 0 lets the system choose; the same port is then used for every address.
    public var port: Int
    /// The host clients are told.
    public var advertisedHost: String
    /// The port clients are told; 0 means the one that is listened on.
    public var advertisedPort: Int
    /// Open connections.
    public var connectionsMax = 10_000
    /// Open connections from one address.
    public var connectionsPerAddressMax = 10_000
    /// A connection that sends nothing and waits for nothing for so long is closed.
    public var idleTimeoutMilliseconds: Int64 = 600_000
    /// How long a request may take to arrive before it must keep ``ConnectionLimits/partialBytesPerSecondMin``.
    public var partialFrameTimeoutMilliseconds: Int64 = 30_000
    /// The largest request.
    public var requestBytesMax = 100 << 20
    /// Unanswered requests of one connection.
    public var inflightRequestsPerConnectionMax = 1000
    /// Bytes of unanswered requests of one connection; one request always fits.
    public var inflightBytesPerConnectionMax = 64 << 20
    /// Bytes of unanswered requests of all connections.
    public var inflightBytesMax = 512 << 20
    /// Bytes of responses that a client has not taken yet; above it, its requests wait.
    public var responseBacklogBytesMax = 64 << 20

    /// Settings with Kafka's defaults for the limits.
    public init(host: String, port: Int, advertisedHost: String, advertisedPort: Int) {
        self.host = host
        self.port = port
        self.advertisedHost = advertisedHost
        self.advertisedPort = advertisedPort
    }
}
