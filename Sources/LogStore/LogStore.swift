// SPDX-License-Identifier: Apache-2.0
//
// LogStore.swift
// One data directory: its lock, its index database, its journal and the threads that write.

internal import Dispatch
public import Logging
public import Model
internal import NIOCore
package import RocksKV
internal import Synchronization
public import Telemetry

/// The store of one broker.
///
/// Threads: `store-flush` makes things durable, `store-apply` writes what can wait, `store-codec` compresses, `store-read-N` read,
/// `store-flush-N` flush several files at once.
public final class LogStore: Sendable {
    /// The format of the whole data directory.
    public static let formatVersion: UInt32 = 1

    /// The index database, for applied state and facts of groups.
    public let metadata: IndexDatabase
    /// How the store was set up.
    public let settings: StoreSettings
    /// What the store counts.
    public let metrics: StoreMetrics
    /// Whose store it is.
    public let identity: StoreIdentity
    /// Whether the store was closed properly before.
    public let wasClean: Bool
    /// Whether the index database held less than was durable before: votes, log starts or truncations may be forgotten.
    ///
    /// Every group that was there carries the mark from then on, also one that only its files or the journal tell of; see
    /// ``GroupMeta/isAmnesiac``.
    public let isAmnesiac: Bool

    let core: StoreCore
    private let lock: any FileLock
    private let replayed: [GroupID: LogIndex]
    private let threads: Threads?
    private let isClosed = Mutex(false)
    /// Groups whose logs were opened in this run.
    private let opened = Mutex<Set<GroupID>>([])

    private struct Threads: Sendable {
        let flush: WorkerThread
        let apply: WorkerThread
        let codec: WorkerThread
        let readers: [WorkerThread]
        let stage: WorkerThread
        let compact: WorkerThread
        let workers: FlushWorkers
    }

    // MARK: Opening

    /// Opens the store, replays its journal and starts its threads.
    ///
    /// - Throws: ``StoreError/locked(path:)``, ``StoreError/formatVersion(found:supported:)``, ``StoreError/corrupt(_:)`` when the
    ///   journal is damaged; nothing was changed then.
    public static func open(
        _ settings: StoreSettings, metrics registry: MetricRegistry?, logger: Logger
    ) throws(StoreError) -> LogStore {
        try open(settings, system: PosixFileSystem(), metrics: registry, logger: logger)
    }

    /// Opens the store on other files than the operating system's; the index database stays on real ones unless `tuning` says
    /// so, or it is in `medium`.
    package static func open(
        _ settings: StoreSettings, system: any FileSystem, metrics registry: MetricRegistry?, logger: Logger,
        tuning: DatabaseOptions = DatabaseOptions(), index medium: IndexMedium? = nil
    ) throws(StoreError) -> LogStore {
        try system.makeDirectoryDurably(settings.directory)
        let lock = try system.lock(settings.directory + "/LOCK")
        do throws(StoreError) {
            return try LogStore(settings, system, lock, StoreMetrics(registry), logger, tuning, medium)
        } catch {
            lock.unlock()
            guard error.isNoSpace, let free = try? system.freeBytes(at: settings.directory) else { throw error }
            logger.error("The disk is full", metadata: ["error": "\(error)"])
            throw .diskFull(free: ByteCount(free), reserve: settings.diskReserve)
        }
    }

    private init(
        _ settings: StoreSettings, _ system: any FileSystem, _ lock: any FileLock, _ metrics: StoreMetrics,
        _ logger: Logger, _ tuning: DatabaseOptions, _ medium: IndexMedium?
    ) throws(StoreError) {
        let root = settings.directory
        if !system.exists(root + "/rocksdb"), system.exists(root + "/groups") {
            throw .formatVersion(found: "groups without an index database", supported: Self.formatVersion)
        }
        let ballast = try Ballast(system: system, settings: settings)
        let index = try indexed { () throws(IndexError) in
            if let medium { return IndexDatabase(on: medium) }
            return try IndexDatabase(at: root + "/rocksdb", tuning: tuning)
        }
        let openedAt = try indexed { () throws(IndexError) in try index.latestSequence() }
        try system.makeDirectory(root + "/rocksdb")
        // Groups are there only when the index is, also after a power failure.
        if !system.exists(root + "/groups") { try system.syncDirectory(root) }
        try system.makeDirectory(root + "/groups")
        if settings.journal != .off { try system.makeDirectory(root + "/journal") }
        if try indexed({ () throws(IndexError) in try index.storeMeta() }) == nil {
            // Without an identity every group would look like an orphan, and orphans are deleted.
            guard try system.list(root + "/groups").isEmpty else {
                throw .formatVersion(found: "groups without an identity", supported: Self.formatVersion)
            }
        }
        let meta = try Self.storeMeta(index, settings)
        let core = try StoreCore(
            settings: settings, system: system, index: index, metrics: metrics, logger: logger,
            ballast: ballast, checkpointed: meta.journalApplied.rawValue)
        var past = try IndexPast(core, meta, openedAt: openedAt)
        // A process that was killed may have left names that are not durable.
        try system.syncDirectory(root)
        wasClean = meta.cleanShutdown != nil && !past.isAmnesiac
        try past.settle(core, meta, wasClean: wasClean)
        let recovered = try Self.replay(core, meta)
        core.marks.update { $0.checkpointed = recovered.next }
        self.settings = settings
        self.metrics = metrics
        self.core = core
        self.lock = lock
        metadata = index
        identity = meta.identity
        isAmnesiac = past.isAmnesiac
        replayed = recovered.first
        // What an index that forgets does not know may be there all the same.
        if !isAmnesiac { try Self.removeOrphans(core) }
        threads = try Self.start(
            core, journalID: Self.journalID(meta.identity), next: recovered.next, mark: past.mark)
        logger.info(
            "Store opened",
            metadata: [
                "directory": "\(root)", "clean": "\(wasClean)", "replayed_frames": "\(recovered.frames)",
                "journal": "\(settings.journal.rawValue)",
            ])
    }

    /// Reads or writes the store's records, and removes the mark of a clean shutdown before anything is written.
    private static func storeMeta(_ index: IndexDatabase, _ settings: StoreSettings) throws(StoreError) -> StoreMeta {
        try indexed { () throws(IndexError) in
            var batch = try index.makeBatch()
            if let meta = try index.storeMeta() {
                if meta.cleanShutdown != nil {
                    batch.deleteCleanShutdown()
                    try batch.commit(durability: .synced)
                }
                return meta
            }
            let identity = StoreIdentity(
                formatVersion: formatVersion, nodeID: settings.nodeID, clusterID: "",
                createdAt: settings.clock.wallTime())
            batch.putIdentity(identity)
            batch.putJournalApplied(JournalPosition(rawValue: 1))
            try batch.commit(durability: .synced)
            return StoreMeta(identity: identity, journalApplied: JournalPosition(rawValue: 1), cleanShutdown: nil)
        }
        .checked()
    }

    /// What the blocks of this store's journal carry.
    static func journalID(_ identity: StoreIdentity) -> UInt64 {
        var random = SeededRandom(seed: UInt64(bitPattern: identity.createdAt.milliseconds))
        return random.next() ^ UInt64(UInt32(bitPattern: identity.nodeID.rawValue))
    }

    private static func replay(
        _ core: StoreCore, _ meta: StoreMeta
    ) throws(StoreError) -> (next: UInt64, first: [GroupID: LogIndex], frames: Int) {
        let reader = try JournalReader(
            system: core.system, directory: core.settings.directory + "/journal", journalID: journalID(meta.identity))
        var replay = try JournalReplay(core)
        let outcome = try reader.read(from: meta.journalApplied.rawValue) { item throws(StoreError) in
            try replay.apply(item)
        }
        try replay.finish(next: outcome.nextSequence)
        return (outcome.nextSequence, replay.firstReplayed, replay.frameCount)
    }

    /// Directories of groups that were deleted when the process ended.
    private static func removeOrphans(_ core: StoreCore) throws(StoreError) {
        let known = Set(try indexed { () throws(IndexError) in try core.index.groups() })
        for name in try core.system.list(core.settings.directory + "/groups") {
            guard let number = UInt64(name), !known.contains(GroupID(rawValue: number)) else { continue }
            try core.files.deleteGroup(GroupID(rawValue: number))
        }
        // A pass of compaction begins anew with what it had not offered yet.
        let compacting = FrameOutput.directory(core.settings.directory)
        for name in try core.system.list(compacting) { try core.system.remove(compacting + "/" + name) }
        // Snapshots that were on their way to groups that are here are gone on with.
        for name in try core.system.list(core.settings.directory + "/staging") {
            guard let number = UInt64(name), !known.contains(GroupID(rawValue: number)) else { continue }
            try core.removeStage(of: GroupID(rawValue: number))
        }
    }

    private static func start(
        _ core: StoreCore, journalID: UInt64, next: UInt64, mark: SyncedMark
    ) throws(StoreError) -> Threads? {
        let workers = FlushWorkers(count: core.settings.flushThreads, execution: core.settings.execution)
        let journal = try JournalWriter(
            system: core.system, directory: core.settings.directory + "/journal", settings: core.settings,
            journalID: journalID, nextSequence: next)
        let unallocated = journal.unallocatedBytes
        core.marks.update { $0.unallocatedBytes = unallocated }
        try core.sampledFreeBytes(core.system.freeBytes(at: core.settings.directory))
        let flushLoop = OneShot(FlushLoop(core: core, workers: workers, journal: journal))
        let applyLoop = OneShot(try ApplyLoop(core: core, workers: workers, appliedSequence: next, mark: mark))
        let compactor = OneShot(CompactionThread(core))
        if case .steps(let steps) = core.settings.execution {
            bind(steps, core, flushLoop, applyLoop)
            steps.bind(.compact) {
                !core.compactionQueue.isEmpty || compactor.use { $0.hasWork }
            } step: {
                compactor.use { $0.step() }
            }
            return nil
        }
        return Threads(
            flush: WorkerThread("store-flush") { flushLoop.consume { $0.run() } },
            apply: WorkerThread("store-apply") { applyLoop.consume { $0.run() } },
            codec: WorkerThread("store-codec") { CodecThread(core).run() },
            readers: core.readQueues.enumerated().map { number, queue in
                WorkerThread("store-read-\(number)") { ReaderThread(core).run(queue) }
            },
            stage: WorkerThread("store-stage") { StageThread(core).run() },
            compact: WorkerThread("store-compact") { compactor.consume { $0.run() } },
            workers: workers)
    }

    /// Hands the work to `steps` instead of threads.
    private static func bind(
        _ steps: StoreSteps, _ core: StoreCore, _ flushLoop: OneShot<FlushLoop>, _ applyLoop: OneShot<ApplyLoop>
    ) {
        let codec = OneShot(CodecThread(core))
        let reader = OneShot(ReaderThread(core))
        steps.bind(.flush) {
            !core.flushQueue.isEmpty
        } step: {
            flushLoop.use { $0.step() }
        }
        steps.bind(.apply) {
            core.hasApplyWork
        } step: {
            applyLoop.use { $0.step() }
        }
        steps.bind(.codec) {
            !core.codecQueue.isEmpty
        } step: {
            codec.use { $0.step() }
        }
        let stage = StageThread(core)
        steps.bind(.stage) {
            !core.stageQueue.isEmpty
        } step: {
            stage.step()
        }
        steps.bind(.read) {
            core.readQueues.contains { !$0.isEmpty }
        } step: {
            reader.use { reader in core.readQueues.count { reader.step($0) } > 0 }
        }
    }

    // MARK: Groups

    /// Recovers the log of a partition, creating the group when it does not exist.
    ///
    /// Blocks on the disk; may be called from several threads, each for another group.
    ///
    /// Damage does not throw: see ``RecoveredGroup/damage``. `floor` is that of a replica that joins its group; it is
    /// kept when the group is made, durably, and changes nothing in one that exists.
    public func recoverPartition(
        _ id: GroupID, settings: GroupLogSettings = GroupLogSettings(), label: GroupLabel? = nil,
        floor: JoinFloor? = nil
    ) throws(StoreError) -> RecoveredGroup {
        try checkOpen()
        try settle(id)
        try finishInstall(id)
        var record = try indexed { () throws(IndexError) in try metadata.loadGroup(id) }
        if record.meta == nil { record.meta = try create(id, label, floor) }
        let recovery = try GroupRecovery(
            id, record: record, core: core, settings: settings, replayedFrom: replayed[id], isClean: wasClean,
            writes: true)
        let group = try recovery.run()
        if let damage = group.damage {
            core.logger.error(
                "Log is damaged",
                metadata: [
                    "group": "\(id.rawValue)", "file": "\(damage.file)", "position": "\(damage.position)",
                    "index": "\(damage.index?.rawValue ?? 0)", "reason": "\(damage.reason)",
                ])
        }
        return group
    }

    /// Recovers a group whose entries are commands, creating it when it does not exist, then with the `floor`.
    public func recoverCommandLog(_ id: GroupID, floor: JoinFloor? = nil) throws(StoreError) -> RecoveredGroup {
        try checkOpen()
        try settle(id)
        try finishInstall(id)
        let record = try indexed { () throws(IndexError) in try metadata.loadGroup(id) }
        let meta: GroupMeta
        if let known = record.meta { meta = known } else { meta = try create(id, nil, floor) }
        return RecoveredGroup(commands: record, meta: meta)
    }

    /// What a log that was open before in this run still has in the threads' queues comes before it is read again.
    ///
    /// If the store failed meanwhile, what was to go may still be there.
    private func settle(_ id: GroupID) throws(StoreError) {
        guard !opened.withLock({ $0.insert(id).inserted }) else { return }
        if core.isStaging(id) {
            let done = DispatchSemaphore(value: 0)
            core.stageQueue.post(StageJob(handle: nil, ticket: 0, work: .barrier(done)))
            core.wait(for: done, by: [.stage])
        }
        checkpoint()
        try checkOpen()
        if core.marks.value.deferredFrom != nil { throw core.noSpace }
    }

    /// A group exists durably before its first frame: replay tells deleted groups by their missing facts.
    ///
    /// If it was here before, that is over durably before.
    private func create(_ id: GroupID, _ label: GroupLabel?, _ floor: JoinFloor?) throws(StoreError) -> GroupMeta {
        var meta = GroupMeta()
        meta.label = label
        meta.floor = floor
        try core.files.forget(id)
        try indexed { () throws(IndexError) in
            var batch = try metadata.makeBatch()
            batch.putGroupMeta(meta, of: id)
            try batch.commit(durability: .synced)
        }
        return meta
    }

    /// Binds a recovered log to its loop, on which this must be called.
    public func partitionLog(_ recovered: RecoveredGroup, owner: CompletionOwner) -> PartitionLog {
        PartitionLog(recovered, core: core, owner: owner)
    }

    /// Binds a recovered log to its loop, on which this must be called.
    public func commandLog(_ recovered: RecoveredGroup, owner: CompletionOwner) -> CommandLog {
        CommandLog(recovered, core: core, owner: owner)
    }

    /// Removes a group and its files.
    ///
    /// Its log must be closed. It is gone for good when the applier has come to it.
    public func deleteGroup(_ id: GroupID) throws(StoreError) {
        try checkOpen()
        core.readCache.drop(id)
        // Whoever opens it next waits until it is gone.
        opened.withLock { _ = $0.insert(id) }
        // A snapshot that is being put in place must not bring the group back.
        guard core.isStaging(id) else { return core.flushQueue.post(.forward(.deleteGroup(id))) }
        core.stageQueue.post(StageJob(handle: nil, ticket: 0, work: .delete(id)))
    }

    /// Moves the files of a closed log to the place for damaged ones.
    func moveFiles(of id: GroupID) throws(StoreError) -> String {
        try checkOpen()
        checkpoint()
        let time = core.settings.clock.wallTime().milliseconds
        return try core.files.moveGroup(id, to: Self.asideDirectory, time: time)
    }

    /// The groups that exist here.
    public func groups() throws(StoreError) -> [GroupID] {
        try indexed { () throws(IndexError) in try metadata.groups() }
    }

    /// Why data is refused while everything else goes on; nil while there is room.
    public var diskFull: StoreError? { core.diskFull(for: 0) }

    /// Whether the ballast of the disk reserve is given back, because the disk was nearly full.
    public var isBallastReleased: Bool { core.ballast.isReleased }

    /// Why the store stopped; nil while it works.
    public var failure: StoreError? { core.failure }

    /// The bytes that logs keep in memory for readers; zero when none is open.
    public var bufferBalance: Int { core.pool.balance }

    private func checkOpen() throws(StoreError) {
        if let failure = core.failure { throw failure }
        if isClosed.withLock({ $0 }) { throw .closed }
    }

    /// Brings everything that was asked for so far to its segments and the index, durably, and waits for it.
    package func checkpoint() {
        let done = DispatchSemaphore(value: 0)
        core.flushQueue.post(.forward(.checkpoint(done)))
        core.wait(for: done, by: [.flush, .apply])
    }

    // MARK: Closing

    /// Writes out everything, marks the store as cleanly closed and lets go of the directory.
    ///
    /// All logs must be closed before.
    public func close() {
        let wasClosed = isClosed.withLock { closed in
            defer { closed = true }
            return closed
        }
        guard !wasClosed else { return }
        if let threads { end(threads) } else { endSteps() }
        // What still waits for space is in the journal only; the next start replays it.
        if core.failure == nil, core.marks.value.deferredFrom == nil { markClean() }
        metadata.close()
        lock.unlock()
    }

    private func end(_ threads: Threads) {
        core.codecQueue.post(EncodeJob(handle: nil, ticket: 0, payload: ByteBuffer(), checksum: nil, level: 0))
        threads.codec.join()
        for queue in core.readQueues {
            queue.post(ReadJob(handle: nil, ticket: 0, ranges: [], query: .timestamp(0, from: .zero, upTo: .zero)))
        }
        for reader in threads.readers { reader.join() }
        core.isCompactionStopped.store(true, ordering: .relaxed)
        core.compactionQueue.post(.stop)
        threads.compact.join()
        core.stageQueue.post(StageJob(handle: nil, ticket: 0, work: .stop))
        threads.stage.join()
        core.flushQueue.post(.stop)
        threads.flush.join()
        core.postApply(.stop, isUrgent: true)
        threads.apply.join()
        threads.workers.stop()
    }

    private func endSteps() {
        guard case .steps(let steps) = settings.execution else { return }
        steps.run(.codec)
        steps.run(.read)
        steps.run(.stage)
        core.flushQueue.post(.stop)
        steps.run(.flush)
        core.postApply(.stop, isUrgent: true)
        steps.run(.apply)
        steps.unbind()
    }

    /// Lets go of everything as the death of the process would; only for a store without threads.
    package func abandon() {
        guard case .steps(let steps) = settings.execution else { preconditionFailure("threads cannot be abandoned") }
        steps.unbind()
        lock.unlock()
    }

    private func markClean() {
        do throws(IndexError) {
            var batch = try metadata.makeBatch()
            let sequence = try metadata.latestSequence()
            batch.putCleanShutdown(
                CleanShutdown(
                    closedAt: settings.clock.wallTime(),
                    journal: JournalPosition(rawValue: core.marks.value.checkpointed), sequence: sequence))
            try batch.commit(durability: .synced)
        } catch {
            core.logger.error("The store could not be marked as clean", metadata: ["error": "\(error)"])
        }
    }
}

extension StoreMeta {
    /// Refuses directories of a format that this version does not know.
    fileprivate func checked() throws(StoreError) -> StoreMeta {
        guard identity.formatVersion == LogStore.formatVersion else {
            throw .formatVersion(found: "\(identity.formatVersion)", supported: LogStore.formatVersion)
        }
        return self
    }
}
