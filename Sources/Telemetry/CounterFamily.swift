// SPDX-License-Identifier: Apache-2.0
//
// CounterFamily.swift
// Series per topic, group or client: as many as a limit allows, the rest counted together.

import Synchronization

/// The counters of one metric that differ in label values nobody knows in advance.
///
/// The number of series is bounded, because every one costs memory here and in Prometheus. Past the limit all further
/// values share one series whose labels are all `~other` (no topic can have that name).
public final class CounterFamily: Sendable {
    /// What stands in the labels of the series that the values past the limit share.
    public static let overflowLabel = "~other"

    private let registry: MetricRegistry
    private let family: MetricFamily
    private let labelNames: [String]
    private let limit: Int
    private let state: Mutex<(series: [String: Counter], overflow: Counter?)>

    /// Makes the family `name` in `registry` with at most `limit` series.
    public init(_ registry: MetricRegistry, _ name: String, help: String, labels: [String], limit: Int) {
        precondition(limit > 0 && !labels.isEmpty, "\(name) needs labels and room for a series")
        self.registry = registry
        self.family = MetricFamily(name: name, kind: .counter, help: help)
        self.labelNames = labels
        self.limit = limit
        self.state = Mutex(([:], nil))
    }

    /// The counter for `values`, one for each label in order.
    ///
    /// Takes a lock: ask once and keep the counter.
    public func counter(_ values: String...) -> Counter {
        let key = render(values)
        return state.withLock { state in
            if let existing = state.series[key] { return existing }
            if state.series.count < limit {
                let counter = Counter()
                state.series[key] = counter
                registry.add(family, labels: key, series: .counter(counter))
                return counter
            }
            if let overflow = state.overflow { return overflow }
            let overflow = Counter()
            state.overflow = overflow
            let labels = render(labelNames.map { _ in Self.overflowLabel })
            registry.add(family, labels: labels, series: .counter(overflow))
            return overflow
        }
    }

    /// Forgets the series for `values`, as when a topic is deleted, and makes room for another.
    public func remove(_ values: String...) {
        let key = render(values)
        state.withLock { state in
            guard state.series.removeValue(forKey: key) != nil else { return }
            registry.remove(family.name, labels: key)
        }
    }

    /// The number of series without the shared one.
    public var count: Int { state.withLock { $0.series.count } }

    private func render(_ values: [String]) -> String {
        precondition(values.count == labelNames.count, "\(family.name) has labels \(labelNames), not \(values)")
        return LabelText.render(zip(labelNames, values).map { (key: $0, value: $1) })
    }
}
