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
    }

    init(
        settings: StoreSettings, system: any FileSystem, index: IndexDatabase, metrics: StoreMetrics, logger: Logger,
        checkpointed: UInt64
    ) throws(StoreError) {
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
    func sampledFreeBytes(_ free: Int) {
        metrics.diskFree.set(free)
        appendedSinceSample.store(0, ordering: .relaxed)
        let marks = marks.value
        let left = free - pending.load(ordering: .relaxed) - marks.unappliedBytes - marks.unallocatedBytes
        freeAtSample.store(left, ordering: .relaxed)
        let reserve = settings.diskReserve.bytes
        let wasFull = isReserveReached.load(ordering: .relaxed)
        let isFull = left < (wasFull ? reserve + reserve / 10 : reserve)
        isReserveReached.store(isFull, ordering: .relaxed)
        metrics.diskReserveReached.set(isFull ? 1 : 0)
        spentFreeBytes.store(free < reserve / 8 ? free : -1, ordering: .relaxed)
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
        return .diskFull(free: ByteCount(max(0, left)), reserve: settings.diskReserve)
    }

    /// Set while less than an eighth of the reserve is free: somebody else took the rest.
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
        default: self = .index("\(error)")
        }
    }
}
