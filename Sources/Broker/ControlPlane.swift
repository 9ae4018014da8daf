// SPDX-License-Identifier: Apache-2.0
//
// ControlPlane.swift
// What lives on the broker's first event loop: the controller, the group coordinator, producer ids and slow timers.

import LogStore
import Logging
import Model
import NIOCore
import Raft
import Replication
import Settings

/// The groups of the broker itself, recovered on a blocking thread.
struct RecoveredControl: Sendable {
    let controllerLog: RecoveredGroup
    let coordinatorLog: RecoveredGroup
    let cluster: ClusterState
    let clusterApplied: LogIndex
    let groups: CoordinatorState
    let groupsApplied: LogIndex

    init(_ store: LogStore) throws(StoreError) {
        controllerLog = try store.recoverCommandLog(.controller)
        coordinatorLog = try store.recoverCommandLog(.coordinator)
        (cluster, clusterApplied) = try ClusterRecords.load(from: store.metadata)
        (groups, groupsApplied) = try CoordinatorState.load(from: store.metadata)
    }
}

/// Confined to the first event loop.
final class ControlPlane {
    let controller: Controller
    let coordinator: GroupCoordinator
    let leaders: LeaderBoard
    private let loop: any EventLoop
    private var producerIDs = ProducerIDAllocator()
    private var producerIDWaiters: [(ProducerID?) -> Void] = []
    private var timers: [RepeatedTask] = []

    init(
        _ parts: BrokerParts, _ recovered: RecoveredControl, _ shards: ShardDirectory, _ metrics: BrokerMetrics,
        _ published: PublishedHandles
    ) {
        loop = parts.loops[0]
        let owners = parts.loops.map { CompletionOwner(eventLoop: $0) }
        let node = parts.settings.node.id
        leaders = LeaderBoard(node: node, shards: shards)
        leaders.start(on: loop)
        let factory = PartitionFactory(
            node: node, store: parts.store, settings: parts.settings, metrics: metrics, clock: parts.clock,
            logger: parts.logger("goulette.partition"), runBlocking: parts.runBlocking, owners: owners,
            published: published)
        let host = PartitionHost(factory: factory, shards: shards, loop: loop)
        controller = Controller(
            state: recovered.cluster,
            machine: Self.machine(
                parts, recovered.controllerLog, owners[0], .controller, applied: recovered.clusterApplied),
            settings: parts.settings, node: node, host: host, random: SystemRandomNumberGenerator(),
            clock: parts.clock, logger: parts.logger("goulette.controller"))
        coordinator = GroupCoordinator(
            state: recovered.groups,
            machine: Self.machine(
                parts, recovered.coordinatorLog, owners[0], .groups, applied: recovered.groupsApplied),
            settings: GroupSettings(parts.settings.groups), clock: parts.clock, loop: loop,
            random: SystemRandomNumberGenerator(), metrics: GroupMetrics(registry: parts.registry),
            logger: parts.logger("goulette.groups"))
        controller.onStorageFailure = parts.onStorageFailure
        controller.onTopicDeleted = { [weak coordinator] in coordinator?.forget(topic: $0) }
    }

    private static func machine(
        _ parts: BrokerParts, _ recovered: RecoveredGroup, _ owner: CompletionOwner, _ family: StateFamily,
        applied: LogIndex
    ) -> ReplicatedStateMachine {
        let log = parts.store.commandLog(recovered, owner: owner)
        let replica = ReplicaGroup(
            node: parts.settings.node.id, log: log,
            configuration: Raft.Configuration(voters: [parts.settings.node.id]), settings: Raft.Settings(),
            seed: log.id.rawValue)
        let name = log.id == .controller ? "controller" : "groups"
        return ReplicatedStateMachine(
            replica: replica, index: parts.store.metadata, family: family, applied: applied,
            metrics: StateMachineMetrics(parts.registry, name: name))
    }

    // MARK: Timers

    /// Retention, expiry and request timeouts, at intervals that cost an idle broker nothing to speak of.
    func startTimers(_ broker: Broker) {
        let shards = broker.shards
        let retention = TimeAmount.milliseconds(broker.settings.storage.retentionCheckInterval.milliseconds)
        repeating(every: retention) {
            for number in 0..<shards.count { shards.execute(on: number) { $0.maintain() } }
        }
        repeating(every: .seconds(1)) {
            for number in 0..<shards.count { shards.execute(on: number) { $0.expireWaiters() } }
        }
        repeating(every: .seconds(60)) { [weak coordinator] in coordinator?.expire() }
    }

    private func repeating(every interval: TimeAmount, _ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: loop)
        timers.append(loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value() })
    }

    func stop() {
        for timer in timers { timer.cancel() }
        timers.removeAll()
        coordinator.stop()
    }

    // MARK: Producer ids

    func takeProducerID(_ then: @escaping (ProducerID?) -> Void) {
        if let id = producerIDs.take() {
            then(id)
        } else {
            producerIDWaiters.append(then)
        }
        guard producerIDs.shouldRequestBlock() else { return }
        controller.allocateProducerIDs { [self] block in
            if let block { producerIDs.granted(block) } else { producerIDs.requestFailed() }
            let waiting = producerIDWaiters
            producerIDWaiters.removeAll()
            for waiter in waiting {
                if block == nil { waiter(nil) } else { takeProducerID(waiter) }
            }
        }
    }
}

extension GroupSettings {
    /// The coordinator's part of the broker's settings.
    init(_ groups: BrokerSettings.Groups) {
        self.init()
        initialRebalanceDelayMilliseconds = groups.initialRebalanceDelay.milliseconds
        sessionTimeoutMinMilliseconds = Int32(clamping: groups.minSessionTimeout.milliseconds)
        sessionTimeoutMaxMilliseconds = Int32(clamping: groups.maxSessionTimeout.milliseconds)
        newMemberJoinTimeoutMilliseconds = groups.newMemberJoinTimeout.milliseconds
        membersMax = groups.maxSize
        groupsMax = groups.maxGroups
        offsetMetadataMaxBytes = groups.offsetMetadataMaxBytes.bytes
        offsetsRetentionMilliseconds = groups.offsetsRetention.milliseconds
    }
}

extension CoordinatorState {
    /// The state that was stored, empty when there is none.
    static func load(from index: IndexDatabase) throws(StoreError) -> (CoordinatorState, LogIndex) {
        var state = CoordinatorState()
        var damage: BinaryCodingError?
        do {
            let applied = try index.applied(in: .groups, of: .coordinator)?.index ?? .zero
            try index.scan(in: .groups, of: .coordinator) { key, value in
                do throws(BinaryCodingError) {
                    try state.load(key: key, value: value)
                } catch { damage = error }
                return damage == nil
            }
            if damage == nil { return (state, applied) }
        } catch {
            throw .index("\(error)")
        }
        throw .index("a record of the group coordinator is damaged: \(damage.map { "\($0)" } ?? "")")
    }
}
