// SPDX-License-Identifier: Apache-2.0
//
// Partition+Produce.swift
// From a checked batch to a proposed frame: check the sequence, assign offsets, gather, close.

import DequeModule
import KafkaProtocol
import LogStore
package import Model
package import NIOCore
import Records
import Replication
import Settings
import Telemetry

/// One partition's part of a produce request.
package struct ProduceCall {
    package var records: ByteBuffer?
    package var acks: Int16
    /// The version of the request: zstd needs 7.
    package var version: Int16
    package var receivedAt: Instant
    package var wallTime: WallTime
    package var deadline: Instant
    package var request: PendingProduce
    package var slot: Int
    /// The transactional id that the request names.
    package var transactionalID: String?

    /// Whether a partition becomes part of the transaction by being written to (KIP-890); before, it has to be already.
    var enrolsPartitions: Bool { version >= 12 }
}

extension Partition {
    /// Checks the sequence of an idempotent producer; answers the call itself when the batch is not to be appended.
    ///
    /// `isVerified` says that the coordinator has just confirmed the transaction that the batch would begin here.
    func admitProducer(of checked: CheckedBatch, _ call: ProduceCall, isVerified: Bool = false) -> Bool {
        let batch = checked.batch
        var asked = ProducerBatch(batch, baseOffset: endOffset, maxTimestamp: batch.maxTimestamp)
        asked.enrolsPartition = batch.isTransactional && call.enrolsPartitions
        switch producers.check(asked) {
        case .append: return true
        case .verify:
            if !isVerified { verify(checked, call) }
            return isVerified
        case .verifyBehindOpen:
            guard isVerified else {
                verify(checked, call)
                return false
            }
            // The coordinator has told everybody of the end of the last transaction, and does not know what is open here.
            call.request.complete(call.slot, .failure(.invalidTxnState))
            return false
        case .duplicate(let baseOffset, let lastOffset, let timestamp):
            environment.metrics.duplicateBatches.increment()
            answerDuplicate(baseOffset, lastOffset, timestamp, call)
            return false
        case .error(.outOfOrderSequence) where producers.excuses(asked):
            // It is to come again behind the one that was refused before it, and so it is refused alike: a gap in its
            // sequences would make the client begin a new epoch in all its partitions.
            call.request.complete(call.slot, .failure(lastRefusal))
            return false
        case .error(let error):
            call.request.complete(call.slot, .failure(KafkaErrorCode(rawValue: error.rawValue) ?? .unknownServerError))
            return false
        }
    }

    /// A batch that is in the log already is acknowledged with its first offset, but not before that one is committed.
    private func answerDuplicate(_ base: Offset, _ last: Offset, _ timestamp: Int64, _ call: ProduceCall) {
        var outcome = ProduceOutcome(error: .none, baseOffset: base.rawValue)
        if configuration.timestampType == .logAppendTime { outcome.logAppendTime = timestamp }
        let waiter = ProduceWaiter(request: call.request, slot: call.slot, outcome: outcome, deadline: call.deadline)
        answer(waiter, whenCommitted: last)
    }

    /// Answers once a record of the log is committed; at once when it is.
    func answer(_ waiter: ProduceWaiter, whenCommitted last: Offset) {
        // Entries of an earlier leader are committed before this one serves anybody.
        if last < highWatermark { return waiter.succeed(logStart: log.logStartOffset) }
        for position in inFlight.indices where inFlight[position].endOffset > last {
            return inFlight[position].waiters.append(waiter)
        }
        precondition(open.map { $0.endOffset > last } ?? false, "a duplicate of a batch nobody has")
        open?.waiters.append(waiter)
    }

    func append(_ batch: RecordBatch, summary: RecordBatchSummary, call: ProduceCall) {
        let (timestamp, correction) = stamp(summary, wallTime: call.wallTime)
        guard let base = place(batch, timestamp: timestamp, correction: correction, now: call.receivedAt) else {
            return call.request.complete(call.slot, .failure(refusal ?? .notLeaderOrFollower))
        }
        if batch.hasProducer {
            producers.record(ProducerBatch(batch, baseOffset: base, maxTimestamp: timestamp), at: call.wallTime)
        }
        var outcome = ProduceOutcome(error: .none, baseOffset: base.rawValue)
        if configuration.timestampType == .logAppendTime { outcome.logAppendTime = call.wallTime.milliseconds }
        open?.waiters.append(
            ProduceWaiter(
                request: call.request, slot: call.slot, outcome: outcome, deadline: call.deadline,
                isAnsweredAtFlush: call.acks >= 0 || Plant.acknowledgeAtLeader.isOn))
        metrics.recordsIn.increment(by: batch.recordCount)
        metrics.bytesIn.increment(by: batch.totalBytes)
    }

    /// Adds a batch to the open frame and returns its offset; nil when the partition takes no records any more.
    func place(
        _ batch: RecordBatch, timestamp: Int64, correction: OpenFrame.Correction, now: Instant
    ) -> Offset? {
        if open.map({ !fits(batch, in: $0) }) ?? false { close(now: now) }
        guard refusal == nil, let term = replica.leadingTerm else { return nil }
        let base = endOffset
        var frame = open.take() ?? OpenFrame(baseOffset: base, openedAt: now)
        frame.add(batch, timestamp: timestamp, leaderEpoch: term.leaderEpoch, correction: correction)
        endOffset = frame.endOffset
        open = frame
        listForClosing()
        return base
    }

    private func fits(_ batch: RecordBatch, in frame: OpenFrame) -> Bool {
        frame.payload.readableBytes + batch.totalBytes <= batcher.limits.bytesMax
            && frame.batches < batcher.limits.batchesMax
    }

    /// The newest time of a batch, and what is to be written into it: the broker's time when the topic asks for it.
    private func stamp(_ summary: RecordBatchSummary, wallTime: WallTime) -> (Int64, OpenFrame.Correction) {
        if configuration.timestampType == .logAppendTime { return (wallTime.milliseconds, .logAppendTime(wallTime)) }
        if summary.needsMaxTimestampCorrection { return (summary.maxTimestamp, .maxTimestamp(summary.maxTimestamp)) }
        return (summary.maxTimestamp, .none)
    }

    // MARK: Closing frames

    func listForClosing() {
        guard !isListedForClosing else { return }
        isListedForClosing = true
        environment.closeLater(self)
    }

    /// Asks the batcher about the open frame, at the end of an event-loop turn or when its time is up.
    package func decideOpenFrame(now: Instant) {
        isListedForClosing = false
        if isAwaitedPolled {
            isAwaitedPolled = false
            acknowledgeAwaited(now: now)
        }
        guard let decision = decision(now: now) else { return }
        switch decision {
        case .close: close(now: now)
        case .hold: break
        case .holdUntil(let instant): environment.closeAt(self, instant)
        }
    }

    /// What the batcher says of the open frame.
    ///
    /// Apart, so that no copy of the frame lives on while it is closed.
    private func decision(now: Instant) -> BatchController.Decision? {
        open.map { frame in
            batcher.decide(
                bytes: frame.payload.readableBytes, batches: frame.batches, openedAt: frame.openedAt, now: now)
        }
    }

    /// Proposes the open frame.
    ///
    /// When that is refused nothing of it is in the log: its offsets are free again and its producers are told.
    private func close(now: Instant) {
        guard var frame = open.take() else { return }
        let (payload, checksum) = frame.finish()
        let content = EntryContent(
            kind: .data, baseOffset: frame.baseOffset, recordCount: frame.recordCount,
            maxTimestamp: frame.maxTimestamp, payload: payload, checksum: checksum,
            isCompressed: frame.compressedBytes * 2 > payload.readableBytes)
        // Registered before the proposal: the log may report the flush from inside it.
        let index = log.lastIndex.next
        inFlight.append(
            FrameInFlight(
                index: index, endOffset: frame.endOffset, bytes: payload.readableBytes, proposedAt: now,
                waiters: frame.waiters))
        batcher.appended()
        do {
            let proposed = try replica.propose(content)
            precondition(proposed == index, "\(handle.group): proposed at \(proposed), expected \(index)")
        } catch {
            undo(frame, error)
        }
    }

    private func undo(_ frame: OpenFrame, _ error: ReplicationError) {
        if inFlight.last?.endOffset == frame.endOffset {
            inFlight.removeLast()
            batcher.completed(nanoseconds: 0)
        }
        endOffset = frame.baseOffset
        forgetProducers(from: frame.baseOffset)
        environment.metrics.framesRefused.increment()
        lastRefusal = ErrorMapping.code(of: error)
        for waiter in frame.waiters { waiter.fail(lastRefusal, "\(error)") }
    }

    /// Proposes what is open, because nothing more will come.
    ///
    /// The log writes what it was handed before it closes.
    package func finish() {
        if open != nil, batcher.inFlight < batcher.limits.framesInFlightMax { close(now: environment.clock.now()) }
    }

    /// Answers producers whose time is up; their batches may still be committed.
    package func expireWaiters(now: Instant) {
        expireVerifications(now: now)
        guard let oldest = inFlight.first, now.milliseconds(since: oldest.proposedAt) > 0 else { return }
        for position in inFlight.indices {
            inFlight[position].waiters.removeAll { waiter in
                guard waiter.deadline <= now else { return false }
                waiter.fail(.requestTimedOut)
                return true
            }
        }
    }
}
