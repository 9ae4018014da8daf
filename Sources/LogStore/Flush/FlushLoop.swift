// SPDX-License-Identifier: Apache-2.0
//
// FlushLoop.swift
// The thread that makes things durable. It does nothing but gather, write, flush and report: whatever can wait goes to
// the applier.

internal import Dispatch
internal import Model
internal import RocksKV
internal import Synchronization
internal import Telemetry

/// The state of the flush thread.
struct FlushLoop: ~Copyable {
    private let core: StoreCore
    private let workers: FlushWorkers
    private var journal: JournalWriter
    private var policy: FlushPolicy
    private var writer = FrameWriter()
    private var blocks: BlockWriter
    private var round = Round()

    /// Bytes that may wait for the applier before the flush thread waits for it.
    static let unappliedBytesMax = 64 << 20
    /// From so much on the applier does not wait for more.
    private static let urgentBytes = 4 << 20
    /// What a round gathers: one block of the journal.
    private let roundBytesMax: Int

    private struct Round {
        var frames: [SealedFrame] = []
        var hardStates: [(handle: GroupHandle, state: HardStateRecord, ticket: UInt64)] = []
        var journalBytes = 0
        var payloadBytes = 0

        var isEmpty: Bool { frames.isEmpty && hardStates.isEmpty }

        mutating func clear() {
            frames.removeAll(keepingCapacity: true)
            hardStates.removeAll(keepingCapacity: true)
            journalBytes = 0
            payloadBytes = 0
        }
    }

    init(core: StoreCore, workers: FlushWorkers, journal: consuming JournalWriter) {
        self.core = core
        self.workers = workers
        blocks = BlockWriter(unstagedBytesMin: core.settings.leadBytesMin)
        roundBytesMax = journal.blockBytes - JournalFormat.headerBytes
        self.journal = journal
        policy = FlushPolicy(mode: core.settings.journal)
    }

    /// Runs until it is told to stop.
    mutating func run() {
        var items: [FlushItem] = []
        while true {
            core.flushQueue.take(into: &items)
            if items.isEmpty {
                if !prepare() { _ = core.flushQueue.wait(milliseconds: nil) }
                continue
            }
            guard work(on: items) else { return }
        }
    }

    /// Does once what ``run()`` does again and again, without waiting; returns whether there was something to do.
    mutating func step() -> Bool {
        var items: [FlushItem] = []
        core.flushQueue.take(into: &items)
        guard !items.isEmpty else { return prepare() }
        _ = work(on: items)
        return true
    }

    /// Makes a round, or several, of `items`; returns false when the thread is to end.
    private mutating func work(on items: [FlushItem]) -> Bool {
        for item in items where !take(item) { return false }
        perform()
        return true
    }

    /// Prepares the journal a little while there is nothing else to do; returns false when it is prepared.
    private mutating func prepare() -> Bool {
        guard policy.usesJournal, core.failure == nil else { return false }
        do throws(StoreError) {
            return try journal.prepareAhead()
        } catch {
            core.fail(error, during: "prepare the journal")
            return false
        }
    }

    /// Handles one item; returns false when the thread is to end.
    private mutating func take(_ item: FlushItem) -> Bool {
        switch item {
        case .frame(let frame):
            let bytes = frame.frameBytes + JournalFormat.frameItemBytes
            if round.journalBytes + bytes > roundBytesMax { perform() }
            round.frames.append(frame)
            round.journalBytes += bytes
            round.payloadBytes += Int(frame.header.rawLength)
        case .hardState(let handle, let state, let ticket):
            if round.journalBytes + JournalFormat.hardStateItemBytes > roundBytesMax { perform() }
            round.hardStates.append((handle, state, ticket))
            round.journalBytes += JournalFormat.hardStateItemBytes
        case .cut(let cut):
            perform()
            self.cut(cut)
        case .forward(let item):
            perform()
            core.postApply(item, isUrgent: true)
        case .stop:
            perform()
            return false
        }
        return true
    }

    // MARK: A round

    private mutating func perform() {
        guard !round.isEmpty else { return }
        if core.failure == nil {
            do throws(StoreError) {
                try flush()
            } catch {
                core.fail(error, during: "flush")
            }
        }
        core.addPending(-round.payloadBytes)
        round.clear()
    }

    private mutating func flush() throws(StoreError) {
        let segments = segmentsOfRound()
        let shape = FlushRound(
            frames: round.frames.count, bytes: round.journalBytes, segments: segments.count,
            hasOthers: !round.hardStates.isEmpty || round.frames.contains { $0.segment == nil })
        var path = choose(shape)
        // A frame that no block can hold is alone in its round.
        if let frame = round.frames.first, !journal.takes(frame) { path = .direct }
        let start = core.settings.clock.now()
        // Nothing of the round is written before all of it has room, so it can still go the other way.
        if path == .direct, try !makeRoom(segments) {
            guard policy.usesJournal, round.frames.allSatisfy({ journal.takes($0) }) else { throw core.noSpace }
            path = .journal
        }
        switch path {
        case .journal: try writeJournal()
        case .direct: try writeSegments(segments)
        }
        let nanoseconds = core.settings.clock.now().nanoseconds(since: start)
        policy.completed(path, shape, nanoseconds: nanoseconds)
        core.metrics.flushLatency.record(nanoseconds: nanoseconds)
        core.metrics.roundFrames.record(UInt64(round.frames.count))
    }

    /// The way of a round: by what it costs, or where there is no time to measure, either.
    private func choose(_ shape: FlushRound) -> FlushPath {
        guard case .steps(let steps) = core.settings.execution, policy.isOpen(shape) else {
            return policy.choose(shape)
        }
        return steps.choose(FlushPath.allCases)
    }

    private func segmentsOfRound() -> [(segment: Segment, frames: [SealedFrame])] {
        round.frames.groupedBySegment()
    }

    private mutating func writeJournal() throws(StoreError) {
        for entry in round.hardStates { journal.add(entry.state, of: entry.handle.id) }
        for frame in round.frames { journal.add(frame) }
        if try !journal.reserve() {
            guard try core.foundNoSpace(), try journal.reserve() else { throw core.noSpace }
        }
        try waitForRoom()
        let (sequence, bytes) = try journal.write()
        core.metrics.journalFlushes.increment()
        core.metrics.journalBytes.increment(by: bytes)
        let frameBytes = round.journalBytes
        let unallocated = journal.unallocatedBytes
        core.marks.update { marks in
            marks.unappliedBytes += frameBytes
            marks.unallocatedBytes = unallocated
        }
        handOver(journal: sequence, appliedToo: false)
        let checkpointed = core.marks.value.checkpointed
        if journal.isHalfFull(checkpointed: checkpointed) { core.postApply(.checkpointSoon, isUrgent: true) }
    }

    /// Waits until the block's place in the ring is free and the applier keeps up.
    private mutating func waitForRoom() throws(StoreError) {
        let blockedBy = journal.blockedBy
        let marks = core.marks.value
        if blockedBy >= marks.checkpointed, blockedBy > 0 { core.postApply(.checkpointSoon, isUrgent: true) }
        let outcome: (isFailed: Bool, isStuck: Bool) = core.waitForMarks { marks in
            if marks.isFailed { return (true, false) }
            let hasRoom = blockedBy == 0 || blockedBy < marks.checkpointed
            // What waits for space may wait for deletions that are queued behind this block.
            if !hasRoom, let from = marks.deferredFrom, blockedBy >= from { return (false, true) }
            return hasRoom && marks.unappliedBytes <= Self.unappliedBytesMax ? (false, false) : nil
        }
        if outcome.isFailed { throw core.failure ?? .closed }
        if outcome.isStuck { throw core.noSpace }
    }

    /// Whether every segment has room for its frames, which is allocated then.
    private func makeRoom(_ segments: [(segment: Segment, frames: [SealedFrame])]) throws(StoreError) -> Bool {
        for (segment, frames) in segments {
            guard try core.fileWithRoom(segment, upTo: extent(frames).needed) != nil else { return false }
        }
        return true
    }

    /// Up to where frames of one segment reach, up to where the file must, and whether they go around the page cache.
    private func extent(_ frames: [SealedFrame]) -> (needed: Int, isLong: Bool) {
        let end = frames.reduce(0) { max($0, $1.endPosition) }
        let isLong = end - Int(frames.first?.position ?? 0) >= core.settings.unbufferedBytesMin
        return (isLong ? BlockWriter.blockEnd(end) : end, isLong)
    }

    private mutating func writeSegments(_ segments: [(segment: Segment, frames: [SealedFrame])]) throws(StoreError) {
        var files: [any File] = []
        for (segment, frames) in segments {
            files.append(try write(frames, to: segment))
        }
        try workers.flush(files)
        core.metrics.segmentFlushes.increment(by: files.count)
        try core.files.nameDurably(segments.map(\.segment))
        try commitOthers()
        handOver(journal: nil, appliedToo: true)
    }

    /// Writes frames to their segment, long runs around the page cache: a copy into its pages would cost more than the disk.
    private mutating func write(_ frames: [SealedFrame], to segment: Segment) throws(StoreError) -> any File {
        let extent = extent(frames)
        let file = try core.files.writing(segment, upTo: extent.needed)
        let bytes: Int
        if extent.isLong {
            let unbuffered = try core.files.unbuffered(segment)
            bytes = try blocks.write(frames, to: segment, file, unbuffered: unbuffered)
        } else {
            bytes = try writer.write(frames, to: file)
        }
        core.metrics.segmentBytes.increment(by: bytes)
        return file
    }

    /// Without a journal, hard states and commands become durable in the index database.
    private func commitOthers() throws(StoreError) {
        let commands = round.frames.filter { $0.segment == nil }
        guard !commands.isEmpty || !round.hardStates.isEmpty else { return }
        // What the applier has yet to store of a group's facts, as for a compaction, is older than what an entry says.
        if commands.contains(where: { $0.meta != nil }) { awaitApplier() }
        if let failure = core.failure { throw failure }
        try indexed { () throws(IndexError) in
            var batch = try core.index.makeBatch()
            for entry in round.hardStates { batch.putHardState(entry.state, of: entry.handle.id) }
            for frame in commands { batch.putFrame(frame) }
            try batch.commit(durability: .synced)
        }
    }

    /// Passes the durable round to the applier and reports it to the logs.
    private func handOver(journal: UInt64?, appliedToo: Bool) {
        let frames = appliedToo ? round.frames.filter { $0.segment != nil } : round.frames
        let hardStates = appliedToo ? [] : round.hardStates.map { ($0.handle.id, $0.state) }
        let isMuch = core.marks.value.unappliedBytes > Self.urgentBytes
        core.postApply(.frames(frames, hardStates: hardStates, journal: journal), isUrgent: isMuch)
        var deliveries = Deliveries()
        for (handle, frame) in round.frames.lastOfEachLog() {
            let header = frame.header
            deliveries.add(.flushed(header.index, header.term, generation: frame.generation), for: handle)
            // The applier reports the others, each behind the entries before it, which may be in the journal only.
            if appliedToo, frame.segment == nil {
                deliveries.add(.applied(header.index, generation: frame.generation), for: handle)
            }
        }
        for entry in round.hardStates {
            deliveries.add(.hardStatePersisted(ticket: entry.ticket), for: entry.handle)
        }
        deliveries.send()
    }

    /// Waits until the applier has done what it was given, and a checkpoint.
    private func awaitApplier() {
        let done = DispatchSemaphore(value: 0)
        core.postApply(.checkpoint(done), isUrgent: true)
        core.wait(for: done, by: [.apply])
    }

    // MARK: Truncation

    /// Rule R3.
    ///
    /// The checkpoint before it empties the journal, so that no replay brings the cut frames back.
    private mutating func cut(_ cut: Cut) {
        awaitApplier()
        blocks.forget()
        guard core.failure == nil else { return }
        // The journal cannot be emptied while frames in it wait for space.
        if core.marks.value.deferredFrom != nil {
            return core.fail(core.noSpace, during: "truncate \(cut.handle.id)")
        }
        do throws(StoreError) {
            try indexed { () throws(IndexError) in
                var batch = try core.index.makeBatch()
                try batch.deleteSuffix(from: cut.marker.from, offset: cut.offset, of: cut.handle.id)
                batch.putGroupMeta(cut.meta, of: cut.handle.id)
                try batch.commit(durability: .synced)
            }
            try core.files.finishCut(segment: cut.segment, position: Int(cut.marker.at.position), deleted: cut.deleted)
            // Cleared durably before the next frame: a marker that is still there is carried out again at the next start.
            var meta = cut.meta
            meta.cut = nil
            try indexed { () throws(IndexError) in
                var batch = try core.index.makeBatch()
                batch.putGroupMeta(meta, of: cut.handle.id)
                try batch.commit(durability: .synced)
            }
        } catch {
            core.fail(error, during: "truncate \(cut.handle.id)")
        }
    }
}

extension SegmentFiles {
    /// Rule R3, step c: cuts `segment` at `position` and removes the segments behind it, newest first.
    func finishCut(segment: Segment?, position: Int, deleted: [Segment]) throws(StoreError) {
        if let segment, segment.state.withLock({ $0.exists }) {
            let file = try reading(segment)
            try file.truncate(to: position)
            try file.flush()
            segment.state.withLock { $0.allocated = position }
        }
        for segment in deleted.reversed() { try delete(segment) }
        if let directory = (deleted.first ?? segment)?.directory { try syncDirectory(directory) }
    }
}

extension [SealedFrame] {
    /// The frames of each segment, in their order; commands are left out.
    func groupedBySegment() -> [(segment: Segment, frames: [SealedFrame])] {
        var positions: [ObjectIdentifier: Int] = [:]
        var groups: [(segment: Segment, frames: [SealedFrame])] = []
        for frame in self {
            guard let segment = frame.segment else { continue }
            if let position = positions[ObjectIdentifier(segment)] {
                groups[position].frames.append(frame)
            } else {
                positions[ObjectIdentifier(segment)] = groups.count
                groups.append((segment, [frame]))
            }
        }
        return groups
    }

    /// The last frame of each log.
    func lastOfEachLog() -> [(handle: GroupHandle, frame: SealedFrame)] {
        var positions: [ObjectIdentifier: Int] = [:]
        var last: [(handle: GroupHandle, frame: SealedFrame)] = []
        for frame in self {
            guard let handle = frame.handle else { continue }
            if let previous = last.last, previous.handle === handle {
                last[last.count - 1].frame = frame
            } else if let position = positions[ObjectIdentifier(handle)] {
                last[position].frame = frame
            } else {
                positions[ObjectIdentifier(handle)] = last.count
                last.append((handle, frame))
            }
        }
        return last
    }
}
