// SPDX-License-Identifier: Apache-2.0
//
// LeaderBalancerTests.swift
// Draining, preferred leaders, overload; few moves at once, and rest after each.

import Model
import Testing

@testable import Broker

@Suite struct LeaderBalancerTests {
    private var now = Instant(nanoseconds: 1_000_000_000)
    private let all: Set<NodeID> = [node(1), node(2), node(3)]

    private static func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }

    private func view(_ group: UInt64, _ replicas: [Int32], leader: Int32?, load: Double = 0) -> LeaderView {
        LeaderView(
            group: GroupID(rawValue: group), replicas: replicas.map(Self.node), leader: leader.map(Self.node),
            load: load)
    }

    @Test func leadersGoBackToThePreferredReplica() {
        var balancer = LeaderBalancer()
        let moves = balancer.plan(
            [view(1, [1, 2, 3], leader: 2), view(2, [2, 3, 1], leader: 2), view(3, [3, 1, 2], leader: nil)],
            canLead: all, draining: [], now: now)
        #expect(
            moves == [LeaderMove(group: GroupID(rawValue: 1), from: Self.node(2), to: Self.node(1), reason: .preferred)]
        )
        #expect(
            balancer.plan([view(1, [1, 2, 3], leader: 2)], canLead: all, draining: [], now: now).isEmpty,
            "one move of a group at a time")
    }

    @Test func nothingMovesToABrokerThatMayNotLead() {
        var balancer = LeaderBalancer()
        let able: Set<NodeID> = [Self.node(2), Self.node(3)]
        #expect(balancer.plan([view(1, [1, 2, 3], leader: 2)], canLead: able, draining: [], now: now).isEmpty)
        #expect(
            balancer.plan([view(1, [1, 2, 3], leader: 2)], canLead: all, draining: [Self.node(1)], now: now).isEmpty)
    }

    @Test func drainingSpreadsWhatItGivesUp() {
        var balancer = LeaderBalancer()
        let views = (0..<10).map { view($0, [1, 2, 3], leader: 1) }
        let moves = balancer.plan(views, canLead: all, draining: [Self.node(1)], now: now)
        #expect(moves.count == 10 && moves.allSatisfy { $0.reason == .drain && $0.from == Self.node(1) })
        #expect(moves.count { $0.to == Self.node(2) } == 5)
    }

    @Test func atMostKMovesAreUnderWay() {
        var settings = LeaderBalancer.Settings()
        settings.movesMax = 3
        var balancer = LeaderBalancer(settings: settings)
        var views = (0..<9).map { view($0, [1, 2, 3], leader: 2) }
        #expect(balancer.plan(views, canLead: all, draining: [], now: now).count == 3)
        #expect(balancer.plan(views, canLead: all, draining: [], now: now).isEmpty)
        views[0].leader = Self.node(1)
        #expect(balancer.plan(views, canLead: all, draining: [], now: now).map(\.group.rawValue) == [3])
        #expect(balancer.movesUnderWay.count == 3)
    }

    @Test mutating func aGroupThatWillNotMoveRestsLongerEachTime() {
        var balancer = LeaderBalancer()
        let views = [view(1, [1, 2, 3], leader: 2)]
        var tries: [Int64] = []
        for second in 0..<400 {
            now = Instant(nanoseconds: 1_000_000_000 + UInt64(second) * 1_000_000_000)
            if !balancer.plan(views, canLead: all, draining: [], now: now).isEmpty { tries.append(Int64(second)) }
        }
        // Given up after 10 s each; rests of 2, 4, 8 and so on.
        #expect(tries == [0, 12, 26, 44, 70, 112, 186, 324])
        balancer.wake(GroupID(rawValue: 1))
    }

    @Test func anOverloadedBrokerGivesOneLeaderAway() {
        var balancer = LeaderBalancer()
        let views = [
            view(1, [1, 2, 3], leader: 1, load: 9e6), view(2, [1, 2, 3], leader: 1, load: 4e6),
            view(3, [2, 3, 1], leader: 2, load: 1e6), view(4, [3, 2, 1], leader: 3, load: 2e6),
        ]
        let moves = balancer.plan(views, canLead: all, draining: [], now: now)
        #expect(moves.count == 1 && moves.first?.reason == .overload)
        #expect(moves.first?.group == GroupID(rawValue: 2) && moves.first?.to == Self.node(2))
    }

    @Test func oneHeavyPartitionIsNotPassedAround() {
        var balancer = LeaderBalancer()
        let views = [view(1, [1, 2, 3], leader: 1, load: 9e6), view(2, [2, 3, 1], leader: 2, load: 1e5)]
        #expect(balancer.plan(views, canLead: all, draining: [], now: now).isEmpty)
    }

    @Test(arguments: 0..<6) mutating func endsEvenAndThenRests(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var balancer = LeaderBalancer()
        var views = (UInt64(0)..<40).map { group in
            let replicas = [Int32(1), 2, 3].shuffled(using: &random)
            return view(group, replicas, leader: replicas.randomElement(using: &random), load: 1)
        }
        var last = 0
        for second in 0..<3_600 {
            now = Instant(nanoseconds: 1_000_000_000 + UInt64(second) * 1_000_000_000)
            for move in balancer.plan(views, canLead: all, draining: [], now: now) {
                last = second
                #expect(balancer.movesUnderWay.count <= balancer.settings.movesMax)
                guard Int.random(in: 0..<4, using: &random) > 0 else {
                    balancer.failed(move.group, now: now)
                    continue
                }
                for position in views.indices where views[position].group == move.group {
                    views[position].leader = move.to
                }
            }
        }
        #expect(views.allSatisfy { $0.leader == $0.replicas.first }, "seed \(seed)")
        #expect(last < 2_400, "seed \(seed): still moving at \(last)")
    }
}
