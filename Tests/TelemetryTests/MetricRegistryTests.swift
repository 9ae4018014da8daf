// SPDX-License-Identifier: Apache-2.0
//
// MetricRegistryTests.swift
// The text of every kind of metric, and what Prometheus' own tool says about it.

import Foundation
import Model
import Telemetry
import TestSupport
import Testing

@Suite struct MetricRegistryTests {
    @Test func countersAndGaugesRenderSortedByNameAndLabels() {
        let registry = MetricRegistry()
        let fetches = registry.counter(
            "goulette_b_total", help: "Requests.", labels: ["api": "Fetch", "error": "NONE"])
        registry.counter("goulette_b_total", help: "Requests.", labels: ["api": "ApiVersions", "error": "NONE"])
            .increment()
        let open = registry.gauge("goulette_a", help: "Open.")
        fetches.increment(by: 41)
        fetches.increment()
        open.set(5)
        open.add(-7)
        #expect(
            registry.prometheusText() == """
                # HELP goulette_a Open.
                # TYPE goulette_a gauge
                goulette_a -2
                # HELP goulette_b_total Requests.
                # TYPE goulette_b_total counter
                goulette_b_total{api="ApiVersions",error="NONE"} 1
                goulette_b_total{api="Fetch",error="NONE"} 42

                """)
    }

    @Test func sameNameAndLabelsIsTheSameMetric() {
        let registry = MetricRegistry()
        let first = registry.counter("x_total", help: "X.")
        #expect(registry.counter("x_total", help: "X.") === first)
    }

    @Test func labelValuesAreEscaped() {
        let registry = MetricRegistry()
        _ = registry.gauge("x", help: "A \\ and\nmore", labels: ["name": "say \"hi\"\\\n"])
        #expect(registry.prometheusText().contains("# HELP x A \\\\ and\\nmore\n"))
        #expect(registry.prometheusText().contains("x{name=\"say \\\"hi\\\"\\\\\\n\"} 0\n"))
    }

    @Test func histogramIsCumulative() {
        let registry = MetricRegistry()
        let latency = registry.latency("t_seconds", help: "T.", bounds: [1_000_000, 2_500_000])
        for value: UInt64 in [0, 1_000_000, 1_000_001, 9_000_000] { latency.record(nanoseconds: value) }
        #expect(
            registry.prometheusText() == """
                # HELP t_seconds T.
                # TYPE t_seconds histogram
                t_seconds_bucket{le="0.001"} 2
                t_seconds_bucket{le="0.0025"} 3
                t_seconds_bucket{le="+Inf"} 4
                t_seconds_sum 0.011000001
                t_seconds_count 4

                """)
    }

    @Test func quantilesAreInterpolated() {
        let histogram = Histogram(bounds: [10, 20, 40])
        #expect(histogram.snapshot().estimate(quantile: 0.5) == nil)
        for value: UInt64 in [5, 15, 15, 30] { histogram.record(value) }
        #expect(histogram.snapshot().estimate(quantile: 0.25) == 10)
        #expect(histogram.snapshot().estimate(quantile: 0.5) == 15)
        #expect(histogram.snapshot().estimate(quantile: 1) == 40)
        histogram.record(1_000)
        #expect(histogram.snapshot().estimate(quantile: 1) == 40)
    }

    @Test func sampledValuesAreReadAtEachScrape() {
        let registry = MetricRegistry()
        let source = Gauge()
        registry.gauge("x", help: "X.") { Double(source.value) / 2 }
        registry.family("y", kind: .gauge, help: "Y.", labels: ["topic", "partition"]) { writer in
            for partition in 0..<source.value { writer.sample(1.5, "orders", "\(partition)") }
        }
        #expect(registry.prometheusText().contains("x 0\n"))
        source.set(3)
        #expect(registry.prometheusText().contains("x 1.5\n"))
        #expect(registry.prometheusText().contains("y{topic=\"orders\",partition=\"2\"} 1.5\n"))
    }

    @Test func familiesAreBounded() {
        let registry = MetricRegistry()
        let family = CounterFamily(registry, "z_total", help: "Z.", labels: ["topic"], limit: 2)
        family.counter("a").increment()
        family.counter("b").increment()
        family.counter("c").increment()
        family.counter("d").increment()
        #expect(family.count == 2)
        #expect(registry.prometheusText().contains("z_total{topic=\"~other\"} 2\n"))
        family.remove("a")
        family.counter("c").increment()
        let text = registry.prometheusText()
        #expect(!text.contains("topic=\"a\""))
        #expect(text.contains("z_total{topic=\"c\"} 1\n"))
    }

    @Test func processMetricsHaveValues() throws {
        #expect(try #require(ProcessMetrics.residentBytes()) > 1 << 20)
        #expect(try #require(ProcessMetrics.openDescriptors()) >= 3)
        #expect(try #require(ProcessMetrics.descriptorLimit()) > 3)
        #expect(ProcessMetrics.cpuSeconds() > 0)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/promtool")))
    func promtoolAcceptsTheText() throws {
        let registry = MetricRegistry()
        ProcessMetrics.register(in: registry, version: "1.0", revision: "abc", clock: .system)
        LogSystem(write: { _ in }).register(in: registry)
        registry.latency("goulette_request_duration_seconds", help: "Time.", labels: ["api": "Fetch"])
            .record(nanoseconds: 12_345)
        _ = registry.histogram("goulette_batch_size_bytes", help: "Sizes.", bounds: [1, 1024])
        CounterFamily(registry, "goulette_topic_bytes_total", help: "B.", labels: ["topic", "direction"], limit: 1)
            .counter("a\"b\\", "in").increment()
        registry.family("goulette_partition_size_bytes", kind: .gauge, help: "S.", labels: ["topic"]) {
            $0.sample(.infinity, "x")
            $0.sample(.nan, "y")
        }
        let scratch = try Scratch()
        try scratch.write(registry.prometheusText(), to: "metrics")
        let (ending, said) = try ChildProcess.run(
            "/usr/bin/promtool", ["check", "metrics"], input: scratch.path("metrics"))
        #expect(ending == .exited(0), "\(said)")
    }
}
