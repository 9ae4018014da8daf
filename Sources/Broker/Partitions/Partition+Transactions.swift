// SPDX-License-Identifier: Apache-2.0
//
// Partition+Transactions.swift
// Transactions in one partition: the first batch is verified with the coordinator, a marker ends it, and the last stable
// offset follows.

package import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import Records
import Replication
import Settings
import Telemetry

extension Partition {
    // MARK: Beginning

    /// Asks the coordinator whether the batch, the first of a transaction here, is part of one; the batch waits, and what
    /// its producer sends behind it.
    func verify(_ checked: CheckedBatch, _ call: ProduceCall) {
        guard let transactionalID = call.transactionalID, !transactionalID.isEmpty else {
            return call.request.complete(call.slot, .failure(.transactionalIDAuthorizationFailed))
        }
        guard producers.transactions.hasRoom, let verifier = environment.verifier(),
            let asked = verifications.add(
                WaitingBatch(checked: checked, call: call), now: environment.clock.now())
        else {
            environment.metrics.transactionsRefused.increment()
            return call.request.complete(
                call.slot, .failure(.notEnoughReplicas, "the transaction cannot be verified now"))
        }
        let producer = checked.batch.header.producerID
        let question = TransactionVerification(
            transactionalID: transactionalID, producerID: producer, producerEpoch: checked.batch.header.producerEpoch,
            partitions: [TopicPartition(topic: handle.topic, partition: handle.index)],
            addsMissing: call.enrolsPartitions)
        let home = NIOLoopBound(WeakPartition(self), eventLoop: environment.loop)
        let loop = environment.loop
        verifier.verify(question) { code in
            loop.execute { home.value.partition?.verified(producer, number: asked.number, code) }
        }
    }

    /// Whether the batch has to wait behind one of its producer that is being verified.
    func isVerifying(_ checked: CheckedBatch, _ call: ProduceCall) -> Bool {
        guard verifications.isAsking(checked.batch.header.producerID) else { return false }
        if verifications.add(WaitingBatch(checked: checked, call: call), now: environment.clock.now()) == nil {
            environment.metrics.transactionsRefused.increment()
            call.request.complete(call.slot, .failure(.notEnoughReplicas, "too many batches wait for a coordinator"))
        }
        return true
    }

    private func verified(_ producer: ProducerID, number: UInt64, _ code: KafkaErrorCode) {
        guard let question = verifications.take(producer, number: number) else { return }
        // The answer may be about the transaction that a marker has ended meanwhile.
        let code = code == .none && question.isStale ? .invalidTxnState : code
        for waiting in question.batches {
            let (checked, call) = (waiting.checked, waiting.call)
            if let refusal = refusal(of: call) {
                call.request.complete(call.slot, .failure(refusal))
            } else if code != .none {
                environment.metrics.transactionsRefused.increment()
                call.request.complete(
                    call.slot, .failure(ErrorMapping.code(ofVerification: code, version: call.version)))
            } else if isVerifying(checked, call) {
                continue
            } else if admitProducer(
                of: checked, call, isVerified: checked.batch.header.producerEpoch == question.epoch)
            {
                append(checked.batch, summary: checked.summary, call: call)
            }
        }
    }

    /// Answers producers whose coordinator does not.
    func expireVerifications(now: Instant) {
        for question in verifications.takeExpired(now: now) {
            for waiting in question.batches {
                environment.metrics.transactionsRefused.increment()
                waiting.call.request.complete(
                    waiting.call.slot, .failure(.notEnoughReplicas, "the transaction's coordinator does not answer"))
            }
        }
    }

    // MARK: Ending

    /// How long a marker may take until its coordinator is told to send it again.
    private static let markerMilliseconds: Int64 = 20_000

    /// Ends the transaction of a producer here; a repetition changes nothing.
    ///
    /// `then` runs once, when the marker is committed (`none`), refused, or its fate is not known in time. An operator,
    /// who may be mistaken, may abort what is open here and nothing else.
    package func endTransaction(
        _ marker: TransactionMarker, isOperators: Bool = false, then: @escaping @Sendable (KafkaErrorCode) -> Void
    ) {
        if let produceRefusal { return then(produceRefusal) }
        guard configuration.minInsyncReplicas <= inSync.count else { return then(.notEnoughReplicas) }
        let now = environment.clock.now()
        let waiter = ProduceWaiter(
            request: PendingProduce(count: 1) { then($0[0].error) }, slot: 0, outcome: ProduceOutcome(error: .none),
            deadline: now.advanced(byMilliseconds: Self.markerMilliseconds))
        switch isOperators ? producers.checkOperators(marker) : producers.check(marker) {
        case .error(let error): then(KafkaErrorCode(rawValue: error.rawValue) ?? .unknownServerError)
        case .repeated(nil): then(.none)
        case .repeated(let offset?): answer(waiter, whenCommitted: offset)
        case .append: append(marker, waiter, now)
        }
    }

    private func append(_ marker: TransactionMarker, _ waiter: ProduceWaiter, _ now: Instant) {
        let wallTime = environment.clock.wallTime()
        let control = ControlRecord(kind: marker.outcome, coordinatorEpoch: marker.coordinatorEpoch)
        let batch: RecordBatch
        do {
            batch = try RecordBatch(
                control.batch(producerID: marker.producerID, producerEpoch: marker.producerEpoch, time: wallTime))
        } catch {
            return waiter.fail(.unknownServerError, "\(error)")
        }
        let time = wallTime.milliseconds
        guard let base = place(batch, timestamp: time, correction: .none, now: now) else {
            return waiter.fail(refusal ?? .notLeaderOrFollower)
        }
        producers.end(marker, at: base, now: wallTime)
        verifications.note(marker)
        open?.waiters.append(waiter)
        environment.metrics.markersWritten.increment()
    }

    // MARK: What is decided

    /// Computes the last stable offset anew, and wakes those who wait for it when it moved.
    ///
    /// `bytes` is how much there is to read for them; nil when that is not known.
    func refreshStable(bytes: Int? = nil) {
        producers.transactions.trim(to: log.logStartOffset)
        let before = lastStableOffset
        var stable = highWatermark
        // Behind the producers' state nothing is known of transactions.
        if isReplaying { stable = min(stable, producersEnd) }
        if let unstable = producers.transactions.firstUnstable() { stable = min(stable, Offset(unstable)) }
        // Of a transaction that has lost its first records to retention the rest is still not decided.
        lastStableOffset = max(stable, min(log.logStartOffset, highWatermark))
        guard lastStableOffset > before else { return }
        wakeFetches(bytes: bytes ?? Int(Int32.max), isolation: .readCommitted)
    }
}
