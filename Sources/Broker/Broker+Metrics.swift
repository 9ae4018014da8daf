// SPDX-License-Identifier: Apache-2.0
//
// Broker+Metrics.swift
// Figures that are read at a scrape from what the shards publish.

import Model
import Settings
import Synchronization
import Telemetry

extension Broker {
    /// Registers the gauges of topics and partitions.
    ///
    /// The image is fetched from a shard's published copy, not its loop.
    func registerMetrics(_ registry: MetricRegistry) {
        let handles = published
        registry.gauge("goulette_topics", help: "Topics of the cluster.") { Double(handles.topicCount) }
        registry.gauge(
            "goulette_configured_groups", help: "Consumer and share groups with configurations of their own."
        ) { Double(handles.configuredGroupCount) }
        registry.gauge("goulette_partitions", help: "Partitions hosted by this broker.") { Double(handles.count) }
        family(registry, "goulette_partition_high_watermark", "The offset past the last committed record.") {
            Double($0.highWatermark.rawValue)
        }
        family(registry, "goulette_partition_log_start_offset", "The first offset that can be read.") {
            Double($0.logStartOffset.rawValue)
        }
        family(registry, "goulette_partition_size_bytes", "Bytes of the partition's segments.") {
            Double($0.sizeBytes)
        }
        family(
            registry, "goulette_partition_dirty_ratio",
            "The share of a compacted partition's bytes whose keys were not compared yet."
        ) { $0.dirtyRatio }
    }

    private func family(
        _ registry: MetricRegistry, _ name: String, _ help: String,
        _ value: @escaping @Sendable (PartitionHandle) -> Double?
    ) {
        let handles = published
        let limit = settings.limits.maxMetricSeries
        registry.family(name, kind: .gauge, help: help, labels: ["topic", "partition"]) { writer in
            for handle in handles.prefix(limit) {
                if let value = value(handle) { writer.sample(value, handle.topic, "\(handle.index)") }
            }
        }
    }
}

/// The handles of all hosted partitions, for scrapes.
///
/// Replaced as a whole when the image changes.
package final class PublishedHandles: Sendable {
    private let state = Mutex<(topics: Int, groups: Int, handles: [PartitionHandle])>((0, 0, []))

    package init() {}

    package func replace(with topics: [String: TopicImage], configuredGroups: Int = 0) {
        let handles = topics.values.sorted { $0.record.name < $1.record.name }.flatMap(\.partitions)
        state.withLock { $0 = (topics.count, configuredGroups, handles) }
    }

    var count: Int { state.withLock { $0.handles.count } }
    var configuredGroupCount: Int { state.withLock { $0.groups } }
    var topicCount: Int { state.withLock { $0.topics } }
    func prefix(_ limit: Int) -> ArraySlice<PartitionHandle> { state.withLock { $0.handles.prefix(limit) } }
}
