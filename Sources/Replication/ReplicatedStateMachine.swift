// SPDX-License-Identifier: Apache-2.0
//
// ReplicatedStateMachine.swift
// A group whose entries are commands: proposes them, applies them in order once committed, and stores what changed
// together with the applied index, so that a restart loads the state and replays only the rest.

internal import DequeModule
public import LogStore
public import Model
internal import NIOCore
public import Raft
internal import Telemetry

/// One change of the stored state.
public struct StateWrite: Sendable, Hashable {
    /// The key inside the machine's group.
    public var key: [UInt8]
    /// The new value; nil deletes the key.
    public var value: [UInt8]?

    /// A change of `key`.
    public init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// The logic that a ``ReplicatedStateMachine`` drives.
public protocol StateMachineLogic: AnyObject {
    /// Applies a committed command and returns what has to be stored. Deterministic.
    func apply(_ command: [UInt8], at index: LogIndex) -> [StateWrite]
    /// This broker leads the group and has applied everything before its term.
    func stateMachineLeads(term: Term)
    /// This broker does not lead the group.
    ///
    /// Also when only the leader became known, or unknown.
    func stateMachineFollows()
    /// A snapshot has replaced the stored state: load all of it again; entries behind `index` are applied next.
    func stateMachineReloads(at index: LogIndex)
    /// The group cannot go on on this broker.
    func stateMachineFailed(_ error: StoreError)
}

extension StateMachineLogic {
    /// Logic that cannot load again is out of service.
    public func stateMachineReloads(at index: LogIndex) {
        stateMachineFailed(.index("a snapshot up to \(index) replaced the state under logic that cannot load it"))
    }
}

/// Drives a state machine on a Raft group without segments.
///
/// Confined to the group's event loop.
///
/// Invariant: `applied <= min(replica.committed, replica.log.flushedIndex)`; commands are applied in index order, each
/// exactly once in memory; the store may lose a suffix of what was applied, never something before it (storage rule R7), and
/// never reflects an entry that this replica's log could lose.
public final class ReplicatedStateMachine: ReplicaObserver {
    /// What a proposal's proposer is told after it was applied.
    public typealias Completion = (Result<LogIndex, ReplicationError>) -> Void

    /// The group.
    public let replica: ReplicaGroup
    /// Called when this replica leads, or follows, or the leader it follows is another.
    public var onRoleChange: (() -> Void)?
    /// The last index that was applied in memory.
    public private(set) var applied: LogIndex

    private struct Pending {
        let index: LogIndex
        let command: [UInt8]
        let completion: Completion
    }

    private let index: IndexDatabase
    private let family: StateFamily
    private let metrics: StateMachineMetrics
    private weak var logic: (any StateMachineLogic)?
    private var pending = Deque<Pending>()
    private var committed: LogIndex
    private var isReading = false
    /// Counts the snapshots that replaced the state: what was read before them is of no use.
    private var generation = 0
    private var confirmedTerm: Term?
    private var announcedTerm: Term?
    private var failure: StoreError?
    private var announcedFailure = false
    private var compaction: CompactionRule

    /// A machine whose stored state reflects the entries up to `applied`.
    public init(
        replica: ReplicaGroup, index: IndexDatabase, family: StateFamily, applied: LogIndex,
        compaction: CompactionRule = CompactionRule(), metrics: StateMachineMetrics = StateMachineMetrics()
    ) {
        self.replica = replica
        self.index = index
        self.family = family
        self.metrics = metrics
        self.applied = applied
        self.committed = applied
        self.compaction = compaction
        self.compaction.begin(at: applied)
        (replica.log as? CommandLog)?.stateFamily = family
        if applied > replica.log.lastIndex || applied.next < replica.log.firstIndex {
            failure = .index(
                "the state of \(replica.id) reflects entry \(applied), its log holds \(replica.log.firstIndex) to "
                    + "\(replica.log.lastIndex)")
        }
    }

    /// Begins to take part, unless state and log do not belong together.
    public func start(logic: any StateMachineLogic) {
        self.logic = logic
        if let failure { return replicaFailed(failure) }
        replica.start(observer: self)
    }

    /// Proposes a command; `completion` runs after it was applied here, or when it was not proposed.
    public func propose(_ command: [UInt8], completion: @escaping Completion) {
        replica.whenIdle { [self] in proposeNow(command, completion) }
    }

    private func proposeNow(_ command: [UInt8], _ completion: @escaping Completion) {
        let content = EntryContent(
            kind: .command, baseOffset: .zero, recordCount: 0, maxTimestamp: -1, payload: ByteBuffer(bytes: command))
        if let failure { return completion(.failure(.logFailed(failure))) }
        let index = replica.log.lastIndex.next
        pending.append(Pending(index: index, command: command, completion: completion))
        do {
            _ = try replica.propose(content)
        } catch {
            // A log that fails at this proposal has answered it already, with all the others.
            guard pending.last?.index == index else { return }
            pending.removeLast().completion(.failure(error))
        }
    }

    // MARK: Replica

    /// Reads may be served once everything before this term is applied.
    public func replicaLeads(term: Term) {
        confirmedTerm = term
        onRoleChange?()
    }

    /// Proposals whose fate is not known are answered with a refusal.
    public func replicaFollows(term: Term, leader: NodeID?) {
        confirmedTerm = nil
        announcedTerm = nil
        let waiting = pending
        pending.removeAll()
        for one in waiting { one.completion(.failure(.refused(.notLeader(leader: leader)))) }
        logic?.stateMachineFollows()
        onRoleChange?()
    }

    /// Applies what is committed now.
    public func replicaCommitted(upTo index: LogIndex) {
        committed = max(committed, index)
        advance()
    }

    /// Applies what was committed before it was durable here.
    public func replicaFlushed(upTo index: LogIndex) { if applied < committed { advance() } }

    /// Goes on behind the snapshot.
    public func replicaInstalled(_ position: Raft.Position) {
        generation += 1
        isReading = false
        applied = position.index
        committed = max(committed, position.index)
        compaction.begin(at: applied)
        logic?.stateMachineReloads(at: applied)
    }

    /// Tells every proposer.
    public func replicaFailed(_ error: StoreError) {
        if announcedFailure { return }
        announcedFailure = true
        failure = error
        let waiting = pending
        pending.removeAll()
        for one in waiting { one.completion(.failure(.logFailed(error))) }
        logic?.stateMachineFailed(error)
    }

    // MARK: Applying

    /// While a snapshot takes the place of the state nothing is stored: its keys would be mixed with older ones.
    private func advance() {
        guard !replica.isInstalling else { return }
        while applied < min(committed, replica.log.flushedIndex), failure == nil {
            if let first = pending.first, first.index == applied.next {
                pending.removeFirst()
                apply(first.command, at: first.index)
                first.completion(.success(first.index))
            } else {
                return read()
            }
        }
        announce()
        compactIfDue()
    }

    private func announce() {
        guard let term = confirmedTerm, announcedTerm != term, applied >= committed, failure == nil else { return }
        announcedTerm = term
        logic?.stateMachineLeads(term: term)
    }

    /// Loads entries that were recovered, or that another leader made.
    private func read() {
        guard !isReading else { return }
        isReading = true
        var last = min(committed, replica.log.flushedIndex)
        let asked = generation
        if let first = pending.first { last = min(last, first.index.previous) }
        replica.log.readEntries(from: applied.next, through: last, maxBytes: 4 << 20) { [weak self] answer in
            guard let self, self.generation == asked, !self.replica.isInstalling else { return }
            self.isReading = false
            switch answer {
            case .success(let entries):
                self.metrics.replayed.increment(by: entries.count)
                for entry in entries where entry.index == self.applied.next {
                    let isCommand = entry.kind == .command
                    self.apply(isCommand ? Array(entry.payload.readableBytesView) : nil, at: entry.index)
                }
                self.advance()
            case .failure(let error):
                self.replicaFailed(error)
            }
        }
    }

    private func apply(_ command: [UInt8]?, at position: LogIndex) {
        applied = position
        guard let command, let writes = logic?.apply(command, at: position) else { return }
        compaction.applied(byteCount: command.count)
        do {
            try store(writes, at: position)
        } catch {
            replicaFailed(.index("\(error)"))
        }
    }

    // MARK: Compaction

    /// Drops entries that the stored state has made superfluous.
    private func compactIfDue() {
        let first = replica.log.firstIndex
        metrics.entries.set(replica.log.lastIndex - first + 1)
        guard let target = compaction.due(first: first, applied: applied), failure == nil else { return }
        replica.whenIdle { [weak self] in self?.compact(upTo: target) }
    }

    private func compact(upTo target: LogIndex) {
        guard failure == nil, target >= replica.log.firstIndex, !replica.isInstalling else { return }
        do {
            // Entries that change nothing, like no-ops, leave no trace in the state, so the position is noted here.
            try store([], at: applied)
        } catch {
            return replicaFailed(.index("\(error)"))
        }
        replica.compact(upTo: target)
        metrics.compactions.increment()
        metrics.entries.set(replica.log.lastIndex - replica.log.firstIndex + 1)
    }

    /// Stores changes and the applied index in one unsynced batch: the log is what makes them durable.
    private func store(_ writes: [StateWrite], at position: LogIndex) throws(IndexError) {
        var batch = try index.makeBatch()
        for write in writes {
            if let value = write.value {
                batch.put(write.key, value, in: family, of: replica.id)
            } else {
                batch.delete(write.key, in: family, of: replica.id)
            }
        }
        let term = replica.log.term(at: position) ?? replica.log.lastTerm
        batch.putApplied(AppliedPosition(index: position, term: term), in: family, of: replica.id)
        try batch.commitBuffered()
    }
}
