// SPDX-License-Identifier: Apache-2.0
//
// GroupCoordinator.swift
// The shell of the consumer-group coordinator: keeps the replies of parked requests, proposes commands to its Raft
// group, arms one timer. Confined to its event loop.

import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import Raft
import Replication
import Settings
import Telemetry

/// The coordinator of all groups on this broker.
final class GroupCoordinator: StateMachineLogic {
    var state: CoordinatorState
    let machine: ReplicatedStateMachine
    /// Limits and delays.
    var settingsByGroup: SettingsByGroup
    var settings: GroupSettings { settingsByGroup.common }
    private let clock: Clock
    let loop: any EventLoop
    let logger: Logger
    let metrics: GroupMetrics
    private var random: any RandomNumberGenerator

    /// Nil while this broker does not lead the coordinator's group.
    private(set) var table: GroupTable?
    /// The groups under the consumer protocol; nil as ``table`` is.
    var consumers: ConsumerGroupTable?
    /// What waits in ``consumers`` and ``shares``.
    var heartbeats: [WaiterID: (ConsumerHeartbeatResult) -> Void] = [:]
    /// What ``consumers`` wants done.
    var consumerDirectives: [ConsumerGroupDirective] = []
    /// The share groups; nil as ``table`` is.
    var shares: ShareGroupTable?
    /// What ``shares`` wants done.
    var shareDirectives: [ShareGroupDirective] = []
    /// Topics that share groups have a state of and that were not there at the last look.
    var missingShareTopics: Set<TopicID> = []
    /// The topics that there are; nil until this broker knows.
    var topics: TopicCatalogue?
    /// An image whose topics were not looked at yet.
    var newestImage: ClusterImage?
    /// The next look at whether topics have changed for some group.
    var topicCheck: Scheduled<Void>?
    /// Set while another broker leads the coordinator's group, or nobody does.
    private var isElsewhere = false
    private var joins: [WaiterID: (JoinResult) -> Void] = [:]
    private var syncs: [WaiterID: (SyncResult) -> Void] = [:]
    private var nextWaiter: UInt64 = 0
    private var directives: [GroupDirective] = []
    private var timer: (deadline: Instant, task: Scheduled<Void?>)?
    private var onReady: ((StoreError?) -> Void)?
    /// Told when this broker begins to coordinate (true), and when it does so no more.
    var onCoordinates: ((Bool) -> Void)?
    /// Loads the stored state again, after a snapshot has replaced it.
    private let reload: () throws(StoreError) -> CoordinatorState

    init(
        state: CoordinatorState, machine: ReplicatedStateMachine, settings: GroupSettings, clock: Clock,
        loop: any EventLoop, random: any RandomNumberGenerator, metrics: GroupMetrics, logger: Logger,
        reload: @escaping () throws(StoreError) -> CoordinatorState
    ) {
        self.reload = reload
        self.state = state
        self.machine = machine
        settingsByGroup = SettingsByGroup(common: settings)
        self.clock = clock
        self.loop = loop
        self.random = random
        self.metrics = metrics
        self.logger = logger
    }

    /// Takes part in the coordinator's group; `ready` is called when this broker leads it or, with others, at once.
    func start(waitsForLeadership: Bool, ready: @escaping (StoreError?) -> Void) {
        onReady = ready
        machine.start(logic: self)
        guard !waitsForLeadership else { return }
        onReady?(nil)
        onReady = nil
    }

    /// Takes over changed limits and delays.
    func adopt(_ settings: GroupSettings) {
        settingsByGroup.common = settings
        table?.adopt(settings)
        consumers?.adopt(settingsByGroup)
        shares?.adopt(settingsByGroup)
    }

    /// Answers every parked request; clients find the coordinator again after the restart.
    func stop() {
        resign(.coordinatorNotAvailable)
    }

    /// Why nothing is served while there is no ``table``: this broker leads and is not ready, or does not lead.
    var absence: GroupError { isElsewhere ? .notCoordinator : .coordinatorLoadInProgress }

    var now: Moment { Moment(instant: clock.now(), wallTime: clock.wallTime()) }

    // MARK: State machine

    func apply(_ command: [UInt8], at index: LogIndex) -> [StateWrite] {
        let decoded: CoordinatorCommand
        do {
            decoded = try CoordinatorCommand(decoding: command)
        } catch {
            preconditionFailure("the committed coordinator command at \(index) cannot be read: \(error)")
        }
        var writes: [CoordinatorWrite] = []
        state.apply(decoded, into: &writes)
        return writes.map { StateWrite(key: $0.key, value: $0.value) }
    }

    func stateMachineLeads(term: Term) {
        isElsewhere = false
        table = GroupTable(leading: state, settings: settings, now: now)
        metrics.groups.set(state.groups.count)
        leadConsumers()
        arm()
        onCoordinates?(true)
        onReady?(nil)
        onReady = nil
    }

    func stateMachineFollows() {
        isElsewhere = true
        resign(.notCoordinator)
    }

    func stateMachineReloads(at index: LogIndex) {
        do throws(StoreError) {
            state = try reload()
        } catch {
            stateMachineFailed(error)
        }
    }

    func stateMachineFailed(_ error: StoreError) {
        logger.critical("The group coordinator's log failed", metadata: ["error": "\(error)"])
        resign(.coordinatorNotAvailable)
        onReady?(error)
        onReady = nil
    }

    /// Calls back when this broker's state holds everything that was committed before the call, at once when no other
    /// broker votes; or with why it cannot be read here.
    func confirm(then: @escaping (GroupError?) -> Void) {
        guard table != nil else { return then(absence) }
        guard machine.replica.configuration.voters.count > 1 else { return then(nil) }
        machine.replica.readIndex { [self] result in
            if case .success = result, table != nil { then(nil) } else { then(absence) }
        }
    }

    private func resign(_ error: GroupError) {
        table?.resign(error, into: &directives)
        table = nil
        resignConsumers(error)
        carryOut()
        onCoordinates?(false)
    }

    // MARK: Members

    /// Parks or answers a join; returns its waiter, for ``waiterGone(_:group:)``.
    func join(
        group: String, memberID: String, _ makeRequest: (MemberIDEntropy) -> GroupJoin,
        then: @escaping (JoinResult) -> Void
    ) -> WaiterID? {
        guard table != nil else {
            then(.failure(absence, memberID: memberID))
            return nil
        }
        if let refusal = shareRefusal(group) ?? classicRefusal(group) {
            then(.failure(refusal, memberID: memberID))
            return nil
        }
        let waiter = makeWaiter()
        joins[waiter] = then
        let request = makeRequest(makeEntropy())
        table?.join(group: group, request, waiter: waiter, state: state, now: now, into: &directives)
        carryOut()
        return waiter
    }

    /// Parks or answers a sync.
    func sync(group: String, _ request: GroupSync, then: @escaping (SyncResult) -> Void) -> WaiterID? {
        guard table != nil else {
            then(.failure(absence))
            return nil
        }
        let waiter = makeWaiter()
        syncs[waiter] = then
        table?.sync(group: group, request, waiter: waiter, state: state, now: now, into: &directives)
        carryOut()
        return waiter
    }

    func heartbeat(group: String, _ claim: MemberClaim) -> GroupError? {
        guard table != nil else { return absence }
        let error = table?.heartbeat(group: group, claim, state: state, now: now) ?? nil
        carryOut()
        return error
    }

    func leave(group: String, _ leaving: [LeavingMember]) -> [GroupError?] {
        guard table != nil else { return leaving.map { _ in absence } }
        let results = table?.leave(group: group, leaving, state: state, now: now, into: &directives) ?? []
        carryOut()
        return results
    }

    /// The connection of a parked request is gone.
    func waiterGone(_ waiter: WaiterID, group: String) {
        guard joins.removeValue(forKey: waiter) != nil || syncs.removeValue(forKey: waiter) != nil else { return }
        table?.waiterGone(group: group, waiter, now: now, into: &directives)
        carryOut()
    }

    func makeWaiter() -> WaiterID {
        nextWaiter += 1
        return WaiterID(rawValue: nextWaiter)
    }

    func makeEntropy() -> MemberIDEntropy { MemberIDEntropy(high: random.next(), low: random.next()) }

    // MARK: Offsets and groups

    /// Commits offsets; `then` gets an error for the whole request, or one for each entry.
    func commit(_ request: OffsetCommit, then: @escaping (Result<[GroupError?], GroupError>) -> Void) {
        guard table != nil else { return then(.failure(absence)) }
        let decision = decide(request)
        carryOut()
        if Plant.dropCommits.isOn, case .propose = decision { return then(.success(request.entries.map { _ in nil })) }
        propose(decision) { answer in then(answer) }
    }

    private func decide(_ request: OffsetCommit) -> CoordinatorDecision {
        if isShare(request.group) {
            return .refuse(request.knowsGroupIDNotFound ? .groupIDNotFound : .illegalGeneration)
        }
        return switch consumers?.verdict(on: request, state: state) {
        case .refuse(let error): .refuse(error)
        case .admit: table?.accept(request, now: now) ?? .refuse(.notCoordinator)
        case .other, nil: table?.commit(request, state: state, now: now) ?? .refuse(.notCoordinator)
        }
    }

    /// Why offsets may not be committed in a transaction in the name of `request`; nil means that they may.
    func transactionalRefusal(of request: OffsetCommit) -> GroupError? {
        guard table != nil else { return absence }
        if isShare(request.group) { return .illegalGeneration }
        switch consumers?.transactionalVerdict(on: request, state: state) {
        case .refuse(let error): return error
        case .admit: return nil
        case .other, nil: return table?.transactionalRefusal(of: request, state: state, now: now) ?? nil
        }
    }

    func deleteOffsets(
        group: String, _ partitions: [TopicPartition], then: @escaping (Result<[GroupError?], GroupError>) -> Void
    ) {
        guard table != nil else { return then(.failure(absence)) }
        if isShare(group) { return then(.failure(.groupIDNotFound)) }
        let decision =
            consumers?.deleteOffsets(group: group, partitions, state: state)
            ?? table?.deleteOffsets(group: group, partitions, state: state, now: now) ?? .refuse(.notCoordinator)
        propose(decision) { answer in then(answer) }
    }

    func delete(group: String, then: @escaping (GroupError?) -> Void) {
        guard table != nil else { return then(absence) }
        if let refusal = consumers?.deleteRefusal(group: group, state: state) { return then(refusal) }
        if let refusal = shares?.refusalWhileUsed(group: group) { return then(refusal) }
        let decision = table?.delete(group: group, state: state, now: now) ?? .refuse(.notCoordinator)
        propose(decision) { [self] answer in
            switch answer {
            case .success:
                table?.deleted(group: group)
                then(nil)
            case .failure(let error):
                if case .propose = decision { table?.deleteFailed(group: group) }
                then(error)
            }
        }
    }

    func describe(group: String) -> GroupDescription? {
        table?.describe(group: group, state: state, now: now)
    }

    func list(states: Set<String>) -> [GroupListing]? {
        table?.list(states: states, state: state)
    }

    /// Proposes what nobody needs any more for removal.
    func expire() {
        guard let table else { return }
        for command in table.expirations(state: state, now: now.wallTime) {
            for part in command.parts(offsetsMax: Self.expiredOffsetsMax) { machine.propose(part.encoded()) { _ in } }
        }
        metrics.groups.set(state.groups.count)
        metrics.consumerMembers.set(consumers?.memberCount ?? 0)
        metrics.shareMembers.set(shares?.memberCount ?? 0)
        forgetMissingShareTopics()
    }

    /// Offsets that one command expires: it must stay below the limit of a command.
    private static let expiredOffsetsMax = 1000

    /// Drops the offsets of a deleted topic.
    func forget(topic: String) {
        guard table != nil else { return }
        machine.propose(CoordinatorCommand.forgetTopics([topic]).encoded()) { _ in }
    }

    private func propose(
        _ decision: CoordinatorDecision, then: @escaping (Result<[GroupError?], GroupError>) -> Void
    ) {
        switch decision {
        case .refuse(let error): then(.failure(error))
        case .propose(nil, let refused): then(.success(refused))
        case .propose(let command?, let refused):
            machine.propose(command.encoded()) { result in
                switch result {
                case .success: then(.success(refused))
                case .failure(.tooLarge): then(.failure(.invalidCommitOffsetSize))
                case .failure(.refused(.notLeader(leader: _))): then(.failure(.notCoordinator))
                case .failure: then(.failure(.coordinatorNotAvailable))
                }
            }
        }
    }

    // MARK: Directives

    func carryOut() {
        while !directives.isEmpty {
            let batch = directives
            directives.removeAll(keepingCapacity: true)
            for directive in batch { perform(directive) }
        }
        arm()
    }

    private func perform(_ directive: GroupDirective) {
        switch directive {
        case .completeJoin(let waiter, let result): joins.removeValue(forKey: waiter)?(result)
        case .completeSync(let waiter, let result): syncs.removeValue(forKey: waiter)?(result)
        case .persistGroup(let group, let sequence, let snapshot): persist(group, sequence, snapshot)
        case .memberRemoved(let group, let memberID, _, let reason):
            metrics.membersRemoved.increment()
            logger.info(
                "Member left its group",
                metadata: ["group": "\(group)", "member": "\(memberID)", "reason": "\(reason.rawValue)"])
        case .stateChanged(let group, let state, let generation):
            if state == .preparingRebalance { metrics.rebalances.increment() }
            logger.debug(
                "Group changed state",
                metadata: ["group": "\(group)", "state": "\(state.rawValue)", "generation": "\(generation)"])
        }
    }

    private func persist(_ group: String, _ sequence: UInt64, _ snapshot: GroupSnapshot) {
        let command = CoordinatorCommand.groupMetadata(group: group, snapshot: snapshot)
        machine.propose(command.encoded()) { [self] result in
            switch result {
            case .success: table?.persisted(group: group, sequence: sequence, now: now, into: &directives)
            case .failure(let error):
                // Clients try again with the one, and give up with the other, which would fail again.
                let answer: GroupError =
                    if case .tooLarge = error { .unknownServerError } else { .coordinatorNotAvailable }
                logger.warning("Group cannot be stored", metadata: ["group": "\(group)", "error": "\(error)"])
                table?.persistFailed(
                    group: group, sequence: sequence, error: answer, now: now, into: &directives)
            }
            carryOut()
        }
    }

    /// Keeps one timer at the earliest deadline of all groups.
    private func arm() {
        let deadlines = [table?.nextDeadline, consumers?.nextDeadline, shares?.nextDeadline].compactMap { $0 }
        guard let deadline = deadlines.min() else {
            timer?.task.cancel()
            timer = nil
            return
        }
        if let timer, timer.deadline <= deadline { return }
        timer?.task.cancel()
        let delay = TimeAmount.nanoseconds(Int64(clamping: deadline.nanoseconds(since: clock.now())))
        let task = loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in self?.fire() }
        timer = (deadline, task)
    }

    private func fire() {
        timer = nil
        table?.timerFired(now: now, into: &directives)
        consumers?.timerFired(now: now, into: &consumerDirectives)
        carryOutConsumers()
        shares?.timerFired(now: now, into: &shareDirectives)
        carryOutShares()
        carryOut()
    }
}
