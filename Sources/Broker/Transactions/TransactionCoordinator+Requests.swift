// SPDX-License-Identifier: Apache-2.0
//
// TransactionCoordinator+Requests.swift
// What producers, partitions and operators ask of the transaction coordinator.

import KafkaProtocol
import Model
import Raft
import Replication

extension TransactionCoordinator {
    // MARK: Producers

    /// InitProducerId with a transactional id.
    func initialise(
        _ id: String, claim: ProducerClaim?, timeoutMilliseconds: Int32,
        then: @escaping (Result<ProducerClaim, KafkaErrorCode>) -> Void
    ) {
        change(id) { [self] table, fresh in
            table.initialise(
                id, claim: claim, timeoutMilliseconds: timeoutMilliseconds, fresh: fresh, state: state, now: now)
        } then: { result in
            then(
                result.flatMap { record in
                    // The transaction that was open is being aborted now; the client asks again.
                    if record.state.isPrepared { return .failure(.concurrentTransactions) }
                    return .success(ProducerClaim(producerID: record.producerID, epoch: record.epoch))
                })
        }
    }

    /// Until when a request waits for the end of the transaction before its own, when it waits at all.
    ///
    /// A producer of version 2 begins a transaction as soon as the end of the last one is decided.
    private func patience(_ waitsForEnd: Bool) -> Instant? {
        waitsForEnd ? now.instant.advanced(byMilliseconds: Self.patienceMilliseconds) : nil
    }

    private static let patienceMilliseconds: Int64 = 2_000

    /// Makes partitions and groups part of the open transaction, or opens one with them.
    ///
    /// With `waitsForEnd` a transaction that is decided is waited for, a little, before CONCURRENT_TRANSACTIONS.
    func add(
        _ id: String, _ claim: ProducerClaim, partitions: [TopicPartition] = [], groups: [String] = [],
        version: UInt8, waitsForEnd: Bool = false, then: @escaping (KafkaErrorCode) -> Void
    ) {
        change(id, waitsUntil: patience(waitsForEnd)) { [self] table, _ in
            guard let surroundings else { return .refuse(.coordinatorLoadInProgress) }
            // Who is not known here may not be known when it is to be told, and must not be taken for deleted then.
            let groupsEnd = surroundings.groupsEnd()
            if partitions.contains(where: { surroundings.place($0, groupsEnd) == .gone }) {
                return .refuse(.unknownTopicOrPartition)
            }
            return table.add(
                id, claim, partitions: partitions, groupsEnd: groupsEnd, groups: groups, version: version, state: state,
                now: now)
        } then: {
            then($0.code)
        }
    }

    /// Asks whether partitions are part of the open transaction; one answer for each.
    func verify(
        _ id: String, _ claim: ProducerClaim, _ partitions: [TopicPartition],
        then: @escaping ([KafkaErrorCode]) -> Void
    ) {
        confirm { [self] refusal in
            if let refusal { return then(partitions.map { _ in refusal }) }
            then(table?.verify(id, claim, partitions, state: state) ?? partitions.map { _ in absence })
        }
    }

    /// EndTxn; with `raisesEpoch` the answer is what the producer's next transaction has.
    func end(
        _ id: String, _ claim: ProducerClaim, isCommit: Bool, raisesEpoch: Bool,
        then: @escaping (Result<ProducerClaim, KafkaErrorCode>) -> Void
    ) {
        change(id) { [self] table, fresh in
            table.end(id, claim, isCommit: isCommit, raisesEpoch: raisesEpoch, fresh: fresh, state: state, now: now)
        } then: { result in
            then(result.map { TransactionInstance(record: $0).successor })
        }
    }

    /// TxnOffsetCommit, after the group has agreed to it; from version 5 on it also makes the group part of the
    /// transaction.
    func commitOffsets(
        _ id: String, _ claim: ProducerClaim, _ batch: OffsetCommitBatch, addsGroup: Bool,
        then: @escaping (KafkaErrorCode) -> Void
    ) {
        change(id, waitsUntil: patience(addsGroup)) { [self] table, _ in
            if addsGroup {
                return table.add(id, claim, groups: [batch.group], version: 2, state: state, now: now)
            }
            // Nothing to store here; to decide in turn is the point.
            let refusal = table.offsetsRefusal(
                id, claim, group: batch.group, count: batch.entries.count, state: state)
            if let refusal { return .refuse(refusal) }
            return .done
        } then: { [self] result in
            guard case .success = result else { return then(result.code) }
            propose(id, claim, batch, then: then)
        }
    }

    private func propose(
        _ id: String, _ claim: ProducerClaim, _ batch: OffsetCommitBatch, then: @escaping (KafkaErrorCode) -> Void
    ) {
        guard let table else { return then(absence) }
        let refusal = table.offsetsRefusal(id, claim, group: batch.group, count: batch.entries.count, state: state)
        if let refusal { return then(refusal) }
        let offsets = PendingOffsetBatch(
            transactionalID: id, producerID: claim.producerID, epoch: claim.epoch, batch: batch)
        groups.machine.propose(CoordinatorCommand.pendingOffsets(offsets).encoded()) { result in
            switch result {
            case .success: then(.none)
            case .failure(.tooLarge(byteCount: _, limit: _)): then(.invalidCommitOffsetSize)
            case .failure(.refused(.notLeader(leader: _))): then(.notCoordinator)
            case .failure: then(.coordinatorNotAvailable)
            }
        }
    }

    /// Calls back once what is known here is what is agreed, or with why it cannot be known.
    func confirm(then: @escaping (KafkaErrorCode?) -> Void) {
        guard table != nil else { return then(absence) }
        groups.confirm { [self] refusal in then(refusal?.code ?? (table == nil ? absence : nil)) }
    }

    // MARK: Operators

    /// The record of an id, for DescribeTransactions.
    func describe(_ id: String, then: @escaping (Result<TransactionRecord, KafkaErrorCode>) -> Void) {
        confirm { [self] refusal in
            if let refusal { return then(.failure(refusal)) }
            guard TransactionalIDTable.isValid(id) else { return then(.failure(.invalidRequest)) }
            guard let record = state.transactions.records[id] else { return then(.failure(.transactionalIDNotFound)) }
            then(.success(record))
        }
    }

    /// What ListTransactions asks for.
    struct Filter: Sendable {
        /// States by name; empty lets all pass.
        var states: Set<String> = []
        /// Producer ids; empty lets all pass.
        var producerIDs: Set<Int64> = []
        /// How long a transaction must be open at least; negative lets all pass.
        var durationMilliseconds: Int64 = -1
        /// What ids match as a whole; nil lets all pass.
        ///
        /// It is looked at last, as it costs most.
        var pattern: TopicPattern?
    }

    /// The ids that pass `filter`, in order; none on a broker that does not coordinate.
    func list(_ filter: Filter) -> [(id: String, record: TransactionRecord)] {
        guard table != nil else { return [] }
        let time = now.wallTime.milliseconds
        return state.transactions.records.filter { id, record in
            if !filter.states.isEmpty, !filter.states.contains(record.state.name) { return false }
            if !filter.producerIDs.isEmpty, !filter.producerIDs.contains(record.producerID.rawValue) { return false }
            if filter.durationMilliseconds >= 0 {
                guard let started = record.startedAt, time - started.milliseconds > filter.durationMilliseconds else {
                    return false
                }
            }
            return filter.pattern?.matches(id) ?? true
        }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension Result<TransactionRecord, KafkaErrorCode> {
    /// The code that says how it ended.
    var code: KafkaErrorCode {
        switch self {
        case .success: .none
        case .failure(let code): code
        }
    }
}
