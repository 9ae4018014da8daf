// SPDX-License-Identifier: Apache-2.0
//
// ApplyLoop.swift
// The thread behind the flush: writes journaled frames to their segments, keeps the index, checkpoints, deletes.

internal import Dispatch
internal import Logging
internal import Model
internal import RocksKV
internal import Synchronization
internal import Telemetry

/// The state of the applier thread.
struct ApplyLoop: ~Copyable {
    private let core: StoreCore
    private let workers: FlushWorkers
    private var batch: IndexBatch
    /// What is durable of the index, noted outside of it.
    private var mark: SyncedMark
    private var writer = FrameWriter()
    /// Segments with bytes that were not flushed.
    private var dirty: [ObjectIdentifier: Segment] = [:]
    /// The sequence after the last block that was applied.
    private var appliedSequence: UInt64
    /// What waits for space.
    private var deferred = DeferredWrites()
    private var lastRetry: Instant
    private var hasUnsynced = false
    private var wantsCheckpoint = false
    private var lastCheckpoint: Instant
    private var lastSample: Instant
    /// Sealed segments whose pointers can go after the next checkpoint.
    private var redundant: [(group: GroupID, from: LogIndex, upTo: LogIndex)] = []

    /// How often free space is measured while there is something to do; measuring costs microseconds.
    private static let sampleMilliseconds: Int64 = 10
    /// How often writes that wait for space are tried again: asking for space that is not there can be slow.
    private static let retryMilliseconds: Int64 = 250
    /// How long the thread sleeps when nothing comes.
    private static let tickMilliseconds = 250

    init(core: StoreCore, workers: FlushWorkers, appliedSequence: UInt64, mark: SyncedMark) throws(StoreError) {
        self.core = core
        self.workers = workers
        self.appliedSequence = appliedSequence
        self.mark = mark
        batch = try indexed { () throws(IndexError) in try core.index.makeBatch() }
        lastCheckpoint = core.settings.clock.now()
        lastSample = lastCheckpoint
        lastRetry = lastCheckpoint
    }

    /// Runs until it is told to stop.
    mutating func run() {
        var items: [ApplyItem] = []
        while true {
            core.takeApply(into: &items, milliseconds: Self.tickMilliseconds)
            guard process(items) else { return }
            tick()
        }
    }

    /// Does once what ``run()`` does again and again, without waiting; returns whether there was work.
    mutating func step() -> Bool {
        var items: [ApplyItem] = []
        core.takeApply(into: &items)
        if process(items) { tick() }
        return !items.isEmpty
    }

    /// Applies items in order, runs of frames together; returns false when the thread is to end.
    private mutating func process(_ items: [ApplyItem]) -> Bool {
        var frames: [SealedFrame] = []
        var hardStates: [(GroupID, HardStateRecord)] = []
        var sequence: UInt64?
        var lazy: [Bool] = []
        for item in items {
            if case .frames(let more, let states, let journal) = item {
                frames += more
                lazy += repeatElement(journal != nil, count: more.count)
                hardStates += states
                if let journal { sequence = journal }
                continue
            }
            if !frames.isEmpty || !hardStates.isEmpty || sequence != nil {
                guarded("apply") { loop throws(StoreError) in
                    try loop.apply(frames, lazy: lazy, hardStates, sequence)
                }
                frames = []
                lazy = []
                hardStates = []
                sequence = nil
            }
            if case .stop = item {
                guarded("write what waits for space") { loop throws(StoreError) in try loop.retry() }
                guarded("checkpoint") { loop throws(StoreError) in try loop.checkpoint() }
                return false
            }
            perform(item)
        }
        if !frames.isEmpty || !hardStates.isEmpty || sequence != nil {
            guarded("apply") { loop throws(StoreError) in try loop.apply(frames, lazy: lazy, hardStates, sequence) }
        }
        return true
    }

    private mutating func guarded(_ operation: String, _ body: (inout ApplyLoop) throws(StoreError) -> Void) {
        guard core.failure == nil else { return }
        do throws(StoreError) { try body(&self) } catch { core.fail(error, during: operation) }
    }

    // MARK: Frames

    /// Writes lazily what is in the journal only, and indexes everything (rule R1: all of it is durable).
    private mutating func apply(
        _ frames: [SealedFrame], lazy: [Bool], _ hardStates: [(GroupID, HardStateRecord)], _ sequence: UInt64?
    ) throws(StoreError) {
        let journaled = zip(frames, lazy).filter(\.1).map(\.0)
        let waiting = deferred.byteCount
        for (segment, frames) in journaled.groupedBySegment() where try !write(frames, to: segment) {
            wait(.frames(segment, frames))
        }
        for (group, state) in hardStates { batch.putHardState(state, of: group) }
        for frame in frames { batch.putFrame(frame) }
        try commit(.buffered)
        hasUnsynced = true
        if let sequence { appliedSequence = sequence + 1 }
        report(frames)
        let bytes =
            journaled.reduce(0) { $0 + $1.frameBytes + JournalFormat.frameItemBytes }
            + hardStates.count * JournalFormat.hardStateItemBytes
        let more = deferred.byteCount - waiting
        if bytes > 0 {
            core.marks.update { marks in
                marks.unappliedBytes -= bytes
                marks.deferredBytes += more
            }
        }
    }

    /// Writes frames to their segment; returns false when they have to wait for space, and nothing was written.
    private mutating func write(
        _ frames: [SealedFrame], to segment: Segment, again: Bool = false
    ) throws(StoreError) -> Bool {
        guard deferred.isEmpty || again else { return false }
        let end = frames.reduce(0) { max($0, $1.endPosition) }
        guard let file = try core.fileWithRoom(segment, upTo: end) else { return false }
        core.metrics.segmentBytes.increment(by: try writer.write(frames, to: file))
        dirty[ObjectIdentifier(segment)] = segment
        return true
    }

    /// Tells the logs which of their entries are in their place: each in its order, also behind what waits for space.
    private mutating func report(_ frames: [SealedFrame]) {
        var deliveries = Deliveries()
        var late: [(handle: GroupHandle, index: LogIndex, generation: Int)] = []
        for (handle, frame) in frames.lastOfEachLog() {
            if deferred.isEmpty || frame.segment == nil {
                deliveries.add(.applied(frame.header.index, generation: frame.generation), for: handle)
            } else {
                late.append((handle, frame.header.index, frame.generation))
            }
        }
        if !late.isEmpty { wait(.applied(late)) }
        deliveries.send()
    }

    // MARK: Waiting for space

    /// Keeps work for later.
    ///
    /// Data is refused meanwhile, so what waits is what was accepted before.
    private mutating func wait(_ item: DeferredWrites.Item) {
        let isFirst = deferred.isEmpty
        deferred.append(item, from: appliedSequence)
        guard isFirst, let from = deferred.sequence else { return }
        core.marks.update { $0.deferredFrom = from }
        lastRetry = core.settings.clock.now()
        core.logger.warning("The disk is full: what is in the journal waits for room in its segments")
    }

    /// Does what waits for space, as far as there is some.
    private mutating func retry() throws(StoreError) {
        guard !deferred.isEmpty else { return }
        lastRetry = core.settings.clock.now()
        var done = 0
        for item in deferred.items {
            let isDone: Bool
            switch item {
            case .frames(let segment, let frames): isDone = try write(frames, to: segment, again: true)
            case .seal(let segment, let footer, let position):
                isDone = try seal(segment, footer, position, again: true)
            case .applied(let entries):
                var deliveries = Deliveries()
                for (handle, index, generation) in entries {
                    deliveries.add(.applied(index, generation: generation), for: handle)
                }
                deliveries.send()
                isDone = true
            }
            guard isDone else { break }
            done += 1
        }
        deferred.removeFirst(done)
        noteDeferred()
    }

    /// Forgets work on segments that go.
    private mutating func dropDeferred(where isDropped: (Segment) -> Bool) {
        guard !deferred.isEmpty else { return }
        deferred.drop(where: isDropped)
        noteDeferred()
    }

    private mutating func noteDeferred() {
        let (bytes, from) = (deferred.byteCount, deferred.sequence)
        core.marks.update { marks in
            marks.deferredBytes = bytes
            marks.deferredFrom = from
        }
        guard deferred.isEmpty else { return }
        // The next checkpoint passes what waited.
        hasUnsynced = true
        core.logger.notice("The disk has room again: what waited in the journal is in its segments")
    }

    private mutating func commit(_ durability: Durability) throws(StoreError) {
        do throws(IndexError) { try batch.commit(durability: durability) } catch { throw StoreError(error) }
    }

    // MARK: Other work

    private mutating func perform(_ item: ApplyItem) {
        switch item {
        case .frames, .stop: break
        case .seal(let segment, let footer, let position):
            guarded("seal a segment") { loop throws(StoreError) in
                guard try !loop.seal(segment, footer, position) else { return }
                loop.wait(.seal(segment, footer: footer, position: position))
            }
        case .trim(let trim): guarded("trim \(trim.group)") { loop throws(StoreError) in try loop.trim(trim) }
        case .unlink(let replaced):
            guarded("remove replaced segments") { loop throws(StoreError) in try loop.remove(replaced) }
        case .meta(let group, let meta):
            batch.putGroupMeta(meta, of: group)
            guarded("note a group") { loop throws(StoreError) in try loop.commit(.buffered) }
        case .compact(let group, let meta, let from):
            guarded("compact \(group)") { loop throws(StoreError) in try loop.compact(group, meta, from: from) }
        case .producerSnapshot(let group, let snapshot):
            guarded("store producers") { loop throws(StoreError) in try loop.store(snapshot, of: group) }
        case .deleteGroup(let group):
            guarded("delete \(group)") { loop throws(StoreError) in try loop.delete(group) }
        case .checkpointSoon: wantsCheckpoint = true
        case .checkpoint(let done):
            guarded("checkpoint") { loop throws(StoreError) in
                try loop.retry()
                try loop.checkpoint()
            }
            done.signal()
        }
    }

    /// Rule R4: the footer closes the segment; it becomes durable with the next checkpoint, and recovery does without it.
    ///
    /// Returns false when it has to wait for space.
    private mutating func seal(
        _ segment: Segment, _ footer: FrameHeader, _ position: UInt32, again: Bool = false
    ) throws(StoreError) -> Bool {
        guard deferred.isEmpty || again else { return false }
        let end = Int(position) + footer.frameBytes
        guard let file = try core.fileWithRoom(segment, upTo: end) else { return false }
        try file.writeFooter(footer, at: Int(position))
        try file.truncate(to: end)
        segment.state.withLock { $0.allocated = end }
        dirty[ObjectIdentifier(segment)] = segment
        redundant.append((segment.group, segment.base, footer.index))
        return true
    }

    /// Rule R5: what is known first, durably; the files afterwards.
    private mutating func trim(_ trim: Trim) throws(StoreError) {
        batch.putGroupMeta(trim.meta, of: trim.group)
        try commit(.synced)
        try remove(trim.deleted)
        guard trim.meta.firstIndex > trim.formerFirst else { return }
        try deletePointers(of: trim.group, from: trim.formerFirst, upTo: min(trim.meta.firstIndex, trim.last))
        try indexed { () throws(IndexError) in
            while try !batch.deletePrefix(
                before: trim.meta.firstIndex, offset: trim.meta.firstOffset, of: trim.group)
            { try batch.commit(durability: .buffered) }
            try batch.commit(durability: .buffered)
        }
        redundant.removeAll { $0.group == trim.group && $0.upTo < trim.meta.firstIndex }
    }

    /// Nobody needs the files any more.
    private mutating func remove(_ segments: [Segment]) throws(StoreError) {
        dropDeferred { segment in segments.contains { $0 === segment } }
        for segment in segments {
            dirty.removeValue(forKey: ObjectIdentifier(segment))
            try core.files.delete(segment)
            core.metrics.segmentsDeleted.increment()
        }
    }

    /// The state that stands for the entries was committed before, so the sync covers it (rule R7).
    private mutating func compact(_ group: GroupID, _ meta: GroupMeta, from: LogIndex) throws(StoreError) {
        batch.putGroupMeta(meta, of: group)
        let reached = batch.deletePointers(from: from, upTo: meta.firstIndex, of: group)
        precondition(reached == meta.firstIndex, "\(group): \(from) to \(meta.firstIndex) is too much for one batch")
        try indexed { () throws(IndexError) in
            _ = try batch.deletePrefix(before: meta.firstIndex, offset: .zero, of: group)
        }
        try commit(.synced)
    }

    private mutating func deletePointers(
        of group: GroupID, from: LogIndex, upTo: LogIndex
    ) throws(StoreError) {
        var next = from
        while next < upTo {
            next = batch.deletePointers(from: next, upTo: upTo, of: group)
            try commit(.buffered)
        }
    }

    private mutating func store(_ snapshot: ProducerSnapshot, of group: GroupID) throws(StoreError) {
        let former = try indexed { () throws(IndexError) in try core.index.producerSnapshot(of: group) }
        batch.putProducerSnapshot(snapshot, of: group)
        // The one before stays for the case that this one is cut away.
        if let former,
            let older = try indexed({ () throws(IndexError) in
                try former.offset > .zero
                    ? core.index.producerSnapshot(of: group, notAfter: Offset(former.offset.rawValue - 1)) : nil
            })
        {
            batch.deleteProducerSnapshot(at: older.offset, of: group)
        }
        try commit(.buffered)
        hasUnsynced = true
    }

    private mutating func delete(_ group: GroupID) throws(StoreError) {
        for (key, segment) in dirty where segment.group == group { dirty.removeValue(forKey: key) }
        redundant.removeAll { $0.group == group }
        dropDeferred { $0.group == group }
        try indexed { () throws(IndexError) in try core.index.deleteGroup(group) }
        try core.files.deleteGroup(group)
        try core.removeStage(of: group)
    }

    // MARK: Checkpoints

    private mutating func tick() {
        guard core.failure == nil else { return }
        let now = core.settings.clock.now()
        if now.milliseconds(since: lastSample) >= Self.sampleMilliseconds {
            lastSample = now
            guarded("measure free space") { loop throws(StoreError) in try loop.sample() }
        }
        if !deferred.isEmpty, now.milliseconds(since: lastRetry) >= Self.retryMilliseconds {
            guarded("write what waits for space") { loop throws(StoreError) in try loop.retry() }
        }
        let age = now.milliseconds(since: lastCheckpoint)
        // What waits for space keeps the journal from being passed: hurrying would gain nothing.
        if (wantsCheckpoint && deferred.isEmpty) || (hasUnsynced && age >= core.settings.checkpointMilliseconds) {
            guarded("checkpoint") { loop throws(StoreError) in try loop.checkpoint() }
        }
    }

    private func sample() throws(StoreError) {
        try core.sampleFreeBytes()
        // Files kept for reuse are no help where nothing may be written.
        try core.files.setRecycling(core.diskFull(for: 0) == nil)
    }

    /// Makes everything that was applied durable where it belongs, so that the journal before it can be overwritten.
    private mutating func checkpoint() throws(StoreError) {
        wantsCheckpoint = false
        let start = core.settings.clock.now()
        lastCheckpoint = start
        guard hasUnsynced || !dirty.isEmpty else { return }
        // In the order of the disk, and the same in every run.
        let segments = dirty.values.sorted { ($0.group.rawValue, $0.base) < ($1.group.rawValue, $1.base) }
        var files: [any File] = []
        for segment in segments { files.append(try core.files.reading(segment)) }
        try workers.flush(files)
        core.metrics.segmentFlushes.increment(by: files.count)
        try core.files.nameDurably(segments)
        // Frames that wait for space are in the journal only: it is kept from their first block on.
        let sequence = deferred.sequence ?? appliedSequence
        batch.putJournalApplied(JournalPosition(rawValue: sequence))
        let committed = try indexed { () throws(IndexError) in try core.index.latestSequence() }
        try commit(.synced)
        try mark.note(committed)
        dirty.removeAll(keepingCapacity: true)
        hasUnsynced = false
        core.marks.update { $0.checkpointed = sequence }
        try dropRedundantPointers()
        core.metrics.checkpointLatency.record(nanoseconds: core.settings.clock.now().nanoseconds(since: start))
    }

    /// The footers and sparse indices of sealed segments are durable now: their pointers but the last prove nothing more.
    private mutating func dropRedundantPointers() throws(StoreError) {
        for (group, from, upTo) in redundant { try deletePointers(of: group, from: from, upTo: upTo) }
        redundant.removeAll()
    }
}

extension File {
    /// Writes a footer, which has no payload.
    func writeFooter(_ footer: FrameHeader, at position: Int) throws(StoreError) {
        let words = footer.words
        // Words have no padding.
        try unsafe write(words.span.bytes, at: position)
    }
}
