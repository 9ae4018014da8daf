// SPDX-License-Identifier: Apache-2.0
//
// CompactionFilter.swift
// What stays of a batch (Kafka's rules, with KIP-534 for the life of tombstones and markers). Decides and does no I/O.

internal import Model
internal import Records

/// The rules of one pass over a log, from its beginning on.
struct CompactionFilter: Sendable {
    /// What stays of a batch.
    enum Rest {
        /// All of it, or some of its records.
        case records(RecordBatch, maxTimestamp: Int64)
        /// Its header alone, for what it says of its producer.
        case header
        /// Nothing.
        case nothing
    }

    /// The newest offset of each key.
    let keys: KeyOffsets
    /// The keys before this offset are in ``keys`` or are not to be compared.
    let keysThrough: Offset
    let lastBatches: [ProducerID: Offset]
    let now: Int64
    let retention: Int64
    private let aborted: [ProducerID: [AbortedRange]]
    /// Producers of whose present transaction data stayed.
    private var open: Set<ProducerID> = []
    /// Producers of whose present transaction everything was seen; of all when the pass began at the log's beginning.
    private var seen: Set<ProducerID> = []
    private let sawAll: Bool
    /// Markers that went.
    private(set) var removedMarkers: [RemovedMarker] = []
    /// When the first tombstone or marker that stayed may go.
    private(set) var horizon: Int64?
    /// Records that went.
    private(set) var removed = 0

    /// Rules for a pass at `now`; `sawAll` says that it begins where the log does.
    init(
        keys: KeyOffsets, through keysThrough: Offset, bounds: CompactionBounds, settings: CompactionSettings,
        now: Int64, sawAll: Bool
    ) {
        self.keys = keys
        self.keysThrough = keysThrough
        lastBatches = bounds.lastBatches
        aborted = Self.index(bounds.aborted)
        self.now = now
        retention = settings.deleteRetentionMilliseconds
        self.sawAll = sawAll
    }

    static func index(_ ranges: [AbortedRange]) -> [ProducerID: [AbortedRange]] {
        Dictionary(grouping: ranges, by: \.producer)
    }

    /// Whether a batch belongs to one of the aborted transactions.
    static func isAborted(_ batch: RecordBatch, _ ranges: [ProducerID: [AbortedRange]]) -> Bool {
        guard batch.isTransactional, !batch.isControl, let ranges = ranges[batch.header.producerID] else {
            return false
        }
        return ranges.contains { $0.first <= batch.baseOffset && batch.baseOffset < $0.marker }
    }

    /// Begins another segment: what was noted of the last one is let go.
    mutating func beginSegment() {
        removedMarkers = []
        horizon = nil
        removed = 0
    }

    /// What stays of the next batch of the log.
    mutating func rest(of batch: RecordBatch, _ context: CompressionContext) throws(RecordError) -> Rest {
        guard batch.baseOffset < keysThrough else {
            if batch.isControl {
                open.remove(batch.header.producerID)
            } else if batch.isTransactional {
                open.insert(batch.header.producerID)
            }
            return .records(batch, maxTimestamp: batch.recordCount > 0 ? batch.maxTimestamp : -1)
        }
        if batch.isControl { return try restOfMarker(batch, context) }
        guard batch.recordCount > 0 else { return restWithoutRecords(batch) }
        guard !Self.isAborted(batch, aborted) else {
            removed += batch.recordCount
            return restWithoutRecords(batch)
        }
        var hasTombstones = false
        let now = now
        let keys = keys
        let isExpired = batch.deleteHorizon.map { $0 <= now } ?? false
        let keeps = { (record: CompactionRecord) -> Bool in
            // Without a key there is nothing to compare, and compacted topics take no such records.
            guard let key = record.key else { return false }
            if let newest = keys.newest(key), newest > record.offset {
                return false
            }
            guard !record.hasValue else { return true }
            hasTombstones = hasTombstones || !isExpired
            return !isExpired
        }
        var left = try batch.compacted(context: context, keeps: keeps)
        if hasTombstones {
            if batch.deleteHorizon == nil {
                left = try batch.compacted(horizon: now &+ retention, context: context, keeps: keeps)
            }
            note(batch.deleteHorizon ?? now &+ retention)
        }
        removed += left.removed
        guard let rest = left.batch else { return restWithoutRecords(batch) }
        if batch.isTransactional { open.insert(batch.header.producerID) }
        return .records(rest, maxTimestamp: left.maxTimestamp)
    }

    /// The last batch of a producer stays as a header: its sequence is what the next one continues.
    private func restWithoutRecords(_ batch: RecordBatch) -> Rest {
        isLast(batch) ? .header : .nothing
    }

    private func isLast(_ batch: RecordBatch) -> Bool {
        batch.hasProducer && lastBatches[batch.header.producerID] == batch.lastOffset
    }

    /// A marker stays until everything of its transaction is gone, and then until its horizon.
    private mutating func restOfMarker(
        _ batch: RecordBatch, _ context: CompressionContext
    ) throws(RecordError) -> Rest {
        let producer = batch.header.producerID
        let isKnown = sawAll || seen.contains(producer)
        seen.insert(producer)
        let hasData = open.remove(producer) != nil
        let all = Rest.records(batch, maxTimestamp: batch.maxTimestamp)
        guard batch.recordCount > 0 else { return restWithoutRecords(batch) }
        guard isKnown, !hasData else { return all }
        guard let horizon = batch.deleteHorizon else {
            note(now &+ retention)
            let marked = try batch.compacted(horizon: now &+ retention, context: context) { _ in true }
            return marked.batch.map { .records($0, maxTimestamp: batch.maxTimestamp) } ?? all
        }
        guard horizon <= now, !isLast(batch) else {
            if horizon > now { note(horizon) }
            return all
        }
        var records = try batch.records(context: context)
        let marker = try records.next().flatMap { record throws(RecordError) in try ControlRecord(record) }
        removedMarkers.append(
            RemovedMarker(producer: producer, offset: batch.baseOffset, isAbort: marker?.kind == .abort))
        removed += batch.recordCount
        return .nothing
    }

    private mutating func note(_ time: Int64) { horizon = min(horizon ?? time, time) }
}
