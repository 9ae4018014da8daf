// SPDX-License-Identifier: Apache-2.0
//
// FoundingRule.swift
// Whether a broker with an empty directory may found the cluster, or has to be taken in by one that exists. A value.

package import Model

/// What a broker says of one of the brokers' own groups.
package struct OwnGroupWord: Equatable, Sendable {
    package var group: GroupID
    package var term: Term
    package var last: LogIndex

    package init(group: GroupID, term: Term, last: LogIndex) {
        self.group = group
        self.term = term
        self.last = last
    }
}

/// What a broker says when it is asked whether there is a cluster.
package struct ClusterWord: Equatable, Sendable {
    /// The cluster it belongs to, as far as it has learnt that.
    package var clusterID: String?
    package var groups: [OwnGroupWord]

    package init(clusterID: String? = nil, groups: [OwnGroupWord] = []) {
        self.clusterID = clusterID
        self.groups = groups
    }

    /// Whether a cluster was formed that may have decided something.
    var knowsCluster: Bool { clusterID != nil || groups.contains { $0.last > .zero } }
    /// Whether the broker took part in an election.
    var hasVoted: Bool { groups.contains { $0.term > .zero } }
}

/// Decides what becomes of a broker that has nothing stored.
///
/// An empty directory looks the same before the first start and after a disk was lost. In the second case the broker may
/// have voted and confirmed entries, and must not begin as a member again. So it founds the cluster only when no broker
/// knows of one: all of those that are to form it have answered, or most of them for a while.
package struct FoundingRule: Sendable {
    package enum Verdict: Equatable, Sendable {
        /// Begin as a founder; in these groups without a vote to give in the named term or an earlier one.
        case found([GroupID: Term])
        /// There is a cluster, which has to take the broker in.
        case join
        /// Nothing can be said before these brokers answer.
        case wait(for: [NodeID])
    }

    package let node: NodeID
    /// The brokers that form the cluster; none for one that is to be taken in in any case.
    package let founders: [NodeID]
    /// How long the others of a majority are waited for.
    package let patience: Int64

    package init(node: NodeID, founders: [NodeID], patience: Int64) {
        self.node = node
        self.founders = founders
        self.patience = patience
    }

    /// What follows from the last words of the brokers that can be reached, so many milliseconds after the start.
    package func verdict(_ words: [NodeID: ClusterWord], after milliseconds: Int64) -> Verdict {
        if words.values.contains(where: \.knowsCluster) { return .join }
        let silent = founders.filter { $0 != node && words[$0] == nil }
        guard founders.contains(node) else { return .wait(for: silent) }
        if silent.isEmpty {
            // Whoever had a vote of an earlier life of this broker has at least the term of that vote.
            var terms: [GroupID: Term] = [:]
            for word in words.values.flatMap(\.groups) where word.term > .zero {
                terms[word.group] = max(terms[word.group] ?? .zero, word.term)
            }
            return .found(terms)
        }
        let isMajority = (founders.count - silent.count) * 2 > founders.count
        guard isMajority, milliseconds >= patience, !words.values.contains(where: \.hasVoted) else {
            return .wait(for: silent)
        }
        return .found([:])
    }
}
