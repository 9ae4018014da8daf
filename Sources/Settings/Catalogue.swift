// SPDX-License-Identifier: Apache-2.0
//
// Catalogue.swift
// Every configuration key. The reference page, the loader and the typed settings are made from this list and nothing else.

import Model

/// The keys, by section.
public enum Catalogue {
    /// All keys in the order of the reference.
    public static let all: [SettingDefinition] = {
        let bySection: [[SettingDefinition]] = [
            node, listeners + peerListener, cluster, admin, storage, performance, topics, groups, shareGroups,
            producers, transactions, telemetry, log, limits,
        ]
        return bySection.flatMap { $0 }
    }()

    /// The key named `name`.
    public static func definition(_ name: String) -> SettingDefinition? { byName[name] }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// What each section is about.
    public static let sections: [(name: String, doc: String)] = [
        ("node", "Who this broker is."),
        ("listeners", "Where Kafka clients connect, and how much each may ask for."),
        ("cluster", "The brokers that are one cluster. Without `cluster.peers` nothing here matters."),
        ("admin", "The HTTP server for metrics, health and administration."),
        ("storage", "Where data lies and how it is written."),
        ("performance", "How much is gathered before it is written."),
        ("topics", "Defaults for topics that do not say otherwise."),
        ("groups", "Consumer groups and their offsets."),
        ("share_groups", "Share groups: records handed out one by one, as from a queue."),
        ("producers", "Idempotent producers."),
        ("transactions", "Transactional producers."),
        ("telemetry", "Metrics that clients push to the broker."),
        ("log", "The broker's own log."),
        ("limits", "Bounds that keep one broker healthy."),
    ]

    // MARK: node

    static let nodeID = SettingKey<Int>(
        "node.id", .integer(0...Int(Int32.max)), default: "1", .high,
        "The number of this broker; unique in a cluster and never changed afterwards.")
    static let nodeClusterID = SettingKey<String>(
        "node.cluster_id", .text(bytesMax: 64), default: "", .medium,
        "The cluster's identity. Empty: made at the first start and kept in the data directory.")
    static let nodeRack = SettingKey<String>(
        "node.rack", .text(bytesMax: 128), default: "", .medium,
        "Where the broker stands (rack, zone); clients are told and may prefer brokers near them.")
    private static let node = [nodeID.definition, nodeClusterID.definition, nodeRack.definition]

    // MARK: listeners

    static let listenersKafka = SettingKey<NetworkAddress>(
        "listeners.kafka", .address(optional: false), default: "localhost:9092", .high,
        "Where Kafka clients connect. A name is resolved and every address it has is listened on; `*` means all.")
    static let listenersAdvertised = SettingKey<NetworkAddress?>(
        "listeners.advertised", .address(optional: true), default: "", .high,
        """
        The address clients are told to use; it must lead to this broker from where the clients are. \
        Not set: the address of `listeners.kafka`, or `localhost` when that is `*`.
        """)
    static let listenersMaxConnections = SettingKey<Int>(
        "listeners.max_connections", .integer(1...1_000_000), default: "10000", .medium,
        "Open client connections; further ones are closed at once.")
    static let listenersMaxConnectionsPerIP = SettingKey<Int>(
        "listeners.max_connections_per_ip", .integer(1...1_000_000), default: "10000", .medium,
        "Open client connections from one address.")
    static let listenersIdleTimeout = SettingKey<Duration>(
        "listeners.idle_timeout", .duration(seconds(1)...days(7)), default: "10m", .medium,
        "A connection that sends nothing and waits for nothing for so long is closed.")
    static let listenersPartialFrameTimeout = SettingKey<Duration>(
        "listeners.partial_frame_timeout", .duration(seconds(1)...days(1)), default: "30s", .low,
        "A request that is not complete after so long must at least arrive at 16 KiB/s, or its connection is closed.")
    static let listenersMaxRequestBytes = SettingKey<ByteCount>(
        "listeners.max_request_bytes", .bytes(1024...1 << 30), default: "100 MiB", .medium,
        "The largest request; a connection that announces a larger one is closed.")
    static let listenersMaxInflightRequests = SettingKey<Int>(
        "listeners.max_inflight_requests_per_connection", .integer(1...100_000), default: "1000", .low,
        "Unanswered requests of one connection; beyond them its socket is not read.")
    static let listenersMaxInflightBytesPerConnection = SettingKey<ByteCount>(
        "listeners.max_inflight_bytes_per_connection", .bytes(64 << 10...16 << 30), default: "64 MiB", .low,
        "Bytes of unanswered requests of one connection; beyond them its socket is not read. One request always fits.")
    static let listenersMaxInflightBytes = SettingKey<ByteCount>(
        "listeners.max_inflight_bytes", .bytes(1 << 20...1 << 40), default: "512 MiB", .medium,
        "Bytes of unanswered requests of all connections; beyond them no socket is read.")
    static let listenersMaxResponseBytes = SettingKey<ByteCount>(
        "listeners.max_response_backlog_bytes", .bytes(64 << 10...16 << 30), default: "64 MiB", .low,
        "Bytes of responses that a client has not taken yet; beyond them its socket is not read.")
    private static let listeners = [
        listenersKafka.definition, listenersAdvertised.definition, listenersMaxConnections.definition,
        listenersMaxConnectionsPerIP.definition, listenersIdleTimeout.definition,
        listenersPartialFrameTimeout.definition, listenersMaxRequestBytes.definition,
        listenersMaxInflightRequests.definition, listenersMaxInflightBytesPerConnection.definition,
        listenersMaxInflightBytes.definition, listenersMaxResponseBytes.definition,
    ]

    // MARK: admin

    static let adminListen = SettingKey<NetworkAddress?>(
        "admin.listen", .address(optional: true), default: "localhost:9600", .high,
        """
        Where metrics, health and administration (`/v1`) are served over HTTP, without authentication. Empty: nowhere.
        """)
    private static let admin = [adminListen.definition]

    static func seconds(_ count: Int64) -> Int64 { count * 1_000_000_000 }
    static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }
    static func days(_ count: Int64) -> Int64 { count * 86_400_000_000_000 }
}
