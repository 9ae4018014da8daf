// SPDX-License-Identifier: Apache-2.0
//
// VerificationQueue.swift
// What partitions of this broker ask about transactions, gathered: a coordinator is asked once for all partitions of a
// transaction that began to be written to meanwhile, since each answer may cost it an entry of its log.

import KafkaProtocol
import Model

/// The questions of partitions, by transaction.
///
/// At most one request for a transaction is on its way; what comes meanwhile leaves with the next one.
///
/// Bounded by what asks: a partition has one question for each producer (``VerificationTable``).
struct VerificationQueue {
    /// What one request is about.
    struct Subject: Hashable, Sendable {
        var transactionalID: String
        var producerID: ProducerID
        var producerEpoch: Int16
        var addsMissing: Bool
    }

    /// One request, and who is told: the partition at the same place in the question.
    struct Request: Sendable {
        var subject: Subject
        var question: TransactionVerification
        var answers: [VerificationAnswer]
    }

    /// Most partitions of one request.
    static let partitionsMax = 1_000

    /// What waits for the request of the same transaction that is on its way; there is one for each subject.
    private var waiting: [Subject: [(partition: TopicPartition, then: VerificationAnswer)]] = [:]

    /// No questions.
    init() {}

    /// True when no request is on its way.
    var isEmpty: Bool { waiting.isEmpty }

    /// Takes a question; returns it when it is to be asked at once.
    mutating func add(_ question: TransactionVerification, then: @escaping VerificationAnswer) -> Request? {
        let subject = Subject(
            transactionalID: question.transactionalID, producerID: question.producerID,
            producerEpoch: question.producerEpoch, addsMissing: question.addsMissing)
        guard waiting[subject] != nil else {
            waiting[subject] = []
            return Request(
                subject: subject, question: question, answers: question.partitions.map { _ in then })
        }
        waiting[subject]?.append(contentsOf: question.partitions.map { ($0, then) })
        return nil
    }

    /// The request about `subject` was answered; returns the next one, if something waits.
    mutating func next(_ subject: Subject) -> Request? {
        guard let all = waiting[subject], !all.isEmpty else {
            waiting[subject] = nil
            return nil
        }
        waiting[subject] = Array(all.dropFirst(Self.partitionsMax))
        let part = all.prefix(Self.partitionsMax).sorted { TopicPartition.isBefore($0.partition, $1.partition) }
        let question = TransactionVerification(
            transactionalID: subject.transactionalID, producerID: subject.producerID,
            producerEpoch: subject.producerEpoch, partitions: part.map(\.partition), addsMissing: subject.addsMissing)
        return Request(subject: subject, question: question, answers: part.map(\.then))
    }
}
