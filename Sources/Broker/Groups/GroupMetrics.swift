// SPDX-License-Identifier: Apache-2.0
//
// GroupMetrics.swift
// What the group coordinator counts.

import Telemetry

/// The coordinator's metrics.
struct GroupMetrics: Sendable {
    /// Groups with members or offsets.
    let groups: Gauge
    /// Rebalances that began.
    let rebalances: Counter
    /// Members that left or were removed.
    let membersRemoved: Counter
    /// Members of live groups under the consumer protocol.
    let consumerMembers: Gauge
    /// Target assignments that were computed for such groups.
    let assignments: Counter

    init(registry: MetricRegistry) {
        groups = registry.gauge("goulette_groups", help: "Consumer groups with members or offsets.")
        rebalances = registry.counter("goulette_group_rebalances_total", help: "Rebalances that began.")
        membersRemoved = registry.counter(
            "goulette_group_members_removed_total", help: "Members that left their group or were removed from it.")
        consumerMembers = registry.gauge(
            "goulette_consumer_group_members", help: "Members of groups under the consumer protocol.")
        assignments = registry.counter(
            "goulette_consumer_group_assignments_total",
            help: "Target assignments that were computed for groups under the consumer protocol.")
    }
}
