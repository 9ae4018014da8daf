// SPDX-License-Identifier: Apache-2.0
//
// PartitionHost.swift
// Makes this broker's shards hold the partitions that the metadata gives it, and serve the metadata's image.
// Confined to the controller's event loop; recovery runs on blocking threads, partitions on their shards.

import KafkaProtocol
package import LogStore
package import Logging
package import Model
package import NIOCore
import Raft
import Records
import Replication
package import Settings

/// Why partitions could not be hosted.
package enum HostFailure: Error, Sendable {
    /// The controller refused a command that starting needs.
    case refused(AdminRefusal)
    /// The log of a partition, or of a group of the broker itself, cannot be opened.
    case store(StoreError, partition: TopicPartition?)

    /// What a client is told.
    package var refusal: AdminRefusal {
        switch self {
        case .refused(let refusal): refusal
        case .store(let error, let partition):
            AdminRefusal(ErrorMapping.code(of: error), "\(partition.map { "\($0): " } ?? "")\(error)")
        }
    }
}

/// What every partition is made with.
package struct PartitionFactory: Sendable {
    package let node: NodeID
    package let store: LogStore
    package let settings: BrokerSettings
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

/// Hosts partitions.
package final class PartitionHost {
    package typealias Done = (HostFailure?) -> Void

    private let factory: PartitionFactory
    private let shards: ShardDirectory
    private let loop: any EventLoop
    private var handles: [GroupID: PartitionHandle] = [:]
    private var topics: [String: TopicImage] = [:]
    private var clusterID = ""

    package init(factory: PartitionFactory, shards: ShardDirectory, loop: any EventLoop) {
        self.factory = factory
        self.shards = shards
        self.loop = loop
    }

    // MARK: Topics

    /// Hosts every topic of `state`, as a broker does when it starts.
    package func hostAll(_ state: ClusterState, then: @escaping Done) {
        var waiting = state.topics.count
        guard waiting > 0 else { return publish(state) { then(nil) } }
        var failure: HostFailure?
        for topic in state.topics.values {
            open(topic) { [self] problem in
                failure = failure ?? problem
                waiting -= 1
                guard waiting == 0 else { return }
                if let failure { then(failure) } else { publish(state) { then(nil) } }
            }
        }
    }

    /// Hosts one topic that was created, grown or configured, and serves the new image everywhere before `then`.
    package func host(_ topic: TopicRecord, state: ClusterState, then: @escaping Done) {
        open(topic) { [self] failure in
            if let failure { return then(failure) }
            configure(topic)
            publish(state) { then(nil) }
        }
    }

    /// Stops serving a topic; its files are deleted after `then`.
    package func remove(_ topic: TopicRecord, state: ClusterState, then: @escaping () -> Void) {
        topics.removeValue(forKey: topic.name)
        publish(state) { [self] in
            for partition in topic.partitions {
                guard let handle = handles.removeValue(forKey: partition.group) else { continue }
                let factory = factory
                shards.execute(on: handle.shard) { shard in
                    guard let owner = shard.remove(handle.group) else { return }
                    owner.stop(.unknownTopicOrPartition)
                    owner.log.close()
                    factory.runBlocking { factory.delete(handle.group) }
                }
            }
            factory.metrics.removeTopic(topic.name)
            then()
        }
    }

    /// Makes the image entry of `topic`, opening the partitions that are not open yet.
    private func open(_ topic: TopicRecord, then: @escaping Done) {
        let configuration: TopicConfiguration
        do {
            configuration = try TopicConfiguration(
                overrides: topic.configuration, defaults: factory.settings.topicDefaults)
        } catch {
            return then(.refused(AdminRefusal(.invalidConfig, "Topic \(topic.name): \(error)")))
        }
        var missing: [PartitionHandle] = []
        var all: [PartitionHandle] = []
        for (number, partition) in topic.partitions.enumerated() {
            let handle = handles[partition.group] ?? makeHandle(topic.name, number, partition.group)
            if handles[partition.group] == nil { missing.append(handle) }
            handles[partition.group] = handle
            all.append(handle)
        }
        topics[topic.name] = TopicImage(record: topic, configuration: configuration, partitions: all)
        var waiting = missing.count
        guard waiting > 0 else { return then(nil) }
        var failure: HostFailure?
        for handle in missing {
            open(handle, topic, configuration) { problem in
                failure = failure ?? problem
                waiting -= 1
                if waiting == 0 { then(failure) }
            }
        }
    }

    private func makeHandle(_ topic: String, _ number: Int, _ group: GroupID) -> PartitionHandle {
        PartitionHandle(
            topic: topic, index: PartitionIndex(rawValue: Int32(number)), group: group,
            shard: Int(group.rawValue % UInt64(shards.count)))
    }

    /// Recovers one partition on a blocking thread, then starts it on its shard.
    private func open(
        _ handle: PartitionHandle, _ topic: TopicRecord, _ configuration: TopicConfiguration, then: @escaping Done
    ) {
        let back = NIOLoopBound(then, eventLoop: loop)
        let answer: @Sendable (HostFailure?) -> Void = { [loop] failure in loop.execute { back.value(failure) } }
        let label = GroupLabel(topicID: topic.id, topic: topic.name, partition: handle.index)
        let partition = TopicPartition(topic: topic.name, partition: handle.index)
        factory.runBlocking { [factory, shards] in
            do throws(StoreError) {
                let recovered = try factory.store.recoverPartition(
                    handle.group, settings: Partition.logSettings(configuration), label: label)
                // The only replica cannot be repaired from a peer: it must not lead, so it is not served at all.
                if let damage = recovered.damage { throw .corrupt(damage) }
                shards.execute(on: handle.shard) { shard in
                    factory.start(recovered, handle, configuration, on: shard) { error in
                        answer(error.map { .store($0, partition: partition) })
                    }
                }
            } catch {
                answer(.store(error, partition: partition))
            }
        }
    }

    private func configure(_ topic: TopicRecord) {
        guard let image = topics[topic.name] else { return }
        for handle in image.partitions {
            shards.execute(on: handle.shard) { $0.partitions[handle.group]?.configure(image.configuration) }
        }
    }

    // MARK: Image

    /// Gives every shard the image of `state`, and calls `then` when all of them serve it.
    private func publish(_ state: ClusterState, then: @escaping () -> Void) {
        factory.published.replace(with: topics)
        let image = ClusterImage(
            clusterID: state.clusterID ?? "", node: factory.node, controller: factory.node, brokers: state.brokers,
            topics: topics)
        let back = NIOLoopBound(then, eventLoop: loop)
        let gathering = Gathering<Void>(count: shards.count) { [loop] _ in
            if loop.inEventLoop { back.value() } else { loop.execute { back.value() } }
        }
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in
                shard.image = image
                gathering.set(number, ())
            }
        }
    }
}

// MARK: - On the shard

extension PartitionFactory {
    /// Binds a recovered log to its shard, rebuilds the producers' state and starts the partition.
    ///
    /// `then` runs on the shard when the partition leads, or cannot.
    func start(
        _ recovered: RecoveredGroup, _ handle: PartitionHandle, _ configuration: TopicConfiguration, on shard: Shard,
        then: @escaping (StoreError?) -> Void
    ) {
        let log = store.partitionLog(recovered, owner: owners[shard.number])
        let replay = ProducerReplay(log, settings: producerSettings, now: clock.wallTime())
        let environment = environment(of: shard)
        log.replay(from: replay.snapshotOffset, each: { _, payload in replay.add(payload) }) { [node] result in
            if case .failure(let error) = result { return then(error) }
            let replica = shard.makeReplica(node: node, log: log, configuration: Raft.Configuration(voters: [node]))
            let partition = Partition(
                handle: handle, replica: replica, log: log, producers: replay, configuration: configuration,
                environment: environment)
            partition.onSettled = then
            shard.add(partition)
            partition.start()
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
            guard batch.hasProducer, batch.baseOffset >= snapshotOffset else { continue }
            table.replay(
                ProducerBatch(batch, baseOffset: batch.baseOffset, maxTimestamp: batch.maxTimestamp), at: now)
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
