// SPDX-License-Identifier: Apache-2.0
//
// ReplicaComparisonTests.swift
// Two replicas: equal, of different length, parted by term, by content, and with entries missing.

import Model
import Testing

@testable import LogStore

@Suite struct ReplicaComparisonTests {
    private func compare(
        _ here: InspectFixture, _ there: InspectFixture, _ name: String = "orders/0", atOnce: Int = 1 << 16
    ) throws -> ReplicaComparison {
        let (left, right) = (try here.reader(), try there.reader())
        defer {
            left.close()
            right.close()
        }
        let mine = try #require(try left.group(named: name))
        let theirs = try #require(try right.group(named: name))
        return try left.compare(mine, with: right, theirs, atOnce: atOnce)
    }

    /// However much is held at a time, and wherever the entries lie.
    @Test(arguments: [1, 3, 7, 1 << 16]) func equalReplicas(atOnce: Int) throws {
        let here = try InspectFixture()
        let there = try InspectFixture(journal: .on, closes: false)
        let found = try compare(here, there, atOnce: atOnce)
        #expect(found.range == LogIndex(1)...LogIndex(30) && found.equal == 30)
        #expect(found.difference == nil && found.holes == 0 && found.last == found.otherLast)
        let commands = try compare(here, there, "controller", atOnce: atOnce)
        #expect(commands.equal == 5 && commands.difference == nil && commands.last == LogIndex(5))
    }

    /// Their second terms begin at different entries.
    @Test(arguments: [2, 1 << 16]) func termsPart(atOnce: Int) throws {
        let found = try compare(try InspectFixture(frames: 30), try InspectFixture(frames: 20), atOnce: atOnce)
        let difference = try #require(found.difference)
        #expect(difference.index == LogIndex(11) && difference.terms == [Term(1), Term(2)])
        #expect(difference.reason == "of term 1 here and of term 2 there")
        #expect(found.equal == 10 && found.last == LogIndex(30) && found.otherLast == LogIndex(20))
    }

    // MARK: Lists

    private func digests(_ indices: [UInt64], checksums: [UInt64: UInt32] = [:]) -> [EntryDigest] {
        indices.map {
            EntryDigest(
                index: LogIndex($0), term: Term(1), kind: .data, baseOffset: Offset(Int64($0)), recordCount: 1,
                storedBytes: 9, checksum: checksums[$0] ?? UInt32($0))
        }
    }

    private func empty() -> ReplicaComparison { ReplicaComparison(last: LogIndex(9), otherLast: LogIndex(9)) }

    @Test func theShorterListEndsAStep() {
        var found = empty()
        #expect(found.add(digests([3, 4, 5, 6]), digests([3, 4])) == LogIndex(4))
        #expect(found.equal == 2 && found.range == LogIndex(3)...LogIndex(4))
        #expect(found.add(digests([5, 6]), []) == nil)
        #expect(found.difference == nil && found.equal == 2)
    }

    @Test func contentParts() {
        var found = empty()
        #expect(found.add(digests([3, 4, 5]), digests([3, 4, 5], checksums: [4: 99])) == nil)
        #expect(found.difference?.index == LogIndex(4) && found.equal == 1)
        #expect(found.difference?.reason == "the same term 1 and another content")
    }

    @Test func damageLeavesHoles() {
        var found = empty()
        #expect(found.add(digests([3, 4, 7, 8]), digests([3, 5, 6, 7, 8])) == LogIndex(8))
        #expect(found.holes == 3 && found.equal == 3 && found.difference == nil)
    }
}
