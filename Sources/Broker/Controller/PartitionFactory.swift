// SPDX-License-Identifier: Apache-2.0
//
// PartitionFactory.swift
// Makes the partitions of this broker: from a log on the disk to a replica that takes part in its group.

import KafkaProtocol
package import LogStore
package import Logging
package import Model
import NIOCore
import Raft
import Records
import Replication
package import Settings
import Telemetry

/// What every partition is made with.
package struct PartitionFactory: Sendable {
    package let node: NodeID
    package let store: LogStore
    package var settings: BrokerSettings
    package let metrics: BrokerMetrics
    package let clock: Clock
    package let logger: Logger
    /// Runs a closure on a thread that may block.
    package let runBlocking: @Sendable (@escaping @Sendable () -> Void) -> Void
    /// The owners of logs, one for each shard.
    package let owners: [CompletionOwner]
    /// Where scrapes find the partitions.
    package let published: PublishedHandles
}

/// What a partition is made of, beside what all share.
struct PartitionPlan: Sendable {
    let handle: PartitionHandle
    let start: ReplicaStart
    let configuration: TopicConfiguration
    /// Whether whoever starts it waits until there is a leader.
    let awaitsLeader: Bool
}

/// What came of opening a partition.
struct PartitionOutcome: Sendable {
    /// Why it does not take part.
    var error: StoreError?
    /// Why its log is of no use, whether it takes part or not.
    var ailment: String?

    init(ailment: String) { self.ailment = ailment }

    init(_ error: StoreError? = nil) {
        self.error = error
        if case .corrupt(let damage)? = error { ailment = "\(damage)" }
    }
}

extension PartitionFactory {
    /// A number of the data directory: another one, and what the broker had stored is lost.
    package var storeID: UInt64 { store.number }

    /// Recovers a partition's log on a blocking thread and starts it on its shard.
    ///
    /// `then` runs on any thread, when the partition takes part or cannot; again when a read finds its log damaged.
    func open(_ plan: PartitionPlan, on shards: ShardDirectory, then: @escaping @Sendable (PartitionOutcome) -> Void) {
        let label = GroupLabel(
            topicID: plan.start.topicID, topic: plan.start.topic, partition: plan.start.partition)
        runBlocking { [self] in
            do throws(StoreError) {
                let recovered = try store.recoverPartition(
                    plan.start.group, settings: Partition.logSettings(plan.configuration), label: label,
                    floor: plan.start.joins ? plan.start.floor : nil)
                // The only replica cannot be repaired from a peer: it must not lead, so it is not served at all.
                if let damage = recovered.damage, plan.start.isAlone { throw .corrupt(damage) }
                shards.execute(on: plan.handle.shard) { shard in start(recovered, plan, on: shard, then: then) }
            } catch {
                then(PartitionOutcome(error))
            }
        }
    }

    /// Binds a recovered log to its shard, rebuilds the producers' state and starts the partition.
    private func start(
        _ recovered: RecoveredGroup, _ plan: PartitionPlan, on shard: Shard,
        then: @escaping @Sendable (PartitionOutcome) -> Void
    ) {
        let log = store.partitionLog(recovered, owner: owners[shard.number])
        let replay = ProducerReplay(log, settings: producerSettings, now: clock.wallTime())
        let environment = environment(of: shard)
        log.replay(from: replay.snapshotOffset, each: { _, payload in replay.add(payload) }) { [node] result in
            if case .failure(let error) = result { return then(PartitionOutcome(error)) }
            let members = plan.start.joins || log.floor != nil ? [] : plan.start.founders
            let replica = shard.makeReplica(node: node, log: log, configuration: Raft.Configuration(voters: members))
            if let first = members.first, first != node { replica.awaitFirstLeader(first) }
            let partition = Partition(
                handle: plan.handle, replica: replica, log: log, producers: replay,
                configuration: plan.configuration, environment: environment)
            if plan.awaitsLeader { partition.onSettled = { then(PartitionOutcome($0)) } }
            shard.add(partition)
            partition.start()
            guard !plan.awaitsLeader else { return }
            var outcome = PartitionOutcome()
            if log.isAmnesiac { outcome.ailment = "the store may have forgotten what this replica promised" }
            if let damage = log.damage { outcome.ailment = "\(damage)" }
            then(outcome)
            guard !plan.start.isAlone else { return }
            log.onDamage = { then(PartitionOutcome(ailment: "\($0)")) }
        }
    }

    /// Puts a group's files aside, for people to look at, and forgets its log.
    func setAside(_ group: GroupID) {
        do {
            let place = try store.setAside(group)
            metrics.replicasSetAside.increment()
            logger.warning("A damaged log is put aside", metadata: ["group": "\(group)", "place": "\(place)"])
        } catch {
            logger.error("A damaged log cannot be put aside", metadata: ["group": "\(group)", "error": "\(error)"])
        }
    }

    /// Deletes a group's log; what remains after a failure is found again at the next start.
    func delete(_ group: GroupID) {
        do {
            try store.deleteGroup(group)
        } catch {
            logger.warning("A deleted partition's files remain", metadata: ["group": "\(group)", "error": "\(error)"])
        }
    }

    private var producerSettings: ProducerStateTable.Settings {
        var producers = ProducerStateTable.Settings()
        producers.expirationMilliseconds = settings.producers.idExpiration.milliseconds
        producers.producersMax = settings.producers.maxPerPartition
        return producers
    }

    private func environment(of shard: Shard) -> PartitionEnvironment {
        shard.environment(
            node: node,
            batchLimits: BatchController.Limits(
                bytesMax: settings.performance.maxBatchBytes.bytes, batchesMax: settings.performance.maxBatchSize,
                waitMax: settings.performance.batchTimeout.nanoseconds),
            metrics: metrics, logger: logger)
    }
}

/// Rebuilds a partition's producer table from its stored snapshot and the frames after it.
final class ProducerReplay {
    /// What the log says, as far as it was replayed.
    private(set) var table: ProducerStateTable
    /// Where the stored snapshot stands: replay begins there.
    let snapshotOffset: Offset
    private let now: WallTime

    init(_ log: PartitionLog, settings: ProducerStateTable.Settings, now: WallTime) {
        self.now = now
        if let snapshot = log.producerSnapshot, snapshot.offset >= log.logStartOffset,
            let stored = try? ProducerStateTable(decoding: snapshot.bytes, settings: settings)
        {
            table = stored
            snapshotOffset = snapshot.offset
        } else {
            table = ProducerStateTable(settings: settings)
            snapshotOffset = log.logStartOffset
        }
    }

    /// Takes over the batches of a stored frame, which was verified when it was read.
    func add(_ payload: ByteBuffer) {
        var cursor = RecordBatchCursor(payload)
        while let batch = try? cursor.next() {
            if batch.baseOffset >= snapshotOffset { table.replay(batch, at: now) }
        }
    }
}

extension Duration {
    /// Whole nanoseconds of a duration that is not negative.
    var nanoseconds: UInt64 {
        UInt64(components.seconds) * 1_000_000_000 + UInt64(components.attoseconds / 1_000_000_000)
    }

    /// Whole milliseconds, rounded down.
    package var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
