// SPDX-License-Identifier: Apache-2.0
//
// ClusterMember.swift
// A broker's part in the cluster: registers, shows that it lives, and makes what runs here what the applied metadata says.
// Confined to the controller's event loop.

import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import Replication

/// The controller's side of a broker that is one of several.
///
/// Order of a start: replicas of the stored metadata are restored; the broker registers with the controller's leader,
/// again and again until it succeeds; once it has applied that it is active it is ready.
final class ClusterMember {
    unowned let controller: Controller
    let context: ClusterContext
    let host: PartitionHost
    let reconciler: ClusterReconciler
    let logger: Logger
    private(set) lazy var duties = ControllerDuties(self)

    /// The leader of the controller's group by the word of a broker that was asked.
    var hint: NodeID?
    private var onReady: ((HostFailure?) -> Void)?
    private var isRestored = false
    private var isCalling = false
    /// Why the controller does not take this broker; nil when it does, or has not answered.
    private(set) var exclusion: String?
    private var isStopped = false
    private var isLeaving = false
    private var asked = 0
    private var timers: [RepeatedTask] = []
    private var meter = LoadMeter()

    // What has to be done before this broker serves what it has applied.
    private var dirtyTopics: Set<TopicID> = []
    private var dirtyGroups: Set<GroupID> = []
    private var isAllDirty = false
    private var isScheduled = false
    private var waiting: [() -> Void] = []

    // What leaders here have said to the controller's leader and not seen applied yet.
    private var said: [GroupID: (command: ClusterCommand, at: Instant)] = [:]
    private var looks = 0
    private var sweeps = Sweeps()

    init(_ controller: Controller, _ context: ClusterContext) {
        self.controller = controller
        self.context = context
        host = controller.host
        reconciler = controller.reconciler
        logger = controller.logger
    }

    var loop: any EventLoop { context.loop }
    var node: NodeID { controller.node }
    var now: Instant { controller.clock.now() }

    /// The leader of the controller's group, as far as known.
    var leader: NodeID? {
        controller.isLeading ? node : context.leaders()[.controller]?.leader ?? hint
    }

    /// Whether the applied metadata knows this life of the broker.
    var isRegistered: Bool {
        controller.state.brokers[node]?.registration.incarnation == context.registration.incarnation
    }

    // MARK: Life

    /// Restores the replicas of the stored metadata and begins to register; `ready` is called once.
    func start(ready: @escaping (HostFailure?) -> Void) {
        onReady = ready
        serveRequests()
        let state = controller.state
        for topic in state.topics.values { admit(topic) }
        for broker in state.brokers.values { context.know(broker.id, broker.registration.peer) }
        let actions = reconciler.actions(state, running: host.running, stored: host.stored)
        controller.carryOut(actions) { [self] failure in
            if let failure { logger.error("A replica is not restored", metadata: ["error": "\(failure)"]) }
            isRestored = true
            host.publish(state, controller: leader) { [self] in becomeReady() }
        }
        repeating(context.timing.heartbeat) { [unowned self] in beat() }
        repeating(context.timing.look) { [unowned self] in look() }
    }

    func stop() {
        isStopped = true
        for timer in timers { timer.cancel() }
        timers.removeAll()
    }

    private func repeating(_ milliseconds: Int64, _ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: loop)
        let interval = TimeAmount.milliseconds(milliseconds)
        timers.append(loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value() })
    }

    /// Runs `body` on this loop in a while.
    func later(_ milliseconds: Int64, _ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(milliseconds)) { bound.value() }
    }

    /// Clients may come once others may be sent here too.
    private func becomeReady() {
        guard isRestored, isRegistered, controller.state.brokers[node]?.health == .active, let ready = onReady else {
            return
        }
        onReady = nil
        ready(nil)
    }

    /// The controller's own log failed.
    func fail(_ error: StoreError) {
        onReady?(.store(error, partition: nil))
        onReady = nil
    }

    /// The leader of the controller's group is another, or not known any more.
    func leaderChanged() {
        hint = nil
        schedule()
        if !isRegistered { beat() }
    }

    /// A connection to another broker came up, or was lost.
    func connection(_ peer: NodeID, isUp: Bool) {
        duties.connection(peer, isUp: isUp)
        if isUp, !isRegistered { beat() }
    }

    // MARK: Showing life

    /// This broker is about to stop: the controller is told not to give it leaders any more.
    func leave() {
        isLeaving = true
        beat()
    }

    /// One heartbeat, or one attempt to register.
    func beat() {
        guard !isStopped else { return }
        controller.isLeading ? beatHere() : beatThere()
    }

    private func beatHere() {
        if isRegistered {
            duties.heard(heartbeat())
        } else if controller.state.clusterID != nil, !isCalling {
            isCalling = true
            duties.register(context.registration) { [self] _ in isCalling = false }
        }
    }

    private func beatThere() {
        guard !isCalling, let target = leader ?? anyone() else { return }
        isCalling = true
        let type: PeerRequestType = isRegistered ? .brokerHeartbeat : .registerBroker
        let body =
            isRegistered
            ? heartbeat().buffer
            : RegisterRequest(clusterID: controller.state.clusterID, registration: context.registration).buffer
        ask(target, type, body, MembershipAnswer.self, timeout: context.timing.answer) { [self] result in
            isCalling = false
            switch result {
            case .success(.accepted): exclusion = nil
            case .success(.unknownBroker): break
            case .success(.notController(let other)): hint = other == target ? nil : other
            case .success(.refused(let reason)):
                // It is asked again and again: someone may change the reason.
                guard exclusion != reason else { break }
                exclusion = reason
                logger.error("The controller does not take this broker", metadata: ["reason": "\(reason)"])
            case .failure: if hint == target { hint = nil }
            }
        }
    }

    /// A broker to ask when nobody is known to lead, another one each time.
    private func anyone() -> NodeID? {
        let peers = context.connected().filter { $0 != node }
        guard !peers.isEmpty else { return nil }
        asked += 1
        return peers[asked % peers.count]
    }

    private func heartbeat() -> BrokerHeartbeat {
        let load = meter.measure(host.hosted, at: now)
        return BrokerHeartbeat(
            node: node, incarnation: context.registration.incarnation, isReady: isRestored && !isLeaving,
            operation: controller.state.lastOperation, load: load)
    }

    /// What this broker says when it is probed.
    var probe: ProbeAnswer {
        let groups = [controller.machine.replica, context.coordinator].map {
            OwnGroupWord(group: $0.id, term: $0.term, last: $0.log.lastIndex)
        }
        return ProbeAnswer(
            node: node, incarnation: context.registration.incarnation,
            word: ClusterWord(clusterID: controller.state.clusterID, groups: groups),
            operation: controller.state.lastOperation, isReady: isRestored && isRegistered)
    }

    // MARK: Asking

    /// Makes a request of a broker and reads its answer; `then` runs on this loop.
    func ask<Answer: PeerBody>(
        _ target: NodeID, _ type: PeerRequestType, _ body: ByteBuffer, _ answer: Answer.Type, timeout: Int64,
        then: @escaping (Result<Answer, PeerCallError>) -> Void
    ) {
        let back = NIOLoopBound(then, eventLoop: loop)
        context.link.call(type, body, to: target, timeout: .of(timeout)) { [loop] result in
            let decoded = result.flatMap { Answer.decoded($0) }
            loop.execute { back.value(decoded) }
        }
    }

    // MARK: Following the metadata

    /// An entry of the controller's log was applied.
    func applied(_ change: ClusterChange) {
        switch change {
        case .none, .producerIDsAllocated, .refused: return
        case .topicCreated(let topic), .configurationChanged(let topic), .partitionsAdded(let topic, _):
            mark([topic.id], topic.partitions.map(\.group))
        case .topicDeleted(let topic):
            host.dismiss(topic)
            mark([], topic.partitions.map(\.group))
            controller.onTopicDeleted?(topic.name)
        case .brokerChanged(let broker): brokerChanged(broker)
        case .brokerReset(let broker, let groups, let topics):
            mark(topics, groups)
            brokerChanged(broker)
        case .brokerRemoved(let broker):
            duties.forget(broker.id)
            schedule()
        case .assignmentsChanged(let groups, let topics): mark(topics, groups)
        case .groupConfigured: schedule()
        }
    }

    private func brokerChanged(_ broker: BrokerRecord) {
        context.know(broker.id, broker.registration.peer)
        if broker.id == node {
            // What may not be started before this broker is known with its directory may be now.
            isAllDirty = true
            becomeReady()
        }
        schedule()
    }

    /// The state was replaced as a whole.
    func reloaded() {
        for topic in host.admitted where controller.state.topics[topic.id] == nil { host.dismiss(topic) }
        for broker in controller.state.brokers.values { context.know(broker.id, broker.registration.peer) }
        isAllDirty = true
        dirtyTopics.formUnion(controller.state.topics.keys)
        schedule()
        becomeReady()
    }

    private func mark(_ topics: [TopicID], _ groups: [GroupID]) {
        dirtyTopics.formUnion(topics)
        dirtyGroups.formUnion(groups)
        schedule()
    }

    /// Compares these groups with the metadata again.
    func lookAgain(_ groups: [GroupID]) { if !groups.isEmpty { mark([], groups) } }

    /// Calls `then` when every shard serves what is applied now.
    func whenServed(_ then: @escaping () -> Void) {
        waiting.append(then)
        schedule()
    }

    /// Follows once, at the end of this turn of the loop, for all that was applied in it.
    private func schedule() {
        guard !isScheduled, !isStopped else { return }
        isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.converge() }
    }

    private func converge() {
        isScheduled = false
        let state = controller.state
        let topics = dirtyTopics
        let groups = isAllDirty ? nil : Array(dirtyGroups)
        let served = waiting
        dirtyTopics.removeAll()
        dirtyGroups.removeAll()
        isAllDirty = false
        waiting.removeAll()
        for topic in topics.compactMap({ state.topics[$0] }) { admit(topic) }
        host.publish(state, controller: leader) { for then in served { then() } }
        guard isRestored else {
            // The replicas of the stored metadata are still being opened; all of it is looked at again after that.
            isAllDirty = true
            return
        }
        controller.carryOut(reconciler.actions(state, running: host.running, stored: host.stored, groups: groups)) {
            [logger] failure in
            if let failure { logger.error("A replica is not started", metadata: ["error": "\(failure)"]) }
        }
    }

    private func admit(_ topic: TopicRecord) {
        guard let failure = host.admit(topic) else { return }
        logger.error("A topic cannot be served", metadata: ["topic": "\(topic.name)", "error": "\(failure)"])
    }

    // MARK: Members of groups

    /// Looks at what leads here and has to change its members, or can report that it did.
    private func look() {
        guard !isStopped, isRestored else { return }
        looks += 1
        if isAllDirty { schedule() }
        lookAtOwnGroups()
        let isSweep = looks % context.timing.looksPerSweep == 0
        if controller.isLeading { duties.look(isSweep: isSweep) }
        if isSweep { lookAtTheAiling() }
        let state = controller.state
        let busy = isSweep ? nil : state.reassigning
        guard busy?.isEmpty != true else { return }
        let isFull = isSweep && sweeps.begin(at: state.lastOperation)
        host.leading(busy, resting: isFull || !isSweep) { [self] leading in
            let actions = reconciler.actions(
                controller.state, running: leading, stored: host.stored, groups: Array(leading.keys))
            if isSweep, !actions.isEmpty { sweeps.repeats() }
            for action in actions { carryOut(action) }
        }
    }

    /// Has replicas repaired whose logs are of no use, and starts those again that could not be opened.
    private func lookAtTheAiling() {
        lookAgain(host.forgetFailures())
        let groups = host.ailing
        guard !groups.isEmpty else { return }
        var running = host.running
        let leaders = context.leaders()
        for group in groups {
            guard case .found? = running[group]?.ailment, let known = leaders[group], let leader = known.leader
            else { continue }
            let others = known.inSync.filter { $0 != node }
            if leader == node {
                // Reads met the damage while it led; only then does it lead at all.
                if let heir = others.first { transfer(group, from: node, to: heir) { _ in } }
                continue
            }
            running[group]?.ailment = .found(healthyOthers: others.count)
        }
        let actions = reconciler.actions(controller.state, running: running, stored: host.stored, groups: groups)
        for action in actions { carryOut(action) }
    }

    private func carryOut(_ action: ReconcileAction) {
        switch action {
        case .changeMembership(let group, let members):
            let logger = logger
            host.withReplica(group) { replica in
                replica?.change(to: members) { error in
                    guard let error else { return }
                    logger.debug(
                        "Members do not change yet", metadata: ["group": "\(group)", "reason": "\(error)"])
                }
            }
        case .propose(let command): say(command)
        case .start, .stop, .awaitLeaving, .setAside: break
        }
    }

    /// Tells the controller's leader something, once, until it had time to be applied.
    private func say(_ command: ClusterCommand) {
        guard let group = command.group else { return }
        if let before = said[group], before.command == command,
            now.milliseconds(since: before.at) < context.timing.answer
        {
            return
        }
        said[group] = (command, now)
        submit(command, actor: "broker \(node)") { [self] refusal, _ in
            if refusal?.controller != nil { said[group] = nil }
            if said.count > 10_000 { said.removeAll() }
        }
    }

    private func lookAtOwnGroups() {
        let state = controller.state
        for replica in [controller.machine.replica, context.coordinator] where replica.leadingTerm != nil {
            replica.whenIdle { [self] in
                let current = replica.observed
                guard current.isSettled, let present = current.membership else { return }
                if state.brokers[node]?.drain != nil { handOver(replica) }
                let wanted = QuorumPlan.members(
                    of: replica.id, current: present, brokers: state.brokers, replaceable: duties.longFailed(state))
                guard let wanted else { return }
                if wanted == present {
                    for broker in state.brokers.values where broker.lostGroups.contains(replica.id) {
                        say(.rejoinReplica(replica.id, broker.id, floor: replica.floor))
                    }
                } else if let next = ClusterReconciler.next(from: present, to: wanted, caughtUp: current.caughtUp) {
                    replica.change(to: next) { _ in }
                }
            }
        }
    }

    /// A broker that is being drained leads neither of the brokers' own groups, if another can.
    private func handOver(_ replica: ReplicaGroup) {
        guard replica.transferTarget == nil,
            let other = replica.inSyncReplicas.first(where: { controller.state.brokers[$0]?.acceptsReplicas == true })
        else { return }
        replica.transferLeadership(to: other) { _ in }
    }

    // MARK: Commands

    /// Has a command carried out by whoever leads the controller's group.
    func submit(
        _ command: ClusterCommand, actor: String, then: @escaping (AdminRefusal?, ClusterChange) -> Void
    ) {
        if controller.isLeading { return controller.propose(command, actor: actor, then: then) }
        guard let target = leader else { return then(controller.notController, .none) }
        let body = ProposalRequest(actor: actor, command: command).buffer
        ask(target, .proposeClusterCommand, body, ProposalAnswer.self, timeout: context.timing.answer) {
            [self] result in
            switch result {
            case .success(.applied): then(nil, .none)
            case .success(.producerIDs(let first, let count)):
                then(nil, .producerIDsAllocated(first: first, count: count))
            case .success(.notController(let other)):
                hint = other
                then(controller.notController, .none)
            case .success(.refused(let code, let message)):
                then(AdminRefusal(KafkaErrorCode(rawValue: code) ?? .unknownServerError, message), .none)
            case .failure(let error):
                then(AdminRefusal(.requestTimedOut, "The controller did not answer: \(error)"), .none)
            }
        }
    }
}

/// Which sweeps over the leaders here include those that rest.
///
/// Nothing has happened to them since they were looked at: unless the metadata did change, or something was to be done
/// the last time, there is nothing to find. Now and then all are looked at nevertheless.
private struct Sweeps {
    private static let partialMax = 10
    private var operation: UInt64?
    private var partial = 0

    /// Whether the sweep that begins now includes all.
    mutating func begin(at operation: UInt64) -> Bool {
        guard self.operation == operation, partial < Self.partialMax else {
            self.operation = operation
            partial = 0
            return true
        }
        partial += 1
        return false
    }

    /// Something was to be done.
    mutating func repeats() { operation = nil }
}

extension ClusterCommand {
    /// The group that the command is about, when it is about one.
    var group: GroupID? {
        switch self {
        case .preferLeader(let group, _), .updateAssignment(let group, _), .stepReassignment(let group, _),
            .cancelReassignment(let group), .loseReplica(let group, _), .finishReassignment(let group, _),
            .rejoinReplica(let group, _, _):
            group
        default: nil
        }
    }
}
