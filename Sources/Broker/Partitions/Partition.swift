// SPDX-License-Identifier: Apache-2.0
//
// Partition.swift
// One replica of a partition: offsets, the open frame, frames in flight, the high watermark and who waits for it.
// Confined to its shard's event loop.

import DequeModule
package import KafkaProtocol
package import LogStore
package import Logging
package import Model
package import NIOCore
package import Raft
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

/// One partition that this broker leads or follows.
///
/// Invariants:
/// - `logStartOffset <= highWatermark <= endOffset`, where `endOffset` is past the open frame's last record and the high
///   watermark is past the last record known to be committed. Nobody reads at or above the high watermark, and it never
///   goes back.
/// - `lastStableOffset <= highWatermark`; it goes back only while the producers' state is made anew.
/// - `inFlight` and `open` are empty unless this broker leads; `following` comes before `inFlight` in the log.
/// - Without a rebuild or entries that are being unpacked the producers' state is what the log up to its end says, plus the open frame.
package final class Partition {
    package let handle: PartitionHandle
    package let replica: ReplicaGroup
    package let log: PartitionLog
    package let node: NodeID
    package internal(set) var configuration: TopicConfiguration
    /// Past the last committed record.
    package internal(set) var highWatermark: Offset
    /// Where the first transaction begins that is not decided, or the high watermark: who wants only what is decided
    /// reads up to here.
    package internal(set) var lastStableOffset: Offset
    /// Past the last record of the open frame: where the next batch goes.
    package internal(set) var endOffset: Offset

    var producers: ProducerStateTable
    var batcher: BatchController
    var admissions = AdmissionQueue()
    /// Batches that would begin a transaction here, while its coordinator is asked.
    var verifications = VerificationTable()
    var open: OpenFrame?
    var inFlight = Deque<FrameInFlight>()
    /// Entries that came from a leader or were recovered, and are not known to be committed.
    var following = Deque<FollowedFrame>()
    /// The term in which this replica follows a leader that it knows; nil while it leads, or hears of none.
    private(set) var followedTerm: Term?
    /// Counts what this broker said of itself as the leader of the present term.
    private(set) var leaderRevision: UInt32 = 0
    /// The rest of the leader during which the replicas in sync were looked at last.
    private var lookedAtRest: UInt64?
    /// Whether other brokers vote in the partition's group.
    private(set) var isReplicated: Bool
    /// How many replicas a commit takes.
    private(set) var quorum: Int
    /// Committed frames whose producers want more replicas than that.
    var awaited = Deque<AwaitedFrame>()
    var isAwaitedPolled = false
    /// Deletions of records that are in the log and not committed.
    var trims = Deque<PendingTrim>()
    /// The replicas in sync, as far as this replica knows as the leader.
    private(set) var inSync: [NodeID] = []
    var fetchWaiters: [UInt64: FetchWaiter] = [:]
    var nextFetchWaiter: UInt64 = 0
    var failure: StoreError?
    /// The log up to here is in the producers' state; kept on followers only, a leader's state runs with its frames.
    var producersEnd: Offset
    /// The number of the replay under way that completes the producers' state.
    var rebuild: Int?
    var rebuilds = 0
    /// Entries on their way to the producers' state.
    var unpacking = UnpackQueue()
    /// Why the last frame was refused that could not be proposed.
    var lastRefusal = KafkaErrorCode.notLeaderOrFollower
    /// Set when refused frames left a leader's producers' state less than exact.
    var hasInexactProducers = false
    /// Set while the shard has the open frame on its list for the end of the event-loop turn.
    var isListedForClosing = false
    /// Called once, when the partition leads with everything recovered committed, follows a leader, or can do neither.
    package var onSettled: ((StoreError?) -> Void)?
    /// The offset that the stored snapshot of producer state stands at.
    var producerSnapshotOffset: Offset
    /// Bytes committed since then, or since the partition was opened.
    var committedSinceSnapshot = 0

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
        self.node = environment.node
        self.isReplicated = replica.configuration.voters.count > 1
        self.quorum = replica.configuration.voters.count / 2 + 1
        self.producers = producers.table
        self.producerSnapshotOffset = producers.snapshotOffset
        self.configuration = configuration
        self.environment = environment
        self.metrics = environment.metrics.topic(handle.topic)
        self.endOffset = log.logEndOffset
        self.producersEnd = log.logEndOffset
        // Nothing above the log start is known to be committed until a leader says so.
        self.highWatermark = log.logStartOffset
        self.lastStableOffset = log.logStartOffset
        if log.lastIndex >= log.firstIndex {
            following.append(
                FollowedFrame(index: log.lastIndex, endOffset: log.logEndOffset, bytes: 0, isRun: true))
        }
        self.batcher = BatchController(limits: environment.batchLimits)
        followCompaction()
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

    /// Nil when this broker may take records: as a leader whose producers' state is whole.
    var produceRefusal: KafkaErrorCode? {
        refusal ?? (isReplaying ? .notLeaderOrFollower : nil)
    }

    /// Whether anybody may read here: on the leader, or on a follower that hears of one.
    var isReadable: Bool { failure == nil && (replica.leadingTerm != nil || followedTerm != nil) }

    /// Why a read is refused; nil when it is not.
    ///
    /// Followers serve only clients that look for a broker in their rack (KIP-392).
    func readRefusal(_ call: FetchCall) -> KafkaErrorCode? {
        if failure != nil { return .kafkaStorageError }
        guard let term = replica.leadingTerm ?? (call.rackNodes == nil ? nil : followedTerm) else {
            return .notLeaderOrFollower
        }
        return Self.epochRefusal(call.currentLeaderEpoch, in: term)
    }

    /// Why a request that names `epoch` as the leader epoch it knows is refused; nil when it is not (KIP-320).
    func epochRefusal(_ epoch: Int32) -> KafkaErrorCode? {
        replica.leadingTerm.flatMap { Self.epochRefusal(epoch, in: $0) }
    }

    private static func epochRefusal(_ epoch: Int32, in term: Term) -> KafkaErrorCode? {
        guard epoch >= 0 else { return nil }
        if epoch < term.leaderEpoch { return .fencedLeaderEpoch }
        return epoch > term.leaderEpoch ? .unknownLeaderEpoch : nil
    }

    /// Takes batches from `offset` on out of the producers' state, as they were not appended.
    ///
    /// A producer of which nothing else is remembered is held to the sequence that did not come into the log.
    func forgetProducers(from offset: Offset) {
        if producers.takeBack(from: offset) == .needsRebuild { hasInexactProducers = true }
    }

    func publish() {
        handle.publish(
            highWatermark: highWatermark, logStart: log.logStartOffset, logEnd: endOffset, sizeBytes: log.sizeBytes)
    }
}

/// What all partitions of a shard share.
package struct PartitionEnvironment {
    package let node: NodeID
    package let clock: Clock
    package let batchLimits: BatchController.Limits
    package let metrics: BrokerMetrics
    package let logger: Logger
    /// Puts a partition on the shard's list of frames to decide on at the end of this event-loop turn.
    package let closeLater: (Partition) -> Void
    /// Asks for ``Partition/decideOpenFrame(now:)`` at an instant.
    package let closeAt: (Partition, Instant) -> Void
    /// Passes on what this broker's replica knows of its leader.
    package let announce: (LeaderChange) -> Void
    package let unpacker: EntryUnpacker
    package let loop: any EventLoop
    package let validator: BatchValidator
    /// Asks coordinators of transactions; nil while none can be asked.
    package let verifier: () -> TransactionVerifier?
}

// MARK: - What the replica reports

extension Partition: ReplicaObserver {
    /// Everything in the log up to the entry that confirmed the term is committed, so reads begin there.
    package func replicaLeads(term: Term) {
        followedTerm = nil
        handle.publish(leaderEpoch: term.leaderEpoch)
        leaderRevision = 0
        lastRefusal = .notLeaderOrFollower
        producers.expectStragglers()
        inSync = replica.inSyncReplicas
        announceLeadership(term)
    }

    package func replicaFollows(term: Term, leader: NodeID?) {
        let formerEpoch = handle.leaderEpoch
        handle.publish(leaderEpoch: -1)
        followedTerm = leader == nil ? nil : term
        if formerEpoch >= 0 { stopLeading() }
        // The last word of a leader that gives up its term is for everybody.
        let isLastWord = formerEpoch == term.leaderEpoch && leader == nil
        let known = Leadership(term: term, revision: isLastWord ? .max : 0, leader: leader)
        environment.announce(LeaderChange(group: handle.group, leadership: known))
        if leader == nil { wakeFetches(force: true) } else { settle(nil) }
    }

    package func replicaCommitted(upTo index: LogIndex) {
        let before = highWatermark
        let now = environment.clock.now()
        var committedBytes = following.isEmpty ? 0 : commitFollowed(upTo: index)
        while let frame = inFlight.first, frame.index <= index {
            inFlight.removeFirst()
            highWatermark = max(highWatermark, frame.endOffset)
            committedBytes += frame.bytes
            let latency = now.nanoseconds(since: frame.proposedAt)
            batcher.completed(nanoseconds: latency)
            environment.metrics.commitLatency.record(nanoseconds: latency)
            acknowledge(frame)
        }
        committedSinceSnapshot += committedBytes
        if committedSinceSnapshot >= Self.producerSnapshotBytes { snapshotProducers() }
        if !trims.isEmpty { applyTrims(upTo: index) }
        precondition(highWatermark <= endOffset, "\(handle.group): high watermark \(highWatermark) past \(endOffset)")
        publish()
        if highWatermark > before {
            producers.commit(upTo: highWatermark)
            wakeFetches(bytes: committedBytes, isolation: .readUncommitted)
            refreshStable(bytes: before == lastStableOffset ? committedBytes : nil)
        }
        if replica.leadingTerm != nil, !isReplaying { settle(nil) }
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

    func settle(_ error: StoreError?) {
        guard let onSettled else { return }
        self.onSettled = nil
        onSettled(error)
    }

    /// Notices replicas that fell behind, or caught up.
    func refreshInSync() {
        guard isReplicated, let term = replica.leadingTerm else { return }
        let rest = replica.restNumber
        // While a leader rests nobody falls behind.
        guard rest == nil || rest != lookedAtRest else { return }
        lookedAtRest = rest
        let now = replica.inSyncReplicas
        guard now != inSync else { return }
        inSync = now
        announceLeadership(term)
    }

    /// Hands leadership over to a replica in sync; `then` runs once, and is told whether one took it.
    func handOver(then: @escaping (Bool) -> Void) {
        let others = inSync.filter { $0 != node }
        guard replica.leadingTerm != nil, !others.isEmpty else { return then(false) }
        // Not all to the same broker.
        let target = others[Int(handle.group.rawValue % UInt64(others.count))]
        replica.transferLeadership(to: target) { then((try? $0.get()) == .handedOver) }
    }

    package func replicaConfigured(_ configuration: Raft.Configuration, isCommitted: Bool) {
        isReplicated = configuration.voters.count > 1
        quorum = configuration.voters.count / 2 + 1
    }

    /// Tells all brokers that this one leads, and which replicas are in sync.
    private func announceLeadership(_ term: Term) {
        leaderRevision += 1
        let known = Leadership(term: term, revision: leaderRevision, leader: node, inSync: inSync)
        environment.announce(LeaderChange(group: handle.group, leadership: known))
    }

    /// Answers every producer that waits with `error`; what became of their batches is not known.
    func failWaiters(_ error: KafkaErrorCode, _ message: String?) {
        for call in admissions.removeAll() { call.request.complete(call.slot, .failure(error, message)) }
        for call in verifications.removeAll() { call.request.complete(call.slot, .failure(error, message)) }
        for frame in inFlight { for waiter in frame.waiters { waiter.fail(error, message) } }
        for position in inFlight.indices { inFlight[position].waiters.removeAll() }
        failAwaited(error)
        // Whether they are committed the next leader decides.
        for position in trims.indices { trims[position] = trims[position].withoutAsker(error) }
        guard let frame = open.take() else { return }
        endOffset = frame.baseOffset
        forgetProducers(from: frame.baseOffset)
        for waiter in frame.waiters { waiter.fail(error, message) }
    }
}
