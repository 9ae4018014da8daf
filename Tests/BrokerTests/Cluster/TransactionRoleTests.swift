// SPDX-License-Identifier: Apache-2.0
//
// TransactionRoleTests.swift
// Transactions in a replicated partition: verified, visible once they are decided, and known to the next leader.

import KafkaProtocol
import Model
import NIOCore
import PeerTestSupport
import Records
import Replication
import Synchronization
import Testing

@testable import Broker

@Suite struct TransactionRoleTests {
    /// A coordinator that answers what a test says, and keeps the questions; those it is to be silent about it keeps open.
    private final class Coordinator: Sendable {
        struct State {
            var code: KafkaErrorCode? = KafkaErrorCode.none
            var questions: [TransactionVerification] = []
            var waiting: [@Sendable (KafkaErrorCode) -> Void] = []
        }
        let state = Mutex(State())

        var verifier: TransactionVerifier {
            TransactionVerifier { [self] question, then in
                let code = state.withLock { state in
                    state.questions.append(question)
                    if state.code == nil { state.waiting.append(then) }
                    return state.code
                }
                if let code { then(code) }
            }
        }
        var asked: Int { state.withLock { $0.questions.count } }
        var waits: Int { state.withLock { $0.waiting.count } }

        func set(_ code: KafkaErrorCode?) { state.withLock { $0.code = code } }

        func answer(_ code: KafkaErrorCode) {
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            for then in waiting { then(code) }
        }
    }

    private func withCluster(_ body: (PartitionCluster, Coordinator, NodeID) async throws -> Void) async throws {
        let cluster = try await PartitionCluster.start()
        let coordinator = Coordinator()
        try await cluster.verify(with: coordinator.verifier)
        try await body(cluster, coordinator, try await cluster.leader())
        try await cluster.stop()
    }

    private static func producer(_ sequence: Int32, epoch: Int16 = 0, id: Int64 = 7) -> ProducerFields {
        ProducerFields(id: ProducerID(rawValue: id), epoch: epoch, baseSequence: sequence)
    }

    /// The values that a client sees who reads committed records of `node`, from `offset` on.
    private func committed(
        _ cluster: PartitionCluster, at node: NodeID, from offset: Int64 = 0
    ) async throws -> [String] {
        let answer = try await cluster.fetch(from: offset, at: node, rack: [node], isolation: .readCommitted)
        #expect(answer.error == .none)
        var coming = try #require(answer.aborted)[...]
        var aborting: Set<Int64> = []
        var values: [String] = []
        var cursor = RecordBatchCursor(RecordSlices(answer.records).contiguous())
        while let batch = try cursor.next() {
            #expect(batch.nextOffset.rawValue <= answer.lastStableOffset)
            while let next = coming.first, next.firstOffset < batch.nextOffset.rawValue {
                aborting.insert(next.producerID)
                coming.removeFirst()
            }
            let id = batch.header.producerID.rawValue
            if batch.isControl {
                if try ControlRecord(of: batch)?.kind == .abort { aborting.remove(id) }
            } else if !batch.isTransactional || !aborting.contains(id) {
                for record in try batch.allRecords() { values.append(record.value.map { String(buffer: $0) } ?? "") }
            }
        }
        #expect(coming.isEmpty, "the list names what is not in the range")
        return values
    }

    private func latest(
        _ cluster: PartitionCluster, at node: NodeID, _ isolation: IsolationLevel, time: Int64 = -1
    ) async throws -> Int64 {
        await withCheckedContinuation { done in
            cluster.loop.execute {
                cluster.withPartition(node) { partition in
                    partition?.listOffset(time, isolation: isolation) { _, offset, _, _ in
                        done.resume(returning: offset)
                    }
                }
            }
        }
    }

    // MARK: Verification

    @Test func theFirstBatchOfATransactionIsVerified() async throws {
        try await withCluster { cluster, coordinator, leader in
            coordinator.set(.invalidTxnState)
            let refused = try await cluster.produce(["x"], at: leader, producer: Self.producer(0), transaction: "t")
            #expect(refused.error == .invalidTxnState)
            coordinator.set(.notCoordinator)
            let later = try await cluster.produce(["x"], at: leader, producer: Self.producer(0), transaction: "t")
            #expect(later.error == .notEnoughReplicas, "to be tried again")
            coordinator.set(KafkaErrorCode.none)
            for sequence in Int32(0)..<3 {
                let taken = try await cluster.produce(
                    ["\(sequence)"], at: leader, producer: Self.producer(sequence), transaction: "t")
                #expect(taken.error == .none && taken.baseOffset == Int64(sequence))
            }
            #expect(coordinator.asked == 3, "not again for those behind the first")
            let question = try #require(coordinator.state.withLock { $0.questions.last })
            #expect(question.transactionalID == "t" && question.producerID.rawValue == 7 && !question.addsMissing)
            #expect(question.partitions == [TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 0))])
            let outside = try await cluster.produce(["x"], at: leader, producer: Self.producer(3))
            #expect(outside.error == .invalidTxnState, "not in a transaction while one is open")
            try await cluster.verify(with: nil)
            let other = try await cluster.produce(
                ["x"], at: leader, producer: Self.producer(0, id: 8), transaction: "u")
            #expect(other.error == .notEnoughReplicas, "nobody can be asked")
            try await cluster.settle()
        }
    }

    /// Those of the same producer wait in order; those of others do not wait.
    @Test func batchesWaitBehindOneThatIsVerified() async throws {
        try await withCluster { cluster, coordinator, leader in
            coordinator.set(nil)
            async let first = cluster.produce(["0"], at: leader, producer: Self.producer(0), transaction: "t")
            try await cluster.until("the question") { _ in coordinator.waits == 1 }
            async let second = cluster.produce(["1"], at: leader, producer: Self.producer(1), transaction: "t")
            try await cluster.until("the second batch") { nodes in
                nodes[leader]?.partition.verifications.count == 2
            }
            let other = try await cluster.produce(["other"], at: leader)
            #expect(other.baseOffset == 0)
            coordinator.answer(.none)
            let outcomes = try await [first, second]
            #expect(outcomes.map(\.baseOffset) == [1, 2])
            #expect(coordinator.asked == 1)
            try await cluster.settle()
        }
    }

    /// The coordinator's answer may be about a transaction that a marker has ended since.
    @Test func aMarkerMakesAnAnswerStale() async throws {
        try await withCluster { cluster, coordinator, leader in
            coordinator.set(nil)
            async let late = cluster.produce(["late"], at: leader, producer: Self.producer(0), transaction: "t")
            try await cluster.until("the question") { _ in coordinator.waits == 1 }
            #expect(await cluster.end(marker(.abort, 7), at: leader) == .none)
            coordinator.answer(.none)
            #expect(try await late.error == .invalidTxnState)
            #expect(try await cluster.on(leader) { $0.partition.producers.transactions.open.isEmpty })
            try await cluster.settle()
        }
    }

    @Test func aPartitionThatRemembersTooManyBeginsNoFurtherTransaction() async throws {
        try await withCluster { cluster, coordinator, leader in
            func remember(_ count: Int) async throws {
                let aborted = (0..<Int64(count)).map {
                    AbortedTransaction(producerID: 1, firstOffset: $0, lastOffset: $0, stableOffset: $0)
                }
                try await cluster.on(leader) { node in
                    var table = TransactionTable()
                    table.restore(open: [:], aborted: aborted)
                    node.partition.producers.transactions = table
                }
            }
            try await remember(TransactionTable.abortedMax)
            let refused = try await cluster.produce(["x"], at: leader, producer: Self.producer(0), transaction: "t")
            #expect(refused.error == .notEnoughReplicas && coordinator.asked == 0)
            #expect(try await cluster.produce(["y"], at: leader).error == .none, "others go on")
            try await remember(TransactionTable.abortedMax - 1)
            let taken = try await cluster.produce(["x"], at: leader, producer: Self.producer(0), transaction: "t")
            #expect(taken.error == .none)
            let next = try await cluster.produce(
                ["x"], at: leader, producer: Self.producer(0, id: 8), transaction: "u")
            #expect(next.error == .notEnoughReplicas, "the open one may be aborted too")
        }
    }

    // MARK: An epoch for each transaction

    /// The next transaction begins before the marker of the last one is here: its first batch waits for that.
    @Test func theNextTransactionWaitsForTheMarkerOfTheLast() async throws {
        try await withCluster { cluster, coordinator, leader in
            let first = try await cluster.produce(
                ["a"], at: leader, producer: Self.producer(0), transaction: "t", version: 12)
            #expect(first.error == .none)
            #expect(try #require(coordinator.state.withLock { $0.questions.last }).addsMissing)
            coordinator.set(nil)
            async let next = cluster.produce(
                ["b"], at: leader, producer: Self.producer(0, epoch: 1), transaction: "t", version: 12)
            try await cluster.until("the question") { _ in coordinator.waits == 1 }
            #expect(await cluster.end(marker(.commit, 7, epoch: 1, version: 2), at: leader) == .none)
            coordinator.answer(.none)
            #expect(try await next.error == .none, "the marker was that of the last transaction")
            #expect(await cluster.end(marker(.abort, 7, epoch: 2, version: 2), at: leader) == .none)
            try await cluster.settle()
            for node in cluster.members { #expect(try await committed(cluster, at: node) == ["a"]) }
        }
    }

    /// What the coordinator does not know as open stays open: nothing new begins in it.
    @Test func aCoordinatorThatKnowsNothingOfWhatIsOpenDoesNotHelp() async throws {
        try await withCluster { cluster, coordinator, leader in
            _ = try await cluster.produce(["a"], at: leader, producer: Self.producer(0), transaction: "t", version: 12)
            let next = try await cluster.produce(
                ["b"], at: leader, producer: Self.producer(0, epoch: 1), transaction: "t", version: 12)
            #expect(next.error == .invalidTxnState && coordinator.asked == 2)
            let old = try await cluster.produce(
                ["b"], at: leader, producer: Self.producer(0, epoch: 1), transaction: "t", version: 11)
            #expect(old.error == .invalidTxnState && coordinator.asked == 2, "that is not worth a question")
            try await cluster.settle()
        }
    }

    /// An answer about a transaction that its own marker ends meanwhile begins none.
    @Test func theMarkerOfTheTransactionItselfMakesAnAnswerStale() async throws {
        try await withCluster { cluster, coordinator, leader in
            coordinator.set(nil)
            async let late = cluster.produce(
                ["late"], at: leader, producer: Self.producer(0), transaction: "t", version: 12)
            try await cluster.until("the question") { _ in coordinator.waits == 1 }
            #expect(await cluster.end(marker(.abort, 7, epoch: 1, version: 2), at: leader) == .none)
            coordinator.answer(.none)
            #expect(try await late.error == .transactionAbortable)
            #expect(try await cluster.on(leader) { $0.partition.producers.transactions.open.isEmpty })
            try await cluster.settle()
        }
    }

    // MARK: Visibility

    @Test func nothingBeyondTheLastStableOffsetIsRead() async throws {
        try await withCluster { cluster, _, leader in
            _ = try await cluster.produce(["before"], at: leader)
            _ = try await cluster.produce(["a1"], at: leader, producer: Self.producer(0), transaction: "t")
            _ = try await cluster.produce(["between"], at: leader)
            #expect(try await committed(cluster, at: leader) == ["before"])
            #expect(try await latest(cluster, at: leader, .readCommitted) == 1)
            #expect(try await latest(cluster, at: leader, .readUncommitted) == 3)
            let open = try await cluster.fetch(from: 2, at: leader, isolation: .readCommitted)
            #expect(open.error == .none && open.records.isEmpty && open.lastStableOffset == 1)
            #expect(open.highWatermark == 3)
            #expect(await cluster.end(marker(.abort, 7), at: leader) == .none)
            _ = try await cluster.produce(["a2"], at: leader, producer: Self.producer(1), transaction: "t")
            #expect(await cluster.end(marker(.commit, 7), at: leader) == .none)
            try await cluster.settle()
            for node in cluster.members {
                #expect(try await committed(cluster, at: node) == ["before", "between", "a2"])
                #expect(try await committed(cluster, at: node, from: 3) == ["a2"])
                #expect(try await cluster.values(at: node).count == 6, "markers and all")
            }
            #expect(try await latest(cluster, at: leader, .readCommitted) == 6)
        }
    }

    @Test func whoWaitsIsWokenByTheMarker() async throws {
        try await withCluster { cluster, _, leader in
            _ = try await cluster.produce(["a"], at: leader, producer: Self.producer(0), transaction: "t")
            let woken = Mutex(0)
            try await cluster.onLoop { cluster in
                cluster.withPartition(leader) { partition in
                    _ = partition?.waitForData(seen: .zero, isolation: .readCommitted) { _, _ in
                        woken.withLock { $0 += 1 }
                        return true
                    }
                }
            }
            _ = try await cluster.produce(["other"], at: leader)
            #expect(woken.withLock { $0 } == 0, "more is committed, and nothing more is stable")
            #expect(await cluster.end(marker(.commit, 7), at: leader) == .none)
            #expect(woken.withLock { $0 } == 1)
        }
    }

    // MARK: Leaders

    /// A transaction goes on with the next leader, and its marker ends it there; a repetition changes nothing.
    @Test func anOpenTransactionSurvivesALostLeader() async throws {
        try await withCluster { cluster, coordinator, first in
            _ = try await cluster.produce(["a0"], at: first, producer: Self.producer(0), transaction: "t")
            _ = try await cluster.produce(["b0"], at: first, producer: Self.producer(0, id: 8), transaction: "u")
            #expect(await cluster.end(marker(.abort, 8, coordinator: 5), at: first) == .none)
            let asked = coordinator.asked
            cluster.network.isolate(first)
            let second = try await cluster.leader(among: cluster.others(than: first))
            // The former leader does not know yet: what it appends is cut.
            async let lost = cluster.end(marker(.commit, 7), at: first)
            let again = try await cluster.produce(["a1"], at: second, producer: Self.producer(1), transaction: "t")
            #expect(again.error == .none)
            #expect(coordinator.asked == asked, "the new leader knows that it is open")
            #expect(await cluster.end(marker(.abort, 8, coordinator: 4), at: second) == .transactionCoordinatorFenced)
            #expect(await cluster.end(marker(.abort, 8, coordinator: 5), at: second) == .none)
            #expect(try await committed(cluster, at: second) == [])
            cluster.network.heal()
            #expect(await lost == .notLeaderOrFollower)
            #expect(await cluster.end(marker(.commit, 7), at: second) == .none)
            let end = try await cluster.on(second) { $0.partition.endOffset }
            #expect(await cluster.end(marker(.commit, 7), at: second) == .none)
            #expect(try await cluster.on(second) { $0.partition.endOffset } == end)
            try await cluster.settle()
            for node in cluster.members { #expect(try await committed(cluster, at: node) == ["a0", "a1"]) }
        }
    }

    @Test func onlyTheLeaderTakesMarkers() async throws {
        try await withCluster { cluster, _, leader in
            for node in cluster.others(than: leader) {
                #expect(await cluster.end(marker(), at: node) == .notLeaderOrFollower)
            }
        }
    }
}
