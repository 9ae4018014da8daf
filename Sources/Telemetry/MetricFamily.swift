// SPDX-License-Identifier: Apache-2.0
//
// MetricFamily.swift
// All series of one metric name.

/// The types Prometheus knows, as far as we use them.
public enum MetricKind: String, Sendable {
    /// Only rises.
    case counter
    /// Rises and falls.
    case gauge
    /// Counts by range.
    case histogram
}

/// One metric name with its help text and its series, keyed by their rendered labels.
struct MetricFamily: Sendable {
    let name: String
    let kind: MetricKind
    let help: String
    var series: [String: Series] = [:]
    var collector: Collector?

    enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case sampled(@Sendable () -> Double)
    }

    struct Collector: Sendable {
        let labelNames: [String]
        let collect: @Sendable (inout SampleWriter) -> Void
    }

    init(name: String, kind: MetricKind, help: String) {
        precondition(LabelText.isMetricName(name), "\(name) is no metric name")
        precondition(!help.isEmpty, "\(name) has no help text")
        precondition((kind == .counter) == name.hasSuffix("_total"), "\(name): counters, and only they, end in _total")
        self.name = name
        self.kind = kind
        self.help = help
    }
}
