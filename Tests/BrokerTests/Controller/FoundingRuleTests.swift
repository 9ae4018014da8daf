// SPDX-License-Identifier: Apache-2.0
//
// FoundingRuleTests.swift
// When a broker with an empty directory may found the cluster, by what the others say.

import Model
import Testing

@testable import Broker

@Suite struct FoundingRuleTests {
    private static func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }
    private static let rule = FoundingRule(node: node(1), founders: [1, 2, 3].map(node), patience: 1_000)
    private static let blank = ClusterWord(groups: [
        OwnGroupWord(group: .controller, term: .zero, last: .zero),
        OwnGroupWord(group: .coordinator, term: .zero, last: .zero),
    ])

    private static func voted(_ term: UInt64, last: UInt64 = 0, clusterID: String? = nil) -> ClusterWord {
        ClusterWord(
            clusterID: clusterID,
            groups: [OwnGroupWord(group: .controller, term: Term(term), last: LogIndex(last))])
    }

    private func verdict(_ words: [Int32: ClusterWord], after: Int64 = 0) -> FoundingRule.Verdict {
        Self.rule.verdict(
            Dictionary(uniqueKeysWithValues: words.map { (Self.node($0.key), $0.value) }), after: after)
    }

    @Test func allThatAreToFormTheClusterMayFormIt() {
        #expect(verdict([2: Self.blank, 3: Self.blank]) == .found([:]))
    }

    @Test func mostOfThemMayAfterAWhile() {
        #expect(verdict([2: Self.blank], after: 999) == .wait(for: [Self.node(3)]))
        #expect(verdict([2: Self.blank], after: 1_000) == .found([:]))
        #expect(verdict([:], after: 60_000) == .wait(for: [2, 3].map(Self.node)), "one of three never may")
    }

    @Test func whoeverKnowsOfAClusterDecides() {
        #expect(verdict([3: Self.voted(4, last: 9, clusterID: "c")]) == .join)
        #expect(verdict([2: Self.blank, 3: Self.voted(4, last: 1)]) == .join, "something may be committed")
        #expect(verdict([9: Self.voted(4, last: 9, clusterID: "c")]) == .join, "not one of the founders")
    }

    /// One that was asked for its vote and then lost its disk: nothing was decided, but it must not vote twice in a term.
    @Test func anElectionThatLedToNothingLeavesItsTerm() {
        #expect(verdict([2: Self.voted(3), 3: Self.voted(5)]) == .found([.controller: Term(5)]))
        #expect(verdict([2: Self.voted(3)], after: 60_000) == .wait(for: [Self.node(3)]))
    }

    @Test func aBrokerThatIsToBeTakenInFoundsNothing() {
        let rule = FoundingRule(node: Self.node(4), founders: [], patience: 0)
        #expect(rule.verdict([:], after: 60_000) == .wait(for: []))
        #expect(rule.verdict([Self.node(1): Self.blank], after: 60_000) == .wait(for: []))
        #expect(rule.verdict([Self.node(1): Self.voted(1, last: 1)], after: 0) == .join)
    }

    @Test func aClusterOfOneAsksNobody() {
        let rule = FoundingRule(node: Self.node(1), founders: [Self.node(1)], patience: 1_000)
        #expect(rule.verdict([:], after: 0) == .found([:]))
    }
}
