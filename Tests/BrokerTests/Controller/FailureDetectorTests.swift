// SPDX-License-Identifier: Apache-2.0
//
// FailureDetectorTests.swift
// Silence, lost connections, returns, flapping, and pauses of the one who watches.

import Model
import Testing

@testable import Broker

@Suite struct FailureDetectorTests {
    /// Brokers, a detector and a clock; verdicts are carried out at once.
    private struct World {
        var detector = FailureDetector()
        var now = Instant(nanoseconds: 1_000_000_000_000)
        var brokers: [BrokerRecord]
        var fenced: [Int32] = []
        var unfenced: [Int32] = []

        init(_ count: Int32 = 3, health: BrokerHealth = .active) {
            brokers = (1...count).map { World.record($0, health: health) }
            detector.begin(brokers, now: now, wallTime: WallTime(milliseconds: 0))
        }

        static func record(_ id: Int32, health: BrokerHealth, since: Int64 = 0) -> BrokerRecord {
            let endpoint = BrokerEndpoint(host: "h", port: 1)
            return BrokerRecord(
                registration: BrokerRegistration(
                    id: NodeID(rawValue: id), incarnation: 1, storeID: 1, kafka: endpoint, peer: endpoint),
                health: health, since: WallTime(milliseconds: since))
        }

        /// Lets time pass in steps of 500 ms in which `alive` send heartbeats.
        mutating func run(_ milliseconds: Int64, alive: Set<Int32>, ready: Bool = true) {
            for _ in 0..<milliseconds / 500 {
                now = now.advanced(byMilliseconds: 500)
                for id in alive.sorted() {
                    detector.heartbeat(NodeID(rawValue: id), incarnation: 1, isReady: ready, now: now)
                }
                for verdict in detector.evaluate(brokers, now: now) {
                    switch verdict {
                    case .fence(let node, _): set(.failed, node)
                    case .unfence(let node, _): set(.active, node)
                    }
                }
            }
        }

        mutating func set(_ health: BrokerHealth, _ node: NodeID) {
            for position in brokers.indices where brokers[position].id == node { brokers[position].health = health }
            if health == .failed { fenced.append(node.rawValue) } else { unfenced.append(node.rawValue) }
        }

        var replaceable: Set<Int32> { Set(detector.replaceable(brokers, now: now).map(\.rawValue)) }
    }

    @Test func silenceBecomesSuspicionAndThenFailure() {
        var world = World()
        world.run(10_000, alive: [1, 2, 3])
        #expect(world.fenced.isEmpty)
        world.run(3_000, alive: [1, 2])
        #expect(world.detector.suspicion(of: NodeID(rawValue: 3), now: world.now) == .suspect && world.fenced.isEmpty)
        world.run(2_500, alive: [1, 2])
        #expect(world.fenced == [3])
        world.run(60_000, alive: [1, 2])
        #expect(world.fenced == [3], "one failure, one verdict")
    }

    @Test func aLostConnectionShortensTheWait() {
        var world = World()
        world.run(1_000, alive: [1, 2, 3])
        world.detector.connection(NodeID(rawValue: 2), isUp: false)
        #expect(world.detector.suspicion(of: NodeID(rawValue: 2), now: world.now) == .suspect)
        world.run(2_000, alive: [1, 3])
        #expect(world.fenced == [2])
    }

    @Test func leadersMoveOnlyToBrokersThatAnswer() {
        var world = World(2)
        let node = NodeID(rawValue: 2)
        #expect(!world.detector.mayLead(node, now: world.now), "it said nothing yet to this leader")
        world.run(500, alive: [1, 2])
        #expect(world.detector.mayLead(node, now: world.now))
        world.detector.connection(node, isUp: false)
        #expect(!world.detector.mayLead(node, now: world.now), "its connection is lost")
        world.run(500, alive: [1, 2], ready: false)
        #expect(!world.detector.mayLead(node, now: world.now), "it is about to stop")
        world.run(500, alive: [1, 2])
        #expect(world.detector.mayLead(node, now: world.now))
    }

    @Test func aStartingBrokerEntersWhenItIsReady() {
        var world = World(2, health: .starting)
        world.run(3_000, alive: [1, 2], ready: false)
        #expect(world.unfenced.isEmpty)
        world.run(500, alive: [1, 2])
        #expect(world.unfenced == [1, 2])
    }

    @Test func aBrokerComesBackAtOnceButNotWhenItFlaps() {
        var world = World()
        world.run(6_000, alive: [1, 2])
        world.run(1_000, alive: [1, 2, 3])
        #expect(world.unfenced == [3], "the first failure costs nothing")
        world.run(6_000, alive: [1, 2])
        world.run(4_000, alive: [1, 2, 3])
        #expect(world.fenced == [3, 3] && world.unfenced == [3], "the second one costs five seconds")
        world.run(2_000, alive: [1, 2, 3])
        #expect(world.unfenced == [3, 3])
        world.run(6_000, alive: [1, 2])
        world.run(8_000, alive: [1, 2, 3])
        #expect(world.unfenced == [3, 3], "the third one ten")
        world.run(3_000, alive: [1, 2, 3])
        #expect(world.unfenced == [3, 3, 3])
    }

    @Test func oldFailuresAreForgotten() {
        var world = World()
        for _ in 0..<3 {
            world.run(6_000, alive: [1, 2])
            world.run(11 * 60_000, alive: [1, 2, 3])
        }
        #expect(world.fenced == [3, 3, 3] && world.unfenced == [3, 3, 3])
        world.run(6_000, alive: [1, 2])
        world.run(1_000, alive: [1, 2, 3])
        #expect(world.unfenced.count == 4)
    }

    @Test func aPauseOfTheWatcherIsNobodysFailure() {
        var world = World()
        world.run(5_000, alive: [1, 2, 3])
        world.now = world.now.advanced(byMilliseconds: 240_000)
        world.run(1_500, alive: [])
        #expect(world.fenced.isEmpty)
        world.run(5_000, alive: [1, 2])
        #expect(world.fenced == [3])
    }

    @Test func replicasAreReplacedAfterTheGracePeriodOnly() {
        var world = World()
        world.run(6_000, alive: [1, 2])
        #expect(world.replaceable.isEmpty)
        world.run(9 * 60_000, alive: [1, 2])
        #expect(world.replaceable.isEmpty)
        world.run(2 * 60_000, alive: [1, 2])
        #expect(world.replaceable == [3])
        world.run(1_000, alive: [1, 2, 3])
        #expect(world.replaceable.isEmpty)
    }

    @Test func aClusterThatMostlyFailedReplacesNothing() {
        var world = World(4)
        world.run(20 * 60_000, alive: [1, 2])
        #expect(Set(world.fenced) == [3, 4] && world.replaceable.isEmpty)
    }

    @Test func aNewLeaderKeepsTheTimeABrokerHasBeenFailedFor() {
        var world = World()
        world.brokers[2] = World.record(3, health: .failed, since: 1_000)
        world.detector.begin(world.brokers, now: world.now, wallTime: WallTime(milliseconds: 9 * 60_000))
        world.run(500, alive: [1, 2])
        #expect(world.replaceable.isEmpty)
        world.run(90_000, alive: [1, 2])
        #expect(world.replaceable == [3] && world.fenced.isEmpty)
    }

    @Test func heartbeatsOfAnEarlierLifeDoNotCount() {
        var world = World()
        let node = NodeID(rawValue: 3)
        for _ in 0..<12 {
            world.detector.heartbeat(node, incarnation: 9, isReady: true, now: world.now)
            world.run(500, alive: [1, 2])
        }
        #expect(world.fenced == [3])
    }

    @Test func whatOthersCannotReachIsNotWaitedFor() {
        var world = World()
        world.run(1_000, alive: [1, 2, 3])
        world.detector.confirmedUnreachable(NodeID(rawValue: 1), now: world.now)
        world.run(500, alive: [2, 3])
        #expect(world.fenced == [1])
    }
}
