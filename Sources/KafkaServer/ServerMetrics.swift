// SPDX-License-Identifier: Apache-2.0
//
// ServerMetrics.swift
// What the server counts.

import Telemetry

/// The server's metrics; created once.
struct ServerMetrics: Sendable {
    /// Open connections.
    let connections: Gauge
    /// Connections since the start; rises at accept.
    let created: Counter
    /// Connections that were refused, by limit.
    let rejectedByTotal: Counter
    let rejectedByAddress: Counter
    /// Connections that ended, by reason.
    private let closed: [Counter]
    /// Requests since the start; rises when a whole frame was read.
    let requests: Counter
    /// Bytes of requests and responses, with their sizes.
    let bytesIn: Counter
    let bytesOut: Counter
    /// Unanswered requests.
    let inflight: Gauge
    /// Times a connection stopped being read, by reason.
    private let paused: [Counter]

    init(_ registry: MetricRegistry, listener: String) {
        connections = registry.gauge(
            "goulette_connections", help: "Open client connections.", labels: ["listener": listener])
        created = registry.counter(
            "goulette_connections_created_total", help: "Client connections accepted.", labels: ["listener": listener])
        func rejected(_ reason: String) -> Counter {
            registry.counter(
                "goulette_connections_rejected_total",
                help: "Client connections closed at once, by the limit they met.",
                labels: ["listener": listener, "reason": reason])
        }
        rejectedByTotal = rejected("max_connections")
        rejectedByAddress = rejected("max_connections_per_ip")
        closed = CloseReason.allCases.map {
            registry.counter(
                "goulette_connections_closed_total", help: "Client connections that ended, by reason.",
                labels: ["listener": listener, "reason": $0.rawValue])
        }
        requests = registry.counter(
            "goulette_requests_received_total", help: "Requests read.", labels: ["listener": listener])
        bytesIn = registry.counter(
            "goulette_network_received_bytes_total", help: "Bytes read from clients.", labels: ["listener": listener])
        bytesOut = registry.counter(
            "goulette_network_sent_bytes_total", help: "Bytes of responses handed to the network.",
            labels: ["listener": listener])
        inflight = registry.gauge(
            "goulette_requests_inflight", help: "Requests that are not answered yet.", labels: ["listener": listener])
        paused = Self.pauses.map {
            registry.counter(
                "goulette_connection_read_pauses_total", help: "Times a connection was not read further, by reason.",
                labels: ["listener": listener, "reason": $0.name])
        }
    }

    static let pauses: [(reason: PauseReasons, name: String)] = [
        (.requests, "requests"), (.bytes, "bytes"), (.broker, "broker_bytes"), (.responses, "responses"),
        (.throttle, "throttle"),
    ]

    func closed(_ reason: CloseReason) {
        if let index = CloseReason.allCases.firstIndex(of: reason) { closed[index].increment() }
    }

    func paused(_ reasons: PauseReasons) {
        for (index, pause) in Self.pauses.enumerated() where reasons.contains(pause.reason) {
            paused[index].increment()
        }
    }
}
