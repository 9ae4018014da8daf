// SPDX-License-Identifier: Apache-2.0
//
// LeaderTable.swift
// Who leads which group, as far as this broker has heard. A value: every event loop has its copy.

package import Model

/// What is known of a group's leader.
package struct Leadership: Equatable, Sendable {
    /// The term; clients call it the leader epoch.
    package var term: Term
    /// Counts what the leader of the term said of itself; 0 is what a follower says.
    package var revision: UInt32
    /// The leader; nil when the term has none any more, or none yet.
    package var leader: NodeID?
    /// The replicas in sync, the leader among them; empty when only the leader could tell.
    package var inSync: [NodeID]

    package init(term: Term, revision: UInt32 = 0, leader: NodeID?, inSync: [NodeID] = []) {
        self.term = term
        self.revision = revision
        self.leader = leader
        self.inSync = inSync
    }

    /// Whether it is a leader's first or last word of its term.
    package var isAnnounced: Bool { revision == 1 || revision == .max }

    /// Whether this is later news than `other`.
    ///
    /// A higher term wins; in one term what its leader said last; of two followers the one that knows the leader; and of
    /// one word of a leader the form that names the replicas in sync, which may arrive behind the short one.
    package func supersedes(_ other: Leadership) -> Bool {
        if term != other.term { return term > other.term }
        if revision != other.revision { return revision > other.revision }
        if (leader == nil) != (other.leader == nil) { return leader != nil }
        return !inSync.isEmpty && other.inSync.isEmpty
    }
}

/// News of one group's leader.
package struct LeaderChange: Equatable, Sendable {
    package var group: GroupID
    package var leadership: Leadership

    package init(group: GroupID, leadership: Leadership) {
        self.group = group
        self.leadership = leadership
    }
}

/// The leaders of all groups that this broker has heard of.
///
/// News may come in any order and more than once: from this broker's own replicas, and from the brokers of leaders.
///
/// Invariant: the term of a group never goes back.
package struct LeaderTable: Sendable {
    private var entries: [GroupID: Leadership] = [:]
    /// Brokers whose connection was lost a moment ago: what they led may have another leader already.
    package private(set) var absent: Set<NodeID> = []

    package init() {}

    package var count: Int { entries.count }

    /// What is known of a group; nil when nothing is.
    package subscript(group: GroupID) -> Leadership? { entries[group] }

    /// Takes over one piece of news; returns whether it was any.
    @discardableResult
    package mutating func merge(_ change: LeaderChange) -> Bool {
        if let known = entries[change.group], !change.leadership.supersedes(known) { return false }
        entries[change.group] = change.leadership
        return true
    }

    /// Takes over news; returns what of it was new, in the same order.
    package mutating func merge(_ changes: [LeaderChange]) -> [LeaderChange] {
        changes.filter { merge($0) }
    }

    /// Notes whether a broker is absent; returns whether that is news.
    package mutating func setAbsent(_ node: NodeID, _ isAbsent: Bool) -> Bool {
        isAbsent ? absent.insert(node).inserted : absent.remove(node) != nil
    }

    /// Forgets the groups that are not in `kept` and below `limit`: their numbers are never used again.
    ///
    /// Groups from `limit` on are new to whoever knows the metadata up to there.
    package mutating func forget(below limit: GroupID, except kept: (GroupID) -> Bool) {
        entries = entries.filter { $0.key.rawValue >= limit.rawValue || kept($0.key) }
    }

    /// Everything that `node` leads, by rising group: what its broker tells others.
    package func led(by node: NodeID) -> [LeaderChange] {
        entries.filter { $0.value.leader == node }
            .map { LeaderChange(group: $0.key, leadership: $0.value) }
            .sorted { $0.group.rawValue < $1.group.rawValue }
    }

    /// How many partitions each node leads.
    package var leaderCounts: [NodeID: Int] {
        entries.reduce(into: [:]) { counts, known in
            guard known.key >= .firstPartition, let leader = known.value.leader else { return }
            counts[leader, default: 0] += 1
        }
    }
}
