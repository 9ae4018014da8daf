// SPDX-License-Identifier: Apache-2.0
//
// TransactionMetrics.swift
// What the transaction coordinator counts.

import Telemetry

/// The coordinator's metrics.
struct TransactionMetrics: Sendable {
    /// Transactional ids.
    let ids: Gauge
    /// Transactions that were committed.
    let committed: Counter
    /// Transactions that were aborted, for whatever reason.
    let aborted: Counter
    /// Those of them that were open for too long.
    let timedOut: Counter
    /// Markers that partitions have not taken yet.
    let markers: Gauge
    /// Markers that had to be sent again.
    let markerRetries: Counter
    /// Requests that wait for another change of their transactional id.
    let waiting: Gauge

    init(registry: MetricRegistry) {
        ids = registry.gauge("goulette_transactional_ids", help: "Transactional ids that are known.")
        committed = registry.counter("goulette_transactions_committed_total", help: "Transactions committed.")
        aborted = registry.counter(
            "goulette_transactions_aborted_total", help: "Transactions aborted, timed out ones among them.")
        timedOut = registry.counter(
            "goulette_transactions_timed_out_total", help: "Transactions aborted because they were open for too long.")
        markers = registry.gauge(
            "goulette_transaction_markers_pending", help: "Transaction markers that partitions have not taken yet.")
        markerRetries = registry.counter(
            "goulette_transaction_marker_retries_total", help: "Transaction markers that had to be sent again.")
        waiting = registry.gauge(
            "goulette_transaction_requests_waiting",
            help: "Requests that wait for another change of their transactional id.")
    }
}
