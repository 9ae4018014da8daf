// SPDX-License-Identifier: Apache-2.0
//
// PeerMetrics.swift
// What the transport between brokers counts.

internal import NIOCore
internal import Telemetry

/// The transport's metrics; made once.
struct PeerMetrics: Sendable {
    /// Why messages were dropped.
    enum Drop: String, Sendable, CaseIterable {
        /// No connection.
        case disconnected
        /// The outbox is full.
        case full
        /// No frame is that large.
        case tooLarge = "too_large"
        /// No address of the receiver is known.
        case unknown
        /// The sender is no member that this broker knows.
        case stranger
    }

    /// Peers that can be spoken to.
    let up: Gauge
    /// Established connections, by who connected.
    let outbound: Gauge
    let inbound: Gauge
    /// Attempts to connect.
    let dials: Counter
    /// Vectors of heartbeats that were sent in full, and as changes.
    let fullVectors: Counter
    let changedVectors: Counter
    /// Vectors that came and referred to one that was not there.
    let unknownVectors: Counter
    /// Raft's messages that were sent, without heartbeats.
    let messages: Counter
    private let sent: [Counter]
    private let received: [Counter]
    private let outbox: [Gauge]
    private let dropped: [Drop: Counter]
    private let calls: [PeerCallStatus: Counter]
    private let unansweredCalls: Counter
    private let registry: MetricRegistry

    init(_ registry: MetricRegistry) {
        func byLane<Metric>(_ make: (KeyValuePairs<String, String>) -> Metric) -> [Metric] {
            PeerLane.allCases.map { make(["lane": "\($0)"]) }
        }
        func connections(_ direction: String) -> Gauge {
            registry.gauge(
                "goulette_peer_connections", help: "Established connections between brokers.",
                labels: ["direction": direction])
        }
        func vectors(_ form: String) -> Counter {
            registry.counter(
                "goulette_peer_heartbeat_vectors_total", help: "Vectors of heartbeats sent, by their form.",
                labels: ["form": form])
        }
        func calls(_ status: String) -> Counter {
            registry.counter(
                "goulette_peer_calls_total", help: "Requests to other brokers, by outcome.",
                labels: ["status": status])
        }
        self.registry = registry
        up = registry.gauge("goulette_peers_up", help: "Brokers that this one can speak to.")
        outbound = connections("out")
        inbound = connections("in")
        dials = registry.counter("goulette_peer_dials_total", help: "Attempts to connect to other brokers.")
        fullVectors = vectors("full")
        changedVectors = vectors("changes")
        unknownVectors = registry.counter(
            "goulette_peer_heartbeat_resets_total", help: "Vectors of heartbeats that could not be completed.")
        messages = registry.counter(
            "goulette_peer_messages_total", help: "Messages sent to other brokers, heartbeats not counted.")
        sent = byLane {
            registry.counter("goulette_peer_sent_bytes_total", help: "Bytes sent to other brokers.", labels: $0)
        }
        received = byLane {
            registry.counter("goulette_peer_received_bytes_total", help: "Bytes that other brokers sent.", labels: $0)
        }
        outbox = byLane {
            registry.gauge("goulette_peer_outbox_bytes", help: "Bytes that wait for other brokers.", labels: $0)
        }
        dropped = Dictionary(
            uniqueKeysWithValues: Drop.allCases.map { drop in
                let counter = registry.counter(
                    "goulette_peer_messages_dropped_total", help: "Messages between brokers that were not delivered.",
                    labels: ["reason": drop.rawValue])
                return (drop, counter)
            })
        self.calls = Dictionary(uniqueKeysWithValues: PeerCallStatus.allCases.map { ($0, calls($0.name)) })
        unansweredCalls = calls("disconnected")
    }

    func sent(_ bytes: Int, on lane: PeerLane) { sent[Int(lane.rawValue)].increment(by: bytes) }
    func received(_ bytes: Int, on lane: PeerLane) { received[Int(lane.rawValue)].increment(by: bytes) }
    func waiting(_ bytes: Int, on lane: PeerLane) { outbox[Int(lane.rawValue)].add(bytes) }
    func dropped(_ count: Int, _ reason: Drop) { dropped[reason]?.increment(by: count) }

    func closed(_ reason: PeerClosure) {
        registry.counter(
            "goulette_peer_connections_closed_total", help: "Connections between brokers that ended, by reason.",
            labels: ["reason": reason.name]
        ).increment()
    }

    func called(_ result: Result<ByteBuffer, PeerCallError>) {
        switch result {
        case .failure(.disconnected), .failure(.notConnected), .failure(.unknownPeer): unansweredCalls.increment()
        default: calls[PeerCallStatus(result)]?.increment()
        }
    }
}
