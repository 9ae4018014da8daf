// SPDX-License-Identifier: Apache-2.0
//
// TransactionalIDTable.swift
// The transactional ids of the broker that coordinates them: limits, timeouts, expiry, and what a request for an id that
// does not exist is told. Pure; the shell proposes what is decided and says when it is stored.

import KafkaProtocol
import Model

/// All transactional ids of one coordinator, from winning leadership until losing it.
///
/// What is stored is in ``CoordinatorState``; here is what only the leader needs.
struct TransactionalIDTable: Sendable {
    typealias Decision = TransactionInstance.Decision

    /// Limits and delays.
    let settings: TransactionSettings
    /// The ids with a change on its way to the log: nothing else is decided about them until it is stored.
    private(set) var changing: Set<String> = []
    /// Ids that are not stored yet and on their way to the log.
    private var newIDs: Set<String> = []
    private var deadlines = DeadlineHeap()

    /// The ids at the moment leadership was won.
    init(leading state: CoordinatorState, settings: TransactionSettings, now: Moment) {
        self.settings = settings
        for (id, record) in state.transactions.records { schedule(id, TransactionInstance(record: record), now: now) }
    }

    /// When ``takeTimedOut(state:now:)`` wants to be called; may be too early.
    var nextDeadline: Instant? { deadlines.earliest }

    // MARK: Changes

    /// A change of `id` is on its way.
    mutating func begin(_ id: String, state: CoordinatorState) {
        changing.insert(id)
        if state.transactions.records[id] == nil { newIDs.insert(id) }
    }

    /// The change is stored, or was refused.
    mutating func end(_ id: String, state: CoordinatorState, now: Moment) {
        changing.remove(id)
        newIDs.remove(id)
        guard let record = state.transactions.records[id] else { return deadlines.remove(id) }
        schedule(id, TransactionInstance(record: record), now: now)
    }

    private mutating func schedule(_ id: String, _ instance: TransactionInstance, now: Moment) {
        guard let timeout = instance.timeoutAt else { return deadlines.remove(id) }
        let left = max(0, timeout.milliseconds - now.wallTime.milliseconds)
        deadlines.schedule(id, at: now.instant.advanced(byMilliseconds: left))
    }

    // MARK: Decisions

    /// True when an id can be stored.
    static func isValid(_ id: String) -> Bool { !id.isEmpty && id.utf8.count <= CoordinatorKey.nameBytesMax }

    /// InitProducerId with a transactional id.
    func initialise(
        _ id: String, claim: ProducerClaim?, timeoutMilliseconds: Int32, fresh: ProducerID?, state: CoordinatorState,
        now: Moment
    ) -> Decision {
        guard Self.isValid(id) else { return .refuse(.invalidRequest) }
        guard timeoutMilliseconds > 0, Int64(timeoutMilliseconds) <= settings.timeoutMaxMilliseconds else {
            return .refuse(.invalidTransactionTimeout)
        }
        if let record = state.transactions.records[id] {
            return TransactionInstance(record: record).initialise(
                claim: claim, timeoutMilliseconds: timeoutMilliseconds, fresh: fresh, now: now.wallTime)
        }
        let count = state.transactions.records.count + newIDs.count
        guard count < settings.idsMax else { return .refuse(.policyViolation) }
        guard let fresh else { return .needsProducerID }
        let record = TransactionRecord(
            producerID: fresh, timeoutMilliseconds: timeoutMilliseconds, changedAt: now.wallTime)
        return TransactionInstance(record: record).initialise(
            claim: nil, timeoutMilliseconds: timeoutMilliseconds, fresh: fresh, now: now.wallTime)
    }

    /// AddPartitionsToTxn and AddOffsetsToTxn.
    func add(
        _ id: String, _ claim: ProducerClaim, partitions: [TopicPartition] = [],
        groupsEnd: GroupID = GroupID(rawValue: 0), groups: [String] = [], version: UInt8, state: CoordinatorState,
        now: Moment
    ) -> Decision {
        guard Self.isValid(id) else { return .refuse(.invalidRequest) }
        guard let record = state.transactions.records[id] else { return .refuse(.invalidProducerIDMapping) }
        let decision = TransactionInstance(record: record).add(
            claim, partitions: partitions, groupsEnd: groupsEnd, groups: groups, version: version, now: now.wallTime)
        if case .store(let next) = decision, next.partitions.count + next.groups.count > settings.partitionsMax {
            return .refuse(.policyViolation)
        }
        return decision
    }

    /// AddPartitionsToTxn that only asks; one answer for each partition.
    func verify(
        _ id: String, _ claim: ProducerClaim, _ partitions: [TopicPartition], state: CoordinatorState
    ) -> [KafkaErrorCode] {
        guard let record = state.transactions.records[id] else {
            return partitions.map { _ in .invalidProducerIDMapping }
        }
        let instance = TransactionInstance(record: record)
        if let refusal = instance.refusal(of: claim) { return partitions.map { _ in refusal } }
        return partitions.map { instance.verify($0) }
    }

    /// EndTxn; `raisesEpoch` from version 5 on.
    func end(
        _ id: String, _ claim: ProducerClaim, isCommit: Bool, raisesEpoch: Bool, fresh: ProducerID?,
        state: CoordinatorState, now: Moment
    ) -> Decision {
        guard Self.isValid(id) else { return .refuse(.invalidRequest) }
        guard let record = state.transactions.records[id] else { return .refuse(.invalidProducerIDMapping) }
        let instance = TransactionInstance(record: record)
        return raisesEpoch
            ? instance.endRaisingEpoch(claim, isCommit: isCommit, fresh: fresh, now: now.wallTime)
            : instance.end(claim, isCommit: isCommit, now: now.wallTime)
    }

    /// Whether offsets of `group` may be added to the transaction, which has to have the group.
    ///
    /// An epoch that is not the current one is INVALID_PRODUCER_EPOCH here, as partitions answer it.
    func offsetsRefusal(
        _ id: String, _ claim: ProducerClaim, group: String, count: Int, state: CoordinatorState
    ) -> KafkaErrorCode? {
        guard let record = state.transactions.records[id] else { return .invalidProducerIDMapping }
        switch TransactionInstance(record: record).refusal(of: claim) {
        case nil: break
        case .producerFenced?: return .invalidProducerEpoch
        case let refusal?: return refusal
        }
        guard record.state == .ongoing, record.groups.contains(group) else { return .invalidTxnState }
        let isTooMuch = state.transactions.pendingCount(of: id) + count > settings.pendingOffsetsMax
        return isTooMuch ? .invalidCommitOffsetSize : nil
    }

    // MARK: Time

    /// Transactions that are open for too long, each with the record that aborts it; none of them is changing.
    mutating func takeTimedOut(state: CoordinatorState, now: Moment) -> [(id: String, record: TransactionRecord)] {
        var timedOut: [(id: String, record: TransactionRecord)] = []
        while let id = deadlines.popDue(now: now.instant) {
            // The end of a change sets the deadline again.
            guard !changing.contains(id), let record = state.transactions.records[id] else { continue }
            let instance = TransactionInstance(record: record)
            guard let timeout = instance.timeoutAt else { continue }
            if timeout <= now.wallTime {
                timedOut.append((id, instance.fencingAbort(now: now.wallTime)))
            } else {
                schedule(id, instance, now: now)
            }
        }
        return timedOut
    }

    /// The ids that nobody has used for long; each is looked at again when it is removed.
    func expired(state: CoordinatorState, now: Moment) -> [ExpiredTransactionalID] {
        state.transactions.records.compactMap { id, record -> ExpiredTransactionalID? in
            let isExpired = TransactionInstance(record: record).isExpired(
                afterMilliseconds: settings.expirationMilliseconds, now: now.wallTime)
            guard isExpired, !changing.contains(id) else { return nil }
            return ExpiredTransactionalID(id: id, changedAt: record.changedAt)
        }.sorted { $0.id < $1.id }
    }
}
