// SPDX-License-Identifier: Apache-2.0
//
// ProducerStateTable.swift
// Which batch of an idempotent producer comes next, which was seen before, and which transactions are open, in one
// partition. A function of the log: the leader's copy runs ahead with what is appended and not committed, and is cut back
// with the log.

import Model

/// The idempotent producers of one partition.
///
/// Use: `check` a batch, append it to the log if told so, then `record` it under its offset; batches in that order.
/// Followers and recovery call `replay` for each batch instead. After the log was cut back, `truncate`.
///
/// Cost: one dictionary look-up for each call, about 200 bytes for each producer.
struct ProducerStateTable: Sendable {
    /// Limits.
    struct Settings: Hashable, Sendable {
        /// How long a producer is remembered after its last write (`producer.id.expiration.ms`).
        var expirationMilliseconds: Int64 = 86_400_000
        /// Most producers of a partition; beyond it the ones that wrote longest ago are forgotten.
        var producersMax: Int = 10_000
    }

    /// Whether a truncation could be undone from memory.
    enum Truncation: Hashable, Sendable {
        /// The table is what it was when the log ended there.
        case exact
        /// Some producer had forgotten what it would need now: rebuild from the snapshot before `offset` and replay.
        case needsRebuild
    }

    /// Limits.
    let settings: Settings
    private(set) var producers: [Int64: ProducerEntry] = [:]
    /// The transactions of these producers.
    var transactions = TransactionTable()

    /// A partition without producers.
    init(settings: Settings = Settings()) { self.settings = settings }

    /// How many producers are remembered.
    var count: Int { producers.count }

    /// The epoch of a producer; nil when it is not remembered.
    func epoch(of producer: ProducerID) -> Int16? { producers[producer.rawValue]?.epoch }

    // MARK: Appending

    /// Decides about a batch, considering everything recorded so far, committed or not; changes nothing.
    func check(_ batch: ProducerBatch) -> ProducerVerdict {
        precondition(batch.producerID != .none, "a batch without a producer id has no state")
        if batch.epoch < 0 { return .error(.invalidProducerEpoch) }
        if batch.baseSequence < 0 || batch.lastOffsetDelta < 0 { return .error(.invalidRecord) }
        let isOpen = transactions.isOpen(batch.producerID.rawValue)
        guard let entry = producers[batch.producerID.rawValue] else {
            // With an epoch for each transaction, whatever is first here is the first of its epoch.
            if batch.enrolsPartition, batch.baseSequence != 0 { return .error(.outOfOrderSequence) }
            return batch.isTransactional ? .verify : .append
        }
        if batch.epoch < entry.epoch { return .error(.invalidProducerEpoch) }
        if batch.epoch > entry.epoch {
            guard batch.baseSequence == 0 else { return .error(.outOfOrderSequence) }
            // The open transaction is of the old epoch and needs its marker first, which may be on its way.
            if isOpen { return batch.enrolsPartition ? .verifyBehindOpen : .error(.invalidTxnState) }
            return batch.isTransactional ? .verify : .append
        }
        if let original = entry.batch(from: batch.baseSequence, to: batch.lastSequence) {
            return .duplicate(
                baseOffset: Offset(original.baseOffset), lastOffset: Offset(original.lastOffset),
                timestamp: original.timestamp)
        }
        let next = entry.newest.map { ProducerSequence.advanced($0.lastSequence, by: 1) } ?? entry.awaited
        guard batch.baseSequence == next else { return .error(.outOfOrderSequence) }
        guard isOpen else { return batch.isTransactional ? .verify : .append }
        return batch.isTransactional ? .append : .error(.invalidTxnState)
    }

    /// Remembers a batch that `check` let through and the log took at `batch.baseOffset`.
    mutating func record(_ batch: ProducerBatch, at now: WallTime) {
        let remembered = RememberedBatch(
            firstSequence: batch.baseSequence, lastSequence: batch.lastSequence,
            baseOffset: batch.baseOffset.rawValue, timestamp: batch.maxTimestamp)
        let known = producers[batch.producerID.rawValue] != nil
        producers[
            batch.producerID.rawValue, default: ProducerEntry(epoch: batch.epoch, lastWrite: now)
        ].append(remembered, epoch: batch.epoch, at: now)
        if batch.isTransactional { transactions.begin(batch.producerID.rawValue, at: batch.baseOffset, now: now) }
        if !known, producers.count > settings.producersMax { evictOldest(sparing: batch.producerID) }
    }

    /// Remembers a batch that is in the log already; nothing is checked, and a batch seen before changes nothing.
    mutating func replay(_ batch: ProducerBatch, at now: WallTime) {
        guard batch.producerID != .none, batch.epoch >= 0 else { return }
        guard batch.baseSequence >= 0, batch.lastOffsetDelta >= 0 else { return }
        let newest = producers[batch.producerID.rawValue]?.newest
        if let newest, newest.baseOffset >= batch.baseOffset.rawValue { return }
        record(batch, at: now)
    }

    // MARK: Cutting back

    /// The log now ends at `offset`: batches that reached it or lay beyond are forgotten.
    ///
    /// Exact unless a producer had more than five batches or a new epoch in what was cut; then the table is merely
    /// safe (it accepts too much for that producer) until it is rebuilt by replay.
    mutating func truncate(to offset: Offset) -> Truncation {
        var outcome = takeBackTransactions(from: offset) ? Truncation.exact : .needsRebuild
        for id in producers.keys {
            guard let removed = producers[id]?.truncate(to: offset), removed > 0 else { continue }
            if producers[id]?.hasForgotten == true { outcome = .needsRebuild }
            if producers[id]?.count == 0 { producers[id] = nil }
        }
        return outcome
    }

    /// Batches from `offset` on, which a leader let through, did not come into the log.
    ///
    /// Their producers are held to where the first of them began. Otherwise what a producer has sent behind it would be
    /// taken, and its retry for a duplicate. Returns whether the table is what the log says.
    mutating func takeBack(from offset: Offset) -> Truncation {
        var outcome = takeBackTransactions(from: offset) ? Truncation.exact : .needsRebuild
        for id in producers.keys {
            guard let newest = producers[id]?.newest, newest.lastOffset >= offset.rawValue else { continue }
            producers[id]?.takeBack(from: offset)
            if producers[id]?.count == 0 { outcome = .needsRebuild }
        }
        return outcome
    }

    /// This broker leads from now on.
    ///
    /// A client that has the answer of the former leader, a refusal, may send what follows to the new one before it sends the
    /// refused batch again (librdkafka 2.16, also with one request on the way): not a gap yet.
    mutating func expectStragglers() { for id in producers.keys { producers[id]?.expectStragglers() } }

    /// Whether a batch that is out of order was sent behind one that was refused, and is no mistake of the producer.
    mutating func excuses(_ batch: ProducerBatch) -> Bool {
        guard producers[batch.producerID.rawValue]?.epoch == batch.epoch else { return false }
        return producers[batch.producerID.rawValue]?.excuses() ?? false
    }

    /// Where the last batch of each producer ends that lies before `offset`.
    func lastBatches(before offset: Offset) -> [ProducerID: Offset] {
        var last: [ProducerID: Offset] = [:]
        for (id, entry) in producers {
            let known = (0..<entry.count).map { entry[$0].lastOffset }.last { $0 < offset.rawValue }
            if let known { last[ProducerID(rawValue: id)] = Offset(known) }
        }
        return last
    }

    // MARK: Forgetting

    /// Forgets producers that have not written for the expiration time, and have no open transaction; returns how many.
    @discardableResult
    mutating func expire(now: WallTime) -> Int {
        let before = producers.count
        producers = producers.filter {
            now.milliseconds - $0.value.lastWrite.milliseconds < settings.expirationMilliseconds
                || transactions.isOpen($0.key)
        }
        return before - producers.count
    }

    /// Makes room for a while: a sixteenth of the producers goes, those whose last batch is oldest in the log.
    ///
    /// By offset and not by time, so that replicas which replay the same log forget the same producers. Who has an open
    /// transaction stays.
    mutating func evictOldest(sparing spared: ProducerID) {
        let surplus = producers.count - settings.producersMax + settings.producersMax / 16
        let open = transactions.open
        let oldest = producers.lazy
            .map { (id: $0.key, offset: $0.value.newest?.baseOffset ?? -1) }
            .filter { $0.id != spared.rawValue && open[$0.id] == nil }
            .sorted { ($0.offset, $0.id) < ($1.offset, $1.id) }
        for one in oldest.prefix(surplus) { producers[one.id] = nil }
    }

    /// Puts back what a snapshot says, or what was before a marker; nil for a producer that was not known.
    mutating func restore(_ entry: ProducerEntry?, of id: Int64) { producers[id] = entry }
}
