// SPDX-License-Identifier: Apache-2.0
//
// StoreCore.swift
// What the threads and the logs of one store share.

internal import Dispatch
internal import Logging
internal import Model
internal import NIOCore
internal import RocksKV
internal import Synchronization
internal import Telemetry

/// The shared part of a store.
///
/// Everything in it may be used from any thread.
final class StoreCore: Sendable {
    let settings: StoreSettings
    let system: any FileSystem
    let index: IndexDatabase
    let files: SegmentFiles
    let ballast: Ballast
    let metrics: StoreMetrics
    let logger: Logger
    let pool: BufferPool
    let flushQueue = Mailbox<FlushItem>()
    private let applyQueue = Mailbox<ApplyItem>()
    /// Ends the applier's pause early.
    private let applyUrgency = DispatchSemaphore(value: 0)
    let codecQueue = Mailbox<EncodeJob>()
    /// One for each reader thread.
    let readQueues: [Mailbox<ReadJob>]
    let readCache: ReadCache
    let stageQueue = Mailbox<StageJob>()
    let compactionQueue = Mailbox<CompactionJob>()
    /// Bytes a second that compaction reads and writes; 0 is without a limit.
    let compactionRate = Atomic(0)
    /// Set when the store closes: a pass ends where it is.
    let isCompactionStopped = Atomic(false)
    let marks: Condition<JournalMarks>
    /// Bytes that were appended and are not durable.
    let pending = Atomic(0)
    /// Jobs that wait for the codec thread.
    let codecDepth = Atomic(0)
    /// Free bytes that nobody has a claim to, when they were sampled last.
    private let freeAtSample = Atomic(Int.max)
    /// Bytes that were appended since.
    private let appendedSinceSample = Atomic(0)
    private let isReserveReached = Atomic(false)
    /// Free bytes when most of the reserve is gone as well, or -1.
    private let spentFreeBytes = Atomic(-1)
    private let state = Mutex(State())

    private struct State: Sendable {
        var failure: StoreError?
        var handles: [GroupID: GroupHandle] = [:]
        /// Groups that a snapshot was staged for in this run.
        var staging: Set<GroupID> = []
    }

    init(
        settings: StoreSettings, system: any FileSystem, index: IndexDatabase, metrics: StoreMetrics, logger: Logger,
        ballast: Ballast, checkpointed: UInt64
    ) throws(StoreError) {
        self.ballast = ballast
        self.settings = settings
        self.system = system
        self.index = index
        self.metrics = metrics
        self.logger = logger
        pool = BufferPool(budget: settings.tailCache.bytes)
        readCache = ReadCache(budget: settings.readCache.bytes)
        readQueues = (0..<max(1, settings.readerThreads)).map { _ in Mailbox<ReadJob>() }
        files = try SegmentFiles(
            system: system, root: settings.directory, openMax: settings.openFiles,
            recycledMax: settings.recycledSegments)
        marks = Condition(JournalMarks(checkpointed: checkpointed))
        compactionRate.store(settings.compactionBytesPerSecond, ordering: .relaxed)
    }

    // MARK: Failure

    /// Why the store stopped; nil while it works.
    var failure: StoreError? { state.withLock { $0.failure } }

    /// Stops the store for good (rule R8) and tells every log once.
    func fail(_ error: StoreError, during operation: String) {
        let reason: StoreError
        if case .diskFailed = error { reason = error } else { reason = .diskFailed("\(operation): \(error)") }
        let handles: [GroupHandle]? = state.withLock { state in
            guard state.failure == nil else { return nil }
            state.failure = reason
            return Array(state.handles.values)
        }
        guard let handles else { return }
        logger.critical(
            "The disk failed and the store stops", metadata: ["operation": "\(operation)", "error": "\(error)"])
        var deliveries = Deliveries()
        for handle in handles { deliveries.add(.failed(reason), for: handle) }
        deliveries.send()
        marks.update { $0.isFailed = true }
    }

    // MARK: The applier's queue

    /// How long the applier lets work gather: what comes in between shares one write per segment and one index batch.
    private static let gatherMilliseconds = 2

    /// Hands work to the applier.
    ///
    /// Frames may wait a little; whatever someone waits for is urgent.
    func postApply(_ item: ApplyItem, isUrgent: Bool) {
        applyQueue.post(item)
        if isUrgent { applyUrgency.signal() }
    }

    /// Takes the applier's work, after waiting at most `milliseconds` for some.
    func takeApply(into items: inout [ApplyItem], milliseconds: Int) {
        if applyQueue.wait(milliseconds: milliseconds) {
            _ = applyUrgency.wait(timeout: .now() + .milliseconds(Self.gatherMilliseconds))
        }
        applyQueue.take(into: &items)
    }

    /// Whether the applier has work.
    var hasApplyWork: Bool { !applyQueue.isEmpty }

    /// Takes the applier's work without waiting.
    func takeApply(into items: inout [ApplyItem]) { applyQueue.take(into: &items) }

    // MARK: Waiting for other threads

    /// Waits until `done` is signalled by one of `workers`.
    func wait(for done: DispatchSemaphore, by workers: [StoreSteps.Worker]) {
        guard case .steps(let steps) = settings.execution else { return done.wait() }
        steps.run(workers) { done.wait(timeout: .now()) == .success }
    }

    /// Waits until the applier has brought about what `condition` asks for.
    func waitForMarks<Result: Sendable>(until condition: (inout JournalMarks) -> Result?) -> Result {
        guard case .steps(let steps) = settings.execution else { return marks.wait(until: condition) }
        var result: Result?
        steps.run([.apply]) {
            result = marks.update { condition(&$0) }
            return result != nil
        }
        guard let result else { preconditionFailure("what was waited for did not come") }
        return result
    }

    // MARK: Groups

    /// Notes an open log.
    func register(_ handle: GroupHandle) {
        let failure: StoreError? = state.withLock { state in
            precondition(state.handles[handle.id] == nil, "\(handle.id) is open already")
            state.handles[handle.id] = handle
            return state.failure
        }
        if let failure { handle.owner.eventLoop.execute { handle.deliver(.failed(failure)) } }
    }

    /// Notes that a log was closed.
    func unregister(_ handle: GroupHandle) {
        state.withLock { state in
            if state.handles[handle.id] === handle { state.handles.removeValue(forKey: handle.id) }
        }
    }

    /// Notes that the thread `store-stage` works for a group.
    func noteStaging(_ group: GroupID) { state.withLock { _ = $0.staging.insert(group) } }

    /// Whether it may be at work for the group.
    func isStaging(_ group: GroupID) -> Bool { state.withLock { $0.staging.contains(group) } }

    /// How many logs are open.
    var openLogs: Int { state.withLock { $0.handles.count } }

    /// Hands a read to the thread that serves the group.
    func read(_ job: ReadJob, of group: GroupID) {
        readQueues[Int(group.rawValue % UInt64(readQueues.count))].post(job)
    }

    // MARK: Disk space

    /// Notes a sample of the free space.
    ///
    /// Data is refused below the reserve, and taken again a tenth above it. What was accepted and is not in its segment
    /// yet, and what the journal's ring still lacks, will take room of what is free.
    ///
    /// The ballast is a part of the reserve, held or not.
    func sampledFreeBytes(_ free: Int) {
        metrics.diskFree.set(free)
        let held = ballast.heldBytes
        metrics.ballastBytes.set(held)
        appendedSinceSample.store(0, ordering: .relaxed)
        let marks = marks.value
        metrics.deferredBytes.set(marks.deferredBytes)
        let claimed =
            pending.load(ordering: .relaxed) + marks.unappliedBytes + marks.deferredBytes + marks.unallocatedBytes
        let left = free + held - claimed
        freeAtSample.store(left, ordering: .relaxed)
        let reserve = settings.diskReserve.bytes
        let wasFull = isReserveReached.load(ordering: .relaxed)
        let isFull = left < (wasFull ? reserve + reserve / 10 : reserve) || marks.deferredFrom != nil
        isReserveReached.store(isFull, ordering: .relaxed)
        metrics.diskReserveReached.set(isFull ? 1 : 0)
        let isSpent = free < reserve / 8 || ballast.isReleased || marks.deferredFrom != nil
        spentFreeBytes.store(isSpent ? max(0, free) : -1, ordering: .relaxed)
        if isFull != wasFull {
            logger.warning(
                "Disk reserve",
                metadata: ["free_bytes": "\(free)", "unclaimed_bytes": "\(left)", "refusing_data": "\(isFull)"])
        }
    }

    /// Whether the disk has no room for `byteCount` bytes of data; what came since the last sample counts.
    func diskFull(for byteCount: Int) -> StoreError? {
        let left = freeAtSample.load(ordering: .relaxed) - appendedSinceSample.load(ordering: .relaxed)
        guard isReserveReached.load(ordering: .relaxed) || left - byteCount < settings.diskReserve.bytes
        else { return nil }
        // Whoever was refused finds the reserve reached in the metrics, and room must come back before data is taken again.
        if !isReserveReached.exchange(true, ordering: .relaxed) {
            metrics.diskReserveReached.set(1)
            logger.warning("Disk reserve", metadata: ["unclaimed_bytes": "\(left)", "refusing_data": "true"])
        }
        return .diskFull(free: ByteCount(max(0, left)), reserve: settings.diskReserve)
    }

    /// Measures the free space, and gives the ballast back or holds it again.
    ///
    /// The applier's.
    func sampleFreeBytes() throws(StoreError) {
        var free = try system.freeBytes(at: settings.directory)
        sampledFreeBytes(free)
        let reserve = settings.diskReserve.bytes
        if ballast.heldBytes > 0 {
            guard free < reserve / 16, try releaseBallast() else { return }
        } else {
            guard ballast.byteCount > 0, freeAtSample.load(ordering: .relaxed) - ballast.byteCount >= reserve / 16 * 3,
                marks.value.deferredFrom == nil
            else { return }
            let wasReleased = ballast.isReleased
            guard try ballast.hold() else { return }
            if wasReleased { logger.notice("The ballast is held again", metadata: ["free_bytes": "\(free)"]) }
        }
        free = try system.freeBytes(at: settings.directory)
        sampledFreeBytes(free)
    }

    /// Gives the ballast back; returns whether it was there.
    private func releaseBallast() throws(StoreError) -> Bool {
        guard try ballast.release() else { return false }
        logger.warning(
            "The disk is nearly full: the ballast is given back", metadata: ["bytes": "\(ballast.byteCount)"])
        return true
    }

    /// Refuses everything until the next sample, because the system had no space to give, and gives the ballast back; returns
    /// whether that made room.
    func foundNoSpace() throws(StoreError) -> Bool {
        isReserveReached.store(true, ordering: .relaxed)
        metrics.diskReserveReached.set(1)
        spentFreeBytes.store(0, ordering: .relaxed)
        return try releaseBallast()
    }

    /// The file of `segment` with room for bytes up to `end`, with the help of the ballast; nil when the disk has no room.
    ///
    /// Nothing is written by this: whoever gets no file can still go another way.
    func fileWithRoom(_ segment: Segment, upTo end: Int) throws(StoreError) -> (any File)? {
        for _ in 0..<2 {
            do throws(StoreError) { return try files.writing(segment, upTo: end) } catch {
                guard error.isNoSpace else { throw error }
            }
            guard try foundNoSpace() else { return nil }
        }
        return nil
    }

    /// The error for work that the disk has no room for.
    var noSpace: StoreError {
        .diskFull(free: ByteCount((try? system.freeBytes(at: settings.directory)) ?? 0), reserve: settings.diskReserve)
    }

    /// Set while less than an eighth of the reserve is free, or the ballast is given back: somebody else took the rest.
    var reserveSpent: StoreError? {
        let free = spentFreeBytes.load(ordering: .relaxed)
        return free < 0 ? nil : .diskFull(free: ByteCount(free), reserve: settings.diskReserve)
    }

    /// Why data should not be appended now.
    func refusal(for byteCount: Int) -> StoreError? {
        if let error = diskFull(for: byteCount) { return error }
        let waiting = pending.load(ordering: .relaxed)
        if waiting > 0, waiting + byteCount > settings.pendingBytesMax.bytes { return .busy }
        return nil
    }

    /// Notes appended bytes (positive) or bytes that are not waited for any more (negative).
    func addPending(_ byteCount: Int) {
        let now = pending.wrappingAdd(byteCount, ordering: .relaxed).newValue
        metrics.pendingBytes.set(now)
        if byteCount > 0 { appendedSinceSample.wrappingAdd(byteCount, ordering: .relaxed) }
    }
}

/// Runs an operation of the index database with the store's error.
@inline(__always)
func indexed<Result: ~Copyable>(_ body: () throws(IndexError) -> Result) throws(StoreError) -> Result {
    do { return try body() } catch { throw StoreError(error) }
}

extension StoreError {
    /// The store's error for one of the index database.
    init(_ error: IndexError) {
        switch error {
        case .database(.locked(let path)): self = .locked(path: path)
        case .database(.diskFull(let detail)): self = .indexFull(detail)
        default: self = .index("\(error)")
        }
    }
}
