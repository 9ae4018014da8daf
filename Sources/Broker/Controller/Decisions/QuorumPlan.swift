// SPDX-License-Identifier: Apache-2.0
//
// QuorumPlan.swift
// Who should vote, and who should listen, in the groups of the brokers themselves: controller and coordinator.

package import Model

/// Decides the members of a group that every broker is part of.
///
/// Voters stay while they can; those that left the cluster, are leaving it, lost their disk or have failed for long give
/// their vote to a broker that is active. Every other broker listens, but one that lost its disk: it leaves first.
package struct QuorumPlan: Sendable {
    /// The most voters there are.
    package static let votersMax = 5

    /// The members that a cluster begins with, the same on every founder; none on a broker that is taken in later.
    package static func first(of founders: [NodeID]) -> GroupMembership {
        let ordered = founders.sorted()
        return GroupMembership(
            voters: Array(ordered.prefix(votersMax)), learners: Array(ordered.dropFirst(votersMax)))
    }

    /// The members that `group` should have; nil when nothing better than the present ones can be had.
    ///
    /// `replaceable` are the brokers that have failed for longer than the grace period.
    package static func members(
        of group: GroupID, current: GroupMembership, brokers: [NodeID: BrokerRecord], replaceable: Set<NodeID>
    ) -> GroupMembership? {
        guard !brokers.isEmpty else { return nil }
        func isLost(_ node: NodeID) -> Bool { brokers[node]?.lostGroups.contains(group) == true }
        func mayVote(_ node: NodeID) -> Bool {
            guard let broker = brokers[node] else { return false }
            return broker.drain != .decommission && !isLost(node) && !replaceable.contains(node)
        }
        // A founder that has not registered yet keeps its place: nothing is known against it.
        let known = current.voters.filter { brokers[$0] == nil || mayVote($0) }
        var voters = known.filter { brokers[$0] != nil || brokers.count < current.voters.count }
        let able = brokers.values.filter { $0.health == .active && mayVote($0.id) }.map(\.id).sorted()
        let wanted = size(for: Set(able).union(voters).count)
        for node in able where voters.count < wanted && !voters.contains(node) { voters.append(node) }
        guard !voters.isEmpty else { return nil }
        // One that lost its disk has to leave altogether before it may listen again.
        let listeners = brokers.keys.filter { !voters.contains($0) && !isLost($0) }
        return GroupMembership(voters: voters, learners: Array(listeners))
    }

    /// An odd number: an even one needs one voter more and bears no failure more.
    private static func size(for available: Int) -> Int {
        let most = min(votersMax, available)
        return most % 2 == 0 ? max(1, most - 1) : most
    }
}
