// SPDX-License-Identifier: Apache-2.0
//
// CompactionLife.swift
// A log with keys on a disk that forgets, and what was written to it, for tests of compaction.

import CrashScenario
import Logging
import Model
import NIOCore
import Records
import RocksKV
import Testing

@testable import LogStore

/// A record as it was written.
struct KeyedRecord: Hashable {
    var offset: Int64
    var key: String
    /// Nil is a deletion.
    var value: String?
    var timestamp: Int64
}

/// A store on a disk that forgets, and the log of one partition.
final class CompactionLife {
    static let group = GroupID(rawValue: 1024)

    let loop = TestLoop()
    let store: LogStore
    let log: PartitionLog
    /// Everything that was appended.
    var written: [KeyedRecord] = []
    var outcome: Result<CompactionStatistics, StoreError>?
    var markers: [RemovedMarker] = []

    init(
        _ disk: FaultyFileSystem, _ index: LossyIndex, _ adjust: (inout StoreSettings) -> Void = { _ in }
    ) throws {
        var settings = StoreLife.settings(index.directory.path, journal: .auto)
        adjust(&settings)
        store = try LogStore.open(
            settings, system: disk, metrics: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, tuning: index.tuning)
        do {
            let recovered = try store.recoverPartition(
                Self.group, settings: GroupLogSettings(segmentBytes: 4 << 10, segmentMilliseconds: nil))
            log = store.partitionLog(recovered, owner: CompletionOwner(eventLoop: loop))
        } catch {
            store.close()
            throw error
        }
        log.onCompacted = { [weak self] in self?.outcome = $0 }
        log.onMarkersRemoved = { [weak self] in self?.markers += $0 }
    }

    deinit {
        store.core.fail(.closed, during: "the end of the test")
        store.close()
    }

    /// Appends a batch with these keys and values, and waits until it is in its segment.
    func append(
        _ records: [(key: String, value: String?)], term: Term = Term(1), producer: ProducerFields = .none,
        isTransactional: Bool = false, time: Int64 = 1_000
    ) throws {
        var builder = RecordBatchBuilder(codec: .none, producer: producer, isTransactional: isTransactional)
        let base = log.logEndOffset
        for (place, record) in records.enumerated() {
            builder.append(
                key: ByteBuffer(string: record.key), value: record.value.map { ByteBuffer(string: $0) },
                timestamp: time + Int64(place))
            written.append(
                KeyedRecord(
                    offset: base.rawValue + Int64(place), key: record.key, value: record.value,
                    timestamp: time + Int64(place)))
        }
        try append(try builder.build(), count: records.count, term: term, time: time + Int64(records.count - 1))
    }

    /// Appends the marker that ends a transaction.
    func end(_ producer: ProducerID, _ kind: ControlRecord.Kind, term: Term = Term(1)) throws {
        let marker = ControlRecord(kind: kind, coordinatorEpoch: 0)
        let batch = try marker.batch(producerID: producer, producerEpoch: 0, time: WallTime(milliseconds: 1_000))
        try append(batch, count: 1, term: term, time: 1_000)
    }

    private func append(_ batch: ByteBuffer, count: Int, term: Term, time: Int64) throws {
        var payload = batch
        RecordBatch.patch(
            baseOffset: log.logEndOffset, leaderEpoch: term.leaderEpoch, in: &payload, at: payload.readerIndex)
        try log.append(
            FrameDraft(
                kind: .data, term: term, index: log.lastIndex.next, baseOffset: log.logEndOffset,
                recordCount: Int32(count), maxTimestamp: time, payload: payload))
        try settle()
    }

    func appendNoop(_ term: Term) throws {
        try log.append(LogFixture.draft(log, term: term, kind: .noop))
        try settle()
    }

    func settle() throws {
        try loop.turn { [log] in log.progress.applied == log.lastIndex || log.failure != nil }
        if let failure = log.failure { throw failure }
    }

    /// Appends `count` batches with random keys and values.
    func appendRandom(_ count: Int, keys: Int, random: inout SeededRandom, term: Term = Term(1)) throws {
        for _ in 0..<count {
            let number = log.lastIndex.rawValue
            var records: [(key: String, value: String?)] = []
            for place in 0..<Int.random(in: 1...3, using: &random) {
                let key = "key \(Int.random(in: 0..<keys, using: &random))"
                let isDeletion = Int.random(in: 0..<12, using: &random) == 0
                let filling = String(repeating: "v", count: Int.random(in: 20...200, using: &random))
                let value = "\(number)/\(place) " + filling
                records.append((key, isDeletion ? nil : value))
            }
            try append(records, term: term, time: 1_000 + Int64(number) * 10)
        }
    }

    /// Runs a pass over everything that may be compacted; returns what it did, nil when nothing is due.
    @discardableResult
    func compact(
        _ settings: CompactionSettings = CompactionSettings(dirtyRatioMin: 0), now: Int64 = 1_000_000,
        _ adjust: (inout CompactionBounds) -> Void = { _ in }
    ) throws -> CompactionStatistics? {
        outcome = nil
        var bounds = CompactionBounds(end: log.logEndOffset, committed: log.lastIndex)
        adjust(&bounds)
        guard log.compactIfDue(now: WallTime(milliseconds: now), settings: settings, bounds: { bounds }) else {
            return nil
        }
        try loop.turn { self.outcome != nil || self.log.failure != nil }
        if let failure = log.failure { throw failure }
        return try outcome?.get()
    }

    /// Reads all batches from the disk.
    func batches(from start: Offset? = nil) throws -> [RecordBatch] {
        _ = log.evictTail(through: log.lastIndex)
        var found: [RecordBatch] = []
        var next = start ?? log.logStartOffset
        while next < log.logEndOffset {
            var answer: Result<ReadResult, StoreError>?
            log.read(from: next, upTo: log.logEndOffset, maxBytes: 2_000) { answer = $0 }
            try loop.turn { answer != nil }
            let result = try #require(try answer?.get())
            guard result.nextOffset > next else {
                Issue.record("a read from \(next) came no further")
                break
            }
            for slice in result.slices { found += try RecordBatch.batches(in: slice) }
            next = result.nextOffset
        }
        return found
    }

    /// Reads all records from the disk.
    func records(from start: Offset? = nil) throws -> [KeyedRecord] {
        var found: [KeyedRecord] = []
        for batch in try batches(from: start) where !batch.isControl {
            _ = try batch.verify(depth: .deep, context: CompressionContext())
            for record in try batch.allRecords() {
                found.append(
                    KeyedRecord(
                        offset: record.offset.rawValue, key: record.key.map { String(buffer: $0) } ?? "",
                        value: record.value.map { String(buffer: $0) }, timestamp: record.timestamp))
            }
        }
        return found
    }

    /// The last value of each key, as a reader of everything ends up with.
    static func table(_ records: [KeyedRecord]) -> [String: String] {
        var table: [String: String] = [:]
        for record in records { table[record.key] = record.value }
        return table
    }

    /// Holds what can be read against what was written: nothing new, nothing newest lost, times found.
    func check(_ comment: String = "") throws {
        let left = try records()
        let all = Set(written)
        #expect(left.allSatisfy(all.contains), "\(comment): a record is another than was written")
        #expect(left.map(\.offset) == left.map(\.offset).sorted() && Set(left.map(\.offset)).count == left.count)
        #expect(Self.table(left) == Self.table(written), "\(comment): another table")
        let uncompacted = log.segments.first { $0.compacted == nil }?.baseOffset ?? .zero
        let behind = written.filter { $0.offset >= uncompacted.rawValue }
        #expect(left.filter { $0.offset >= uncompacted.rawValue } == behind, "\(comment): the rest is not whole")
        for time in stride(from: Int64(1_000), to: (left.map(\.timestamp).max() ?? 0) + 20, by: 97) {
            var answer: Result<TimestampMatch?, StoreError>?
            log.offset(forTimestamp: time, upTo: log.logEndOffset) { answer = $0 }
            try loop.turn { answer != nil }
            let found = try answer?.get()?.offset.rawValue
            #expect(found == left.first { $0.timestamp >= time }?.offset, "\(comment): time \(time)")
        }
    }

    // MARK: Snapshots

    /// Begins to receive a snapshot; returns how much of each file is there.
    func stage(_ snapshot: LogSnapshot) throws -> [Int] {
        var staged: Result<[Int], StoreError>?
        log.stage(snapshot) { staged = $0 }
        try loop.turn { staged != nil }
        return try #require(try staged?.get())
    }

    /// Adds what is missing of one file.
    func add(_ snapshot: LogSnapshot, file: Int, from giver: CompactionLife, at position: Int = 0) throws {
        var bytes: Result<ByteBuffer, StoreError>?
        let count = snapshot.byteCount(ofFile: file) - position
        giver.log.readSnapshot(snapshot, file: file, from: position, count: count) { bytes = $0 }
        try giver.loop.turn { bytes != nil }
        var added: Result<Void, StoreError>?
        log.addStaged(try #require(try bytes?.get()), file: file, at: position) { added = $0 }
        try loop.turn { added != nil }
        try #require(try added?.get())
    }

    /// Puts what was received in place of the log.
    func install() throws {
        var checked: Result<Bool, StoreError>?
        log.checkStaged { checked = $0 }
        try loop.turn { checked != nil }
        #expect(try checked?.get() == true)
        var installed: Result<Void, StoreError>?
        log.installStaged { installed = $0 }
        try loop.turn { installed != nil }
        try #require(try installed?.get())
    }

    func end(crashing: Bool) {
        if crashing, store.core.failure == nil { store.core.fail(.closed, during: "the end of the scenario") }
        log.close()
        loop.turn()
        store.close()
    }
}
