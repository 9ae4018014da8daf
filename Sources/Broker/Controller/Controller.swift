// SPDX-License-Identifier: Apache-2.0
//
// Controller.swift
// The shell of the cluster's state machine: validates administrative requests, proposes commands, and makes this
// broker host what the applied metadata says. Confined to its event loop.

import KafkaProtocol
package import LogStore
package import Logging
package import Model
import NIOCore
import Raft
package import Replication
package import Settings

/// The controller of this broker, whether it leads the controller's group or not.
///
/// A request is answered after its command was applied *and* this broker's shards serve the result, so that a client
/// that creates a topic and produces to it at once succeeds. A broker that does not lead answers `notController`.
package final class Controller: StateMachineLogic {
    package typealias Done = (AdminRefusal?) -> Void

    package private(set) var state: ClusterState
    package private(set) var settings: BrokerSettings
    package let node: NodeID
    let machine: ReplicatedStateMachine
    let host: PartitionHost
    let reconciler: ClusterReconciler
    let clock: Clock
    let logger: Logger
    /// Whether this broker leads the controller's group and has applied everything before its term.
    private(set) var isLeading = false
    /// Nil on a broker that is alone.
    private(set) var member: ClusterMember?
    private var random: any RandomNumberGenerator
    private var changes: [LogIndex: ClusterChange] = [:]
    private var onReady: ((HostFailure?) -> Void)?
    /// Topics whose creation was proposed and not applied yet: a second request for one of them waits for the first.
    var creating: [String: [Done]] = [:]
    /// Groups whose configuration is being changed, with the changes that wait for their turn.
    var configuring: [String: [() -> Void]] = [:]
    /// Group numbers that proposals under way have taken.
    var reservedGroups: UInt64 = 0
    /// Producer ids that proposals under way have taken.
    private var reservedProducerIDs: Int64 = 0
    var onTopicDeleted: ((String) -> Void)?
    var onStorageFailure: ((StoreError) -> Void)?

    package init(
        state: ClusterState, machine: ReplicatedStateMachine, settings: BrokerSettings, node: NodeID,
        incarnation: UInt64 = 0, host: PartitionHost, random: any RandomNumberGenerator, clock: Clock, logger: Logger
    ) {
        self.state = state
        self.machine = machine
        self.settings = settings
        self.node = node
        self.host = host
        self.reconciler = ClusterReconciler(
            node: node, storeID: host.factory.storeID, incarnation: incarnation)
        self.random = random
        self.clock = clock
        self.logger = logger
    }

    /// Makes this the controller of a broker among others; before ``start(ready:)``.
    func join(_ context: ClusterContext) { member = ClusterMember(self, context) }

    /// Takes part in the controller's group.
    ///
    /// A broker that is alone calls `ready` when it leads, has a cluster id, and hosts every partition of the stored
    /// metadata; one among others when its replicas are restored and it is registered.
    package func start(ready: @escaping (HostFailure?) -> Void) {
        if let member {
            member.start(ready: ready)
        } else {
            onReady = ready
        }
        machine.start(logic: self)
    }

    func stop() { member?.stop() }

    /// Takes over changed settings: limits, and what topics have that do not say otherwise.
    func adopt(_ settings: BrokerSettings) {
        self.settings = settings
        host.adopt(settings)
        whenServed {}
    }

    /// The leader of the controller's group is another, or not known any more.
    func leaderChanged() { member?.leaderChanged() }

    /// This broker is about to hand its leaders over and to stop.
    func leave() { member?.leave() }

    /// A connection to another broker came up, or was lost.
    func connection(_ peer: NodeID, _ news: PeerState) {
        if case .up = news { member?.connection(peer, isUp: true) } else { member?.connection(peer, isUp: false) }
    }

    // MARK: State machine

    package func apply(_ command: [UInt8], at index: LogIndex) -> [StateWrite] {
        let entry: ClusterEntry
        do {
            entry = try ClusterEntry(decoding: command)
        } catch {
            preconditionFailure("the committed controller command at \(index) cannot be read: \(error)")
        }
        let base = ClusterRecords.historyBase(before: state)
        let change = state.apply(entry)
        if isLeading { changes[index] = change }
        member?.applied(change)
        let operation = ClusterOperation(id: state.lastOperation, entry: entry)
        return base + ClusterRecords.writes(after: change, state: state)
            + ClusterRecords.history(of: operation, state: state)
    }

    package func stateMachineLeads(term: Term) {
        isLeading = true
        guard let member else { return leadAlone() }
        member.duties.begin()
        member.leaderChanged()
        if state.clusterID == nil { nameCluster { _ in } }
    }

    private func leadAlone() {
        guard let ready = onReady else { return }
        onReady = nil
        guard state.clusterID == nil else { return hostAll(then: ready) }
        nameCluster { [self] refusal in
            if let refusal { return ready(.refused(refusal)) }
            hostAll(then: ready)
        }
    }

    private func nameCluster(then: @escaping Done) {
        let id = settings.node.clusterID ?? makeTopicID().description
        propose(.initialize(clusterID: id), actor: Self.ownActor) { refusal, _ in then(refusal) }
    }

    package func stateMachineReloads(at index: LogIndex) {
        do throws(StoreError) {
            state = try ClusterRecords.load(from: host.factory.store.metadata).state
        } catch {
            return stateMachineFailed(error)
        }
        member?.reloaded()
    }

    package func stateMachineFollows() {
        isLeading = false
        changes.removeAll()
        member?.leaderChanged()
    }

    package func stateMachineFailed(_ error: StoreError) {
        isLeading = false
        logger.critical("The controller's log failed", metadata: ["error": "\(error)"])
        onStorageFailure?(error)
        member?.fail(error)
        onReady?(.store(error, partition: nil))
        onReady = nil
    }

    // MARK: Hosting

    /// Hosts every partition of the stored metadata.
    private func hostAll(then: @escaping PartitionHost.Done) {
        for topic in state.topics.values {
            if let failure = host.admit(topic) { return then(failure) }
        }
        carryOut(reconciler.actions(state, running: host.running, stored: host.stored)) { [self] failure in
            if let failure { return then(failure) }
            host.publish(state, controller: node) { then(nil) }
        }
    }

    /// Starts and stops replicas; `then` gets the first failure when all are started.
    func carryOut(_ actions: [ReconcileAction], then: @escaping PartitionHost.Done) {
        var waiting = 1
        var failure: HostFailure?
        let done: PartitionHost.Done = { problem in
            failure = failure ?? problem
            waiting -= 1
            if waiting == 0 { then(failure) }
        }
        for action in actions {
            switch action {
            case .start(let start):
                waiting += 1
                let configuration = state.topics[start.topicID]?.configuration ?? [:]
                host.start(start, configuration: configuration, operation: 0, then: done)
            case .stop(let group): host.stop(group) {}
            case .awaitLeaving(let group): host.awaitLeaving(group)
            case .setAside(let group): host.setAside(group) { [self] in member?.lookAgain([group]) }
            case .changeMembership, .propose: break
            }
        }
        done(nil)
    }

    /// Calls `then` when every shard of this broker serves what is applied now.
    func whenServed(_ then: @escaping () -> Void) {
        if let member { member.whenServed(then) } else { host.publish(state, controller: node, then: then) }
    }

    /// Calls `then` when this broker serves `topic` as it is applied now, and all brokers run the partitions of `indices`.
    func serve(_ topic: TopicRecord, starting indices: [PartitionIndex], then: @escaping Done) {
        if let member {
            return member.whenServed { member.startEverywhere(topic, indices) { then(nil) } }
        }
        if let failure = host.admit(topic) { return then(failure.refusal) }
        let groups = topic.partitions.map(\.group)
        carryOut(reconciler.actions(state, running: host.running, stored: host.stored, groups: groups)) {
            [self] failure in
            if let failure { return then(failure.refusal) }
            host.publish(state, controller: node) { then(nil) }
        }
    }

    /// Calls `then` when no shard of this broker serves a deleted topic; its files go in the background.
    func unserve(_ topic: TopicRecord, then: @escaping () -> Void) {
        if let member {
            return member.whenServed { member.stopEverywhere(topic, then: then) }
        }
        host.dismiss(topic)
        host.publish(state, controller: node) { [self] in
            for partition in topic.partitions { host.stop(partition.group) {} }
            onTopicDeleted?(topic.name)
            then()
        }
    }

    // MARK: Proposing

    /// The actor of commands that the controller gives by itself.
    static let ownActor = "controller"

    /// What is answered while another broker leads the controller's group, or nobody does.
    var notController: AdminRefusal {
        AdminRefusal(
            .notController, "this broker does not lead the controller's group", controller: member?.leader)
    }

    /// Answers with a refusal that follows from the metadata, once it is certain that these are the newest: a leader that
    /// was deposed and does not know it yet has old ones, and so has a broker that only follows.
    func refuse(_ refusal: AdminRefusal, then: @escaping Done) {
        guard isLeading else { return then(notController) }
        guard machine.replica.configuration.voters.count > 1 else { return then(refusal) }
        machine.replica.readIndex { [self] result in
            if case .success = result, isLeading { then(refusal) } else { then(notController) }
        }
    }

    /// Proposes a command; `then` runs after it was applied, with what it changed.
    ///
    /// `actor` is who wants it, for the operation log.
    func propose(
        _ command: ClusterCommand, actor: String, then: @escaping (AdminRefusal?, ClusterChange) -> Void
    ) {
        guard isLeading, machine.replica.leadingTerm != nil else { return then(notController, .none) }
        let entry = ClusterEntry(time: clock.wallTime(), actor: actor, command: command)
        machine.propose(entry.encoded()) { [self] result in
            switch result {
            case .success(let index):
                let change = changes.removeValue(forKey: index) ?? .none
                if case .refused(let reason) = change { return then(AdminRefusal(reason), change) }
                then(nil, change)
            case .failure(.refused(.notLeader)): then(notController, .none)
            case .failure(let error):
                then(AdminRefusal(ErrorMapping.code(of: error), "\(error)"), .none)
            }
        }
    }

    /// Has a command carried out by whoever leads the controller's group; `then` gets what it changed when that is here.
    func order(
        _ command: ClusterCommand, actor: String, then: @escaping (AdminRefusal?, ClusterChange) -> Void
    ) {
        guard let member, !isLeading else { return propose(command, actor: actor, then: then) }
        member.submit(command, actor: actor, then: then)
    }

    func makeTopicID() -> TopicID {
        // Ids whose text begins with a dash look like options to command-line tools, so they are not used.
        while true {
            let id = TopicID(high: random.next(), low: random.next())
            if !id.description.hasPrefix("-"), id != .zero { return id }
        }
    }

    // MARK: Producer ids

    /// Grants a block of producer ids, through the leader of the controller's group.
    func allocateProducerIDs(then: @escaping (ProducerIDBlock?) -> Void) {
        let size = ProducerIDBlock.size
        let finish: (AdminRefusal?, ClusterChange) -> Void = { _, change in
            guard case .producerIDsAllocated(let first, let count) = change else { return then(nil) }
            then(ProducerIDBlock(first: first, count: count))
        }
        if let member, !isLeading {
            return member.submit(.allocateProducerIDs(first: 0, count: size), actor: Self.ownActor, then: finish)
        }
        let first = state.nextProducerID + reservedProducerIDs
        reservedProducerIDs += size
        propose(.allocateProducerIDs(first: first, count: size), actor: Self.ownActor) { [self] refusal, change in
            reservedProducerIDs -= size
            finish(refusal, change)
        }
    }
}
