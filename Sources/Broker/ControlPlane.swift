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
    /// The groups whose logs are in the directory.
    let stored: Set<GroupID>
    /// Whether the broker comes with an empty directory into a cluster that exists.
    let isTakenIn: Bool

    init(_ store: LogStore, _ entrance: ClusterEntrance.Outcome) throws(StoreError) {
        // The controller's comes last: with its log the broker has its place, whatever happens then.
        coordinatorLog = try Self.recover(.coordinator, store, entrance.floors)
        controllerLog = try Self.recover(.controller, store, entrance.floors)
        isTakenIn = entrance.isTakenIn
        stored = Set(try store.groups())
        (cluster, clusterApplied) = try ClusterRecords.load(from: store.metadata)
        (groups, groupsApplied) = try CoordinatorState.load(from: store.metadata)
    }

    private static func recover(
        _ group: GroupID, _ store: LogStore, _ floors: [GroupID: JoinFloor]
    ) throws(StoreError) -> RecoveredGroup {
        // A start that was broken off may have left an empty log, which has no floor.
        if floors[group] != nil, try isBlank(group, store) { try store.deleteGroup(group) }
        return try store.recoverCommandLog(group, floor: floors[group])
    }

    /// Whether a group's log has neither entries nor votes nor a place in the group.
    private static func isBlank(_ group: GroupID, _ store: LogStore) throws(StoreError) -> Bool {
        guard try store.groups().contains(group) else { return true }
        let known = try store.recoverCommandLog(group)
        return known.lastIndex == .zero && known.hardState.term == .zero && known.meta.floor == nil
    }

    /// Whether the directory has nothing of a broker that took part in a cluster.
    static func isBlank(_ store: LogStore) throws(StoreError) -> Bool { try isBlank(.controller, store) }
}

/// Confined to the first event loop.
final class ControlPlane {
    let controller: Controller
    let coordinator: GroupCoordinator
    let transactions: TransactionCoordinator
    let leaders: LeaderBoard
    let exchange: LeaderExchange?
    private let loop: any EventLoop
    private let node: NodeID
    private var producerIDs = ProducerIDAllocator()
    private var producerIDWaiters: [(ProducerID?) -> Void] = []
    private var timers: [RepeatedTask] = []

    init(
        _ parts: BrokerParts, _ recovered: RecoveredControl, _ shards: ShardDirectory, _ metrics: BrokerMetrics,
        _ published: PublishedHandles
    ) {
        loop = parts.loops[0]
        let owners = parts.loops.map { CompletionOwner(eventLoop: $0) }
        let node = parts.settings.typed.node.id
        self.node = node
        leaders = LeaderBoard(node: node, shards: shards)
        leaders.start(on: loop)
        exchange = parts.cluster.map { [leaders, loop] cluster in
            LeaderExchange(
                board: leaders, link: cluster.link, loop: loop, logger: parts.logger("goulette.leaders"))
        }
        let factory = PartitionFactory(
            node: node, store: parts.store, settings: parts.settings.typed, metrics: metrics, clock: parts.clock,
            logger: parts.logger("goulette.partition"), runBlocking: parts.runBlocking, owners: owners,
            published: published)
        let host = PartitionHost(
            factory: factory, shards: shards, loop: loop, isAlone: parts.cluster == nil, stored: recovered.stored)
        let shard = shards.shard(on: loop)
        controller = Controller(
            state: recovered.cluster,
            machine: Self.machine(
                parts, recovered.controllerLog, shard, owners[0], .controller, applied: recovered.clusterApplied),
            settings: parts.settings.typed, node: node, incarnation: parts.cluster?.incarnation ?? 0, host: host,
            random: SystemRandomNumberGenerator(),
            clock: parts.clock, logger: parts.logger("goulette.controller"))
        coordinator = GroupCoordinator(
            state: recovered.groups,
            machine: Self.machine(
                parts, recovered.coordinatorLog, shard, owners[0], .groups, applied: recovered.groupsApplied),
            settings: GroupSettings(parts.settings.typed), clock: parts.clock, loop: loop,
            random: SystemRandomNumberGenerator(), metrics: GroupMetrics(registry: parts.registry),
            logger: parts.logger("goulette.groups"),
            reload: { [store = parts.store] () throws(StoreError) in
                try CoordinatorState.load(from: store.metadata).0
            })
        transactions = TransactionCoordinator(
            groups: coordinator, settings: TransactionSettings(parts.settings.typed.transactions), clock: parts.clock,
            loop: loop, metrics: TransactionMetrics(registry: parts.registry),
            logger: parts.logger("goulette.transactions"))
        coordinator.onCoordinates = { [weak transactions] coordinates in
            if coordinates { transactions?.lead() } else { transactions?.resign() }
        }
        report(controller.machine)
        report(coordinator.machine)
        if let cluster = parts.cluster {
            join(cluster, parts, BrokerRegistration(parts, cluster, isBlank: recovered.isTakenIn))
        }
        controller.onStorageFailure = parts.onStorageFailure
        host.onPublished = { [weak coordinator] in coordinator?.topicsPublished($0) }
        controller.onTopicDeleted = { [weak coordinator] in coordinator?.forget(topic: $0) }
    }

    private static func machine(
        _ parts: BrokerParts, _ recovered: RecoveredGroup, _ shard: Shard, _ owner: CompletionOwner,
        _ family: StateFamily, applied: LogIndex
    ) -> ReplicatedStateMachine {
        let log = parts.store.commandLog(recovered, owner: owner)
        let node = parts.settings.typed.node.id
        // A broker that was taken in is no founder, whatever its configuration says.
        let isTakenIn = log.floor.map { $0.index > .zero } ?? false
        let founding = parts.cluster?.configuration ?? Raft.Configuration(voters: [node])
        let replica = shard.makeReplica(
            node: node, log: log, configuration: isTakenIn ? .empty : founding, applied: applied)
        let name = log.id == .controller ? "controller" : "groups"
        return ReplicatedStateMachine(
            replica: replica, index: parts.store.metadata, family: family, applied: applied,
            metrics: StateMachineMetrics(parts.registry, name: name))
    }

    /// Gives the controller its surroundings.
    private func join(_ cluster: ClusterParts, _ parts: BrokerParts, _ registration: BrokerRegistration) {
        controller.join(
            ClusterContext(
                link: cluster.link, requests: cluster.requests, registration: registration,
                leaders: { [leaders] in leaders.table }, connected: { cluster.inbox.connected }, know: cluster.know,
                coordinator: coordinator.machine.replica, timing: ClusterTiming(cluster.hosting), loop: loop))
        leaders.onOwnGroup = { [weak controller] group, _ in
            if group == .controller { controller?.leaderChanged() }
        }
    }

    // MARK: Leaders

    /// Puts what is known of the leader of one of the broker's own groups on the board.
    private func report(_ machine: ReplicatedStateMachine) {
        var ledTerm: Term?
        machine.onRoleChange = { [weak self, unowned machine] in
            guard let self else { return }
            let replica = machine.replica
            let isLeading = replica.leadingTerm != nil
            // The last word of a leader that gives up its term is for everybody.
            let isLastWord = !isLeading && ledTerm == replica.term && replica.leader == nil
            ledTerm = replica.leadingTerm
            let known = Leadership(
                term: replica.term, revision: isLeading ? 1 : isLastWord ? .max : 0,
                leader: isLeading ? node : replica.leader)
            leaders.take([LeaderChange(group: replica.id, leadership: known)], from: nil)
        }
    }

    /// Drops what is known of the leaders of deleted partitions.
    private func forgetLeaders() {
        var kept: Set<GroupID> = [.controller, .coordinator]
        for topic in controller.state.topics.values { kept.formUnion(topic.partitions.map(\.group)) }
        leaders.forget(below: controller.state.nextGroup, except: kept)
    }

    /// Hands the leadership of the broker's own groups over; `then` runs once, with those that were handed over.
    func handOver(then: @escaping ([GroupID]) -> Void) {
        var waiting = 1
        var given: [GroupID] = []
        let done = {
            waiting -= 1
            if waiting == 0 { then(given) }
        }
        for replica in [controller.machine.replica, coordinator.machine.replica] where replica.leadingTerm != nil {
            guard let target = replica.inSyncReplicas.first(where: { $0 != node }) else { continue }
            waiting += 1
            replica.transferLeadership(to: target) { outcome in
                if (try? outcome.get()) == .handedOver { given.append(replica.id) }
                done()
            }
        }
        done()
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
        repeating(every: .seconds(1)) { [weak self] in self?.transactions.tick() }
        repeating(every: .seconds(60)) { [weak self] in
            self?.coordinator.expire()
            self?.transactions.expire()
            self?.forgetLeaders()
        }
    }

    private func repeating(every interval: TimeAmount, _ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: loop)
        timers.append(loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value() })
    }

    func stop() {
        for timer in timers { timer.cancel() }
        timers.removeAll()
        controller.stop()
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

extension BrokerRegistration {
    /// What this broker says of itself.
    init(_ parts: BrokerParts, _ cluster: ClusterParts, isBlank: Bool) {
        let settings = parts.settings.typed
        let kafka = settings.listeners.advertised
        let peer = settings.cluster?.peerAdvertised ?? kafka
        self.init(
            id: settings.node.id, incarnation: cluster.incarnation, storeID: parts.store.number,
            kafka: BrokerEndpoint(host: kafka.host, port: Int32(kafka.port)),
            peer: BrokerEndpoint(host: peer.host, port: Int32(peer.port)), rack: settings.node.rack, isBlank: isBlank)
    }
}

extension LogStore {
    /// A number of the data directory: another one, and what the broker had stored is lost.
    var number: UInt64 { UInt64(bitPattern: identity.createdAt.milliseconds) }
}

extension GroupSettings {
    /// The coordinator's part of the broker's settings.
    init(_ settings: BrokerSettings) {
        self.init()
        let groups = settings.groups
        initialRebalanceDelayMilliseconds = groups.initialRebalanceDelay.milliseconds
        sessionTimeoutMinMilliseconds = Int32(clamping: groups.minSessionTimeout.milliseconds)
        sessionTimeoutMaxMilliseconds = Int32(clamping: groups.maxSessionTimeout.milliseconds)
        newMemberJoinTimeoutMilliseconds = groups.newMemberJoinTimeout.milliseconds
        membersMax = groups.maxSize
        groupsMax = groups.maxGroups
        consumerSessionTimeoutMilliseconds = groups.consumerSessionTimeout.milliseconds
        consumerHeartbeatMilliseconds = Int32(clamping: groups.consumerHeartbeatInterval.milliseconds)
        consumerMembersMax = groups.consumerMaxSize
        consumerAssignors = groups.consumerAssignors.names.compactMap { ServerAssignor(rawValue: $0) }
        shareSessionTimeoutMilliseconds = settings.shareGroups.sessionTimeout.milliseconds
        shareHeartbeatMilliseconds = Int32(clamping: settings.shareGroups.heartbeatInterval.milliseconds)
        shareMembersMax = settings.shareGroups.maxSize
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
