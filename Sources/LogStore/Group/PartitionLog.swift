// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog.swift
// The log of one partition: its state, and what the store's threads report to it. Owned by one event loop.
// Never waits for the disk, except to find where a truncation cuts.

internal import DequeModule
public import Model
internal import NIOCore
internal import Records

/// The log of one partition, in segment files.
///
/// Invariants: `firstIndex - 1 <= applied <= flushedIndex <= sealed <= lastIndex`, where `sealed` is the last frame that has its
/// place; frames above `applied` are in the tail in memory.
public final class PartitionLog: GroupLog {
    /// See the type.
    public let id: GroupID
    /// See the type.
    public internal(set) var lastIndex: LogIndex
    /// See the type.
    public internal(set) var lastTerm: Term
    /// See the type.
    public internal(set) var logEndOffset: Offset
    /// See the type.
    public internal(set) var hardState: HardStateRecord
    /// See the type.
    public internal(set) var termStarts: [TermStart]
    /// See the type.
    public internal(set) var configurations: [ConfigurationRecord]
    /// The newest timestamp of all records since the log was opened, and of the segments it had; -1 when there is none.
    public internal(set) var maxTimestamp: Int64
    /// The producers' state that was stored last.
    public internal(set) var producerSnapshot: ProducerSnapshot?
    /// One that reflects entries with the codec, to be stored behind them.
    var heldProducers: ProducerSnapshot?
    /// Damage that recovery found; such a replica must not lead.
    public let damage: Corruption?
    /// See the type.
    public var onFlushed: ((LogIndex, Term) -> Void)?
    /// See the type.
    public var onFailed: ((StoreError) -> Void)?
    /// See the type.
    public var onSealed: (() -> Void)?
    /// Runs on the owner's loop when a read meets damage, before the read is answered.
    public var onDamage: ((Corruption) -> Void)?

    let core: StoreCore
    let handle: GroupHandle
    var settings: GroupLogSettings
    var meta: GroupMeta
    var segments: [SegmentInfo]
    /// The checksum of the last sealed frame.
    var lastChecksum: UInt32
    var progress: LogProgress
    var policy: CompressionPolicy
    /// Entries whose payload is with the codec thread, and those behind them.
    var waiting: Deque<WaitingEntry> = []
    var tail: Deque<TailFrame> = []
    /// Ascending, about a mebibyte apart.
    private var marks: Deque<TailMark> = []
    /// Up to here the tail holds no stored forms.
    var releasedThrough: LogIndex
    var wantsRoll = false
    var failure: StoreError?
    var isClosed = false
    /// The first segment of a snapshot that is being read: retention leaves it and all behind it.
    var pinnedFrom: LogIndex?
    /// Whether other replicas store the same segments, so that only the leader decides where they begin.
    public var isReplicated = false
    /// Set while a snapshot replaces the log.
    var isInstalling = false
    /// The pass of compaction that is under way.
    var compaction: PresentCompaction?
    /// The last entry of a compacted segment: up to here entries are not there one by one; 0 without any.
    var compactedThrough = LogIndex.zero
    /// The last entry that was known to be committed to the passes that made the segments; 0 without any.
    var compactionKnew = LogIndex.zero
    /// Runs on the owner's loop when a pass of compaction has ended, or could not go on.
    public var onCompacted: ((Result<CompactionStatistics, StoreError>) -> Void)?
    /// Runs on the owner's loop when compacted segments have taken the place of others: ``firstIndex`` may have moved.
    public var onSegmentsReplaced: (() -> Void)?
    /// Runs on the owner's loop before markers of transactions go, of which nothing else is left: what was noted of the
    /// transactions must be forgotten, or readers would wait for the marker.
    public var onMarkersRemoved: (([RemovedMarker]) -> Void)?
    var desk = SnapshotDesk()
    private var nextTicket: UInt64 = 0
    private var hardStateWaiters: Deque<(ticket: UInt64, completion: () -> Void)> = []
    private var reads: [UInt64: (ReadOutcome) -> Void] = [:]
    private var unpacker: ZstdDecompressor?

    /// An entry that has its index and not yet its place.
    struct WaitingEntry {
        var draft: FrameDraft
        var startsTerm: Bool
        var meta: GroupMeta?
        /// What the codec thread has to answer; nil when it is ready.
        var ticket: UInt64?
        var encoded: EncodedPayload?
    }

    /// A frame in memory.
    struct TailFrame {
        let header: FrameHeader
        let position: UInt32
        /// The payload, unpacked unless it came from a leader.
        var payload: ByteBuffer
        var isUnpacked: Bool
        /// The stored form where it differs, until the frame is in its segment.
        var stored: ByteBuffer?
        /// What the pool counts for it.
        var cost: Int
        /// Its place in the ledger of its loop.
        var ledgerPosition = 0
    }

    /// Where a frame stood in the ledger, for reads of what is not in memory any more.
    struct TailMark {
        let index: LogIndex
        let offset: Offset
        let ledgerPosition: Int
    }

    init(_ recovered: RecoveredGroup, core: StoreCore, owner: CompletionOwner) {
        id = recovered.id
        lastIndex = recovered.lastIndex
        lastTerm = recovered.lastTerm
        logEndOffset = recovered.logEndOffset
        hardState = recovered.hardState
        termStarts = recovered.termStarts
        configurations = recovered.configurations
        maxTimestamp = recovered.maxTimestamp
        producerSnapshot = recovered.producerSnapshot
        damage = recovered.damage
        self.core = core
        handle = GroupHandle(id: recovered.id, owner: owner)
        settings = recovered.settings
        meta = recovered.meta
        meta.closed = nil
        segments = recovered.segments
        lastChecksum = recovered.lastChecksum
        // What is damaged is not written to any more; it is read as far as it can be.
        failure = recovered.damage.map { .corrupt($0) }
        progress = LogProgress(last: recovered.lastIndex)
        releasedThrough = recovered.lastIndex
        policy = CompressionPolicy(
            level: recovered.settings.compressesFrames ? core.settings.compressionLevel : 0,
            bytesMin: core.settings.compressionBytesMin)
        if owner.tails.value == nil { owner.tails.value = TailLedger(pool: core.pool, clock: core.settings.clock) }
        handle.attach { [weak self] event in self?.handle(event) }
        core.register(handle)
        noteCompacted()
    }

    deinit {
        cancelCompaction()
        // Without close() the pool would keep counting what nobody can release.
        core.pool.giveBack(tail.reduce(0) { $0 + $1.cost })
        core.unregister(handle)
    }

    // MARK: Positions

    /// The first entry that can be read and sent: behind what compaction has rewritten, where entries are not there one by one.
    public var firstIndex: LogIndex { max(meta.firstIndex, compactedThrough.next) }
    /// An entry that is known to be committed without anybody saying so: the last one that passes of compaction knew of.
    ///
    /// It was durable before what they made counted, and there is at least one behind what they rewrite. Whoever leads needs
    /// it, as snapshots of a compacted log reach at least as far: older records of a key are gone, the newer ones must be there.
    /// A log that may have forgotten entries can hold others in their place, and does not count on it.
    public var committedAtLeast: LogIndex {
        let behind =
            compactedThrough > .zero && firstIndex == compactedThrough.next
            ? min(firstIndex, lastIndex) : firstIndex.previous
        return isAmnesiac || damage != nil ? behind : max(behind, min(compactionKnew, lastIndex))
    }
    /// See the type.
    public var termBeforeFirst: Term { term(at: firstIndex.previous) ?? meta.previousTerm }
    /// See the type.
    public var flushedIndex: LogIndex { progress.flushed }
    /// See the type.
    public var sealedIndex: LogIndex { waiting.first?.draft.index.previous ?? lastIndex }
    /// The first offset that clients may read.
    public var logStartOffset: Offset { meta.logStartOffset }
    /// The bytes of all segments.
    public var sizeBytes: Int { segments.reduce(0) { $0 + $1.end } }
    /// How many segments there are.
    public var segmentCount: Int { segments.count }

    /// See the type.
    public func term(at index: LogIndex) -> Term? {
        if index == meta.firstIndex.previous { return meta.previousTerm }
        guard index >= meta.firstIndex, index <= lastIndex else { return nil }
        let after = termStarts.partitioningIndex { $0.firstIndex > index }
        return after == 0 ? nil : termStarts[after - 1].term
    }

    /// The term of the record at `offset`; the last term for offsets past the end.
    public func epoch(containing offset: Offset) -> Term {
        let after = termStarts.partitioningIndex { $0.firstOffset > offset }
        return after == 0 ? meta.previousTerm : termStarts[after - 1].term
    }

    /// The largest term not above `epoch`, and the offset at which it ends: where the next term begins, or the log's end.
    public func endOffset(ofEpoch epoch: Term) -> (Term, Offset) {
        let after = termStarts.partitioningIndex { $0.term > epoch }
        let term = after == 0 ? meta.previousTerm : termStarts[after - 1].term
        return (term, after == termStarts.count ? logEndOffset : termStarts[after].firstOffset)
    }

    /// Whether the replica may have forgotten a vote or an entry it acknowledged; such a replica must not vote or lead before it
    /// has matched a leader in a newer term.
    public var isAmnesiac: Bool { meta.isAmnesiac }
    /// See the type.
    public var floor: JoinFloor? { meta.floor }

    // MARK: Hard state

    /// See the type.
    public func refusal(for byteCount: Int) -> StoreError? { failure ?? core.refusal(for: byteCount) }

    /// See the type.
    public func persist(hardState: HardStateRecord, completion: @escaping () -> Void) throws(StoreError) {
        try checkOpen()
        self.hardState = hardState
        let ticket = makeTicket()
        hardStateWaiters.append((ticket, completion))
        core.flushQueue.post(.hardState(handle, hardState, ticket: ticket))
    }

    func checkOpen() throws(StoreError) {
        if let failure { throw failure }
        if isClosed { throw .closed }
    }

    func makeTicket() -> UInt64 {
        nextTicket += 1
        return nextTicket
    }

    // MARK: Events

    private func handle(_ event: GroupEvent) {
        switch event {
        case .flushed(let index, _, let generation):
            guard progress.noteFlushed(index, generation: generation), !isClosed else { return }
            onFlushed?(progress.flushed, term(at: progress.flushed) ?? .zero)
        case .applied(let index, let generation):
            progress.noteApplied(index, generation: generation)
            releaseStored()
            handle.owner.tails.value?.shrink()
        case .hardStatePersisted(let ticket):
            while let waiter = hardStateWaiters.first, waiter.ticket <= ticket {
                hardStateWaiters.removeFirst()
                if !isClosed { waiter.completion() }
            }
        case .encoded(let payload): encoded(payload)
        case .read(let ticket, let outcome): reads.removeValue(forKey: ticket)?(outcome)
        case .staged(let ticket, let outcome): desk.take(ticket)?(outcome)
        case .compaction(let order, let report): handle(report, of: order)
        case .failed(let error):
            failure = error
            onFailed?(error)
        }
    }

    /// Sends a read to a reader thread.
    func submit(_ ranges: [SegmentRange], _ query: ReadQuery, completion: @escaping (ReadOutcome) -> Void) {
        let ticket = makeTicket()
        reads[ticket] = completion
        core.read(ReadJob(handle: handle, ticket: ticket, ranges: ranges, query: query), of: id)
    }

    /// Calls `body` from the loop, after the present call has returned.
    func later(_ body: @escaping () -> Void) {
        handle.owner.eventLoop.assumeIsolated().execute(body)
    }

    // MARK: Tail

    /// Keeps a frame in memory until the budget needs its place.
    func keep(_ frame: TailFrame) {
        guard let ledger = handle.owner.tails.value else { preconditionFailure("\(id): no ledger") }
        var frame = frame
        frame.ledgerPosition = ledger.end
        // After a truncation indices and offsets are given again.
        while let last = marks.last, last.index >= frame.header.index { marks.removeLast() }
        if marks.last.map({ ledger.end - $0.ledgerPosition >= Self.markBytes }) ?? true {
            marks.append(
                TailMark(
                    index: frame.header.index, offset: frame.header.baseOffset, ledgerPosition: ledger.end))
        }
        while let oldest = marks.first, oldest.ledgerPosition < ledger.horizon { marks.removeFirst() }
        tail.append(frame)
        core.pool.take(frame.cost)
        ledger.added(self, frame.header.index, byteCount: frame.cost)
    }

    /// Notes that `offset` is read and not in memory, so that the reader's place is kept when it was there not long ago.
    func noteMissed(_ offset: Offset) {
        noteMissed(before: marks.partitioningIndex { $0.offset > offset })
    }

    /// The same for the entry at `index`, which a follower lacks.
    func noteMissed(_ index: LogIndex) {
        noteMissed(before: marks.partitioningIndex { $0.index > index })
    }

    private func noteMissed(before mark: Int) {
        guard mark > 0 else { return }
        handle.owner.tails.value?.read(at: marks[mark - 1].ledgerPosition)
    }

    /// How far apart marks are.
    private static let markBytes = 1 << 20

    /// Lets go of the frames up to `index`; returns whether it could.
    ///
    /// Frames that are not in their segment stay.
    func evictTail(through index: LogIndex) -> Bool {
        while let first = tail.first, first.header.index <= index {
            guard first.header.index <= progress.applied else { return false }
            tail.removeFirst()
            core.pool.giveBack(first.cost)
        }
        return true
    }

    /// Drops the frames from `index` on.
    func dropTail(from index: LogIndex) {
        if index > .zero { releasedThrough = min(releasedThrough, index.previous) }
        while let last = tail.last, last.header.index >= index {
            tail.removeLast()
            core.pool.giveBack(last.cost)
        }
    }

    /// The stored forms of frames that are in their segment now are not needed: catch-up reads them there.
    private func releaseStored() {
        guard let first = tail.first?.header.index, progress.applied >= first else { return }
        var position = max(0, releasedThrough.next - first)
        while position < tail.count, tail[position].header.index <= progress.applied {
            if let stored = tail[position].stored {
                tail[position].stored = nil
                tail[position].cost -= stored.readableBytes
                core.pool.giveBack(stored.readableBytes)
            }
            position += 1
        }
        releasedThrough = progress.applied
    }

    /// The raw payload of the frame at `position` of the tail.
    func rawPayload(at position: Int) -> ByteBuffer? {
        if tail[position].isUnpacked { return tail[position].payload }
        if unpacker == nil { unpacker = try? ZstdDecompressor() }
        guard let unpacker, let raw = try? tail[position].header.unpack(tail[position].payload, unpacker) else {
            return nil
        }
        return raw
    }

    // MARK: Closing

    /// Lets go of the log: no callback runs any more, and what was appended is still written.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        cancelCompaction()
        onFlushed = nil
        onFailed = nil
        onSealed = nil
        hardStateWaiters.removeAll()
        for (_, completion) in reads { completion(.failure(.closed)) }
        reads.removeAll()
        for completion in desk.takeAll() { completion(.failure(.closed)) }
        if waiting.isEmpty {
            finishClosing()
        } else {
            // Entries with the codec thread keep the log until they have their place.
            handle.attach { [self] event in self.handle(event) }
        }
    }

    /// Notes where the log ends and is forgotten by the store.
    func finishClosing() {
        dropTail(from: .zero)
        // While a snapshot takes its place, what is known here is of the log that goes.
        if failure == nil, !isInstalling {
            meta.closed = cleanEnd
            core.flushQueue.post(.forward(.meta(id, meta)))
        }
        core.unregister(handle)
        handle.attach(nil)
    }

    private var cleanEnd: CleanEnd {
        let end = segments.last.map { SegmentPosition(segment: $0.segment.base, position: UInt32($0.end)) }
        return CleanEnd(
            lastIndex: lastIndex, lastTerm: lastTerm, end: end ?? SegmentPosition(segment: lastIndex.next, position: 0),
            nextOffset: logEndOffset, lastFrameChecksum: lastChecksum)
    }
}
