// SPDX-License-Identifier: Apache-2.0
//
// Shard.swift
// The partitions of one event loop, and the work that loop does for all of them.

package import KafkaProtocol
package import LogStore
package import Logging
package import Model
package import NIOCore
package import Raft
package import Records
package import Replication
import Settings

/// All partitions that live on one event loop.
///
/// Confined to that loop.
package final class Shard {
    package let number: Int
    package let loop: any EventLoop
    /// Reused by every validation on this loop.
    package let compression = CompressionContext()
    package private(set) var partitions: [GroupID: Partition] = [:]
    /// The metadata as this loop serves it.
    package var image: ClusterImage
    /// The settings as this loop's requests find them.
    package var settings: CurrentSettings

    /// The fetch sessions of this loop's connections.
    var fetchSessions: FetchSessionTable

    /// The replicas of this loop; nil on a broker that is alone.
    package let host: GroupHost?
    /// Who leads which group, as this loop knows it.
    package internal(set) var leaders = LeaderTable()
    /// Asks coordinators whether a partition is part of a transaction; without it transactions are refused for now.
    package var transactionVerifier: TransactionVerifier?
    /// The partitions whose records share groups get; nil until the broker is assembled.
    var shares: SharePartitionTable?
    /// Takes what this shard's replicas say of their leaders, in batches; on this loop.
    var onLeaderChanges: (([LeaderChange]) -> Void)?

    private let clock: Clock
    private let validator: BatchValidator
    private let unpacker = EntryUnpacker()
    private var news: [LeaderChange] = []
    private var openFrames: [Partition] = []
    private var isClosingScheduled = false

    package init(
        number: Int, loop: any EventLoop, clock: Clock, image: ClusterImage, settings: CurrentSettings,
        validator: BatchValidator, host: GroupHost? = nil, fetchSessions: FetchSessionTable? = nil
    ) {
        self.number = number
        self.loop = loop
        self.clock = clock
        self.image = image
        self.settings = settings
        self.validator = validator
        self.host = host
        let limits = FetchSessionTable.Limits(sessionsMax: settings.typed.limits.maxFetchSessions)
        self.fetchSessions = fetchSessions ?? FetchSessionTable(limits: limits, seed: UInt64(number))
    }

    /// Makes a replica on a recovered log, and gives it to the loop's host; to be started by its owner.
    ///
    /// `configuration` is the founding one of the group, empty for a replica that is taken in later.
    package func makeReplica(
        node: NodeID, log: any GroupLog, configuration: Raft.Configuration, applied: LogIndex = .zero
    ) -> ReplicaGroup {
        // Replicas of a group must not wait equally long before they campaign.
        var random = SeededRandom(seed: log.id.rawValue ^ UInt64(UInt32(bitPattern: node.rawValue)) << 40)
        let replica = ReplicaGroup(
            node: node, log: log, configuration: configuration, settings: host?.settings.raft ?? Raft.Settings(),
            seed: random.next(), applied: applied)
        host?.add(replica)
        return replica
    }

    // MARK: Partitions

    package func add(_ partition: Partition) {
        precondition(partitions[partition.handle.group] == nil, "\(partition.handle.group) is on this shard already")
        partitions[partition.handle.group] = partition
    }

    package func remove(_ group: GroupID) -> Partition? {
        partitions.removeValue(forKey: group)
    }

    /// Proposes what is open and hands every leadership over to another broker that can take it; `then` runs once, with
    /// the groups that were handed over.
    package func handOver(then: @escaping ([GroupID]) -> Void) {
        var waiting = 1
        var given: [GroupID] = []
        let done = {
            waiting -= 1
            if waiting == 0 { then(given) }
        }
        for partition in partitions.values {
            partition.finish()
            waiting += 1
            partition.handOver { isGiven in
                if isGiven { given.append(partition.handle.group) }
                done()
            }
        }
        done()
    }

    /// Stops every partition after its open frame and the frames in flight are committed or given up.
    package func stopAll(then: @escaping () -> Void) {
        for partition in partitions.values { partition.finish() }
        for partition in partitions.values {
            partition.snapshotProducers(always: true)
            partition.stop(.notLeaderOrFollower)
            partition.log.close()
        }
        partitions.removeAll()
        shares?.stop()
        host?.stop()
        then()
    }

    // MARK: Frames

    /// Decides on the partition's open frame when this event-loop turn ends, after everything that arrived in it.
    package func closeLater(_ partition: Partition) {
        openFrames.append(partition)
        guard !isClosingScheduled else { return }
        isClosingScheduled = true
        loop.assumeIsolated().execute { [self] in decideOpenFrames() }
    }

    private func decideOpenFrames() {
        isClosingScheduled = false
        let now = clock.now()
        let listed = openFrames
        openFrames.removeAll(keepingCapacity: true)
        for partition in listed { partition.decideOpenFrame(now: now) }
    }

    /// Decides on the partition's open frame at `instant`.
    package func closeAt(_ partition: Partition, _ instant: Instant) {
        let delay = Int64(instant.nanoseconds(since: clock.now()))
        loop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [weak partition, clock] in
            partition?.decideOpenFrame(now: clock.now())
        }
    }

    // MARK: Leaders

    /// Takes over what a replica of this shard says, and passes it on with everything else of this event-loop turn.
    private func announce(_ change: LeaderChange) {
        guard leaders.merge(change), onLeaderChanges != nil else { return }
        news.append(change)
        guard news.count == 1 else { return }
        loop.assumeIsolated().execute { [self] in
            let batch = news
            news.removeAll()
            onLeaderChanges?(batch)
        }
    }

    /// What the partitions of this shard are made with.
    package func environment(
        node: NodeID, batchLimits: BatchController.Limits, metrics: BrokerMetrics, logger: Logger
    ) -> PartitionEnvironment {
        PartitionEnvironment(
            node: node, clock: clock, batchLimits: batchLimits, metrics: metrics, logger: logger,
            closeLater: { [unowned self] in closeLater($0) },
            closeAt: { [unowned self] in closeAt($0, $1) },
            announce: { [unowned self] in announce($0) }, unpacker: unpacker, loop: loop, validator: validator,
            verifier: { [unowned self] in transactionVerifier })
    }

    // MARK: Time

    /// Answers producers whose time is up, and looks at which replicas are in sync.
    package func expireWaiters() {
        let now = clock.now()
        for partition in partitions.values {
            partition.expireWaiters(now: now)
            partition.refreshInSync()
        }
        shares?.tick { partitions[$0.handle.group] === $0 }
    }

    /// Retention, expiry and snapshots.
    package func maintain() {
        let now = clock.wallTime()
        for partition in partitions.values { partition.maintain(now: now) }
    }
}

/// Reaches the shard of a partition from any event loop.
package struct ShardDirectory: Sendable {
    private let shards: [NIOLoopBound<Shard>]
    package let loops: [any EventLoop]
    /// The replicas of all loops; nil on a broker that is alone.
    package let hosts: GroupHosts?

    package init(_ shards: [NIOLoopBound<Shard>], loops: [any EventLoop], hosts: GroupHosts? = nil) {
        self.shards = shards
        self.loops = loops
        self.hosts = hosts
    }

    package var count: Int { loops.count }

    /// The shard of `loop`, which must be the current one.
    package func shard(on loop: any EventLoop) -> Shard {
        for position in loops.indices where loops[position] === loop { return shards[position].value }
        preconditionFailure("an event loop without a shard")
    }

    /// Runs `body` with the shard on its loop; at once when that is the current loop.
    package func execute(on number: Int, _ body: @escaping @Sendable (Shard) -> Void) {
        let bound = shards[number]
        if loops[number].inEventLoop { return body(bound.value) }
        loops[number].execute { body(bound.value) }
    }

    /// Asks a partition something and brings the answer back to `loop`, which must be the current one.
    ///
    /// `body` runs on the partition's loop and calls its second argument once, now or later; `then` runs on `loop`.
    /// On a shared loop nothing is scheduled and nothing is boxed twice.
    package func withPartition<Answer: Sendable>(
        _ handle: PartitionHandle, from loop: any EventLoop,
        _ body: @escaping @Sendable (Partition?, @escaping (Answer) -> Void) -> Void,
        then: @escaping (Answer) -> Void
    ) {
        let bound = shards[handle.shard]
        if loops[handle.shard] === loop { return body(bound.value.partitions[handle.group], then) }
        let back = NIOLoopBound(then, eventLoop: loop)
        loops[handle.shard].execute {
            body(bound.value.partitions[handle.group]) { answer in loop.execute { back.value(answer) } }
        }
    }

    /// Registers for the next commit of a partition, or the next decision about transactions; `wake` and `registered` run
    /// on `loop`.
    package func register(
        _ handle: PartitionHandle, seen: Offset, isolation: IsolationLevel, from loop: any EventLoop,
        wake: @escaping (_ bytes: Int, _ force: Bool) -> Bool, registered: @escaping (UInt64?) -> Void
    ) {
        let bound = shards[handle.shard]
        if loops[handle.shard] === loop {
            guard let partition = bound.value.partitions[handle.group] else { return registered(nil) }
            return registered(partition.waitForData(seen: seen, isolation: isolation, wake: wake))
        }
        let wakeBack = NIOLoopBound(wake, eventLoop: loop)
        let registeredBack = NIOLoopBound(registered, eventLoop: loop)
        loops[handle.shard].execute {
            let number = bound.value.partitions[handle.group]?.waitForData(seen: seen, isolation: isolation) {
                bytes, force in
                loop.execute { _ = wakeBack.value(bytes, force) }
                return true
            }
            loop.execute { registeredBack.value(number) }
        }
    }

    /// Ends a producer's transaction in a partition that this broker leads.
    ///
    /// `then` runs once, on any thread, when the marker is committed or refused; after a time-out it may still be
    /// committed, and is to be sent again. `isOperators` when no coordinator asks for it.
    package func endTransaction(
        _ marker: TransactionMarker, in handle: PartitionHandle, isOperators: Bool = false,
        then: @escaping @Sendable (KafkaErrorCode) -> Void
    ) {
        execute(on: handle.shard) { shard in
            guard let partition = shard.partitions[handle.group] else { return then(.notLeaderOrFollower) }
            partition.endTransaction(marker, isOperators: isOperators, then: then)
        }
    }

    /// Ends a registration.
    package func unregister(_ handle: PartitionHandle, _ number: UInt64, from loop: any EventLoop) {
        execute(on: handle.shard) { $0.partitions[handle.group]?.stopWaiting(number) }
    }
}
