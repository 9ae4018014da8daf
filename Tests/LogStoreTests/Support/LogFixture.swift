// SPDX-License-Identifier: Apache-2.0
//
// LogFixture.swift
// A store in a directory of its own, and one partition that a test appends to and reads.

import CrashScenario
import Dispatch
import Logging
import Model
import NIOCore
import Records
import RocksKV

@testable import LogStore

/// One store and its partitions.
final class LogFixture {
    let directory: ScratchDirectory
    let loop = TestLoop()
    let owner: CompletionOwner
    var settings: StoreSettings
    var groupSettings = GroupLogSettings()
    var store: LogStore
    let system: any FileSystem
    private var tuning = DatabaseOptions()
    private(set) var logs: [GroupID: PartitionLog] = [:]

    static let group = GroupID(rawValue: 1024)

    init(
        journal: StoreSettings.JournalMode = .auto, system: any FileSystem = PosixFileSystem(),
        _ adjust: (inout StoreSettings) -> Void = { _ in }
    ) throws {
        directory = ScratchDirectory()
        var settings = StoreSettings(directory: directory.path)
        settings.journal = journal
        settings.journalFile = .mebibytes(8)
        settings.journalFiles = 2
        settings.diskReserve = ByteCount(0)
        adjust(&settings)
        self.settings = settings
        self.system = system
        owner = CompletionOwner(eventLoop: loop)
        if system is FaultyFileSystem { tuning.storage = .memory(MemoryStorage()) }
        store = try LogStore.open(
            settings, system: system, metrics: nil, logger: Self.logger, tuning: tuning)
    }

    /// Closes the store, whose threads and files would stay until the process ends; nothing more is written.
    deinit {
        store.core.fail(.closed, during: "the end of the test")
        store.close()
    }

    static var logger: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    /// Opens a partition, or returns the open one.
    func log(_ group: GroupID = LogFixture.group) throws -> PartitionLog {
        if let log = logs[group] { return log }
        let recovered = try store.recoverPartition(group, settings: groupSettings)
        let log = store.partitionLog(recovered, owner: owner)
        logs[group] = log
        return log
    }

    /// Closes the first log at once, whatever is under way.
    func closeLog() {
        loop.turn()
        logs.removeValue(forKey: Self.group)?.close()
    }

    /// Lets go of logs without closing them.
    func forgetLogs() {
        loop.turn()
        logs = [:]
    }

    func closeLogs() throws {
        loop.turn()
        for log in logs.values { log.close() }
        try loop.turn { self.store.core.openLogs == 0 }
        logs = [:]
    }

    /// Closes and opens the store; without `cleanly` as if the process had been killed.
    func restart(cleanly: Bool = true) throws {
        if cleanly { try closeLogs() } else { crash() }
        store.close()
        store = try LogStore.open(
            settings, system: system, metrics: nil, logger: Self.logger, tuning: tuning)
    }

    /// Stops the store without writing anything more.
    func crash() {
        store.core.fail(.closed, during: "a simulated crash")
        loop.turn()
        logs = [:]
    }

    // MARK: Appending

    /// A draft that continues `log` with one batch of `records` records.
    static func draft(
        _ log: PartitionLog, term: Term = Term(1), records: Int = 1, bytes: Int = 100, timestamp: Int64 = 1_000,
        kind: FrameKind = .data
    ) -> FrameDraft {
        var payload = ByteBuffer()
        if kind == .data {
            payload = batch(base: log.logEndOffset, term: term, records: records, bytes: bytes, timestamp: timestamp)
        }
        return FrameDraft(
            kind: kind, term: term, index: log.lastIndex.next, baseOffset: log.logEndOffset,
            recordCount: kind == .data ? Int32(records) : 0, maxTimestamp: kind == .data ? timestamp : -1,
            payload: payload)
    }

    /// One batch whose values depend on their offsets.
    static func batch(base: Offset, term: Term, records: Int, bytes: Int, timestamp: Int64) -> ByteBuffer {
        var builder = RecordBatchBuilder()
        for number in 0..<records {
            var random = SeededRandom(seed: UInt64(base.rawValue) + UInt64(number))
            var value = ByteBuffer()
            for _ in 0..<((bytes + 7) / 8) { value.writeInteger(random.next() & 0x0f0f_0f0f_0f0f_0f0f) }
            builder.append(key: nil, value: value, timestamp: timestamp)
        }
        guard var buffer = try? builder.build() else { preconditionFailure("a batch without a codec cannot be built") }
        RecordBatch.patch(baseOffset: base, leaderEpoch: term.leaderEpoch, in: &buffer, at: buffer.readerIndex)
        return buffer
    }

    /// Appends `count` frames and waits until they are durable.
    func append(
        _ count: Int, to log: PartitionLog? = nil, term: Term = Term(1), records: Int = 1, bytes: Int = 100,
        timestamp: Int64 = 1_000
    ) throws {
        let log = try log ?? self.log()
        for _ in 0..<count {
            try log.append(Self.draft(log, term: term, records: records, bytes: bytes, timestamp: timestamp))
        }
        try loop.turn { log.flushedIndex == log.lastIndex || log.failure != nil }
        if let failure = log.failure { throw failure }
    }

    /// Waits until everything is in its segment.
    func settle(_ log: PartitionLog) throws {
        try loop.turn { log.progress.applied == log.lastIndex || log.failure != nil }
    }

    /// Waits until the index has caught up with everything that was asked for so far.
    func checkpoint() { store.checkpoint() }

    // MARK: Reading

    /// Reads everything from the log's start, with the disk when memory has it not.
    func readAll(_ log: PartitionLog, fromDisk: Bool = false) throws -> [ByteBuffer] {
        if fromDisk {
            try settle(log)
            _ = log.evictTail(through: log.lastIndex)
        }
        var batches: [ByteBuffer] = []
        var next = log.logStartOffset
        while next < log.logEndOffset {
            let result = try read(log, from: next)
            guard result.nextOffset > next else { break }
            for slice in result.slices { batches += try RecordBatch.batches(in: slice).map(\.bytes) }
            next = result.nextOffset
        }
        return batches
    }

    /// Reads once.
    func read(
        _ log: PartitionLog, from offset: Offset, upTo end: Offset? = nil, maxBytes: Int = 1 << 20
    ) throws -> ReadResult {
        let end = end ?? log.logEndOffset
        if let cached = log.readCached(from: offset, upTo: end, maxBytes: maxBytes) { return cached }
        var answer: Result<ReadResult, StoreError>?
        log.read(from: offset, upTo: end, maxBytes: maxBytes) { answer = $0 }
        try loop.turn { answer != nil }
        return try answer!.get()
    }

    /// Checks that the log reads as the batches that the appends made.
    static func problem(with batches: [ByteBuffer], from start: Offset, to end: Offset) -> String? {
        var next = start
        for bytes in batches {
            guard let batch = try? RecordBatch(bytes) else { return "unreadable batch at \(next)" }
            if batch.baseOffset != next { return "batch at \(batch.baseOffset) instead of \(next)" }
            guard (try? batch.verify(depth: .deep, context: CompressionContext())) != nil else {
                return "batch at \(next) fails verification"
            }
            next = batch.nextOffset
        }
        return next == end ? nil : "ends at \(next) instead of \(end)"
    }
}
