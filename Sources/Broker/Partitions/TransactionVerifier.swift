// SPDX-License-Identifier: Apache-2.0
//
// TransactionVerifier.swift
// How a partition asks the coordinator of a transaction whether it is part of it, and what waits meanwhile (KIP-890).

package import KafkaProtocol
package import Model
import Records

/// A question to the coordinator of a transaction.
package struct TransactionVerification: Hashable, Sendable {
    /// Names the transaction's coordinator.
    package var transactionalID: String
    package var producerID: ProducerID
    package var producerEpoch: Int16
    /// The partitions that records came for.
    package var partitions: [TopicPartition]
    /// Whether the partitions are to be made part of the open transaction (transaction version 2); else they must be.
    package var addsMissing: Bool
}

/// What runs when a question is answered, on any thread.
package typealias VerificationAnswer = @Sendable (KafkaErrorCode) -> Void

/// Asks coordinators of transactions.
package struct TransactionVerifier: Sendable {
    /// Answers once, on any thread: `none` when all partitions are part of an open transaction of this producer and
    /// epoch; else the coordinator's error, or `coordinatorNotAvailable` when it cannot be asked.
    package let verify: @Sendable (TransactionVerification, _ then: @escaping VerificationAnswer) -> Void

    /// Makes a verifier.
    package init(verify: @escaping @Sendable (TransactionVerification, _ then: @escaping VerificationAnswer) -> Void) {
        self.verify = verify
    }
}

/// A batch that waits until a coordinator has answered.
struct WaitingBatch {
    let checked: CheckedBatch
    let call: ProduceCall
}

/// The batches of a partition that wait for coordinators, by producer: those of others pass them.
///
/// Invariants: `count <= batchesMax`, `bytes <= bytesMax`.
struct VerificationTable {
    /// Batches that may wait in a partition.
    static let batchesMax = 1_000
    /// Bytes of such batches.
    static let bytesMax = 32 << 20
    /// How long a coordinator may take.
    static let timeoutMilliseconds: Int64 = 5_000

    /// What waits for one producer's coordinator.
    struct Question {
        /// Tells the answer to this question from late ones.
        let number: UInt64
        let epoch: Int16
        let askedAt: Instant
        /// Set when a marker of the producer came meanwhile: the answer may be about the transaction that it ended.
        var isStale = false
        /// In the order in which they came.
        var batches: [WaitingBatch]
    }

    private(set) var questions: [Int64: Question] = [:]
    private(set) var count = 0
    private(set) var bytes = 0
    private var number: UInt64 = 0

    /// Whether a coordinator is being asked about `producer`.
    func isAsking(_ producer: ProducerID) -> Bool { questions[producer.rawValue] != nil }

    /// Adds a batch; returns nil when there is no room, and else whether it is the first of its producer, with which the
    /// coordinator is to be asked.
    mutating func add(_ batch: WaitingBatch, now: Instant) -> (number: UInt64, isFirst: Bool)? {
        let size = batch.checked.batch.totalBytes
        guard count < Self.batchesMax, bytes + size <= Self.bytesMax else { return nil }
        count += 1
        bytes += size
        let header = batch.checked.batch.header
        if let asked = questions[header.producerID.rawValue] {
            questions[header.producerID.rawValue]?.batches.append(batch)
            return (asked.number, false)
        }
        number += 1
        questions[header.producerID.rawValue] = Question(
            number: number, epoch: header.producerEpoch, askedAt: now, batches: [batch])
        return (number, true)
    }

    /// A marker came; unless it can only have ended an earlier transaction than the one that a coordinator is asked about,
    /// the answer may be about what it has ended.
    ///
    /// In version 2 a transaction has the epoch of the marker before it, and waits here for that one.
    mutating func note(_ marker: TransactionMarker) {
        guard let asked = questions[marker.producerID.rawValue] else { return }
        let isEarlier = marker.transactionVersion >= 2 && marker.producerEpoch <= asked.epoch
        if !isEarlier { questions[marker.producerID.rawValue]?.isStale = true }
    }

    /// Takes what waited for an answer; nil when nobody waits for it any more.
    mutating func take(_ producer: ProducerID, number: UInt64) -> Question? {
        guard let question = questions[producer.rawValue], question.number == number else { return nil }
        questions[producer.rawValue] = nil
        forget(question)
        return question
    }

    /// Takes what has waited too long.
    mutating func takeExpired(now: Instant) -> [Question] {
        guard !questions.isEmpty else { return [] }
        let expired = questions.filter { now.milliseconds(since: $0.value.askedAt) >= Self.timeoutMilliseconds }
        for (id, question) in expired {
            questions[id] = nil
            forget(question)
        }
        return Array(expired.values)
    }

    /// Drops everything.
    mutating func removeAll() -> [ProduceCall] {
        let calls = questions.values.flatMap { $0.batches.map(\.call) }
        questions.removeAll()
        (count, bytes) = (0, 0)
        return calls
    }

    private mutating func forget(_ question: Question) {
        count -= question.batches.count
        bytes -= question.batches.reduce(0) { $0 + $1.checked.batch.totalBytes }
    }
}
