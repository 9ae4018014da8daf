// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup.swift
// The shell of one Raft group on this broker: carries out the core's directives on its log, in their order.
// Never decides anything about consensus, and never interprets a payload.

public import LogStore
public import Model
internal import NIOCore
public import Raft

/// One replica of one Raft group, confined to its owner's event loop.
///
/// Ordering: directives are carried out in the order the core gave them; inputs that arrive meanwhile are queued, so
/// the core is never entered twice. The log reports what is durable in the order of the writes.
///
/// A replica whose group has other members belongs to a ``GroupHost``, which gives it time and carries its messages;
/// one
/// that is alone needs neither.
///
/// Invariant: `committed <= log.lastIndex`; entries are handed to the log exactly once, in index order.
public final class ReplicaGroup {
    /// The group's number.
    public let id: GroupID
    /// The broker of this replica.
    public let node: NodeID
    /// Where its entries are stored.
    public let log: any GroupLog
    /// The highest index known to be committed.
    public internal(set) var committed: LogIndex
    /// Set while this replica leads with a confirmed term.
    public internal(set) var leadingTerm: Term?
    /// Set while directives are carried out; use ``whenIdle(_:)`` to propose from inside one.
    public internal(set) var isRunning = false

    var core: Raft.Instance<EntryContent>
    var directives: [Raft.Directive<EntryContent>] = []
    var failure: StoreError?
    weak var observer: (any ReplicaObserver)?
    private var inputs: [Input] = []
    private var deferred: [() -> Void] = []
    private var isStarted = false

    // In groups with other members.
    /// Who carries messages and gives time; set by ``GroupHost/add(_:)``.
    unowned var host: GroupHost?
    /// The place in the host's table.
    var place = 0
    /// Whether this replica is not the only member.
    var hasPeers: Bool
    /// Stored forms of the entries that the core is about to speak of: of a leader's message, or loaded for a peer.
    var arrived: [StoredEntry] = []
    /// Appends that wait until the log has sealed their last entry, in order.
    var held: [HeldAppend] = []
    /// The tick up to which the core was given time.
    var tickedThrough: UInt64 = 0
    /// The tick at which the leader was heard last, or at which it was lost.
    var heardAt: UInt64 = 0
    /// Who should lead a new group first; nil once that is no longer waited for.
    var awaited: NodeID?
    /// The last heartbeat and its answer, while nothing has happened since.
    var quiet: QuietHeartbeat?
    var lastHeartbeatAnswer: Raft.HeartbeatResponse?
    /// Says when the roster that the quiet heartbeat is part of was heard last; nil when it came by itself.
    var rosterClock: RosterClock?
    /// Set while the host speaks for this leader.
    var rest: LeaderRest?
    var rests: UInt64 = 0
    /// The last entry, and since when it is that: leaders rest after a while without entries.
    var calm = (last: LogIndex.zero, since: UInt64(0))
    var seen = SeenRole()
    var followers = FollowerActivity()
    var requests = PendingRequests()
    var offer: SnapshotOffer?
    var isMakingOffer = false
    /// Loads of cold entries that wait for the governor.
    var delayedLoads: [Raft.EntriesRequest] = []
    var fetch: SnapshotFetch?
    /// Set while a snapshot replaces the log.
    var isInstalling = false

    private enum Input {
        case start
        case persisted(LogIndex, Term)
        case hardStatePersisted(Raft.HardState)
        case failed(StoreError)
        /// What only groups with other members get.
        case call(() -> Void)
    }

    /// Wraps a recovered log; call ``start(observer:)`` before anything else.
    ///
    /// `configuration` is the founding one, the same on all its members, or ``Raft/Configuration/empty`` for a replica
    /// that was made later, which also has a ``GroupLog/floor``; what the log says of members goes before it. `applied` is
    /// what stored state is known to reflect, which was committed.
    public init(
        node: NodeID, log: any GroupLog, configuration: Raft.Configuration, settings: Raft.Settings, seed: UInt64,
        applied: LogIndex = .zero
    ) {
        id = log.id
        self.node = node
        self.log = log
        let durable = Self.durableState(of: log, node: node, initial: configuration, applied: applied)
        committed = durable.committed
        core = Raft.Instance(id: node, group: log.id, settings: settings, state: durable, seed: seed)
        // One that comes back may read in its log that it was alone once.
        hasPeers = core.isBehindFloor || !core.configuration.isOnly(node)
        (log as? PartitionLog)?.isReplicated = hasPeers || core.configurationIndex > core.committedIndex
    }

    /// Begins to take part: the only voter of a group elects itself at once.
    public func start(observer: any ReplicaObserver) {
        self.observer = observer
        isStarted = true
        log.onFlushed = { [weak self] index, term in self?.feed(.persisted(index, term)) }
        log.onFailed = { [weak self] error in self?.feed(.failed(error)) }
        feed(.start)
    }

    /// Lets go of the owner; completions that are still under way are ignored.
    public func stop() {
        host?.remove(id)
        log.onFlushed = nil
        log.onFailed = nil
        log.onSealed = nil
        observer = nil
        isStarted = false
        held.removeAll()
        fetch?.cancel()
        fetch = nil
        dropOffer()
        requests.failAll(.refused(.notLeader(leader: nil)))
    }

    /// Proposes one entry and returns the index it was given.
    ///
    /// - Throws: ``ReplicationError`` when this replica does not lead, is over its limit of uncommitted bytes, or its
    /// log
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
        guard failure == nil, !isInstalling else { return }
        attempt { () throws(StoreError) in try log.compact(upTo: min(index, log.flushedIndex)) }
        noteCompaction()
    }

    /// Tells the core that the log begins later than before, as retention has it; not from inside a directive.
    ///
    /// The core forgets only what is committed and durable here. Leaders look themselves, with each tick.
    public func noteCompaction() {
        let first = log.firstIndex
        guard first > core.firstIndex, !isInstalling else { return }
        core.compacted(through: min(first.previous, committed, core.flushedIndex))
    }

    // MARK: The loop

    private func feed(_ input: Input) {
        inputs.append(input)
        if !isRunning { run() }
    }

    /// Runs `body`, which may enter the core, now or after the directives under way, and carries out what comes of it.
    func enter(_ body: @escaping () -> Void) {
        if isRunning { return inputs.append(.call(body)) }
        guard isStarted, failure == nil else { return }
        body()
        run()
    }

    func run() {
        isRunning = true
        stir()
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
        // The log tells superseded writes apart by itself.
        case .persisted(let index, let term): core.persisted(index, term: term, isCurrent: true, into: &directives)
        case .hardStatePersisted(let state): core.hardStatePersisted(state, into: &directives)
        case .failed(let error): fail(error)
        case .call(let body): if isStarted { body() }
        }
        carryOut()
        if hasPeers, case .persisted(let index, _) = input, failure == nil { observer?.replicaFlushed(upTo: index) }
    }

    private func carryOut() {
        var position = 0
        while position < directives.count, failure == nil {
            perform(directives[position])
            position += 1
        }
        directives.removeAll(keepingCapacity: true)
        if hasPeers { endStep() }
    }

    private func perform(_ directive: Raft.Directive<EntryContent>) {
        switch directive {
        case .persistHardState(let state): persist(state)
        case .truncate(let index): truncate(from: index)
        case .append(let entries):
            for entry in entries { append(entry) }
            if Plant.acknowledgeUnflushed.isOn, let last = entries.last { feed(.persisted(last.index, last.term)) }
        case .commit(let index): commit(index)
        case .termConfirmed(let term):
            leadingTerm = term
            observer?.replicaLeads(term: term)
        case .becameFollower(let term, let leader):
            leadingTerm = nil
            held.removeAll()
            observer?.replicaFollows(term: term, leader: leader)
            if hasPeers { leftLeadership(leader: leader) }
        case .becameLeader: if hasPeers { becameLeader() }
        case .becameCandidate: break
        default: performForPeers(directive)
        }
    }

    // MARK: Storage

    private func persist(_ state: Raft.HardState) {
        if Plant.skipVoteSync.isOn { return feed(.hardStatePersisted(state)) }
        let record = HardStateRecord(term: state.term, votedFor: state.votedFor)
        attempt { () throws(StoreError) in
            try log.persist(hardState: record) { [weak self] in self?.feed(.hardStatePersisted(state)) }
        }
    }

    private func truncate(from index: LogIndex) {
        attempt { () throws(StoreError) in try log.truncate(from: index) }
        if failure == nil { observer?.replicaTruncated(from: index) }
    }

    private func append(_ entry: Raft.Entry<EntryContent>) {
        if !arrived.isEmpty, let stored = arrivedEntry(at: entry.index, term: entry.term) {
            attempt { () throws(StoreError) in try log.append(stored.draft) }
            if failure == nil { observer?.replicaAppended(stored) }
            return
        }
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

    /// Tells the log whether another leader could go on with it, which ends when it is settled that this replica is
    /// alone.
    func noteReplication(isSettled: Bool) {
        guard hasPeers || isSettled else { return }
        (log as? PartitionLog)?.isReplicated = hasPeers
    }

    func attempt(_ write: () throws(StoreError) -> Void) {
        do { try write() } catch { fail(error) }
    }

    /// A write that failed is final (storage rule R8): the replica hands over, stops and says so once.
    func fail(_ error: StoreError) {
        guard failure == nil else { return }
        failure = error
        stir()
        leadingTerm = nil
        if hasPeers { nameSuccessor() }
        observer?.replicaFailed(error)
        requests.failAll(.logFailed(error))
    }

    /// What the core needs to know of a recovered log.
    private static func durableState(
        of log: any GroupLog, node: NodeID, initial: Raft.Configuration, applied: LogIndex
    ) -> Raft.DurableState {
        let base = Raft.Position(index: log.firstIndex.previous, term: log.termBeforeFirst)
        let history = history(of: log, initial: initial)
        let floor = log.floor.map { Raft.Position(index: $0.index, term: $0.term) }
        let isAlone = history.current.configuration.isOnly(node) && floor.map { $0.index <= log.lastIndex } ?? true
        let known = min(max(applied, (log as? PartitionLog)?.committedAtLeast ?? .zero), log.lastIndex)
        return Raft.DurableState(
            hardState: Raft.HardState(term: log.hardState.term, votedFor: log.hardState.votedFor),
            base: base, lastIndex: log.lastIndex,
            termStarts: log.termStarts.map { Raft.TermStart(term: $0.term, start: $0.firstIndex) },
            committed: max(base.index, known), configurations: history,
            standing: standing(of: log, isAlone: isAlone), floor: floor)
    }

    /// The memberships of a log: the last one at or before its base, and those of its entries.
    private static func history(
        of log: any GroupLog, initial: Raft.Configuration
    ) -> Raft.ConfigurationHistory {
        let base = log.firstIndex.previous
        let stored = log.configurations.compactMap { record in
            Raft.Configuration(decoding: record.bytes).map { (index: record.index, configuration: $0) }
        }
        precondition(stored.count == log.configurations.count, "\(log.id): a stored configuration cannot be read")
        let before = stored.last { $0.index <= base }
        var history = Raft.ConfigurationHistory(initial: before?.configuration ?? initial, at: before?.index ?? base)
        for element in stored where element.index > base { history.append(element.configuration, at: element.index) }
        return history
    }

    /// How far the log is trusted.
    ///
    /// A replica that is alone goes on whatever it may have forgotten: nobody else holds anything.
    private static func standing(of log: any GroupLog, isAlone: Bool) -> Raft.Standing {
        if isAlone { return .sound }
        if log.isAmnesiac { return .amnesiac }
        return log.damage.map { .corrupt(from: $0.index ?? log.firstIndex) } ?? .sound
    }
}

extension Raft.Configuration {
    /// Whether `node` is the only member.
    func isOnly(_ node: NodeID) -> Bool { voters == [node] && outgoing.isEmpty && learners.isEmpty }
}
