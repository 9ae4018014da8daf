// SPDX-License-Identifier: Apache-2.0
//
// BrokerMetrics.swift
// Everything the broker counts. Made once; the hot path only adds to atomics.

package import KafkaProtocol
package import Telemetry

/// The broker's metrics.
package final class BrokerMetrics: Sendable {
    /// Batches that validation refused.
    package let batchesRejected: Counter
    /// Batches of idempotent producers that were in the log already.
    package let duplicateBatches: Counter
    /// Batches that would have begun a transaction and were not confirmed by its coordinator.
    package let transactionsRefused: Counter
    /// Markers that ended transactions.
    package let markersWritten: Counter
    /// Frames the log or the Raft core did not take.
    package let framesRefused: Counter
    /// Requests for an API or version that is not served.
    package let unknownRequests: Counter
    /// Requests that could not be decoded.
    package let malformedRequests: Counter
    /// Requests that were passed on to the controller's leader.
    package let forwarded: Counter
    /// Damaged logs that were put aside, to be copied anew from other brokers.
    package let replicasSetAside: Counter
    /// From a frame's proposal to its commit.
    package let commitLatency: LatencyHistogram
    /// From a produce request's arrival to its answer.
    package let produceLatency: LatencyHistogram
    /// From a fetch request's arrival to its answer, waiting included.
    package let fetchLatency: LatencyHistogram

    /// Fetch sessions, those of all event loops.
    package let fetchSessions: Gauge
    /// Partitions of all fetch sessions.
    package let fetchSessionPartitions: Gauge
    /// Fetch sessions that made room for others.
    package let fetchSessionEvictions: Counter
    /// Fetches that asked for a session.
    package let fetchesFull: Counter
    /// Fetches that went on with a session.
    package let fetchesIncremental: Counter

    private let records: CounterFamily
    private let bytes: CounterFamily
    private let requests: [APIKey: Counter]
    private let errors: CounterFamily

    /// Registers the metrics.
    package init(registry: MetricRegistry, seriesMax: Int) {
        batchesRejected = registry.counter(
            "goulette_batches_rejected_total", help: "Record batches that validation refused.")
        duplicateBatches = registry.counter(
            "goulette_batches_duplicate_total", help: "Batches of idempotent producers that were in the log already.")
        transactionsRefused = registry.counter(
            "goulette_transactional_batches_refused_total",
            help: "Batches of transactions that their coordinators did not confirm.")
        markersWritten = registry.counter(
            "goulette_transaction_markers_total", help: "Markers that ended a transaction in a partition.")
        framesRefused = registry.counter(
            "goulette_frames_refused_total", help: "Frames that the log or the Raft core did not take.")
        unknownRequests = registry.counter(
            "goulette_requests_unsupported_total", help: "Requests for an API or version that is not served.")
        malformedRequests = registry.counter(
            "goulette_requests_malformed_total", help: "Requests that could not be decoded.")
        forwarded = registry.counter(
            "goulette_requests_forwarded_total", help: "Requests that were passed on to the controller's leader.")
        replicasSetAside = registry.counter(
            "goulette_replicas_set_aside_total", help: "Damaged logs that were put aside and copied anew.")
        commitLatency = registry.latency(
            "goulette_raft_commit_latency_seconds", help: "From a frame's proposal to its commit.")
        produceLatency = registry.latency(
            "goulette_request_duration_seconds", help: "From a request's arrival to its answer.",
            labels: ["api": "Produce"])
        fetchLatency = registry.latency(
            "goulette_request_duration_seconds", help: "From a request's arrival to its answer.",
            labels: ["api": "Fetch"])
        fetchSessions = registry.gauge("goulette_fetch_sessions", help: "Fetch sessions.")
        fetchSessionPartitions = registry.gauge(
            "goulette_fetch_session_partitions", help: "Partitions of all fetch sessions.")
        fetchSessionEvictions = registry.counter(
            "goulette_fetch_session_evictions_total", help: "Fetch sessions that made room for others.")
        let fetches = "goulette_fetch_session_requests_total"
        let fetchesHelp = "Fetches that asked for a session (full), or went on with one (incremental)."
        fetchesFull = registry.counter(fetches, help: fetchesHelp, labels: ["kind": "full"])
        fetchesIncremental = registry.counter(fetches, help: fetchesHelp, labels: ["kind": "incremental"])
        records = CounterFamily(
            registry, "goulette_topic_records_total", help: "Records appended to a topic.", labels: ["topic"],
            limit: seriesMax)
        bytes = CounterFamily(
            registry, "goulette_topic_bytes_total", help: "Bytes of record batches by direction.",
            labels: ["topic", "direction"], limit: seriesMax)
        errors = CounterFamily(
            registry, "goulette_errors_total", help: "Errors that clients were answered with.", labels: ["error"],
            limit: 200)
        var requests: [APIKey: Counter] = [:]
        for api in APIRegistry.served {
            requests[api.key] = registry.counter(
                "goulette_requests_total", help: "Requests that were decoded.", labels: ["api": api.name])
        }
        self.requests = requests
    }

    package func request(_ key: APIKey) -> Counter {
        guard let counter = requests[key] else { preconditionFailure("\(key) is served without a counter") }
        return counter
    }

    package func error(_ code: KafkaErrorCode) -> Counter { errors.counter(code.name) }

    /// The counters of one topic, to be kept by its partitions.
    package func topic(_ name: String) -> TopicMetrics {
        TopicMetrics(
            recordsIn: records.counter(name), bytesIn: bytes.counter(name, "in"), bytesOut: bytes.counter(name, "out"))
    }

    /// Forgets a deleted topic's series.
    package func removeTopic(_ name: String) {
        records.remove(name)
        bytes.remove(name, "in")
        bytes.remove(name, "out")
    }
}

/// What is counted for each topic.
package struct TopicMetrics: Sendable {
    package let recordsIn: Counter
    package let bytesIn: Counter
    package let bytesOut: Counter
}
