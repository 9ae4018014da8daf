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

    /// Members of share groups.
    let shareMembers: Gauge
    /// Assignments that were computed for share groups.
    let shareAssignments: Counter
    /// Changes of how far share groups are that were kept.
    let shareStateWrites: Counter
    /// Those that were refused, as of leaders that are none any more.
    let shareStateRefusals: Counter

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
        shareMembers = registry.gauge("goulette_share_group_members", help: "Members of share groups.")
        shareAssignments = registry.counter(
            "goulette_share_group_assignments_total", help: "Assignments that were computed for share groups.")
        shareStateWrites = registry.counter(
            "goulette_share_state_writes_total", help: "Changes of how far share groups are that were kept.")
        shareStateRefusals = registry.counter(
            "goulette_share_state_refusals_total",
            help: "Changes of how far share groups are that were refused, as of earlier leaders of a partition.")
    }
}
