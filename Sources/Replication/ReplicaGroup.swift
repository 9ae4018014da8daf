// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup.swift
// The shell of one Raft group on this broker: carries out the core's directives on its log, in their order.
// Never decides anything about consensus, and never interprets a payload.

public import LogStore
public import Model
public import NIOCore
public import Raft

/// What a data entry of any group carries.
public struct EntryContent: Sendable {
    /// Whether the bytes are record batches or a command of a state machine.
    public var kind: FrameKind
    /// The offset of the first record; for commands the offset does not move.
    public var baseOffset: Offset
    /// How many offsets the entry takes; 0 for commands.
    public var recordCount: Int32
    /// The newest timestamp of its records in milliseconds; -1 when it has none.
    public var maxTimestamp: Int64
    /// The bytes to store.
    public var payload: ByteBuffer
    /// The CRC-32C of the bytes, when it is known.
    public var checksum: UInt32?
    /// Whether its producers compressed the bytes already.
    public var isCompressed: Bool

    /// Describes an entry before it has an index.
    public init(
        kind: FrameKind, baseOffset: Offset, recordCount: Int32, maxTimestamp: Int64, payload: ByteBuffer,
        checksum: UInt32? = nil, isCompressed: Bool = false
    ) {
        self.kind = kind
        self.baseOffset = baseOffset
        self.recordCount = recordCount
        self.maxTimestamp = maxTimestamp
        self.payload = payload
        self.checksum = checksum
        self.isCompressed = isCompressed
    }
}

/// What a replica tells its owner.
///
/// Called on the owner's loop, in the order of the log.
public protocol ReplicaObserver: AnyObject {
    /// This replica leads in `term` and an entry of that term is committed: positions may be served.
    func replicaLeads(term: Term)
    /// This replica does not lead any more; what was proposed and not committed has an unknown outcome.
    func replicaFollows(term: Term, leader: NodeID?)
    /// Entries up to `index` are committed.
    func replicaCommitted(upTo index: LogIndex)
    /// The log cannot be written any more; the replica is out of service for good.
    func replicaFailed(_ error: StoreError)
}

/// One Raft group on this broker, confined to its owner's event loop.
///
/// Ordering: directives are carried out in the order the core gave them; inputs that arrive meanwhile are queued, so
/// the core is never entered twice. The log reports what is durable in the order of the writes.
///
/// Invariant: `committed <= log.lastIndex`; entries are handed to the log exactly once, in index order.
public final class ReplicaGroup {
    /// The group's number.
    public let id: GroupID
    /// Where its entries are stored.
    public let log: any GroupLog
    /// The highest index known to be committed.
    public private(set) var committed: LogIndex
    /// Set while this replica leads with a confirmed term.
    public private(set) var leadingTerm: Term?

    private var core: Raft.Instance<EntryContent>
    private var directives: [Raft.Directive<EntryContent>] = []
    private var inputs: [Input] = []
    /// Set while directives are carried out; use ``whenIdle(_:)`` to propose from inside one.
    public private(set) var isRunning = false
    private var deferred: [() -> Void] = []
    private var failure: StoreError?
    private weak var observer: (any ReplicaObserver)?

    private enum Input {
        case start
        case persisted(LogIndex, Term)
        case hardStatePersisted(Raft.HardState)
        case failed(StoreError)
    }

    /// Wraps a recovered log; call ``start(observer:)`` before anything else.
    public init(
        node: NodeID, log: any GroupLog, configuration: Raft.Configuration, settings: Raft.Settings, seed: UInt64
    ) {
        self.id = log.id
        self.log = log
        let durable = Self.durableState(of: log, initial: configuration)
        self.committed = durable.committed
        self.core = Raft.Instance(id: node, group: log.id, settings: settings, state: durable, seed: seed)
    }

    /// Begins to take part: the only voter of a group elects itself at once.
    public func start(observer: any ReplicaObserver) {
        self.observer = observer
        log.onFlushed = { [weak self] index, term in self?.feed(.persisted(index, term)) }
        log.onFailed = { [weak self] error in self?.feed(.failed(error)) }
        feed(.start)
    }

    /// Lets go of the owner; completions that are still under way are ignored.
    public func stop() {
        log.onFlushed = nil
        log.onFailed = nil
        observer = nil
    }

    /// Proposes one entry and returns the index it was given.
    ///
    /// - Throws: ``ReplicationError`` when this replica does not lead, is over its limit of uncommitted bytes, or its log
    ///   failed; nothing was appended then.
    public func propose(_ content: EntryContent) throws(ReplicationError) -> LogIndex {
        if let failure { throw .logFailed(failure) }
        precondition(!isRunning, "a proposal from inside a directive of \(id)")
        let byteCount = content.payload.readableBytes
        guard byteCount <= log.payloadBytesMax else {
            throw .tooLarge(byteCount: byteCount, limit: log.payloadBytesMax)
        }
        if let refusal = log.refusal(for: byteCount) { throw .notNow(refusal) }
        let index: LogIndex
        do {
            index = try core.propose(content, byteCount: byteCount, into: &directives)
        } catch {
            throw .refused(error)
        }
        run()
        if let failure { throw .logFailed(failure) }
        return index
    }

    /// Lets the log drop entries up to `index`, whose effects are in applied state; not from inside a directive.
    public func compact(upTo index: LogIndex) {
        precondition(!isRunning, "\(id): compaction from inside a directive")
        precondition(index <= committed, "\(id): compaction up to \(index), committed is \(committed)")
        guard failure == nil else { return }
        attempt { () throws(StoreError) in try log.compact(upTo: min(index, log.flushedIndex)) }
        core.compacted(through: log.firstIndex.previous)
    }

    // MARK: The loop

    private func feed(_ input: Input) {
        inputs.append(input)
        if !isRunning { run() }
    }

    private func run() {
        isRunning = true
        carryOut()
        while !inputs.isEmpty {
            let batch = inputs
            inputs.removeAll(keepingCapacity: true)
            for input in batch { step(input) }
        }
        isRunning = false
        while !deferred.isEmpty, !isRunning {
            let next = deferred.removeFirst()
            next()
        }
    }

    /// Runs `body` now, or after the directives under way: what an observer has to do with the group goes through here.
    public func whenIdle(_ body: @escaping () -> Void) {
        if isRunning { deferred.append(body) } else { body() }
    }

    private func step(_ input: Input) {
        guard failure == nil else { return }
        switch input {
        case .start: core.start(into: &directives)
        case .persisted(let index, let term): core.persisted(index, term: term, into: &directives)
        case .hardStatePersisted(let state): core.hardStatePersisted(state, into: &directives)
        case .failed(let error): fail(error)
        }
        carryOut()
    }

    private func carryOut() {
        var position = 0
        while position < directives.count, failure == nil {
            perform(directives[position])
            position += 1
        }
        directives.removeAll(keepingCapacity: true)
    }

    private func perform(_ directive: Raft.Directive<EntryContent>) {
        switch directive {
        case .persistHardState(let state): persist(state)
        case .truncate(let index): attempt { () throws(StoreError) in try log.truncate(from: index) }
        case .append(let entries): for entry in entries { append(entry) }
        case .commit(let index): commit(index)
        case .termConfirmed(let term):
            leadingTerm = term
            observer?.replicaLeads(term: term)
        case .becameFollower(let term, let leader):
            leadingTerm = nil
            observer?.replicaFollows(term: term, leader: leader)
        case .becameLeader, .becameCandidate, .transferEnded, .configurationChanged, .configurationCommitted,
            .readReady, .readFailed:
            break
        case .send, .needEntries, .provideSnapshot, .fetchSnapshot, .installSnapshot:
            preconditionFailure("\(id) has one voter, yet its core talks to peers: \(directive)")
        }
    }

    // MARK: Storage

    private func persist(_ state: Raft.HardState) {
        let record = HardStateRecord(term: state.term, votedFor: state.votedFor)
        attempt { () throws(StoreError) in
            try log.persist(hardState: record) { [weak self] in self?.feed(.hardStatePersisted(state)) }
        }
    }

    private func append(_ entry: Raft.Entry<EntryContent>) {
        var draft = FrameDraft(
            kind: .noop, term: entry.term, index: entry.index, baseOffset: log.logEndOffset, recordCount: 0,
            maxTimestamp: -1, payload: ByteBuffer())
        switch entry.body {
        case .noop: break
        case .configuration(let configuration):
            draft.kind = .configuration
            draft.payload = ByteBuffer(bytes: configuration.encoded)
        case .data(let content):
            draft.kind = content.kind
            draft.baseOffset = content.baseOffset
            draft.recordCount = content.recordCount
            draft.maxTimestamp = content.maxTimestamp
            draft.payload = content.payload
            draft.checksum = content.checksum
            if content.isCompressed { draft.compression = .never }
        }
        attempt { () throws(StoreError) in try log.append(draft) }
    }

    private func commit(_ index: LogIndex) {
        precondition(index > committed && index <= log.lastIndex, "\(id): commit \(index) after \(committed)")
        committed = index
        observer?.replicaCommitted(upTo: index)
    }

    private func attempt(_ write: () throws(StoreError) -> Void) {
        do { try write() } catch { fail(error) }
    }

    /// A write that failed is final (storage rule R8): the replica stops and says so once.
    private func fail(_ error: StoreError) {
        guard failure == nil else { return }
        failure = error
        leadingTerm = nil
        observer?.replicaFailed(error)
    }

    /// What the core needs to know of a recovered log.
    private static func durableState(of log: any GroupLog, initial: Raft.Configuration) -> Raft.DurableState {
        let base = Raft.Position(index: log.firstIndex.previous, term: log.termBeforeFirst)
        return Raft.DurableState(
            hardState: Raft.HardState(term: log.hardState.term, votedFor: log.hardState.votedFor),
            base: base, lastIndex: log.lastIndex,
            termStarts: log.termStarts.map { Raft.TermStart(term: $0.term, start: $0.firstIndex) },
            committed: base.index, configurations: Raft.ConfigurationHistory(initial: initial, at: base.index))
    }
}
