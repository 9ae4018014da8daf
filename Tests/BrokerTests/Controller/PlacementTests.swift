// SPDX-License-Identifier: Apache-2.0
//
// PlacementTests.swift
// Where replicas go: tables for what people expect, seeds for what must always hold.

import Model
import Settings
import Testing

@testable import Broker

@Suite struct PlacementTests {
    private let topic = TopicID(high: 3, low: 4)

    private func brokers(_ count: Int32, racks: Int32 = 0) -> [PlacementBroker] {
        (1...count).map { PlacementBroker(id: NodeID(rawValue: $0), rack: racks > 0 ? "r\($0 % racks)" : nil) }
    }

    private func place(
        _ policy: PlacementPolicy, _ brokers: [PlacementBroker], _ count: Int, _ factor: Int
    ) throws -> [[Int32]] {
        var placement = Placement(policy: policy, brokers: brokers)
        return try placement.place(topic: topic, count: count, replicationFactor: factor).map { $0.map(\.rawValue) }
    }

    @Test func threeBrokersTakeTurns() throws {
        let placed = try place(.roundRobin, brokers(3), 6, 3)
        #expect(placed == [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 3, 2], [2, 1, 3], [3, 2, 1]])
    }

    @Test func aTopicOfOnePartitionGoesWhereLeastIs() throws {
        var four = brokers(4)
        four[0].leaders = 2
        four[1].leaders = 1
        four[2].replicas = 5
        #expect(try place(.roundRobin, four, 1, 2) == [[4, 2]])
    }

    @Test func tooFewBrokersAreRefused() {
        #expect(throws: PlacementError.tooFewBrokers(wanted: 3, available: 2)) {
            try place(.roundRobin, brokers(2), 1, 3)
        }
        #expect(throws: PlacementError.tooFewBrokers(wanted: 0, available: 2)) {
            try place(.consistentHash, brokers(2), 1, 0)
        }
    }

    @Test func racksShareThePartitions() throws {
        for placed in try place(.rackAware, brokers(6, racks: 3), 12, 3) {
            #expect(Set(placed.map { $0 % 3 }).count == 3, "\(placed)")
        }
        // Two racks hold three replicas: two and one.
        for placed in try place(.rackAware, brokers(6, racks: 2), 12, 3) {
            #expect(Set(placed.map { $0 % 2 }).count == 2, "\(placed)")
        }
    }

    @Test(arguments: 0..<60) func placesEvenly(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let count = Int32.random(in: 1...9, using: &random)
        let factor = Int.random(in: 1...Int(min(count, 4)), using: &random)
        let partitions = Int.random(in: 1...50, using: &random)
        let policy: PlacementPolicy = Bool.random(using: &random) ? .roundRobin : .rackAware
        let placed = try place(policy, brokers(count), partitions, factor)
        let leaders = tally(placed.map { [$0[0]] }, count)
        let replicas = tally(placed, count)
        for list in placed { #expect(list.count == factor && Set(list).count == factor, "seed \(seed)") }
        #expect(spread(leaders) <= 1, "seed \(seed): leaders \(leaders)")
        #expect(spread(replicas) <= 1, "seed \(seed): replicas \(replicas)")
    }

    @Test func followersOfOneLeaderAreSpread() throws {
        let placed = try place(.roundRobin, brokers(5), 40, 3)
        for leader in Int32(1)...5 {
            let followers = Set(placed.filter { $0[0] == leader }.flatMap { $0.dropFirst() })
            #expect(followers.count == 4, "the followers of \(leader) are \(followers)")
        }
    }

    @Test func partitionsThatAreAddedContinueTheSpread() throws {
        var placement = Placement(policy: .roundRobin, brokers: brokers(4))
        let first = try placement.place(topic: topic, count: 3, replicationFactor: 2)
        var later = Placement(policy: .roundRobin, brokers: brokers(4))
        later.count(existing: first)
        let all = first + (try later.place(topic: topic, first: 3, count: 5, replicationFactor: 2))
        #expect(spread(tally(all.map { [$0[0].rawValue] }, 4)) == 0)
        #expect(spread(tally(all.map { $0.map(\.rawValue) }, 4)) == 0)
    }

    // MARK: Ring

    @Test func theRingMovesLittle() throws {
        let before = try place(.consistentHash, brokers(6), 600, 3)
        let after = try place(.consistentHash, brokers(7), 600, 3)
        let moved = zip(before, after).count { Set($0) != Set($1) }
        // A seventh broker takes three of seven replicas of a partition at most; about 43 % of partitions take it.
        #expect(moved > 600 / 4 && moved < 600 * 55 / 100, "\(moved) of 600 partitions changed")
        for (old, new) in zip(before, after) {
            #expect(Set(new).subtracting(old).isSubset(of: [7]), "only the newcomer takes replicas")
        }
    }

    @Test func theRingIsFairAndKnowsRacks() throws {
        let replicas = tally(try place(.consistentHash, brokers(6), 2_000, 3), 6)
        for count in replicas { #expect(abs(count - 1_000) < 300, "\(replicas)") }
        for placed in try place(.consistentHash, brokers(6, racks: 3), 100, 3) {
            #expect(Set(placed.map { $0 % 3 }).count == 3)
        }
    }

    @Test func aReplacementPrefersOtherRacksThenEmptyBrokers() {
        var five = brokers(5, racks: 2)
        five[3].replicas = 9
        let keeping = [NodeID(rawValue: 1), NodeID(rawValue: 3)]
        #expect(Placement.replacement(keeping: keeping, among: five) == NodeID(rawValue: 2))
        #expect(
            Placement.replacement(keeping: keeping, among: five, excluding: [NodeID(rawValue: 2)])
                == NodeID(rawValue: 4))
        #expect(Placement.replacement(keeping: five.map(\.id), among: five) == nil)
    }

    private func tally(_ placed: [[Int32]], _ brokers: Int32) -> [Int] {
        (1...brokers).map { broker in placed.reduce(0) { $0 + ($1.contains(broker) ? 1 : 0) } }
    }

    private func spread(_ counts: [Int]) -> Int { (counts.max() ?? 0) - (counts.min() ?? 0) }
}
