// SPDX-License-Identifier: Apache-2.0
//
// LeaderTableTests.swift
// News of leaders: which of two wins, that order does not matter, and their form between brokers.

import Model
import NIOCore
import TestSupport
import Testing

@testable import Broker

@Suite struct LeaderTableTests {
    private static func news(
        _ term: UInt64, revision: UInt32 = 0, leader: Int32?, inSync: [Int32] = []
    ) -> Leadership {
        Leadership(
            term: Term(term), revision: revision, leader: leader.map { NodeID(rawValue: $0) },
            inSync: inSync.map { NodeID(rawValue: $0) })
    }

    private static let group = GroupID(rawValue: 1024)

    @Test(arguments: [
        (known: news(3, leader: 1), said: news(4, leader: 2), isNews: true),
        (known: news(3, leader: 1), said: news(4, leader: nil), isNews: true),
        (known: news(4, revision: 9, leader: 1), said: news(3, revision: 10, leader: 2), isNews: false),
        (known: news(4, revision: 1, leader: 1), said: news(4, revision: 2, leader: 1, inSync: [1, 2]), isNews: true),
        (known: news(4, revision: 2, leader: 1), said: news(4, revision: 1, leader: 1), isNews: false),
        // The leader's first word goes out in a short form at once, and with the replicas in sync right behind it.
        (known: news(4, revision: 1, leader: 1), said: news(4, revision: 1, leader: 1, inSync: [1, 2]), isNews: true),
        (known: news(4, revision: 1, leader: 1, inSync: [1, 2]), said: news(4, revision: 1, leader: 1), isNews: false),
        (known: news(4, leader: nil), said: news(4, leader: 1), isNews: true),
        // A follower that lost its leader out of sight says nothing about the leader.
        (known: news(4, leader: 1), said: news(4, leader: nil), isNews: false),
        // A leader that stepped down does.
        (known: news(4, revision: 2, leader: 1), said: news(4, revision: 3, leader: nil), isNews: true),
        (known: news(4, revision: 3, leader: nil), said: news(4, leader: 1), isNews: false),
        (known: news(4, leader: 1), said: news(4, leader: 1), isNews: false),
    ])
    func whatIsLaterWins(known: Leadership, said: Leadership, isNews: Bool) {
        var table = LeaderTable()
        let first = table.merge(LeaderChange(group: Self.group, leadership: known))
        let second = table.merge(LeaderChange(group: Self.group, leadership: said))
        #expect(first && second == isNews)
        #expect(table[Self.group] == (isNews ? said : known))
        #expect(table[GroupID(rawValue: 1)] == nil)
    }

    /// Whatever the order, and with repetitions, all brokers come to the same table.
    @Test(arguments: 0..<20) func theOrderOfNewsDoesNotMatter(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var changes: [LeaderChange] = []
        for term in UInt64(1)...6 {
            for group in UInt64(1024)..<1030 {
                let leader = Int32(random.next() % 3) + 1
                let id = GroupID(rawValue: group)
                for revision in 0..<UInt32(random.next() % 4) {
                    let isLast = revision == 3
                    changes.append(
                        LeaderChange(
                            group: id, leadership: Self.news(term, revision: revision, leader: isLast ? nil : leader)))
                    guard revision > 0, !isLast else { continue }
                    changes.append(
                        LeaderChange(
                            group: id,
                            leadership: Self.news(term, revision: revision, leader: leader, inSync: [leader])))
                }
            }
        }
        var inOrder = LeaderTable()
        _ = inOrder.merge(changes)
        var shuffled = LeaderTable()
        for _ in 0..<3 { _ = shuffled.merge(changes.shuffled(using: &random)) }
        for group in UInt64(1024)..<1030 {
            #expect(inOrder[GroupID(rawValue: group)] == shuffled[GroupID(rawValue: group)])
        }
        let news = shuffled.merge(changes)
        #expect(news.isEmpty)
    }

    @Test func whatOneBrokerLeadsIsListed() {
        var table = LeaderTable()
        for number in UInt64(0)..<9 {
            let change = LeaderChange(
                group: GroupID(rawValue: 1024 + number), leadership: Self.news(2, leader: Int32(number % 3)))
            table.merge(change)
        }
        let led = table.led(by: NodeID(rawValue: 1))
        #expect(led.map(\.group.rawValue) == [1025, 1028, 1031])
        #expect(table.leaderCounts == [0: 3, 1: 3, 2: 3].reduce(into: [:]) { $0[NodeID(rawValue: $1.key)] = $1.value })
        table.forget(below: GroupID(rawValue: 1030)) { $0.rawValue == 1025 }
        #expect(table.count == 4, "the kept one, and those that the metadata does not know yet")
    }

    @Test func framesAreReadAsTheyWereWritten() throws {
        let changes = (UInt64(0)..<25_000).map { number in
            LeaderChange(
                group: GroupID(rawValue: 1024 + number),
                leadership: Self.news(
                    number, revision: UInt32(number % 7), leader: number % 5 == 0 ? nil : Int32(number % 5),
                    inSync: Array(0..<Int32(number % 4))))
        }
        let frames = LeaderTable.encode(changes)
        #expect(frames.count == 3)
        #expect(try frames.flatMap { try LeaderTable.decode($0) } == changes)
        #expect(LeaderTable.encode([]).isEmpty)
    }

    @Test func damagedFramesAreRefused() throws {
        let change = LeaderChange(group: Self.group, leadership: Self.news(3, leader: 1, inSync: [1, 2]))
        let frame = try #require(LeaderTable.encode([change]).first)
        for length in 0..<frame.readableBytes {
            #expect(throws: BinaryCodingError.self) {
                try LeaderTable.decode(ByteBuffer(bytes: frame.readableBytesView.prefix(length)))
            }
        }
        #expect(throws: BinaryCodingError.self) {
            try LeaderTable.decode(ByteBuffer(bytes: Array(frame.readableBytesView) + [0]))
        }
        #expect(throws: BinaryCodingError.unknownVersion(9)) { try LeaderTable.decode(ByteBuffer(bytes: [9])) }
    }
}
