// SPDX-License-Identifier: Apache-2.0
//
// ShareMetrics.swift
// What leaders of partitions count of the share groups that read them.

package import Telemetry

/// The metrics of records that are handed out to share groups.
package final class ShareMetrics: Sendable {
    /// Share sessions.
    let sessions: Gauge
    /// Partitions of all share sessions.
    let sessionPartitions: Gauge
    /// Partitions whose records are handed out, counted once for each group.
    let partitions: Gauge
    /// Records that members have.
    let locked: Gauge
    /// Records between start offsets and end offsets.
    let inFlight: Gauge
    /// Times that a member got nothing because too many records were in flight.
    let full: Counter
    /// Locks that ended without a word of their members.
    let expired: Counter
    /// Writes of the state that did not succeed.
    let writesFailed: Counter
    private let acquired: Counter
    private let accepted: Counter
    private let released: Counter
    private let rejected: Counter
    private let exhausted: Counter

    /// Registers the metrics.
    package init(registry: MetricRegistry) {
        sessions = registry.gauge("goulette_share_sessions", help: "Share sessions.")
        sessionPartitions = registry.gauge(
            "goulette_share_session_partitions", help: "Partitions of all share sessions.")
        partitions = registry.gauge(
            "goulette_share_partitions", help: "Partitions whose records are handed out, once for each share group.")
        locked = registry.gauge("goulette_share_records_locked", help: "Records that members of share groups have.")
        inFlight = registry.gauge(
            "goulette_share_records_in_flight", help: "Records between start and end offsets of share groups.")
        full = registry.counter(
            "goulette_share_window_full_total", help: "Fetches that got nothing as too many records were in flight.")
        expired = registry.counter(
            "goulette_share_locks_expired_total", help: "Records whose lock ended without a word of the member.")
        writesFailed = registry.counter(
            "goulette_share_state_writes_failed_total", help: "Writes of share groups' state that failed.")
        let name = "goulette_share_records_total"
        let help = "Records of share groups: acquired, and what became of them."
        func outcome(_ label: String) -> Counter {
            registry.counter(name, help: help, labels: ["outcome": label])
        }
        acquired = outcome("acquired")
        accepted = outcome("accepted")
        released = outcome("released")
        rejected = outcome("rejected")
        exhausted = outcome("archived_by_delivery_count")
    }

    /// Counts what happened in a window.
    func count(_ tally: ShareTally) {
        guard tally != ShareTally() else { return }
        acquired.increment(by: tally.acquired)
        accepted.increment(by: tally.accepted)
        released.increment(by: tally.released)
        rejected.increment(by: tally.rejected)
        exhausted.increment(by: tally.exhausted)
        expired.increment(by: tally.expired)
    }
}
