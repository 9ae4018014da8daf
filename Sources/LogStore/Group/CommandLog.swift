// SPDX-License-Identifier: Apache-2.0
//
// CommandLog.swift
// The log of a group whose entries are commands of a state machine: they pass through the journal like all frames, and lie
// in the index database instead of segments. Owned by one event loop.

internal import DequeModule
public import Model
internal import NIOCore
internal import Records

/// The log of the controller or of a coordinator.
///
/// Invariant: `recent` holds the entries up to `lastIndex` without a hole, and at least those that are not in the database yet.
public final class CommandLog: GroupLog {
    /// See the type.
    public let id: GroupID
    /// See the type.
    public internal(set) var lastIndex: LogIndex
    /// See the type.
    public internal(set) var lastTerm: Term
    /// See the type.
    public internal(set) var hardState: HardStateRecord
    /// See the type.
    public internal(set) var termStarts: [TermStart]
    /// See the type.
    public internal(set) var configurations: [ConfigurationRecord]
    /// See the type.
    public var onFlushed: ((LogIndex, Term) -> Void)?
    /// See the type.
    public var onFailed: ((StoreError) -> Void)?

    let core: StoreCore
    let handle: GroupHandle
    var meta: GroupMeta
    var progress: LogProgress
    var lastChecksum: UInt32 = 0
    var recent: Deque<StoredEntry> = []
    var recentBytes = 0
    var nextTicket: UInt64 = 0
    private var hardStateWaiters: Deque<(ticket: UInt64, completion: () -> Void)> = []
    var reads: [UInt64: (ReadOutcome) -> Void] = [:]
    var failure: StoreError?
    var isClosed = false
    /// The family of the state machine, for snapshots of it.
    public var stateFamily: StateFamily?
    /// The state that a snapshot was made of.
    var image = ByteBuffer()
    var desk = SnapshotDesk()

    /// How much of the log is kept in memory.
    static let recentBytesMax = 4 << 20

    init(_ recovered: RecoveredGroup, core: StoreCore, owner: CompletionOwner) {
        id = recovered.id
        lastIndex = recovered.lastIndex
        lastTerm = recovered.lastTerm
        hardState = recovered.hardState
        termStarts = recovered.termStarts
        configurations = recovered.configurations
        self.core = core
        handle = GroupHandle(id: recovered.id, owner: owner)
        meta = recovered.meta
        meta.closed = nil
        progress = LogProgress(last: recovered.lastIndex)
        handle.attach { [weak self] event in self?.handle(event) }
        core.register(handle)
    }

    deinit { core.unregister(handle) }

    /// See the type.
    public var firstIndex: LogIndex { meta.firstIndex }
    /// See the type.
    public var termBeforeFirst: Term { meta.previousTerm }
    /// As in ``PartitionLog/isAmnesiac``.
    public var isAmnesiac: Bool { meta.isAmnesiac }
    /// See the type.
    public var floor: JoinFloor? { meta.floor }
    /// See the type.
    public var flushedIndex: LogIndex { progress.flushed }
    /// Before everything.
    public var logEndOffset: Offset { .zero }

    /// See the type.
    public var payloadBytesMax: Int { Self.commandBytesMax }

    /// See the type.
    public func refusal(for byteCount: Int) -> StoreError? {
        if let failure { return failure }
        // Raft and metadata go on when the disk reserve is reached. When little is left of that, what the index database
        // needs is kept for the controller, whose commands make room: deleted topics, shorter retention.
        if id != .controller, let error = core.reserveSpent { return error }
        if case .busy = core.refusal(for: byteCount) { return .busy }
        return nil
    }

    /// See the type.
    public func append(_ draft: FrameDraft) throws(StoreError) {
        try checkOpen()
        precondition(draft.index == lastIndex.next, "\(id): entry \(draft.index) after \(lastIndex)")
        precondition(draft.term >= lastTerm, "\(id): term \(draft.term) after \(lastTerm)")
        precondition(draft.payload.readableBytes <= Self.commandBytesMax, "\(id): a command of \(draft.payload)")
        let startsTerm = draft.term > (termStarts.last?.term ?? .zero)
        if startsTerm {
            termStarts.append(TermStart(term: draft.term, firstIndex: draft.index, firstOffset: .zero))
        }
        let isConfiguration = draft.kind == .configuration
        if isConfiguration {
            configurations.append(
                ConfigurationRecord(index: draft.index, bytes: Array(draft.payload.readableBytesView)))
            meta.configurations = configurations.encoded
        }
        lastIndex = draft.index
        lastTerm = draft.term
        var header = FrameHeader(
            kind: draft.kind, codec: .none, flags: [], group: id, salt: 0, term: draft.term, index: draft.index,
            baseOffset: .zero, maxTimestamp: -1, recordCount: 0, storedLength: UInt32(draft.payload.readableBytes),
            rawLength: UInt32(draft.payload.readableBytes), previous: lastChecksum,
            payloadCRC: CRC32C.checksum(draft.payload))
        header.seal()
        lastChecksum = header.checksum
        recent.append(header.entry(draft.payload))
        recentBytes += draft.payload.readableBytes
        forgetOld()
        core.addPending(draft.payload.readableBytes)
        core.flushQueue.post(
            .frame(
                SealedFrame(
                    handle: handle, generation: progress.generation, segment: nil, position: 0, header: header,
                    payload: draft.payload, isIndexed: false, maxTimestampSoFar: -1, startsTerm: startsTerm,
                    meta: isConfiguration ? meta : nil)))
    }

    /// A command must fit into one block of the journal.
    public static let commandBytesMax = 2 << 20

    /// See the type.
    public func persist(hardState: HardStateRecord, completion: @escaping () -> Void) throws(StoreError) {
        try checkOpen()
        self.hardState = hardState
        nextTicket += 1
        hardStateWaiters.append((nextTicket, completion))
        core.flushQueue.post(.hardState(handle, hardState, ticket: nextTicket))
    }

    /// See the type.
    public func truncate(from index: LogIndex) throws(StoreError) {
        try checkOpen()
        precondition(index >= meta.firstIndex, "\(id): truncation from \(index) before \(meta.firstIndex)")
        guard index <= lastIndex else { return }
        while let last = recent.last, last.index >= index { removeRecent(recent.removeLast()) }
        termStarts.removeAll { $0.firstIndex >= index }
        configurations.removeAll { $0.index >= index }
        meta.configurations = configurations.encoded
        lastIndex = index.previous
        lastTerm = term(at: lastIndex) ?? meta.previousTerm
        progress.cut(from: index)
        let marker = CutMarker(
            from: index, at: SegmentPosition(segment: index, position: 0), number: UInt64(progress.generation))
        var marked = meta
        marked.cut = marker
        core.flushQueue.post(
            .cut(Cut(handle: handle, meta: marked, segment: nil, marker: marker, offset: .zero, deleted: [])))
    }

    /// See the type.
    public func term(at index: LogIndex) -> Term? {
        if index == meta.firstIndex.previous { return meta.previousTerm }
        guard index >= meta.firstIndex, index <= lastIndex else { return nil }
        let after = termStarts.partitioningIndex { $0.firstIndex > index }
        return after == 0 ? nil : termStarts[after - 1].term
    }

    /// See the type.
    public func readEntries(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void
    ) {
        guard index >= meta.firstIndex, index <= lastIndex, !isClosed else {
            let error: StoreError = isClosed ? .closed : .outOfRange(first: meta.firstIndex, last: lastIndex)
            return later { completion(.failure(error)) }
        }
        if let first = recent.first?.index, index >= first {
            let entries = recentEntries(from: index - first, through: last, maxBytes: maxBytes)
            return later { completion(.success(entries)) }
        }
        nextTicket += 1
        reads[nextTicket] = { outcome in
            switch outcome {
            case .entries(let entries): completion(.success(entries))
            case .failure(let error): completion(.failure(error))
            default: preconditionFailure("a read of entries was answered with something else")
            }
        }
        let through = min(last, recent.first?.index.previous ?? progress.applied)
        let query = ReadQuery.commands(from: index, through: through, bytesMax: maxBytes)
        core.read(ReadJob(handle: handle, ticket: nextTicket, ranges: [], query: query), of: id)
    }

    /// See the type.
    public func sealedEntries(from index: LogIndex, through last: LogIndex) -> [StoredEntry]? {
        guard let first = recent.first?.index, index >= first, last <= lastIndex else { return nil }
        return recentEntries(from: index - first, through: last, maxBytes: .max)
    }

    private func recentEntries(from position: Int, through last: LogIndex, maxBytes: Int) -> [StoredEntry] {
        var entries: [StoredEntry] = []
        var bytes = 0
        for entry in recent[position...] where entry.index <= last {
            guard entries.isEmpty || bytes + entry.payload.readableBytes <= maxBytes else { break }
            bytes += entry.payload.readableBytes
            entries.append(entry)
        }
        return entries
    }

    /// The entries from `index` on that recovery found, for applying them; waits for the database.
    public func recoveredEntries(from index: LogIndex, maxBytes: Int) throws(StoreError) -> [StoredEntry] {
        try core.index.commands(
            of: id, from: max(index, meta.firstIndex), through: progress.applied, bytesMax: maxBytes)
    }

    /// Drops the entries up to `index`.
    ///
    /// Their effects must have been committed to the index database: the removal is synced there behind them, so a crash
    /// finds either the entries or a state that has them. Facts and entries change in one batch, of at most
    /// ``IndexBatch/deletesPerCallMax`` entries.
    public func compact(upTo index: LogIndex) throws(StoreError) {
        try checkOpen()
        precondition(index <= progress.flushed, "\(id): compaction up to \(index), durable is \(progress.flushed)")
        while meta.firstIndex <= index {
            let former = meta.firstIndex
            drop(upTo: min(index, former + (IndexBatch.deletesPerCallMax - 1)))
            core.flushQueue.post(.forward(.compact(id, meta, from: former)))
        }
    }

    private func drop(upTo index: LogIndex) {
        meta.previousTerm = term(at: index) ?? meta.previousTerm
        meta.firstIndex = index.next
        while let first = recent.first, first.index <= index, first.index <= progress.applied {
            removeRecent(recent.removeFirst())
        }
        let terms = termStarts.partitioningIndex { $0.firstIndex > index.next }
        if terms > 1 { termStarts.removeFirst(terms - 1) }
        let older = configurations.partitioningIndex { $0.index > index }
        if older > 1 { configurations.removeFirst(older - 1) }
        meta.configurations = configurations.encoded
    }

    /// See the type.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        onFlushed = nil
        onFailed = nil
        hardStateWaiters.removeAll()
        for (_, completion) in reads { completion(.failure(.closed)) }
        reads.removeAll()
        for completion in desk.takeAll() { completion(.failure(.closed)) }
        core.unregister(handle)
        handle.attach(nil)
    }

    // MARK: Private

    private func checkOpen() throws(StoreError) {
        if let failure { throw failure }
        if isClosed { throw .closed }
    }

    private func handle(_ event: GroupEvent) {
        switch event {
        case .flushed(let index, _, let generation):
            guard progress.noteFlushed(index, generation: generation), !isClosed else { return }
            onFlushed?(progress.flushed, term(at: progress.flushed) ?? .zero)
        case .applied(let index, let generation):
            progress.noteApplied(index, generation: generation)
            forgetOld()
        case .hardStatePersisted(let ticket):
            while let waiter = hardStateWaiters.first, waiter.ticket <= ticket {
                hardStateWaiters.removeFirst()
                if !isClosed { waiter.completion() }
            }
        case .read(let ticket, let outcome): reads.removeValue(forKey: ticket)?(outcome)
        case .staged(let ticket, let outcome): desk.take(ticket)?(outcome)
        case .failed(let error):
            failure = error
            onFailed?(error)
        case .encoded, .compaction: preconditionFailure("\(id): commands are not compressed")
        }
    }

    func later(_ body: @escaping () -> Void) {
        handle.owner.eventLoop.assumeIsolated().execute(body)
    }

    private func forgetOld() {
        while recentBytes > Self.recentBytesMax, let first = recent.first, first.index <= progress.applied {
            removeRecent(recent.removeFirst())
        }
    }

    private func removeRecent(_ entry: StoredEntry) { recentBytes -= entry.payload.readableBytes }
}
