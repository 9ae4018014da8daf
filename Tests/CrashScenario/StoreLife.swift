// SPDX-License-Identifier: Apache-2.0
//
// StoreLife.swift
// A short life of a store, in which everything happens once that leaves traces on the disk: run in memory, cut off at each
// operation, and in a process of its own that kills itself.

public import LogStore
internal import Logging
public import Model
internal import NIOCore
internal import Records
package import RocksKV

/// One store, its logs, and what it promises.
///
/// The script is the same for the same seed; only the threads of the store may interleave differently.
public final class StoreLife {
    /// The partition that most happens to.
    public static let partition = GroupID(rawValue: 1024)
    /// A partition that is deleted.
    public static let deleted = GroupID(rawValue: 1025)
    /// A partition that comes after it.
    public static let recreated = GroupID(rawValue: 1026)

    /// What was promised so far.
    public var promise: Promise
    /// The open store.
    public private(set) var store: LogStore?
    /// Where completions run.
    public let loop: TestLoop
    let settings: StoreSettings
    let system: any FileSystem
    private let tuning: DatabaseOptions
    private let emit: (Fact) -> Void
    private var random: SeededRandom

    /// A life in the directory of `settings`.
    ///
    /// Each fact is passed to `emit` before the next thing happens.
    package init(
        _ settings: StoreSettings, system: any FileSystem, tuning: DatabaseOptions = DatabaseOptions(),
        promise: Promise = Promise(), seed: UInt64 = 1, loop: TestLoop = TestLoop(),
        emit: @escaping (Fact) -> Void = { _ in }
    ) {
        self.settings = settings
        self.system = system
        self.tuning = tuning
        self.promise = promise
        self.emit = emit
        self.loop = loop
        random = SeededRandom(seed: seed)
    }

    /// The settings of such a life: small files, so that the ring is lapped and segments roll, and checkpoints only when the
    /// script says so.
    public static func settings(_ directory: String, journal: StoreSettings.JournalMode) -> StoreSettings {
        var settings = StoreSettings(directory: directory)
        settings.journal = journal
        settings.journalFile = .kibibytes(64)
        settings.journalFiles = 2
        settings.diskReserve = ByteCount(0)
        settings.recycledSegments = 2
        settings.flushThreads = 2
        settings.unbufferedBytesMin = 4096
        settings.leadBytesMin = 8192
        settings.checkpointMilliseconds = 1_000_000
        return settings
    }

    func say(_ fact: Fact) {
        promise.note(fact)
        emit(fact)
    }

    // MARK: Opening

    /// Opens the store.
    public func open() throws -> LogStore {
        let logger = Logger(label: "crash") { _ in SwiftLogNoOpLogHandler() }
        let store = try LogStore.open(settings, system: system, metrics: nil, logger: logger, tuning: tuning)
        self.store = store
        return store
    }

    /// Recovers a partition, which is made when it does not exist.
    func partition(_ id: GroupID, _ store: LogStore) throws -> PartitionLog {
        let recovered = try store.recoverPartition(
            id, settings: GroupLogSettings(segmentBytes: 90_000, compressesFrames: false))
        say(.created(id))
        return store.partitionLog(recovered, owner: CompletionOwner(eventLoop: loop))
    }

    func commands(_ store: LogStore) throws -> CommandLog {
        let recovered = try store.recoverCommandLog(.controller)
        say(.created(.controller))
        return store.commandLog(recovered, owner: CompletionOwner(eventLoop: loop))
    }

    /// Closes the store, and its logs before it.
    public func close(_ logs: [any GroupLog] = []) {
        for log in logs { log.close() }
        loop.turn()
        store?.close()
        store = nil
    }

    // MARK: The script

    /// Runs the whole life, and leaves the store open; throws when the disk does.
    public func run() throws {
        try youth()
        try oldAge()
    }

    /// Appends both ways, votes, rolls, truncates within and across segments, deletes a partition, closes.
    public func youth() throws {
        let store = try open()
        var log = try partition(Self.partition, store)
        let commands = try commands(store)
        try vote(log, 1, by: 1)
        try vote(commands, 1, by: nil)
        try append(log, 3, term: 1)
        try command(commands, 3, term: 1)
        store.checkpoint()
        try append(log, 1, term: 1, bytes: 40_000)
        try append(log, 2, term: 1)
        try save(log, store, isDurable: true)
        log.roll()
        try append(log, 2, term: 1, together: true)
        log.roll()
        try append(log, 2, term: 1)
        try save(log, store, isDurable: false)
        try truncate(log, from: 9)
        try vote(log, 2, by: nil)
        try append(log, 2, term: 2)
        try truncate(log, from: 6)
        try append(log, 3, term: 3, together: true)
        try command(commands, 2, term: 2)
        let short = try partition(Self.deleted, store)
        try append(short, 2, term: 1)
        try append(short, 1, term: 1, bytes: 40_000)
        short.close()
        loop.turn()
        say(.deleting(Self.deleted))
        try store.deleteGroup(Self.deleted)
        store.checkpoint()
        try check(log)
        say(.deleted(Self.deleted))
        log.roll()
        try append(log, 2, term: 3)
        close([log, commands])
        // Nothing was scanned when it was closed properly; it is opened and left without an entry.
        let again = try open()
        log = try partition(Self.partition, again)
        close([log])
    }

    /// Truncates and compacts commands, lets go of old records, uses a deleted segment's file again.
    private func oldAge() throws {
        let store = try open()
        let log = try partition(Self.partition, store)
        let commands = try commands(store)
        try vote(log, 4, by: 1)
        try append(log, 2, term: 4)
        try command(commands, 3, term: 4)
        try truncate(commands, from: commands.lastIndex.rawValue - 1)
        try command(commands, 2, term: 5)
        try compact(commands, upTo: 4, store)
        log.roll()
        try append(log, 2, term: 4)
        // The first segment goes, and a part of the second cannot be read any more.
        try trim(log, to: Offset(8), store)
        let last = try partition(Self.recreated, store)
        try append(last, 2, term: 1)
        log.roll()
        try append(log, 1, term: 4, bytes: 40_000)
        try append(log, 2, term: 4)
        try save(log, store, isDurable: true)
        try retain(log, bytes: 60_000, store)
        try append(last, 1, term: 1)
        store.checkpoint()
        try append(log, 2, term: 4)
        try command(commands, 1, term: 5)
        try append(last, 1, term: 2, bytes: 40_000)
    }

    /// Appends a little to every log that is there: what recovery found must carry what comes after it.
    ///
    /// With `closing` the logs are closed again, as they must be before the store is.
    public func goOn(closing: Bool = false) throws {
        guard let store else { return }
        for id in try store.groups() where id != Self.deleted {
            if id == .controller {
                let log = try commands(store)
                try vote(log, log.hardState.term.rawValue + 1, by: 1)
                try command(log, 2, term: log.hardState.term.rawValue)
                if closing { log.close() }
            } else {
                let log = try partition(id, store)
                guard log.damage == nil else { continue }
                try vote(log, log.hardState.term.rawValue + 1, by: nil)
                try append(log, 1, term: log.hardState.term.rawValue)
                try append(log, 1, term: log.hardState.term.rawValue, bytes: 40_000)
                if closing { log.close() }
            }
        }
    }

    // MARK: Steps

    private func check(_ log: any GroupLog) throws {
        loop.turn()
        if let failure = store?.failure { throw failure }
    }

    private func wait(_ condition: () -> Bool) throws {
        try loop.turn { condition() || store?.failure != nil }
        if let failure = store?.failure { throw failure }
    }

    private func append(
        _ log: PartitionLog, _ count: Int, term: UInt64, bytes: Int? = nil, together: Bool = false
    ) throws {
        listen(log)
        for number in 0..<count {
            let isEmpty = number == 2
            // In a round of several frames large ones meet small ones, in one segment and in one block.
            let isLarge = together && number == 1
            let size = bytes ?? (isLarge ? 20_000 : 100) + Int(random.next() % 700)
            let payload = isEmpty ? ByteBuffer() : try batch(log.logEndOffset, Term(term), bytes: size)
            try append(
                log,
                FrameDraft(
                    kind: isEmpty ? .noop : .data, term: Term(term), index: log.lastIndex.next,
                    baseOffset: log.logEndOffset, recordCount: isEmpty ? 0 : 1, maxTimestamp: isEmpty ? -1 : 1_000,
                    payload: payload, compression: .never))
            if !together { try wait { log.flushedIndex == log.lastIndex } }
        }
        try wait { log.flushedIndex == log.lastIndex }
    }

    private func command(_ log: CommandLog, _ count: Int, term: UInt64) throws {
        listen(log)
        for _ in 0..<count {
            let payload = ByteBuffer(string: "command \(random.next()) at \(log.lastIndex.next)")
            try append(
                log,
                FrameDraft(
                    kind: .command, term: Term(term), index: log.lastIndex.next, baseOffset: .zero, recordCount: 0,
                    maxTimestamp: -1, payload: payload))
        }
        try wait { log.flushedIndex == log.lastIndex }
    }

    private func append(_ log: some GroupLog, _ draft: FrameDraft) throws {
        let entry = EntryIdentity(term: draft.term.rawValue, crc: CRC32C.checksum(draft.payload))
        say(.asked(log.id, index: draft.index.rawValue, entry))
        try log.append(draft)
    }

    private func listen(_ log: some GroupLog) {
        log.onFlushed = { [unowned self, id = log.id] index, _ in say(.flushed(id, index: index.rawValue)) }
    }

    private func batch(_ base: Offset, _ term: Term, bytes: Int) throws -> ByteBuffer {
        var builder = RecordBatchBuilder()
        var value = ByteBuffer()
        value.writeInteger(random.next())
        value.writeRepeatingByte(UInt8(truncatingIfNeeded: random.next()), count: max(0, bytes - 8))
        builder.append(key: nil, value: value, timestamp: 1_000)
        var buffer = try builder.build()
        RecordBatch.patch(baseOffset: base, leaderEpoch: term.leaderEpoch, in: &buffer, at: buffer.readerIndex)
        return buffer
    }

    private func vote(_ log: some GroupLog, _ term: UInt64, by node: Int32?) throws {
        let state = HardStateRecord(term: Term(term), votedFor: node.map { NodeID(rawValue: $0) })
        say(.voting(log.id, state))
        var isDone = false
        try log.persist(hardState: state) { [unowned self, id = log.id] in
            say(.voted(id, state))
            isDone = true
        }
        try wait { isDone }
    }

    private func truncate(_ log: some GroupLog, from index: UInt64) throws {
        say(.cut(log.id, from: index))
        try log.truncate(from: LogIndex(index))
    }

    private func compact(_ log: CommandLog, upTo index: UInt64, _ store: LogStore) throws {
        say(.trimming(log.id, first: index + 1, logStart: 0))
        try log.compact(upTo: LogIndex(index))
        store.checkpoint()
        try check(log)
        say(.trimmed(log.id, first: index + 1, logStart: 0))
    }

    private func trim(_ log: PartitionLog, to offset: Offset, _ store: LogStore) throws {
        try removing(log, store) { try log.trim(to: offset) }
    }

    private func retain(_ log: PartitionLog, bytes: Int, _ store: LogStore) throws {
        try removing(log, store) {
            try log.applyRetention(
                now: WallTime(milliseconds: 2_000), retentionMilliseconds: nil, retentionBytes: bytes,
                upTo: log.logEndOffset)
        }
    }

    /// What goes is known only when it was asked for: the posts of the store's threads leave the loop alone meanwhile, but the
    /// files may go before the fact is said, so it is said for everything first.
    private func removing(_ log: PartitionLog, _ store: LogStore, _ body: () throws -> Void) throws {
        store.checkpoint()
        try check(log)
        say(.trimming(log.id, first: log.lastIndex.next.rawValue, logStart: log.logEndOffset.rawValue))
        try body()
        let durable = (log.firstIndex.rawValue, log.logStartOffset.rawValue)
        store.checkpoint()
        try check(log)
        say(.trimmed(log.id, first: durable.0, logStart: durable.1))
        // What stayed is as durable as it was.
        say(.trimming(log.id, first: durable.0, logStart: durable.1))
        say(.flushed(log.id, index: log.lastIndex.rawValue))
    }

    private func save(_ log: PartitionLog, _ store: LogStore, isDurable: Bool) throws {
        let offset = log.logEndOffset
        say(.saving(log.id, offset: offset.rawValue, index: log.lastIndex.rawValue))
        log.saveProducerSnapshot(Array("producers at \(offset)".utf8), at: offset)
        guard isDurable else { return }
        store.checkpoint()
        try check(log)
        say(.saved(log.id, offset: offset.rawValue))
    }
}
