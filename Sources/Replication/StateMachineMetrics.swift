// SPDX-License-Identifier: Apache-2.0
//
// StateMachineMetrics.swift
// What is counted for the log of one replicated state machine.

public import Telemetry

/// The metrics of one state machine's log.
public struct StateMachineMetrics: Sendable {
    /// Entries that the log holds.
    public let entries: Gauge
    /// Entries that were applied from the log instead of from memory, as after a start.
    public let replayed: Counter
    /// How often the log was compacted.
    public let compactions: Counter

    /// Registers the metrics for the group called `name`; without a registry they count for themselves.
    public init(_ registry: MetricRegistry? = nil, name: String = "") {
        let prefix = "goulette_command_log_"
        entries =
            registry?.gauge(prefix + "entries", help: "Entries of a state machine's log.", labels: ["group": name])
            ?? Gauge()
        replayed =
            registry?.counter(
                prefix + "replayed_entries_total", help: "Entries that were applied from a state machine's stored log.",
                labels: ["group": name]) ?? Counter()
        compactions =
            registry?.counter(
                prefix + "compactions_total", help: "Compactions of a state machine's log.", labels: ["group": name])
            ?? Counter()
    }
}
