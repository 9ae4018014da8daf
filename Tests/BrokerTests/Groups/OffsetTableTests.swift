// SPDX-License-Identifier: Apache-2.0
//
// OffsetTableTests.swift
// Committed offsets: what is returned, and when it lapses.

import Model
import Testing

@testable import Broker

func partition(_ topic: String, _ index: Int32) -> TopicPartition {
    TopicPartition(topic: topic, partition: PartitionIndex(rawValue: index))
}

func wall(_ milliseconds: Int64) -> WallTime { WallTime(milliseconds: milliseconds) }

@Suite struct OffsetTableTests {
    private func committed(_ offset: Int64, at time: Int64, until end: Int64? = nil) -> CommittedOffset {
        CommittedOffset(
            offset: offset, leaderEpoch: 7, metadata: "note", committedAt: wall(time), expiresAt: end.map(wall))
    }

    @Test func returnsWhatWasCommitted() {
        var table = OffsetTable()
        table.commit(committed(5, at: 1), for: partition("b", 1))
        table.commit(committed(6, at: 1), for: partition("b", 0))
        table.commit(committed(7, at: 1), for: partition("a", 10))
        table.commit(committed(8, at: 2), for: partition("b", 1))
        #expect(table.count == 3)
        #expect(table.fetch(partition("b", 1)) == committed(8, at: 2))
        #expect(table.all().map(\.partition) == [partition("a", 10), partition("b", 0), partition("b", 1)])
    }

    @Test func missingIsMinusOneAndEmpty() {
        let missing = OffsetTable().fetch(partition("t", 0))
        #expect(missing.offset == -1)
        #expect(missing.leaderEpoch == -1)
        #expect(missing.metadata.isEmpty)
    }

    @Test func removes() {
        var table = OffsetTable()
        table.commit(committed(5, at: 1), for: partition("a", 0))
        #expect(table.remove(partition("a", 0)) == true)
        #expect(table.remove(partition("a", 0)) == false)
        #expect(table.isEmpty)
        #expect(table.all().isEmpty)
    }

    @Test(
        arguments: [
            (.commit, 1_100, ["old"]),
            (.commit, 1_099, []),
            (.commit, 1_500, ["new", "old"]),
            (.groupEmptied(wall(300)), 1_299, []),
            (.groupEmptied(wall(300)), 1_300, ["old"]),
            (.groupEmptied(wall(300)), 1_500, ["new", "old"]),
            (.commitUnless(subscribed: ["old"]), 9_000, ["new"]),
            (.never, 9_000, []),
        ] as [(OffsetTable.ExpiryBasis, Int64, [String])])
    func expiry(basis: OffsetTable.ExpiryBasis, now: Int64, topics: [String]) {
        var table = OffsetTable()
        table.commit(committed(1, at: 100), for: partition("old", 0))
        table.commit(committed(1, at: 500), for: partition("new", 0))
        let expired = table.expired(now: wall(now), retentionMilliseconds: 1_000, basis: basis)
        #expect(expired.map(\.partition.topic) == topics)
    }

    @Test func aRetentionOfItsOwnCounts() {
        var table = OffsetTable()
        table.commit(committed(1, at: 100, until: 150), for: partition("t", 0))
        let expired = table.expired(now: wall(150), retentionMilliseconds: 1_000, basis: .commit)
        #expect(expired == [ExpiredOffset(partition: partition("t", 0), committedAt: wall(100))])
        #expect(table.expired(now: wall(149), retentionMilliseconds: 1, basis: .commit).isEmpty)
    }
}
