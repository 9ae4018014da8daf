// SPDX-License-Identifier: Apache-2.0
//
// Catalogue+Telemetry.swift
// Keys of the section telemetry: the metrics that clients push.

import Model

extension Catalogue {
    static let telemetryMetrics = SettingKey<[MetricPrefix]>(
        "telemetry.metrics", .list(.metricPrefixes), default: "", .medium, reload: .live,
        """
        Which of their metrics clients are asked to push (KIP-714), by what the names begin with, as \
        `org.apache.kafka.producer.`; `*` is all of them. They appear in `/metrics` as `goulette_client_…`. Empty: none.
        """)
    static let telemetryPushInterval = SettingKey<Duration>(
        "telemetry.push_interval", .duration(milliseconds(100)...seconds(3600)), default: "5m", .low, reload: .live,
        "The time between two pushes of a client. The same on all brokers.")
    static let telemetryMaxBytes = SettingKey<ByteCount>(
        "telemetry.max_bytes", .bytes(1024...16 << 20), default: "1 MiB", .low, reload: .live,
        "The largest push, as it is sent.")
    static let telemetryMaxInstances = SettingKey<Int>(
        "telemetry.max_instances", .integer(0...100_000), default: "1000", .low, reload: .live,
        "Clients that may push metrics to this broker; further ones are told to ask later.")
    static let telemetry = [
        telemetryMetrics.definition, telemetryPushInterval.definition, telemetryMaxBytes.definition,
        telemetryMaxInstances.definition,
    ]
}

/// What the names of wanted metrics begin with; see `telemetry.metrics`.
public struct MetricPrefix: Equatable, Sendable, SettingListElement {
    /// As it was written.
    public let text: String

    /// Whether every name is wanted.
    public var matchesAll: Bool { text == "*" }

    /// Reads `*`, or letters, digits, dots, dashes and underscores.
    public init(parsing text: String) throws(SettingValueError) {
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard text == "*" || isName, !text.isEmpty, text.utf8.count <= 255 else {
            throw SettingValueError("is not what names of metrics begin with, such as org.apache.kafka.producer.")
        }
        self.text = text
    }
}
