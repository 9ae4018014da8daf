// SPDX-License-Identifier: Apache-2.0
//
// Partition.swift
// One partition on its leader: offsets, the open frame, frames in flight, the high watermark and who waits for it.
// Confined to its shard's event loop.

import DequeModule
package import KafkaProtocol
package import LogStore
package import Logging
package import Model
import NIOCore
package import Replication
package import Settings
import Telemetry

/// A frame between proposal and commit.
struct FrameInFlight {
    let index: LogIndex
    let endOffset: Offset
    let bytes: Int
    let proposedAt: Instant
    var waiters: [ProduceWaiter]
}

/// One partition that this broker leads.
///
/// Invariant: `logStartOffset <= highWatermark <= endOffset`, where `endOffset` is past the open frame's last record and
/// the high watermark is past the last committed one. Nobody reads at or above the high watermark.
package final class Partition {
    package let handle: PartitionHandle
    package let replica: ReplicaGroup
    package let log: PartitionLog
    package internal(set) var configuration: TopicConfiguration
    /// Past the last committed record.
    package internal(set) var highWatermark: Offset
    /// Past the last record of the open frame: where the next batch goes.
    package internal(set) var endOffset: Offset

    var producers: ProducerStateTable
    var batcher: BatchController
    var open: OpenFrame?
    var inFlight = Deque<FrameInFlight>()
    var fetchWaiters: [UInt64: FetchWaiter] = [:]
    var nextFetchWaiter: UInt64 = 0
    var failure: StoreError?
    /// Set while the shard has the open frame on its list for the end of the event-loop turn.
    var isListedForClosing = false
    /// Called once, when the partition leads with everything recovered committed, or can never lead.
    package var onSettled: ((StoreError?) -> Void)?
    /// The offset that the stored snapshot of producer state stands at.
    var producerSnapshotOffset: Offset

    let environment: PartitionEnvironment
    let metrics: TopicMetrics

    /// Wraps a recovered replica.
    ///
    /// `producers` must be what the log up to its end says.
    init(
        handle: PartitionHandle, replica: ReplicaGroup, log: PartitionLog, producers: ProducerReplay,
        configuration: TopicConfiguration, environment: PartitionEnvironment
    ) {
        self.handle = handle
        self.replica = replica
        self.log = log
        self.producers = producers.table
        self.producerSnapshotOffset = producers.snapshotOffset
        self.configuration = configuration
        self.environment = environment
        self.metrics = environment.metrics.topic(handle.topic)
        self.endOffset = log.logEndOffset
        // Nothing above the log start is known to be committed until this term's first entry is.
        self.highWatermark = log.logStartOffset
        self.batcher = BatchController(limits: environment.batchLimits)
    }

    /// Begins to take part in the group; leads as soon as an entry of the new term is committed.
    package func start() {
        replica.start(observer: self)
    }

    /// Answers everything that waits and lets go of the log.
    ///
    /// The partition must not be used after.
    package func stop(_ error: KafkaErrorCode) {
        failWaiters(error, nil)
        wakeFetches(force: true)
        replica.stop()
    }

    /// Nil when this broker may serve reads and writes of the partition.
    var refusal: KafkaErrorCode? {
        if failure != nil { return .kafkaStorageError }
        return replica.leadingTerm == nil ? .notLeaderOrFollower : nil
    }

    /// Why a request that names `epoch` as the leader epoch it knows is refused; nil when it is not (KIP-320).
    func epochRefusal(_ epoch: Int32) -> KafkaErrorCode? {
        guard epoch >= 0, let term = replica.leadingTerm else { return nil }
        if epoch < term.leaderEpoch { return .fencedLeaderEpoch }
        return epoch > term.leaderEpoch ? .unknownLeaderEpoch : nil
    }

    /// Cuts the producer state back after batches from `offset` on were not appended.
    ///
    /// When a producer had forgotten what it would need, it is merely trusted with its next sequence, as one that was
    /// never seen: its own retry is the next batch.
    func forgetProducers(from offset: Offset) {
        _ = producers.truncate(to: offset)
    }

    func publish() {
        handle.publish(
            highWatermark: highWatermark, logStart: log.logStartOffset, logEnd: endOffset, sizeBytes: log.sizeBytes)
    }
}

/// What all partitions of a shard share.
package struct PartitionEnvironment {
    package let clock: Clock
    package let batchLimits: BatchController.Limits
    package let metrics: BrokerMetrics
    package let logger: Logger
    /// Puts a partition on the shard's list of frames to decide on at the end of this event-loop turn.
    package let closeLater: (Partition) -> Void
    /// Asks for ``Partition/decideOpenFrame(now:)`` at an instant.
    package let closeAt: (Partition, Instant) -> Void
}

// MARK: - What the replica reports

extension Partition: ReplicaObserver {
    /// Everything in the log up to the entry that confirmed the term is committed, so reads begin there.
    package func replicaLeads(term: Term) {
        handle.publish(leaderEpoch: term.leaderEpoch)
    }

    package func replicaFollows(term: Term, leader: NodeID?) {
        handle.publish(leaderEpoch: -1)
        failWaiters(.notLeaderOrFollower, nil)
        wakeFetches(force: true)
    }

    package func replicaCommitted(upTo index: LogIndex) {
        let before = highWatermark
        let now = environment.clock.now()
        if replica.leadingTerm != nil, inFlight.isEmpty {
            highWatermark = max(highWatermark, committedEnd(upTo: index))
        }
        var committedBytes = 0
        while let frame = inFlight.first, frame.index <= index {
            inFlight.removeFirst()
            highWatermark = max(highWatermark, frame.endOffset)
            committedBytes += frame.bytes
            let latency = now.nanoseconds(since: frame.proposedAt)
            batcher.completed(nanoseconds: latency)
            environment.metrics.commitLatency.record(nanoseconds: latency)
            for waiter in frame.waiters { waiter.succeed(logStart: log.logStartOffset) }
        }
        precondition(highWatermark <= endOffset, "\(handle.group): high watermark \(highWatermark) past \(endOffset)")
        publish()
        if highWatermark > before { wakeFetches(bytes: committedBytes) }
        if replica.leadingTerm != nil { settle(nil) }
        if open != nil { listForClosing() }
    }

    package func replicaFailed(_ error: StoreError) {
        failure = error
        handle.publish(leaderEpoch: -1)
        environment.logger.error(
            "Partition stopped: its log cannot be written",
            metadata: ["topic": "\(handle.topic)", "partition": "\(handle.index)", "error": "\(error)"])
        failWaiters(.kafkaStorageError, "\(error)")
        wakeFetches(force: true)
        settle(error)
    }

    private func settle(_ error: StoreError?) {
        guard let onSettled else { return }
        self.onSettled = nil
        onSettled(error)
    }

    /// The offset past the entries up to `index` that were recovered rather than produced since the start.
    private func committedEnd(upTo index: LogIndex) -> Offset {
        index >= log.lastIndex ? log.logEndOffset : highWatermark
    }

    /// Answers every producer that waits with `error`; what became of their batches is not known.
    func failWaiters(_ error: KafkaErrorCode, _ message: String?) {
        for frame in inFlight { for waiter in frame.waiters { waiter.fail(error, message) } }
        for position in inFlight.indices { inFlight[position].waiters.removeAll() }
        guard let frame = open.take() else { return }
        endOffset = frame.baseOffset
        forgetProducers(from: frame.baseOffset)
        for waiter in frame.waiters { waiter.fail(error, message) }
    }
}
