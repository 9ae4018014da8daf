// SPDX-License-Identifier: Apache-2.0
//
// VerificationQueueTests.swift
// Questions to coordinators of transactions are gathered while one is on its way, and everybody gets an answer.

import KafkaProtocol
import Model
import Synchronization
import Testing

@testable import Broker

@Suite struct VerificationQueueTests {
    private func question(
        _ index: Int32, _ topic: String = "t", id: String = "x", epoch: Int16 = 0, adds: Bool = true
    ) -> TransactionVerification {
        TransactionVerification(
            transactionalID: id, producerID: ProducerID(rawValue: 7), producerEpoch: epoch,
            partitions: [TopicPartition(topic: topic, partition: PartitionIndex(rawValue: index))], addsMissing: adds)
    }

    @Test func whatComesMeanwhileIsOneRequest() throws {
        var queue = VerificationQueue()
        let told = Mutex<[String: KafkaErrorCode]>([:])
        func add(_ index: Int32, _ topic: String = "t") -> VerificationQueue.Request? {
            queue.add(question(index, topic)) { code in told.withLock { $0["\(topic)-\(index)"] = code } }
        }
        let first = try #require(add(0))
        #expect(first.question == question(0))
        let followers = [add(5), add(1, "u"), add(3)].compactMap { $0?.question }
        #expect(followers.isEmpty)
        let following = queue.next(first.subject)
        let next = try #require(following)
        #expect(next.question.partitions.map { "\($0.topic)-\($0.partition.rawValue)" } == ["t-3", "t-5", "u-1"])
        for (number, answer) in next.answers.enumerated() {
            answer(number == 1 ? .invalidTxnState : .none)
        }
        #expect(told.withLock { $0 } == ["t-3": .none, "t-5": .invalidTxnState, "u-1": .none])
        let last = queue.next(first.subject)
        #expect(last?.question == nil && queue.isEmpty)
        #expect(add(9)?.question == question(9), "nothing is on its way any more")
    }

    @Test func othersDoNotWait() {
        var queue = VerificationQueue()
        let all = [
            question(0), question(0, id: "y"), question(0, epoch: 1), question(0, adds: false),
        ]
        for one in all {
            let asked = queue.add(one) { _ in }
            #expect(asked?.question == one)
        }
        for one in all {
            let asked = queue.add(one) { _ in }
            #expect(asked?.question == nil)
        }
    }

    @Test func aRequestIsBounded() throws {
        var queue = VerificationQueue()
        let asked = queue.add(question(0)) { _ in }
        let first = try #require(asked)
        let count = VerificationQueue.partitionsMax + 1
        for index in 0..<count {
            let asked = queue.add(question(Int32(index))) { _ in }
            #expect(asked?.question == nil)
        }
        let counts = (0..<3).map { _ in queue.next(first.subject)?.question.partitions.count }
        #expect(counts == [VerificationQueue.partitionsMax, 1, nil])
    }
}
