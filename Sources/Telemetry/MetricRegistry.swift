// SPDX-License-Identifier: Apache-2.0
//
// MetricRegistry.swift
// Every metric of the process, by name and labels. Registration takes a lock; counting never comes here.

import Synchronization

/// Where modules get their metrics from and a scrape reads them.
///
/// Asking twice for the same name and labels returns the same metric; asking with another type or help text is a
/// programmer's error. A registered closure replaces the one that stood there.
public final class MetricRegistry: Sendable {
    private let families: Mutex<[String: MetricFamily]>

    /// Makes an empty registry.
    public init() { families = Mutex([:]) }

    /// The counter `name`, which ends in `_total`.
    public func counter(_ name: String, help: String, labels: KeyValuePairs<String, String> = [:]) -> Counter {
        series(.init(name: name, kind: .counter, help: help), labels: LabelText.render(labels)) {
            if case .counter(let counter) = $0 { counter } else { nil }
        } make: {
            let counter = Counter()
            return (.counter(counter), counter)
        }
    }

    /// The gauge `name`, set by its owner.
    public func gauge(_ name: String, help: String, labels: KeyValuePairs<String, String> = [:]) -> Gauge {
        series(.init(name: name, kind: .gauge, help: help), labels: LabelText.render(labels)) {
            if case .gauge(let gauge) = $0 { gauge } else { nil }
        } make: {
            let gauge = Gauge()
            return (.gauge(gauge), gauge)
        }
    }

    /// A histogram of durations in seconds; `name` ends in `_seconds`.
    public func latency(
        _ name: String, help: String, labels: KeyValuePairs<String, String> = [:],
        bounds: [UInt64] = LatencyHistogram.defaultBounds
    ) -> LatencyHistogram {
        LatencyHistogram(histogram: histogram(name, help: help, labels: labels, bounds: bounds, scale: 1e-9))
    }

    /// A histogram of sizes or counts.
    public func histogram(
        _ name: String, help: String, labels: KeyValuePairs<String, String> = [:], bounds: [UInt64],
        scale: Double = 1
    ) -> Histogram {
        series(.init(name: name, kind: .histogram, help: help), labels: LabelText.render(labels)) {
            if case .histogram(let histogram) = $0 { histogram } else { nil }
        } make: {
            let histogram = Histogram(bounds: bounds, scale: scale)
            return (.histogram(histogram), histogram)
        }
    }

    /// A gauge that `read` computes at each scrape, on the scraping thread; `read` must be quick and must not block.
    public func gauge(
        _ name: String, help: String, labels: KeyValuePairs<String, String> = [:],
        read: @escaping @Sendable () -> Double
    ) {
        add(.init(name: name, kind: .gauge, help: help), labels: LabelText.render(labels), series: .sampled(read))
    }

    /// A counter whose value is kept elsewhere and read at each scrape.
    public func counter(
        _ name: String, help: String, labels: KeyValuePairs<String, String> = [:],
        read: @escaping @Sendable () -> Double
    ) {
        add(.init(name: name, kind: .counter, help: help), labels: LabelText.render(labels), series: .sampled(read))
    }

    /// A whole family that `collect` writes at each scrape: for series that come and go, as one per partition.
    public func family(
        _ name: String, kind: MetricKind, help: String, labels: [String],
        collect: @escaping @Sendable (inout SampleWriter) -> Void
    ) {
        precondition(kind != .histogram, "a collected family has plain samples")
        let family = MetricFamily(name: name, kind: kind, help: help)
        families.withLock {
            var entry = Self.checked($0[name], family)
            entry.collector = MetricFamily.Collector(labelNames: labels, collect: collect)
            $0[name] = entry
        }
    }

    /// Forgets the series of `name` that has `labels`; its owner may still count, nobody reads it any more.
    public func remove(_ name: String, labels: KeyValuePairs<String, String>) {
        remove(name, labels: LabelText.render(labels))
    }

    /// All metrics in the Prometheus text format, version 0.0.4, sorted by name and labels.
    ///
    /// Closures are called without the registry's lock held.
    public func prometheusText() -> String {
        let sorted = families.withLock { Array($0.values) }.sorted { $0.name < $1.name }
        var text = PrometheusText()
        for family in sorted { text.append(family) }
        return text.text
    }

    // MARK: Inside the target

    func remove(_ name: String, labels: String) {
        families.withLock { _ = $0[name]?.series.removeValue(forKey: labels) }
    }

    func add(_ family: MetricFamily, labels: String, series: MetricFamily.Series) {
        families.withLock {
            var entry = Self.checked($0[family.name], family)
            entry.series[labels] = series
            $0[family.name] = entry
        }
    }

    private func series<Metric: Sendable>(
        _ family: MetricFamily, labels: String, find: (MetricFamily.Series) -> Metric?,
        make: () -> (MetricFamily.Series, Metric)
    ) -> Metric {
        families.withLock {
            var entry = Self.checked($0[family.name], family)
            if let existing = entry.series[labels] {
                guard let metric = find(existing) else {
                    preconditionFailure("\(family.name)\(labels) is registered with another type")
                }
                return metric
            }
            let (series, metric) = make()
            entry.series[labels] = series
            $0[family.name] = entry
            return metric
        }
    }

    private static func checked(_ existing: MetricFamily?, _ wanted: MetricFamily) -> MetricFamily {
        guard let existing else { return wanted }
        precondition(existing.kind == wanted.kind, "\(wanted.name) is registered as \(existing.kind)")
        precondition(existing.help == wanted.help, "\(wanted.name) is registered with another help text")
        return existing
    }
}
