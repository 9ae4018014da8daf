// SPDX-License-Identifier: Apache-2.0
//
// ProducerCore+Answers.swift
// What a producer does with answers: report, repeat in order, or give up.

import KafkaProtocol
import Model

extension ProducerCore {
    typealias Member = (slot: Int, batch: SealedBatch)

    /// Takes the answer to a request that carried `members`.
    func answered(_ members: [Member], leader: NodeID, _ result: Result<ProduceResponse, ClientError>) {
        inFlightRequests[leader, default: 1] -= 1
        switch result {
        case .failure(let error):
            for member in members { failed(member, error, refreshes: true) }
        case .success(let response):
            for member in members { answered(member, in: response) }
        }
        finishRewinds(members)
        schedulePump()
    }

    /// A request without an answer left the socket, or did not.
    func sentOneWay(_ members: [Member], leader: NodeID, _ result: Result<Void, ClientError>) {
        inFlightRequests[leader, default: 1] -= 1
        for member in members {
            switch result {
            case .success: settle(member.slot, member.batch, baseOffset: nil, error: nil)
            case .failure(let error): failed(member, error, refreshes: true)
            }
        }
        finishRewinds(members)
        schedulePump()
    }

    private func answered(_ member: Member, in response: ProduceResponse) {
        let partition = queues[member.slot].partition
        let answer = response.topics.lazy.filter { $0.name == partition.topic }
            .flatMap(\.partitions).first { $0.index == partition.partition.rawValue }
        guard let answer else {
            let error = ClientError(
                .malformedResponse, attempted: "Produce", place: "\(partition)", detail: "no answer for it")
            return giveUp(member, error)
        }
        switch answer.errorCode {
        case .none:
            backoff.reset()
            settle(member.slot, member.batch, baseOffset: Offset(answer.baseOffset), error: nil)
        case .duplicateSequenceNumber:
            // Written before; the first answer was lost.
            settle(member.slot, member.batch, baseOffset: nil, error: nil)
        default:
            let error = ClientError(
                refused: answer.errorCode, attempted: "Produce", place: "\(partition)", detail: answer.errorMessage)
            failed(member, error, refreshes: answer.errorCode.refreshesMetadata)
        }
    }

    private func failed(_ member: Member, _ error: ClientError, refreshes: Bool) {
        // Behind a batch that failed, the broker refuses those that follow it: they go again with it.
        let followsFailure = error.kafka == .outOfOrderSequenceNumber && queues[member.slot].isRewinding
        guard error.isRetriable || followsFailure else { return giveUp(member, error) }
        queues[member.slot].fail(member.batch.ordinal)
        if refreshes { refresh([queues[member.slot].partition.topic]) }
    }

    private func giveUp(_ member: Member, _ error: ClientError) {
        settle(member.slot, member.batch, baseOffset: nil, error: error)
        if settings.isIdempotent { stop(error) }
    }

    private func finishRewinds(_ members: [Member]) {
        let resumesAt = clock.now().advanced(byMilliseconds: backoff.next(using: &random))
        for member in members where queues[member.slot].finishRewind(resumesAt: resumesAt) {
            guard fatalError == nil else { return giveUpSealed() }
        }
    }

    /// Gives up what is older than the delivery timeout.
    func expire(now: Instant) {
        let limit = Instant(
            nanoseconds: now.nanoseconds
                - min(now.nanoseconds, UInt64(settings.deliveryTimeoutMilliseconds) * 1_000_000))
        for slot in queues.indices {
            for batch in queues[slot].expire(openedBefore: limit) {
                let error = ClientError(
                    .timedOut, attempted: "Produce", place: "\(queues[slot].partition)",
                    detail: "not delivered within \(settings.deliveryTimeoutMilliseconds) ms")
                giveUp((slot, batch), error)
            }
        }
        if fatalError != nil { giveUpSealed() }
    }

    /// Ends an idempotent producer: nothing that waits, or comes later, is sent.
    func stop(_ error: ClientError) {
        if fatalError == nil { fatalError = error }
        schedulePump()
    }

    private func giveUpSealed() {
        guard let fatalError else { return }
        for slot in queues.indices {
            if queues[slot].openSince != nil { seal(slot) }
            for batch in queues[slot].removeSealed() { settle(slot, batch, baseOffset: nil, error: fatalError) }
        }
    }
}
