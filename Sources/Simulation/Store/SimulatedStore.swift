// SPDX-License-Identifier: Apache-2.0
//
// SimulatedStore.swift
// The storage of one process as the rules of the store describe it, in blocks and frames instead of bytes: a shared
// journal whose flush is what is reported, segments and index that follow lazily, checkpoints that free the journal.

internal import Model
internal import Raft

/// What storage reports to a replica.
struct Report {
    enum Kind {
        case hardState(Raft.HardState)
        case persisted(Raft.Position)
        case installed(Raft.SnapshotInfo)
    }

    let group: Int
    let kind: Kind
}

/// One flush of the journal: the writes of all groups that were queued when it began.
struct Block {
    let sequence: UInt64
    /// The checksum of the block before.
    let previous: UInt64
    let checksum: UInt64
    var records: [(group: Int, write: Write)]
    /// Whether its bytes no longer match its checksum.
    var isDamaged = false

    init(sequence: UInt64, previous: UInt64, salt: UInt64, records: [(group: Int, write: Write)]) {
        self.sequence = sequence
        self.previous = previous
        self.records = records
        checksum = mix(mix(previous, sequence), salt)
    }
}

/// A frame's place in a segment: what a reader sees, and what survives a power failure.
struct SegmentSlot {
    /// The checksum of the frame on the medium, 0 for none.
    var medium: UInt64 = 0
    /// The checksum of the frame in the page cache.
    var cached: UInt64 = 0
    var isDirty = false
}

/// The storage of one process.
///
/// Three stages: *queued* writes are in memory only; a *flush* writes them to the journal, and its completion makes
/// them durable and reports them; later they are *applied* to segments and index, and a *checkpoint* makes that
/// durable and frees the journal up to there. Invariant: `synced <= applied <= flushed` in block sequence numbers, and
/// no slot of the journal is reused while its block is above `synced`.
final class SimulatedStore {
    let slots: Int
    let mutation: ShellMutation?

    /// What a running process sees: everything issued.
    var mirror: [GroupImage]
    /// What the rules promise to survive: everything flushed.
    ///
    /// The oracle's, not the store's: recovery never reads it.
    var durable: [GroupImage]

    // The medium.
    var ring: [Block?]
    var index: [GroupImage]
    var segments: [[LogIndex: SegmentSlot]]
    /// The last block that the index on the medium contains, and its checksum.
    var synced: (sequence: UInt64, checksum: UInt64) = (0, 0)

    // Memory.
    var queue: [(group: Int, write: Write)] = []
    var inFlight: Block?
    /// Blocks flushed and not yet applied, then those applied and not yet synced.
    var unapplied: [Block] = []
    var unsynced: [Block] = []
    var newest: (sequence: UInt64, checksum: UInt64) = (0, 0)
    var checkpointing: Int?
    /// Places written to segments since the last checkpoint.
    var dirty: [(group: Int, index: LogIndex)] = []
    /// Frames that faults have damaged; only these may be found damaged.
    var injected: [(group: Int, index: LogIndex)] = []
    var isJournalInjected = false
    /// Votes that a mutation keeps from the journal.
    private var withheld: [(group: Int, write: Write)] = []

    init(configurations: [Raft.Configuration], slots: Int, mutation: ShellMutation?) {
        self.slots = slots
        self.mutation = mutation
        let images = configurations.map { GroupImage($0) }
        (mirror, durable, index) = (images, images, images)
        segments = Array(repeating: [:], count: images.count)
        ring = Array(repeating: nil, count: slots)
    }

    // MARK: - Writing

    /// Queues a write; what readers of the running process see changes at once.
    ///
    /// Returns reports that a mutation makes too early.
    func issue(_ write: Write, group: Int) -> Report? {
        mirror[group].apply(write)
        if mutation == .truncateUnlogged, case .truncate = write { return nil }
        if mutation == .voteUnsynced, case .hardState(let state) = write {
            withheld.append((group, write))
            return Report(group: group, kind: .hardState(state))
        }
        queue.append((group, write))
        return mutation == .reportBeforeFlush ? Self.report(group, write) : nil
    }

    /// Whether a flush can begin: something is queued, none is in flight, and the next slot is free.
    var canFlush: Bool {
        guard inFlight == nil, !queue.isEmpty else { return false }
        return hasFreeSlot
    }

    private var hasFreeSlot: Bool {
        newest.sequence - synced.sequence < UInt64(slots) || mutation == .recycleEarly
    }

    /// Whether the journal is full, so that only a checkpoint helps.
    var needsCheckpoint: Bool { !hasFreeSlot && checkpointing == nil }

    /// Begins to write what is queued.
    func beginFlush(salt: UInt64) {
        precondition(canFlush, "a flush begins beside another")
        inFlight = Block(sequence: newest.sequence + 1, previous: newest.checksum, salt: salt, records: queue)
        queue.removeAll(keepingCapacity: true)
    }

    /// The flush in flight has completed: returns what to report.
    ///
    /// With `isLost`, the medium did not take it (a failed flush that a mutation believes).
    func completeFlush(coalesces: Bool, isLost: Bool = false) -> [Report] {
        guard var block = inFlight.take() else { preconditionFailure("no flush in flight") }
        newest = (block.sequence, block.checksum)
        if !isLost { ring[slot(block.sequence)] = block }
        for record in block.records { durable[record.group].apply(record.write) }
        unapplied.append(block)
        if mutation == .reportBeforeFlush { return [] }
        if mutation == .flushCoversLater { block.records += queue }
        return Self.reports(block.records, coalesces: coalesces)
    }

    private func slot(_ sequence: UInt64) -> Int { Int(sequence % UInt64(slots)) }

    private static func report(_ group: Int, _ write: Write) -> Report? {
        switch write {
        case .hardState(let state): Report(group: group, kind: .hardState(state))
        case .append(let frames): Report(group: group, kind: .persisted(frames[frames.count - 1].entry.position))
        case .install(let snapshot): Report(group: group, kind: .installed(snapshot.info))
        case .truncate, .trim, .markAmnesiac: nil
        }
    }

    /// The reports of a flush; with `coalesces`, only the last of several appends in a row of one group.
    private static func reports(_ records: [(group: Int, write: Write)], coalesces: Bool) -> [Report] {
        var reports: [Report] = []
        for (place, record) in records.enumerated() {
            if coalesces, case .append = record.write {
                let next = records[(place + 1)...].first { $0.group == record.group }
                if case .append? = next?.write { continue }
            }
            if let report = report(record.group, record.write) { reports.append(report) }
        }
        return reports
    }

    // MARK: - Following

    /// Applies the oldest flushed block to segments and index, unsynced.
    func applyOne() {
        guard !unapplied.isEmpty else { return }
        let block = unapplied.removeFirst()
        for record in block.records { writeSegments(record) }
        unsynced.append(block)
    }

    private func writeSegments(_ record: (group: Int, write: Write)) {
        guard case .append(let frames) = record.write else { return }
        for frame in frames {
            segments[record.group][frame.entry.index, default: SegmentSlot()].cached = frame.chain
            segments[record.group][frame.entry.index]?.isDirty = true
            dirty.append((record.group, frame.entry.index))
        }
    }

    /// Begins a checkpoint of what is applied now.
    func beginCheckpoint() {
        checkpointing = unsynced.count
    }

    /// The checkpoint is complete: segments first, then the index, then the journal is free up to there.
    func completeCheckpoint(commits: [LogIndex]) {
        guard let count = checkpointing.take() else { return }
        if mutation != .pointerBeforeFlush { flushSegments() }
        for block in unsynced.prefix(count) { applyToIndex(block) }
        unsynced.removeFirst(count)
        for (group, write) in withheld { index[group].apply(write) }
        withheld.removeAll()
        for (group, commit) in commits.enumerated() {
            // The hint speaks of the entries beside it, not of newer ones that only the journal has.
            let hint = min(commit, index[group].last)
            guard hint > index[group].commitHint, index[group].chain(at: hint) == mirror[group].chain(at: hint)
            else { continue }
            index[group].commitHint = hint
        }
    }

    func flushSegments() {
        for (group, index) in dirty { segments[group][index]?.flush() }
        dirty.removeAll(keepingCapacity: true)
    }

    func applyToIndex(_ block: Block) {
        for record in block.records {
            index[record.group].apply(record.write)
            switch record.write {
            case .trim(let through): segments[record.group] = segments[record.group].filter { $0.key > through }
            case .install(let snapshot):
                segments[record.group] = segments[record.group].filter { $0.key > snapshot.info.position.index }
            default: break
            }
        }
        synced = (block.sequence, block.checksum)
    }
}

extension SegmentSlot {
    /// The page reaches the medium.
    mutating func flush() {
        if isDirty { medium = cached }
        isDirty = false
    }
}
