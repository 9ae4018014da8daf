// SPDX-License-Identifier: Apache-2.0
//
// SharePartitionLeaderTests.swift
// The shell around a window, with a coordinator that does what the test says: where a group begins, what is answered
// when, changes one after the other, and refusals of every kind.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Broker

/// A coordinator in memory, whose answers can be held back and turned into errors.
private final class ScriptedStore: ShareStateStore {
    private struct State {
        var kept = ShareState(stateEpoch: 0, leaderEpoch: -1, startOffset: -1, batches: [])
        var reads = 0
        var writes: [ShareStateChange] = []
        var refusals: [KafkaErrorCode] = []
        var refused = 0
        var isHolding = false
        var held: [@Sendable () -> Void] = []
        var waiters: [(least: Int, then: CheckedContinuation<Void, Never>)] = []

        mutating func nextRefusal() -> KafkaErrorCode? {
            guard !refusals.isEmpty else { return nil }
            refused += 1
            for waiter in waiters where waiter.least <= refused { waiter.then.resume() }
            waiters.removeAll { $0.least <= refused }
            return refusals.removeFirst()
        }
    }

    private let state = Mutex(State())

    var writes: [ShareStateChange] { state.withLock { $0.writes } }
    var reads: Int { state.withLock { $0.reads } }

    /// Refuses the next requests with these codes.
    func refuse(_ codes: [KafkaErrorCode]) {
        state.withLock { ($0.refusals, $0.refused) = (codes, 0) }
    }

    /// Waits for as many refusals since ``refuse(_:)``.
    func refusals(atLeast count: Int) async {
        await withCheckedContinuation { waiter in
            state.withLock { state in
                if state.refused >= count { waiter.resume() } else { state.waiters.append((count, waiter)) }
            }
        }
    }

    func hold() { state.withLock { $0.isHolding = true } }

    func letGo() {
        let held = state.withLock { state in
            defer { (state.held, state.isHolding) = ([], false) }
            return state.held
        }
        for answer in held { answer() }
    }

    private func answer(_ body: @escaping @Sendable () -> Void) {
        let isHeld = state.withLock { state in
            if state.isHolding { state.held.append(body) }
            return state.isHolding
        }
        if !isHeld { body() }
    }

    func read(
        _ key: ShareKey, leaderEpoch: Int32, _ done: @escaping @Sendable (Result<ShareState, KafkaErrorCode>) -> Void
    ) {
        let result: Result<ShareState, KafkaErrorCode> = state.withLock { state in
            state.reads += 1
            if let code = state.nextRefusal() { return .failure(code) }
            return .success(state.kept)
        }
        answer { done(result) }
    }

    func write(_ change: ShareStateChange, _ done: @escaping @Sendable (Result<Void, KafkaErrorCode>) -> Void) {
        let result: Result<Void, KafkaErrorCode> = state.withLock { state in
            if let code = state.nextRefusal() { return .failure(code) }
            state.writes.append(change)
            state.kept.apply(change)
            return .success(())
        }
        answer { done(result) }
    }
}

/// The leaders of a broker's partitions, asked on their loop.
private struct ShareBench {
    let broker: BrokerHarness
    let store = ScriptedStore()
    let clock = ManualClock()
    let registry = MetricRegistry()
    private let handle: PartitionHandle
    private let table: NIOLoopBound<SharePartitionTable>
    private let shard: Int

    init(_ broker: BrokerHarness, topic: String) async throws {
        self.broker = broker
        let shards = broker.broker.shards
        let (states, time, metrics) = (self.store, self.clock.clock, ShareMetrics(registry: self.registry))
        let found: PartitionHandle? = await withCheckedContinuation { done in
            shards.execute(on: 0) { done.resume(returning: $0.image.topics[topic]?.partition(0)) }
        }
        let handle = try #require(found)
        self.handle = handle
        shard = handle.shard
        table = await withCheckedContinuation { done in
            shards.execute(on: handle.shard) { shard in
                let environment = ShareEnvironment(
                    loop: shard.loop, clock: time, metrics: metrics, logger: .silent, store: states,
                    numbers: ShareChangeNumbers())
                let table = SharePartitionTable(loopCount: 1, environment)
                done.resume(returning: NIOLoopBound(table, eventLoop: shard.loop))
            }
        }
    }

    static func key(_ group: String = "g") -> ShareKey {
        ShareKey(groupID: group, topicID: TopicID(high: 0, low: 1), partition: 0)
    }

    /// Runs `body` with the leader, on its loop, and waits for what it answers.
    func ask<Answer: Sendable>(
        group: String = "g",
        _ body: @escaping @Sendable (SharePartitionLeader, @escaping @Sendable (Answer) -> Void) -> Void
    ) async throws -> Answer {
        let result: Result<Answer, KafkaErrorCode> = await withCheckedContinuation { done in
            broker.broker.shards.execute(on: shard) { [table, handle] shard in
                let settings = shard.settings.typed.shareGroups
                switch table.value.leader(Self.key(group), shard.partitions[handle.group], settings) {
                case .success(let leader): body(leader) { done.resume(returning: .success($0)) }
                case .failure(let code): done.resume(returning: .failure(code))
                }
            }
        }
        return try result.get()
    }

    func acquire(_ member: String) async throws -> ShareAcquireResult {
        let call = ShareAcquireCall(memberID: member, bytesMax: 1 << 20, recordsMax: 100, isStrict: false)
        return try await ask { leader, answer in leader.acquire(call) { answer($0) } }
    }

    func acknowledge(_ first: Int64, _ last: Int64, by member: String) async throws -> KafkaErrorCode {
        let words = [ShareAcknowledgement(first: first, last: last, types: [1])]
        return try await ask { leader, answer in
            leader.acknowledge(words, by: member, allowsRenewal: false) { answer($0) }
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct SharePartitionLeaderTests {
    private static func withBench(
        _ options: [(key: String, value: String)] = [("share_groups.auto_offset_reset", "earliest")],
        _ body: (ShareBench) async throws -> Void
    ) async throws {
        try await BrokerHarness.withBroker(options: options) { broker in
            _ = try await broker.createTopic("jobs")
            for value in ["a", "b", "c"] { _ = try await broker.produce([value], to: "jobs") }
            try await body(ShareBench(broker, topic: "jobs"))
        }
    }

    /// The setting, and where a group begins in a log of three records.
    @Test(arguments: [("earliest", Int64(0)), ("latest", 3), ("by_duration", 0)])
    func whereAGroupBeginsIsStoredFirst(reset: String, start: Int64) async throws {
        try await Self.withBench([("share_groups.auto_offset_reset", reset)]) { (bench: ShareBench) async throws in
            let result = try await bench.acquire("m")
            #expect(result.error == .none)
            #expect(bench.store.writes.map(\.startOffset) == [start] && bench.store.writes[0].batches.isEmpty)
            #expect(result.acquired.first?.first == (start == 3 ? nil : start))
        }
    }

    @Test func whoWaitsLooksAgainWhenOthersRecordsCount() async throws {
        try await Self.withBench { (bench: ShareBench) async throws in
            #expect(try await bench.acquire("m").error == .none)
            let woken: [Int] = try await bench.ask { leader, answer in
                var woken: [Int] = []
                var settings = leader.settings
                for isolation in [IsolationLevel.readUncommitted, .readCommitted] {
                    settings.isolation = isolation
                    leader.waiters[UInt64(woken.count) + 90] = { woken.append(0) }
                    leader.watchLog(from: 3)
                    leader.adopt(settings)
                    woken.append(leader.waiters.count)
                    leader.waiters.removeAll()
                }
                answer(woken)
            }
            #expect(woken == [1, 0, 0], "only of another isolation")
        }
    }

    @Test func acknowledgementsAreAnsweredWhenTheyAreStored() async throws {
        try await Self.withBench { (bench: ShareBench) async throws in
            #expect(try await bench.acquire("m").acquired.map(\.last) == [2])
            bench.store.hold()
            async let first = bench.acknowledge(0, 0, by: "m")
            async let others = [bench.acknowledge(1, 1, by: "m"), bench.acknowledge(2, 2, by: "m")]
            // The locks are over, but what the member said is on its way.
            bench.store.letGo()
            #expect(try await first == .none)
            #expect(try await others == [.none, .none])
            let writes = bench.store.writes.dropFirst()
            #expect(writes.last?.startOffset == 3 && writes.count <= 3)
            let positions: (Int64, Int) = try await bench.ask { leader, answer in
                answer((leader.window.startOffset, leader.window.lockedCount))
            }
            #expect(positions.0 == 3 && positions.1 == 0)
        }
    }

    @Test func aCoordinatorThatIsAwayIsAskedAgain() async throws {
        try await Self.withBench { (bench: ShareBench) async throws in
            bench.store.refuse([.coordinatorNotAvailable, .unknownTopicOrPartition, .requestTimedOut])
            #expect(try await bench.acquire("m").acquired.map(\.last) == [2])
            #expect(bench.store.reads >= 3)
            bench.store.refuse([.networkException, .notCoordinator])
            #expect(try await bench.acknowledge(0, 2, by: "m") == .none)
        }
    }

    @Test func aCoordinatorThatStaysAwayIsGivenUp() async throws {
        try await Self.withBench { (bench: ShareBench) async throws in
            _ = try await bench.acquire("m")
            bench.store.refuse(Array(repeating: .coordinatorNotAvailable, count: 1000))
            async let refused = bench.acknowledge(0, 0, by: "m")
            await bench.store.refusals(atLeast: 1)
            bench.clock.advance(milliseconds: SharePartitionLeader.patienceMilliseconds + 1)
            #expect(try await refused == .coordinatorNotAvailable)
            // The member has the record still, and may say so again.
            bench.store.refuse([])
            #expect(try await bench.acknowledge(0, 0, by: "m") == .none)
            bench.store.refuse(Array(repeating: .coordinatorNotAvailable, count: 1000))
            async let unread: ShareAcquireResult = bench.ask(group: "other") { leader, answer in
                leader.acquire(
                    ShareAcquireCall(memberID: "m", bytesMax: 1, recordsMax: 1, isStrict: false)
                ) { answer($0) }
            }
            await bench.store.refusals(atLeast: 1)
            bench.clock.advance(milliseconds: SharePartitionLeader.patienceMilliseconds + 1)
            #expect(try await unread.error == .coordinatorNotAvailable)
        }
    }

    @Test func aFencedLeaderBeginsAnew() async throws {
        try await Self.withBench { (bench: ShareBench) async throws in
            _ = try await bench.acquire("m")
            bench.store.refuse([.fencedStateEpoch])
            #expect(try await bench.acknowledge(0, 0, by: "m") == .notLeaderOrFollower)
            // The next one reads the state again and hands out what was locked.
            #expect(try await bench.acquire("n").acquired.map(\.first) == [0])
            #expect(bench.store.reads == 2)
        }
    }

    @Test func partitionsThatAreHandedOutAreBounded() async throws {
        let options = [("share_groups.max_partitions", "2"), ("share_groups.auto_offset_reset", "earliest")]
        try await Self.withBench(options.map { (key: $0.0, value: $0.1) }) { (bench: ShareBench) async throws in
            for group in ["a", "b"] {
                let code: KafkaErrorCode = try await bench.ask(group: group) { leader, answer in
                    leader.whenReady { answer($0) }
                }
                #expect(code == .none)
            }
            await #expect(throws: KafkaErrorCode.coordinatorNotAvailable) {
                let _: Bool = try await bench.ask(group: "c") { _, answer in answer(true) }
            }
        }
    }
}
