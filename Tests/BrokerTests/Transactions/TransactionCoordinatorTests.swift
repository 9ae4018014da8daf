// SPDX-License-Identifier: Apache-2.0
//
// TransactionCoordinatorTests.swift
// The coordinator over a real log, with partitions that answer as they are told: markers reach everybody, across
// refusals, lost answers and a restart; time-outs fence; limits refuse.

import KafkaProtocol
import Model
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Broker

@Suite struct TransactionCoordinatorTests {
    /// Partitions that answer markers with what was planned, and with success from then on.
    private final class FakePartitions: Sendable {
        struct Seen: Hashable, Sendable {
            var batch: MarkerBatch
            var coordinatorEpoch: Int32
        }

        private struct State {
            /// What the next requests get; nil is no answer.
            var plan: [KafkaErrorCode?] = []
            var seen: [Seen] = []
            var lastID: Int64 = 100
        }

        private let state: Mutex<State>

        init(_ plan: [KafkaErrorCode?] = []) { state = Mutex(State(plan: plan)) }

        var seen: [Seen] { state.withLock { $0.seen } }

        func surround(_ coordinator: TransactionCoordinator, _ place: MarkerQueue.Place = .broker(NodeID(rawValue: 1)))
        {
            coordinator.surroundings = TransactionSurroundings(
                place: { _, _ in place }, groupsEnd: { GroupID(rawValue: 1 << 40) },
                send: { [self] _, batches, epoch, then in
                    let answer = state.withLock { state -> KafkaErrorCode? in
                        state.seen += batches.map { Seen(batch: $0, coordinatorEpoch: epoch) }
                        return state.plan.isEmpty ? KafkaErrorCode.none : state.plan.removeFirst()
                    }
                    guard let code = answer else { return then(nil) }
                    then { _, _ in code }
                },
                producerID: { [self] then in
                    then(
                        state.withLock { state in
                            state.lastID += 1
                            return ProducerID(rawValue: state.lastID)
                        })
                })
        }
    }

    private struct Timeout: Error {}

    // MARK: Short forms

    private func ask<Value: Sendable>(
        _ harness: BrokerHarness,
        _ body: @escaping @Sendable (TransactionCoordinator, @escaping @Sendable (Value) -> Void) -> Void
    ) async -> Value {
        await withCheckedContinuation { done in
            harness.broker.withTransactions { body($0) { done.resume(returning: $0) } }
        }
    }

    private func surround(
        _ harness: BrokerHarness, _ partitions: FakePartitions,
        _ place: MarkerQueue.Place = .broker(NodeID(rawValue: 1))
    ) async {
        let _: Void = await ask(harness) { coordinator, done in
            partitions.surround(coordinator, place)
            done(())
        }
    }

    private func initialise(
        _ harness: BrokerHarness, _ id: String, claim: ProducerClaim? = nil, timeout: Int32 = 60_000
    ) async -> Result<ProducerClaim, KafkaErrorCode> {
        await ask(harness) { coordinator, done in
            coordinator.initialise(id, claim: claim, timeoutMilliseconds: timeout) { done($0) }
        }
    }

    private func add(
        _ harness: BrokerHarness, _ id: String, _ claim: ProducerClaim, _ partitions: [TopicPartition],
        version: UInt8 = 1
    ) async -> KafkaErrorCode {
        await ask(harness) { coordinator, done in
            coordinator.add(id, claim, partitions: partitions, version: version) { done($0) }
        }
    }

    private func end(
        _ harness: BrokerHarness, _ id: String, _ claim: ProducerClaim, isCommit: Bool, raisesEpoch: Bool = false
    ) async -> Result<ProducerClaim, KafkaErrorCode> {
        await ask(harness) { coordinator, done in
            coordinator.end(id, claim, isCommit: isCommit, raisesEpoch: raisesEpoch) { done($0) }
        }
    }

    /// The record of `id` once it is in `state`.
    private func record(
        _ harness: BrokerHarness, _ id: String, in state: TransactionState
    ) async throws -> TransactionRecord {
        for _ in 0..<3_000 {
            let found: Result<TransactionRecord, KafkaErrorCode> = await ask(harness) { coordinator, done in
                coordinator.describe(id) { done($0) }
            }
            if case .success(let record) = found, record.state == state { return record }
            // Markers go on their own way: the coordinator is asked again.
            try await Task.sleep(for: .milliseconds(5))
        }
        throw Timeout()
    }

    // MARK: Tests

    @Test func aTransactionCommitsInAllItsPartitions() async throws {
        try await BrokerHarness.withBroker { harness in
            let partitions = FakePartitions()
            await surround(harness, partitions)
            let claim = try await initialise(harness, "x").get()
            #expect(claim.epoch == 0)
            #expect(await add(harness, "x", claim, [partition("t", 0), partition("t", 1)]) == .none)
            #expect(await add(harness, "x", claim, [partition("u", 0)]) == .none)
            #expect(try await end(harness, "x", claim, isCommit: true).get() == claim)
            let record = try await record(harness, "x", in: .completeCommit)
            #expect(record.partitions.isEmpty && record.startedAt == nil)
            let told = partitions.seen.flatMap(\.batch.partitions)
            #expect(Set(told) == [partition("t", 0), partition("t", 1), partition("u", 0)] && told.count == 3)
            #expect(partitions.seen.allSatisfy { $0.batch.end.isCommit && $0.batch.end.epoch == 0 })
            #expect(partitions.seen.allSatisfy { $0.coordinatorEpoch > 0 })
            // A client that lost the answer asks again.
            #expect(try await end(harness, "x", claim, isCommit: true).get() == claim)
            #expect(await end(harness, "x", claim, isCommit: false) == .failure(.invalidTxnState))
            #expect(partitions.seen.flatMap(\.batch.partitions).count == 3)
            #expect(harness.metric("goulette_transactions_committed_total") == 1)
            #expect(harness.metric("goulette_transactional_ids") == 1)
        }
    }

    @Test func markersAreSentUntilTheyAreTaken() async throws {
        try await BrokerHarness.withBroker { harness in
            let partitions = FakePartitions([.notLeaderOrFollower, nil, .notEnoughReplicas])
            await surround(harness, partitions)
            let claim = try await initialise(harness, "x").get()
            _ = await add(harness, "x", claim, [partition("t", 0)])
            _ = await end(harness, "x", claim, isCommit: false)
            _ = try await record(harness, "x", in: .completeAbort)
            #expect(partitions.seen.count == 4 && partitions.seen.allSatisfy { !$0.batch.end.isCommit })
            #expect(harness.metric("goulette_transaction_marker_retries_total") == 3)
            #expect(harness.metric("goulette_transaction_markers_pending") == 0)
        }
    }

    /// The markers are not taken before the broker ends; the next one sends them, with a later epoch.
    @Test func aRestartFinishesWhatWasDecided() async throws {
        let scratch = try Scratch(inMemory: true)
        let first = try await BrokerHarness.start(in: scratch)
        let nobody = FakePartitions()
        await surround(first, nobody, .unknown)
        let claim = try await initialise(first, "x").get()
        #expect(await add(first, "x", claim, [partition("t", 0)]) == .none)
        #expect(try await end(first, "x", claim, isCommit: true).get() == claim)
        let open = try await initialise(first, "y").get()
        #expect(await add(first, "y", open, [partition("t", 1)]) == .none)
        #expect(await initialise(first, "x") == .failure(.concurrentTransactions))
        #expect(await end(first, "x", claim, isCommit: false) == .failure(.invalidTxnState))
        try await first.stop()
        let second = try await BrokerHarness.start(in: scratch)
        let partitions = FakePartitions()
        await surround(second, partitions)
        _ = try await record(second, "x", in: .completeCommit)
        #expect(partitions.seen.map(\.batch.partitions) == [[partition("t", 0)]])
        #expect(partitions.seen.allSatisfy { $0.batch.end.isCommit })
        // What was open is open.
        #expect(try await record(second, "y", in: .ongoing).partitions == [partition("t", 1)])
        #expect(try await end(second, "y", open, isCommit: true).get() == open)
        _ = try await record(second, "y", in: .completeCommit)
        try await second.stop()
    }

    @Test func aTransactionThatIsOpenForTooLongIsFenced() async throws {
        try await BrokerHarness.withBroker { harness in
            await surround(harness, FakePartitions())
            let claim = try await initialise(harness, "x", timeout: 1).get()
            #expect(await add(harness, "x", claim, [partition("t", 0)]) == .none)
            let record = try await record(harness, "x", in: .completeAbort)
            #expect(record.epoch == 1)
            #expect(await end(harness, "x", claim, isCommit: true) == .failure(.producerFenced))
            #expect(await add(harness, "x", claim, [partition("t", 0)]) == .producerFenced)
            #expect(harness.metric("goulette_transactions_timed_out_total") == 1)
            #expect(try await initialise(harness, "x").get().epoch == 2)
        }
    }

    @Test func aNewProducerEndsWhatTheOldOneLeft() async throws {
        try await BrokerHarness.withBroker { harness in
            let partitions = FakePartitions()
            await surround(harness, partitions)
            let old = try await initialise(harness, "x").get()
            _ = await add(harness, "x", old, [partition("t", 0)])
            #expect(await initialise(harness, "x") == .failure(.concurrentTransactions))
            _ = try await record(harness, "x", in: .completeAbort)
            let new = try await initialise(harness, "x").get()
            #expect(new.producerID == old.producerID && new.epoch == 2)
            #expect(partitions.seen.map(\.batch.end.epoch) == [1])
            #expect(await end(harness, "x", old, isCommit: true) == .failure(.producerFenced))
        }
    }

    @Test func transactionsWithAnEpochEach() async throws {
        try await BrokerHarness.withBroker { harness in
            let partitions = FakePartitions()
            await surround(harness, partitions)
            var claim = try await initialise(harness, "x").get()
            for round in Int16(0)..<3 {
                #expect(await add(harness, "x", claim, [partition("t", 0)], version: 2) == .none)
                let next = try await end(harness, "x", claim, isCommit: true, raisesEpoch: true).get()
                #expect(next.producerID == claim.producerID && next.epoch == round + 1)
                _ = try await record(harness, "x", in: .completeCommit)
                #expect(try await end(harness, "x", claim, isCommit: true, raisesEpoch: true).get() == next)
                claim = next
            }
            #expect(partitions.seen.map(\.batch.end.epoch) == [1, 2, 3])
            #expect(partitions.seen.allSatisfy { $0.batch.end.version == 2 })
        }
    }

    /// In version 2 a producer goes on before its last transaction is complete: the coordinator makes it wait a little.
    @Test func theNextTransactionWaitsUntilTheLastIsComplete() async throws {
        try await BrokerHarness.withBroker { harness in
            let partitions = FakePartitions([.notLeaderOrFollower])
            await surround(harness, partitions, .unknown)
            let claim = try await initialise(harness, "x").get()
            #expect(await add(harness, "x", claim, [partition("t", 0)], version: 2) == .none)
            let next = try await end(harness, "x", claim, isCommit: true, raisesEpoch: true).get()
            #expect(await add(harness, "x", next, [partition("t", 1)], version: 2) == .concurrentTransactions)
            // Only once somebody waits is it known who takes the markers.
            let waited: KafkaErrorCode = await ask(harness) { coordinator, done in
                coordinator.add("x", next, partitions: [partition("t", 1)], version: 2, waitsForEnd: true) { done($0) }
                partitions.surround(coordinator)
            }
            #expect(waited == .none && partitions.seen.count == 2)
            #expect(try await record(harness, "x", in: .ongoing).partitions == [partition("t", 1)])
            #expect(harness.metric("goulette_transaction_requests_waiting") == 0)
        }
    }

    @Test func whoWaitsForPartitionsThatAreNotToldIsAnsweredNevertheless() async throws {
        try await BrokerHarness.withBroker { harness in
            await surround(harness, FakePartitions(), .unknown)
            let claim = try await initialise(harness, "x").get()
            #expect(await add(harness, "x", claim, [partition("t", 0)], version: 2) == .none)
            let next = try await end(harness, "x", claim, isCommit: true, raisesEpoch: true).get()
            let waited: KafkaErrorCode = await ask(harness) { coordinator, done in
                coordinator.add("x", next, partitions: [partition("t", 1)], version: 2, waitsForEnd: true) { done($0) }
            }
            #expect(waited == .concurrentTransactions)
        }
    }

    /// A partition counts as deleted only to a broker that would know it, were it there.
    @Test func metadataThatIsBehindDeletesNothing() async throws {
        try await BrokerHarness.withBroker { (harness: BrokerHarness) async throws in
            #expect(try await harness.createTopic("t", partitions: 2) == .none)
            let found: [MarkerQueue.Place] = await withCheckedContinuation { done in
                harness.broker.withTransactions { _ in
                    let broker = harness.broker
                    let known = broker.control.value.controller.state.nextGroup
                    let later = GroupID(rawValue: known.rawValue + 1)
                    done.resume(returning: [
                        broker.place(of: partition("t", 1), groupsEnd: later),
                        broker.place(of: partition("t", 2), groupsEnd: known),
                        broker.place(of: partition("t", 2), groupsEnd: later),
                        broker.place(of: partition("u", 0), groupsEnd: known),
                        broker.place(of: partition("u", 0), groupsEnd: later),
                    ])
                }
            }
            #expect(found == [.broker(NodeID(rawValue: 1)), .gone, .unknown, .gone, .unknown])
        }
    }

    /// The markers of a deleted topic hold up nobody, and a topic that was never there is not enrolled.
    @Test func deletedTopicsAreNotToldAndUnknownOnesNotAdded() async throws {
        try await BrokerHarness.withBroker { harness in
            #expect(try await harness.createTopic("t") == .none)
            let claim = try await initialise(harness, "x").get()
            #expect(await add(harness, "x", claim, [partition("t", 0), partition("u", 0)]) == .unknownTopicOrPartition)
            #expect(await add(harness, "x", claim, [partition("t", 0)]) == .none)
            let deleted = try await harness.call(
                DeleteTopicsRequest(topicNames: ["t"], timeoutMilliseconds: 10_000), version: 5)
            #expect(deleted.topics.map(\.errorCode) == [KafkaErrorCode.none])
            #expect(try await end(harness, "x", claim, isCommit: true).get() == claim)
            _ = try await record(harness, "x", in: .completeCommit)
        }
    }

    /// As many requests as may wait, and one more.
    @Test func whoWaitsIsCounted() async throws {
        try await BrokerHarness.withBroker { harness in
            await surround(harness, FakePartitions(), .unknown)
            let claim = try await initialise(harness, "x").get()
            #expect(await add(harness, "x", claim, [partition("t", 0)], version: 2) == .none)
            let next = try await end(harness, "x", claim, isCommit: true, raisesEpoch: true).get()
            // Looked at in one turn of the loop: after that their patience may be over.
            let seen: (before: Int, after: Int, waiting: Double?) = await ask(harness) { coordinator, done in
                var codes: [KafkaErrorCode] = []
                func wait() {
                    coordinator.add("x", next, partitions: [partition("t", 1)], version: 2, waitsForEnd: true) {
                        codes.append($0)
                    }
                }
                for _ in 0..<TransactionSettings().waitingMax { wait() }
                let before = codes.count
                wait()
                let waiting = harness.metric("goulette_transaction_requests_waiting")
                done((before, codes.count { $0 == .concurrentTransactions }, waiting))
            }
            #expect(seen.before == 0 && seen.after == 1)
            #expect(seen.waiting == Double(TransactionSettings().waitingMax))
        }
    }

    @Test func offsetsWaitForTheEnd() async throws {
        try await BrokerHarness.withBroker { harness in
            await surround(harness, FakePartitions())
            let claim = try await initialise(harness, "x").get()
            let batch = OffsetCommitBatch(
                group: "g", committedAt: wall(1), expiresAt: nil,
                entries: [.init(partition: partition("t", 0), offset: 42)])
            @Sendable func commit(addsGroup: Bool, _ claim: ProducerClaim) async -> KafkaErrorCode {
                await ask(harness) { coordinator, done in
                    coordinator.commitOffsets("x", claim, batch, addsGroup: addsGroup) { done($0) }
                }
            }
            #expect(await commit(addsGroup: false, claim) == .invalidTxnState)
            #expect(await commit(addsGroup: true, claim) == .none)
            #expect(await commit(addsGroup: false, claim) == .none)
            let stale = ProducerClaim(producerID: claim.producerID, epoch: claim.epoch - 1)
            #expect(await commit(addsGroup: false, stale) == .invalidProducerEpoch)
            let request = OffsetFetchRequest(
                groupID: "g", topics: [.init(name: "t", partitionIndexes: [0])], requireStable: true)
            let before = try await harness.call(request, version: 7)
            #expect(before.topics.first?.partitions.first?.errorCode == .unstableOffsetCommit)
            var hasty = request
            hasty.requireStable = false
            let unstable = try await harness.call(hasty, version: 7)
            #expect(unstable.topics.first?.partitions.first?.errorCode == KafkaErrorCode.none)
            #expect(unstable.topics.first?.partitions.first?.committedOffset == -1)
            _ = await end(harness, "x", claim, isCommit: true)
            let after = try await harness.call(request, version: 7)
            #expect(after.topics.first?.partitions.first?.committedOffset == 42)
            #expect(after.topics.first?.partitions.first?.errorCode == KafkaErrorCode.none)
        }
    }

    @Test func limitsRefuse() async throws {
        let options = [
            (key: "transactions.max_ids", value: "1"), (key: "transactions.max_partitions", value: "2"),
            (key: "transactions.max_timeout", value: "1m"),
        ]
        try await BrokerHarness.withBroker(options: options) { harness in
            await surround(harness, FakePartitions())
            for timeout in [Int32(0), -1, 60_001] {
                #expect(await initialise(harness, "x", timeout: timeout) == .failure(.invalidTransactionTimeout))
            }
            #expect(await initialise(harness, "") == .failure(.invalidRequest))
            let claim = try await initialise(harness, "x").get()
            #expect(await initialise(harness, "y") == .failure(.policyViolation))
            let three = (0..<3).map { partition("t", $0) }
            #expect(await add(harness, "x", claim, three) == .policyViolation)
            #expect(await add(harness, "x", claim, Array(three.prefix(2))) == .none)
            #expect(await add(harness, "nobody", claim, three) == .invalidProducerIDMapping)
            #expect(await end(harness, "nobody", claim, isCommit: true) == .failure(.invalidProducerIDMapping))
        }
    }

    /// Many requests for one id at once: each is decided on what the one before has stored.
    @Test func requestsForOneIDTakeTurns() async throws {
        try await BrokerHarness.withBroker { harness in
            await surround(harness, FakePartitions())
            let claim = try await initialise(harness, "x").get()
            await withTaskGroup { group in
                for index in Int32(0)..<50 {
                    group.addTask { #expect(await add(harness, "x", claim, [partition("t", index)]) == .none) }
                }
            }
            #expect(try await record(harness, "x", in: .ongoing).partitions.count == 50)
            let codes: [KafkaErrorCode] = await ask(harness) { coordinator, done in
                coordinator.verify("x", claim, [partition("t", 49), partition("t", 50)]) { done($0) }
            }
            #expect(codes == [.none, .transactionAbortable])
        }
    }

    @Test func unusedIDsAreForgotten() async throws {
        let options = [(key: "transactions.id_expiration", value: "1s")]
        try await BrokerHarness.withBroker(options: options) { harness in
            await surround(harness, FakePartitions())
            let claim = try await initialise(harness, "x").get()
            let busy = try await initialise(harness, "busy").get()
            #expect(await add(harness, "busy", busy, [partition("t", 0)]) == .none)
            for _ in 0..<3_000 {
                let names: [String] = await ask(harness) { coordinator, done in
                    coordinator.expire()
                    done(coordinator.list(.init()).map { $0.id })
                }
                if names == ["busy"] { break }
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(await add(harness, "x", claim, [partition("t", 0)]) == .invalidProducerIDMapping)
            #expect(await add(harness, "busy", busy, [partition("t", 1)]) == .none)
        }
    }
}
