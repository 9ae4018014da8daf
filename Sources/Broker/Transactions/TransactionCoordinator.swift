// SPDX-License-Identifier: Apache-2.0
//
// TransactionCoordinator.swift
// The shell of the transaction coordinator: proposes changes to the group coordinator's Raft group, of whose state they
// are a part, sends markers until all partitions have them, and aborts what is open for too long.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Raft
import Replication
import Telemetry

/// What the transaction coordinator needs of the broker around it.
struct TransactionSurroundings {
    /// Where a partition is led that metadata knew which had handed out so many groups.
    let place: (TopicPartition, _ groupsEnd: GroupID) -> MarkerQueue.Place
    /// The groups that the metadata which this broker knows has handed out.
    let groupsEnd: () -> GroupID
    /// Sends markers in the name of a coordinator's term; `then` runs on the coordinator's loop, with the answer for each
    /// producer and partition, or with nil when there was none.
    let send:
        (
            _ node: NodeID, _ batches: [MarkerBatch], _ coordinatorEpoch: Int32,
            _ then: @escaping (((ProducerID, TopicPartition) -> KafkaErrorCode)?) -> Void
        ) -> Void
    /// Gives an unused producer id, or nil when the controller grants none; on the coordinator's loop.
    let producerID: (_ then: @escaping (ProducerID?) -> Void) -> Void
}

/// The coordinator of all transactional ids on this broker.
///
/// Confined to its event loop. One change of a transactional id is on its way at a time; requests that come meanwhile wait for it.
final class TransactionCoordinator {
    let groups: GroupCoordinator
    private let settings: TransactionSettings
    private let clock: Clock
    private let loop: any EventLoop
    private let logger: Logger
    let metrics: TransactionMetrics
    var surroundings: TransactionSurroundings?

    /// Nil while this broker does not lead the coordinator's group.
    private(set) var table: TransactionalIDTable?
    private var markers: MarkerQueue
    /// Requests that wait for the change of an id: each decides again.
    private var waiting: [String: [() -> Void]] = [:]
    private var waitingCount = 0
    /// Prepared or complete transactions whose next step could not be stored; tried again.
    private var unfinished: Set<String> = []
    private var retry: Scheduled<Void>?
    /// Counts leaderships: what was sent in an earlier one is not answered for in this.
    private var leadership = 0

    init(
        groups: GroupCoordinator, settings: TransactionSettings, clock: Clock, loop: any EventLoop,
        metrics: TransactionMetrics, logger: Logger
    ) {
        self.groups = groups
        self.settings = settings
        self.clock = clock
        self.loop = loop
        self.metrics = metrics
        self.logger = logger
        markers = MarkerQueue(partitionsMax: settings.markersMax)
    }

    var state: CoordinatorState { groups.state }
    /// Why nothing is served while there is no ``table``.
    var absence: KafkaErrorCode { groups.absence.code }
    var now: Moment { Moment(instant: clock.now(), wallTime: clock.wallTime()) }

    // MARK: Leading

    /// This broker leads: transactions that are prepared are finished.
    func lead() {
        leadership += 1
        table = TransactionalIDTable(leading: state, settings: settings, now: now)
        for (id, record) in state.transactions.records where record.state.isPrepared { tell(id, record) }
        pump()
        report()
    }

    /// Another broker leads, or this one stops: whoever waits is told so.
    func resign() {
        guard table != nil else { return }
        leadership += 1
        table = nil
        markers.removeAll()
        unfinished = []
        retry?.cancel()
        retry = nil
        let all = waiting
        waiting = [:]
        waitingCount = 0
        for waiter in all.values.joined() { waiter() }
        report()
    }

    // MARK: Changes

    typealias Decide = (_ table: TransactionalIDTable, _ fresh: ProducerID?) -> TransactionInstance.Decision

    /// Decides about `id` and stores what is decided; `then` gets the record as it is stored, or why not.
    ///
    /// - Parameter waitsUntil: Until when partitions that are still being told of the last end are waited for.
    func change(
        _ id: String, fresh: ProducerID? = nil, waitsUntil: Instant? = nil, _ decide: @escaping Decide,
        then: @escaping (Result<TransactionRecord, KafkaErrorCode>) -> Void
    ) {
        guard let table else { return then(.failure(absence)) }
        let again = { [self] (fresh: ProducerID?) in
            change(id, fresh: fresh, waitsUntil: waitsUntil, decide, then: then)
        }
        if table.changing.contains(id) { return wait(for: id, then) { again(fresh) } }
        switch decide(table, fresh) {
        case .refuse(.concurrentTransactions) where isWorthWaiting(for: id, until: waitsUntil):
            wait(for: id, then) { again(fresh) }
        case .refuse(let code): then(.failure(code))
        case .done:
            guard let record = state.transactions.records[id] else { return then(.failure(.invalidProducerIDMapping)) }
            then(.success(record))
        case .store(let record): store(id, record, then: then)
        case .needsProducerID:
            guard let surroundings else { return then(.failure(.coordinatorLoadInProgress)) }
            surroundings.producerID { fresh in
                guard let fresh else { return then(.failure(.coordinatorLoadInProgress)) }
                again(fresh)
            }
        }
    }

    /// Whether the transaction of `id` is decided, and its partitions may be told before `deadline`.
    private func isWorthWaiting(for id: String, until deadline: Instant?) -> Bool {
        guard let deadline, clock.now() < deadline else { return false }
        return state.transactions.records[id]?.state.isPrepared ?? false
    }

    private func wait(
        for id: String, _ then: (Result<TransactionRecord, KafkaErrorCode>) -> Void, _ again: @escaping () -> Void
    ) {
        guard waitingCount < settings.waitingMax else { return then(.failure(.concurrentTransactions)) }
        waitingCount += 1
        metrics.waiting.set(waitingCount)
        waiting[id, default: []].append(again)
    }

    private func store(
        _ id: String, _ record: TransactionRecord,
        then: @escaping (Result<TransactionRecord, KafkaErrorCode>) -> Void
    ) {
        table?.begin(id, state: state)
        let term = leadership
        groups.machine.propose(CoordinatorCommand.transaction(id: id, record).encoded()) { [self] result in
            guard term == leadership, table != nil else { return then(.failure(absence)) }
            table?.end(id, state: state, now: now)
            switch result {
            case .success:
                if record.state.isPrepared {
                    (record.state == .prepareCommit ? metrics.committed : metrics.aborted).increment()
                    tell(id, record)
                }
                then(.success(record))
            case .failure(let error):
                then(.failure(Self.code(of: error)))
            }
            resume(id)
            pump()
            report()
        }
    }

    private static func code(of error: ReplicationError) -> KafkaErrorCode {
        switch error {
        case .tooLarge(byteCount: _, limit: _): .policyViolation
        case .refused(.notLeader(leader: _)): .notCoordinator
        default: .coordinatorNotAvailable
        }
    }

    /// Lets those decide again that wait although nothing changes: their patience may be over.
    private func resumeOverdue() {
        for id in waiting.keys.sorted() where !(table?.changing.contains(id) ?? false) { resume(id) }
    }

    /// Lets those go on that waited for the change of `id`.
    private func resume(_ id: String) {
        guard let waiters = waiting.removeValue(forKey: id) else { return }
        waitingCount -= waiters.count
        for waiter in waiters { waiter() }
    }

    // MARK: Markers

    private func tell(_ id: String, _ record: TransactionRecord) {
        guard let end = TransactionEnd(record) else { return }
        markers.add(id, end, partitions: record.partitions, groupsEnd: record.partitionGroupsEnd)
    }

    /// Sends what can be sent, and completes the transactions whose partitions have all been told.
    private func pump() {
        guard table != nil, !markers.isEmpty, let surroundings else { return }
        let epoch = groups.machine.replica.leadingTerm?.leaderEpoch ?? 0
        let requests = markers.takeRequests(place: surroundings.place)
        let term = leadership
        for (node, batches) in requests.sorted(by: { $0.key < $1.key }) {
            surroundings.send(node, batches, epoch) { [self] code in
                guard term == leadership else { return }
                let again = markers.answered(node, code: code)
                if again > 0 { metrics.markerRetries.increment(by: again) }
                if again == 0 { pump() } else { pumpLater() }
            }
        }
        for id in markers.takeComplete() { complete(id) }
        if !markers.isEmpty, requests.isEmpty { pumpLater() }
        report()
    }

    /// How long a partition that could not be told is left alone.
    private static let retryMilliseconds: Int64 = 50

    private func pumpLater() {
        guard retry == nil else { return }
        retry = loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.retryMilliseconds)) { [weak self] in
            self?.retry = nil
            self?.pump()
        }
    }

    private func complete(_ id: String) {
        change(id) { [self] _, _ in
            guard let record = state.transactions.records[id],
                let next = TransactionInstance(record: record).completed(now: now.wallTime)
            else { return .refuse(.invalidTxnState) }
            return .store(next)
        } then: { [self] result in
            guard case .failure = result, table != nil else { return }
            if state.transactions.records[id]?.state.isPrepared == true { unfinished.insert(id) }
        }
    }

    // MARK: Time

    /// Aborts what is open for too long, and tries again what could not be stored; to be called every second or so.
    func tick() {
        guard table != nil else { return }
        let timedOut = table?.takeTimedOut(state: state, now: now) ?? []
        for (id, record) in timedOut {
            logger.info("Transaction timed out", metadata: ["transactional-id": "\(id)"])
            store(id, record) { [self] result in
                if case .success = result { metrics.timedOut.increment() }
            }
        }
        let again = unfinished
        unfinished = []
        for id in again.sorted() { complete(id) }
        resumeOverdue()
        pump()
        report()
    }

    /// Proposes ids that nobody uses any more for removal.
    func expire() {
        guard let expired = table?.expired(state: state, now: now), !expired.isEmpty else { return }
        for start in stride(from: 0, to: expired.count, by: Self.expiredMax) {
            let part = Array(expired[start..<min(start + Self.expiredMax, expired.count)])
            groups.machine.propose(CoordinatorCommand.expireTransactions(part).encoded()) { [self] _ in report() }
        }
    }

    /// Ids that one command removes: it must stay below the limit of a command.
    private static let expiredMax = 500

    private func report() {
        metrics.ids.set(table == nil ? 0 : state.transactions.records.count)
        metrics.markers.set(markers.count)
        metrics.waiting.set(waitingCount)
    }
}
