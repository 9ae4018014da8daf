// SPDX-License-Identifier: Apache-2.0
//
// PeerTransportSettings.swift
// What the transport between brokers must be told, and its limits.

public import Model

/// Where a broker listens for others.
public struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address.
    public var host: String
    /// The port of the peer listener.
    public var port: Int

    /// Names a listener.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `host:port`.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The files of mutual TLS between brokers, all PEM.
///
/// A certificate names its broker: `broker-<id>` is among its DNS names (subject alternative names).
public struct PeerTLS: Sendable, Hashable {
    /// This broker's certificate, with the chain up to a root that others trust.
    public var certificateFile: String
    /// Its private key.
    public var keyFile: String
    /// The roots that other brokers' certificates must lead to.
    public var trustRootsFile: String

    /// Names the files.
    public init(certificateFile: String, keyFile: String, trustRootsFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.trustRootsFile = trustRootsFile
    }
}

/// What the transport between brokers must be told, and its limits.
public struct PeerTransportSettings: Sendable {
    /// This broker.
    public var node: NodeID
    /// Tells this process from earlier ones of the same broker.
    public var incarnation: UInt64
    /// The cluster's id; empty while it is not known.
    public var clusterID: String
    /// Where to listen.
    ///
    /// Port 0 takes any; `*` stands for every address.
    public var listen: PeerAddress
    /// What others are told; nil says what is listened on.
    public var advertised: PeerAddress?
    /// Mutual TLS; nil sends in clear.
    public var tls: PeerTLS?
    /// Whether a broker may connect from an IP address.
    public var accepts: @Sendable (String) -> Bool = { _ in true }

    /// The largest frame: an entry of 100 MiB, or a forwarded Kafka request, with room.
    public var frameBytesMax = 128 << 20
    /// Bytes that wait for a peer on the lane of votes, heartbeats and requests.
    public var controlOutboxBytesMax = 16 << 20
    /// Bytes that wait for a peer on the lane of entries; one message always fits.
    public var bulkOutboxBytesMax = 64 << 20
    /// Connections that others may hold to this broker.
    public var inboundConnectionsMax = 512
    /// Requests of one connection that are not answered yet, in either direction.
    public var requestsInFlightMax = 1024
    /// Bytes of unanswered requests of one connection on the serving side; one always fits.
    public var requestBytesInFlightMax = 128 << 20
    /// Time to establish a connection.
    public var connectTimeout = Duration.seconds(3)
    /// Time from an established connection to the end of the introductions.
    public var handshakeTimeout = Duration.seconds(5)
    /// The first and the longest pause between attempts to connect; each is cut by up to a half at random.
    public var reconnectDelay = Duration.milliseconds(100)...Duration.seconds(5)
    /// How often a side that heard nothing asks for a sign of life.
    public var pingInterval = Duration.seconds(2)
    /// The silence after which a connection is given up.
    public var silenceLimit = Duration.seconds(10)

    /// Settings with default limits.
    public init(node: NodeID, incarnation: UInt64, clusterID: String = "", listen: PeerAddress) {
        self.node = node
        self.incarnation = incarnation
        self.clusterID = clusterID
        self.listen = listen
    }
}

/// Why the transport cannot start.
public enum PeerTransportError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The listener cannot be opened.
    case cannotListen(address: PeerAddress, reason: String)
    /// Certificate, key or roots cannot be used.
    case badTLS(String)
    /// `start` was called twice, or after `stop`.
    case alreadyStarted

    /// A sentence for operators.
    public var description: String {
        switch self {
        case .cannotListen(let address, let reason): "cannot listen for brokers on \(address): \(reason)"
        case .badTLS(let reason): "the files for TLS between brokers cannot be used: \(reason)"
        case .alreadyStarted: "the transport was started before"
        }
    }
}
