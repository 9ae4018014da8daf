// SPDX-License-Identifier: Apache-2.0
//
// TransactionInstance.swift
// The protocol of one transactional id: from its record and a request to the record that has to be stored, or to a
// refusal. The rules are those of KIP-98, KIP-360 (recovery by epoch) and KIP-890 (an epoch for each transaction).

import KafkaProtocol
import Model

/// A producer id and its epoch.
struct ProducerClaim: Hashable, Sendable {
    /// The producer id.
    var producerID: ProducerID
    /// The epoch.
    var epoch: Int16
}

/// One transactional id as its coordinator sees it.
///
/// A value without time or randomness: both come with the event. What is to be stored is returned; the owner stores it,
/// one change at a time, and makes the next instance from what was stored.
struct TransactionInstance: Hashable, Sendable {
    /// What is stored.
    let record: TransactionRecord

    /// What becomes of a request.
    enum Decision: Hashable, Sendable {
        /// Nothing changes, and the request has what it wants.
        case done
        /// The record is stored; then the request has what it wants.
        case store(TransactionRecord)
        /// The request is refused.
        case refuse(KafkaErrorCode)
        /// A fresh producer id is needed to decide; ask again with one.
        case needsProducerID
    }

    // MARK: Producer ids

    /// InitProducerId: the producer of this transactional id begins, or begins again.
    ///
    /// An open transaction is aborted first, with an epoch that fences its producer: the decision then stores a prepared
    /// abort, and the request is refused with CONCURRENT_TRANSACTIONS once that is done.
    ///
    /// - Parameters:
    ///   - claim: what the producer believes it has, when it recovers from an error (KIP-360); nil for a new one.
    ///   - fresh: an unused producer id, for when the epochs are used up.
    func initialise(
        claim: ProducerClaim?, timeoutMilliseconds: Int32, fresh: ProducerID?, now: WallTime
    ) -> Decision {
        if let claim, !mayBelong(claim) { return .refuse(.producerFenced) }
        switch record.state {
        case .prepareCommit, .prepareAbort: return .refuse(.concurrentTransactions)
        case .ongoing: return .store(fencingAbort(now: now))
        case .empty, .completeCommit, .completeAbort: break
        }
        var next = record
        next.timeoutMilliseconds = timeoutMilliseconds
        next.changedAt = now
        next.state = .empty
        if record.isExhausted, claim == nil || claim?.epoch == record.epoch {
            guard let fresh else { return .needsProducerID }
            next.previousProducerID = record.producerID
            next.previousEpoch = claim == nil ? TransactionRecord.noEpoch : record.epoch
            next.producerID = fresh
            next.epoch = 0
            return .store(next)
        }
        return raise(claim, &next)
    }

    /// Whether `claim` can be that of this id's producer; its epoch is looked at later.
    private func mayBelong(_ claim: ProducerClaim) -> Bool {
        if record.epoch == TransactionRecord.noEpoch || claim.producerID == record.producerID { return true }
        // A retry: the epochs were used up and the answer with the new id was lost.
        return claim.producerID == record.previousProducerID && claim.epoch >= TransactionRecord.lastEpoch
    }

    private func raise(_ claim: ProducerClaim?, _ next: inout TransactionRecord) -> Decision {
        guard let claim else {
            next.epoch = record.epoch + 1
            next.previousEpoch = TransactionRecord.noEpoch
            return .store(next)
        }
        if record.epoch == TransactionRecord.noEpoch || claim.epoch == record.epoch {
            next.epoch = record.epoch + 1
            next.previousEpoch = record.epoch
            return .store(next)
        }
        // A retry of a request that raised the epoch: the answer was lost, the epoch stays.
        guard claim.epoch == record.previousEpoch else { return .refuse(.producerFenced) }
        return .store(next)
    }

    // MARK: Partitions and groups

    /// Refuses a producer that is not the one of this id, and any while a transaction ends.
    func refusal(of claim: ProducerClaim) -> KafkaErrorCode? {
        if claim.producerID != record.producerID { return .invalidProducerIDMapping }
        if claim.epoch != record.epoch { return .producerFenced }
        return record.state.isPrepared ? .concurrentTransactions : nil
    }

    /// AddPartitionsToTxn and AddOffsetsToTxn: opens a transaction unless one is open.
    ///
    /// - Parameters:
    ///   - groupsEnd: what the metadata has handed out that knows the partitions.
    ///   - version: the client's version of transactions.
    func add(
        _ claim: ProducerClaim, partitions: [TopicPartition], groupsEnd: GroupID = GroupID(rawValue: 0),
        groups: [String], version: UInt8, now: WallTime
    ) -> Decision {
        if let refusal = refusal(of: claim) { return .refuse(refusal) }
        var next = record
        next.version = record.state == .ongoing ? max(version, record.version) : version
        let added = Set(partitions).subtracting(record.partitions)
        let addedGroups = Set(groups).subtracting(record.groups)
        if record.state == .ongoing, added.isEmpty, addedGroups.isEmpty, next.version == record.version {
            return .done
        }
        if record.state != .ongoing {
            next.state = .ongoing
            next.startedAt = now
        }
        next.changedAt = now
        if !added.isEmpty {
            next.partitions = (record.partitions + added).sorted(by: TopicPartition.isBefore)
            next.partitionGroupsEnd = max(record.partitionGroupsEnd, groupsEnd)
        }
        if !addedGroups.isEmpty { next.groups = (record.groups + addedGroups).sorted() }
        return .store(next)
    }

    /// Whether `partition` belongs to the open transaction; ``refusal(of:)`` comes first.
    func verify(_ partition: TopicPartition) -> KafkaErrorCode {
        record.state == .ongoing && contains(partition) ? .none : .transactionAbortable
    }

    /// By halves: partitions are sorted.
    private func contains(_ partition: TopicPartition) -> Bool {
        var range = record.partitions.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if record.partitions[middle] == partition { return true }
            range =
                TopicPartition.isBefore(record.partitions[middle], partition)
                ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return false
    }

    // MARK: Ending

    /// EndTxn of a client that has one epoch for all its transactions (versions 0 to 4).
    func end(_ claim: ProducerClaim, isCommit: Bool, now: WallTime) -> Decision {
        if claim.producerID != record.producerID { return .refuse(.invalidProducerIDMapping) }
        if claim.epoch != record.epoch { return .refuse(.producerFenced) }
        switch record.state {
        case .ongoing:
            var next = record
            next.version = 1
            next.state = isCommit ? .prepareCommit : .prepareAbort
            next.changedAt = now
            return .store(next)
        case .prepareCommit: return .refuse(isCommit ? .concurrentTransactions : .invalidTxnState)
        case .prepareAbort: return .refuse(isCommit ? .invalidTxnState : .concurrentTransactions)
        case .completeCommit: return isCommit ? .done : .refuse(.invalidTxnState)
        case .completeAbort: return isCommit ? .refuse(.invalidTxnState) : .done
        case .empty: return .refuse(.invalidTxnState)
        }
    }

    /// EndTxn of a client whose transactions have an epoch each (version 5 on; KIP-890).
    ///
    /// An abort is taken although no transaction is open: the client does not know whether one is. After `done` and after
    /// what is stored the client is told ``successor``, and what it repeats is told from something new by its epoch.
    ///
    /// - Parameter fresh: an unused producer id, for when the epochs are used up.
    func endRaisingEpoch(_ claim: ProducerClaim, isCommit: Bool, fresh: ProducerID?, now: WallTime) -> Decision {
        let isAfterRotation =
            record.previousProducerID == claim.producerID && claim.epoch == TransactionRecord.lastEpoch
            && record.epoch == 0
        let isRepeated = isAfterRotation || isRaised(from: claim)
        if claim.producerID != record.producerID, !isAfterRotation { return .refuse(.invalidProducerIDMapping) }
        switch record.state {
        case .ongoing, .empty:
            guard claim.epoch == record.epoch else { return .refuse(.producerFenced) }
        case .prepareCommit, .prepareAbort:
            guard isRaised(from: claim) else { return .refuse(.producerFenced) }
            return .refuse((record.state == .prepareCommit) == isCommit ? .concurrentTransactions : .invalidTxnState)
        case .completeCommit, .completeAbort:
            // Nobody gets the last epoch of all: it fences, and whoever begins anew gets another id.
            guard record.epoch < Int16.max, isRepeated || claim.epoch == record.epoch else {
                return .refuse(.producerFenced)
            }
            if isRepeated { return (record.state == .completeCommit) == isCommit ? .done : .refuse(.invalidTxnState) }
        }
        // Here the claim is current: it is a new end, and only an open transaction can be committed.
        guard record.state == .ongoing || !isCommit else { return .refuse(.invalidTxnState) }
        var next = record
        if record.isExhausted {
            guard let fresh else { return .needsProducerID }
            next.nextProducerID = fresh
        }
        next.version = 2
        next.previousEpoch = record.epoch
        next.epoch = record.epoch + 1
        next.state = isCommit ? .prepareCommit : .prepareAbort
        next.startedAt = record.startedAt ?? now
        next.changedAt = now
        return .store(next)
    }

    /// Whether the end of the claim's transaction has raised the epoch: that its owner asked for, or a timeout.
    ///
    /// After the latter an abort tells a client that was only slow how to go on; a fenced one is soon two epochs behind.
    private func isRaised(from claim: ProducerClaim) -> Bool {
        claim.epoch < Int16.max && record.epoch == claim.epoch + 1
    }

    /// What the producer's next transaction has as its id and epoch.
    var successor: ProducerClaim {
        record.nextProducerID == .none
            ? ProducerClaim(producerID: record.producerID, epoch: record.epoch)
            : ProducerClaim(producerID: record.nextProducerID, epoch: 0)
    }

    /// The record that aborts an open transaction in the name of the coordinator; its producer's epoch is fenced.
    ///
    /// The epoch is one above what any client has; no client may recover with it (KIP-360).
    func fencingAbort(now: WallTime) -> TransactionRecord {
        var next = record
        next.epoch = record.epoch < Int16.max ? record.epoch + 1 : record.epoch
        next.previousEpoch = TransactionRecord.noEpoch
        next.state = .prepareAbort
        next.changedAt = now
        return next
    }

    /// The record of a prepared transaction whose partitions have all been told; nil when none is prepared.
    func completed(now: WallTime) -> TransactionRecord? {
        guard record.state.isPrepared else { return nil }
        var next = record
        next.state = record.state == .prepareCommit ? .completeCommit : .completeAbort
        next.partitions = []
        next.groups = []
        next.partitionGroupsEnd = GroupID(rawValue: 0)
        next.startedAt = nil
        next.changedAt = now
        if record.nextProducerID != .none {
            next.previousProducerID = record.producerID
            next.producerID = record.nextProducerID
            next.epoch = 0
            next.nextProducerID = .none
        }
        return next
    }

    /// When an open transaction has been open for too long; nil when none is open.
    var timeoutAt: WallTime? {
        guard record.state == .ongoing, let started = record.startedAt else { return nil }
        return WallTime(milliseconds: started.milliseconds + Int64(record.timeoutMilliseconds))
    }

    /// Whether nobody has used the id for `milliseconds`, and it may be forgotten.
    func isExpired(afterMilliseconds milliseconds: Int64, now: WallTime) -> Bool {
        switch record.state {
        case .ongoing, .prepareCommit, .prepareAbort: false
        case .empty, .completeCommit, .completeAbort: now.milliseconds - record.changedAt.milliseconds >= milliseconds
        }
    }
}
