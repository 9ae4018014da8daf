// SPDX-License-Identifier: Apache-2.0
//
// ProductionStore.swift
// The production store of one simulated machine: the disk that outlives processes, and what one process has open on it.

internal import LogStore
internal import Logging
internal import Model
internal import NIOCore
internal import Raft
internal import Synchronization

/// One step of a log, the smallest that a crash can tell from the next.
enum LogStep {
    case cut(LogIndex)
    case frame(Frame)
    /// A snapshot takes the log's place: what its giver's log holds up to an entry.
    case install(GroupImage, through: LogIndex)
}

/// What was asked of one log and not reported durable: after a crash some of it is there, in its order.
struct Unreported {
    var steps: [LogStep] = []
    var hardStates: [Raft.HardState] = []
    /// Where the log may begin.
    var bases: [LogIndex] = []
    /// Up to where compaction may have made it begin later.
    var compactsThrough = LogIndex.zero
}

/// A place in a log that a fault has damaged on the disk.
struct DamagedPlace {
    let group: Int
    let index: LogIndex
    let chain: UInt64
}

/// The store of one machine.
final class ProductionStore {
    let plan: ProductionPlan
    let node: NodeID
    let clock = SimulatedClock()
    let loop = SimulatedLoop()
    let ledgers: [EntryLedger]
    private(set) var disk: SimulatedDisk
    private(set) var medium: IndexMedium
    private(set) var steps: StoreSteps?
    private(set) var store: LogStore?
    private var owner: CompletionOwner?
    /// The logs of this process; nil where a replica is out of service.
    private(set) var logs: [(any GroupLog)?]
    var unreported: [Unreported]
    var damaged: [DamagedPlace] = []
    /// Whether a durable part of the journal was damaged: the store must refuse to open, or need none of it.
    var isJournalDamaged = false
    /// Whether an old index took the place of the index, and no start has noticed.
    var isIndexOld = false
    /// The groups of which the old index, or a file, tells.
    var traced: Set<Int> = []
    /// An index that was set aside, to be put back as a fault.
    var formerIndex: IndexMedium.Image?
    /// Whether the process that ended last had a disk that failed it.
    private(set) var hasFailed = false
    /// How the scans of recovery ended, until somebody looks.
    var endings: [RecoveryCase] = []
    /// What the store logs, when somebody wants to know.
    var log: StoreLog? {
        didSet { if let log { disk.log(to: log) } }
    }
    private static let silent = Logger(label: "simulated") { _ in SwiftLogNoOpLogHandler() }
    private var lives = 0
    private let seed: UInt64

    private let mutation: DiskMutation?

    init(plan: ProductionPlan, node: NodeID, ledgers: [EntryLedger], seed: UInt64, mutation: DiskMutation?) {
        self.mutation = mutation
        self.plan = plan
        self.node = node
        self.ledgers = ledgers
        self.seed = seed
        let disk = SimulatedDisk(seed: mix(seed, 1), mutation: mutation)
        self.disk = disk
        medium = IndexMedium { _ in disk.commit() }
        logs = ledgers.map { _ in nil }
        unreported = ledgers.map { _ in Unreported() }
    }

    // MARK: - Life

    /// Opens the store; groups are opened one by one after it.
    func open() throws(StoreError) {
        lives += 1
        let random = Mutex(SeededRandom(seed: mix(seed, UInt64(2 + lives))))
        let clock = clock
        let steps = StoreSteps { count in
            random.withLock { Int.random(in: 0..<count, using: &$0) }
        } stalled: {
            clock.wait(microseconds: 20_000)
        }
        self.steps = steps
        owner = CompletionOwner(eventLoop: loop)
        store = try LogStore.open(
            plan.settings(node: node, clock: clock.clock, steps: steps), system: disk, metrics: nil,
            logger: log?.logger ?? Self.silent, index: medium)
    }

    /// Recovers one group, making it when it does not exist.
    func openLog(_ group: Int, floor: JoinFloor? = nil) throws(StoreError) -> any GroupLog {
        guard let store, let owner else { throw .closed }
        let log: any GroupLog
        if plan.isCommands(group) {
            let commands = store.commandLog(
                try store.recoverCommandLog(plan.id(of: group), floor: floor), owner: owner)
            commands.stateFamily = .controller
            log = commands
        } else {
            let recovered = try store.recoverPartition(
                plan.id(of: group), settings: plan.logSettings, floor: floor)
            endings += recovered.endings
            let partition = store.partitionLog(recovered, owner: owner)
            partition.isReplicated = true
            log = partition
        }
        logs[group] = log
        return log
    }

    /// Takes a replica out of service.
    func closeLog(_ group: Int) {
        logs[group]?.close()
        logs[group] = nil
    }

    /// Ends the process as it is told to: everything that was asked for is done first.
    ///
    /// Returns a broken rule.
    func close() -> String? {
        guard let store else { return nil }
        for group in logs.indices { closeLog(group) }
        settle()
        // S8: with no log open nothing is held.
        let held = store.bufferBalance
        store.close()
        hasFailed = store.failure != nil
        release()
        return held == 0 || disk.isDead ? nil : "S8: \(held) bytes are held with no log open"
    }

    /// Ends the process in the middle of everything; with a `loss` the machine goes down with it.
    func crash(_ loss: PowerLoss?, random: inout SeededRandom) {
        for log in logs { forget(log) }
        logs = logs.map { _ in nil }
        store?.abandon()
        release()
        disk.end(loss)
        guard let loss else { return }
        let count = medium.unsyncedCommits
        let kept =
            switch loss {
            case .all: 0
            case .nothing: count
            case .torn: Int.random(in: 0...count, using: &random)
            }
        medium.losePower(keeping: kept)
    }

    /// Lets go of what is open, at the end of a run: a store and its steps hold each other.
    func leave() {
        for log in logs { forget(log) }
        logs = logs.map { _ in nil }
        store?.abandon()
        release()
    }

    private func forget(_ log: (any GroupLog)?) {
        log?.onFlushed = nil
        log?.onFailed = nil
        log?.onSealed = nil
    }

    private func release() {
        store = nil
        steps = nil
        owner = nil
        loop.clear()
    }

    /// The disk is replaced by an empty one.
    func replaceDisk() {
        let disk = SimulatedDisk(seed: mix(seed, UInt64(1_000 + lives)), mutation: mutation)
        if let log { disk.log(to: log) }
        self.disk = disk
        medium = IndexMedium { _ in disk.commit() }
        unreported = unreported.map { _ in Unreported() }
        damaged = []
        isJournalDamaged = false
        isIndexOld = false
        formerIndex = nil
    }

    /// Removes what one replica stored and opens it anew, as production does when a replica comes back to its group.
    func recreateLog(_ group: Int, floor: JoinFloor?) throws(StoreError) -> any GroupLog {
        guard let store else { throw .closed }
        closeLog(group)
        // What the codec still has must have its place before the group goes.
        settle()
        try store.deleteGroup(plan.id(of: group))
        damaged.removeAll { $0.group == group }
        unreported[group] = Unreported()
        return try openLog(group, floor: floor)
    }

    /// Lets the workers and the loop run until nothing is to be done.
    func settle() {
        guard let steps else { return }
        var isBusy = true
        while isBusy {
            isBusy = false
            for worker in StoreSteps.Worker.allCases where steps.hasWork(worker) {
                steps.run(worker)
                isBusy = true
            }
            if loop.hasWork {
                loop.turn()
                isBusy = true
            }
        }
    }

    // MARK: - Writing

    /// Hands a write of the core to the log; `stored` is called when a hard state is durable.
    func issue(
        _ write: Write, _ group: Int, stored: @escaping () -> Void
    ) throws(StoreError) {
        guard let log = logs[group] else { throw .closed }
        switch write {
        case .hardState(let state):
            unreported[group].hardStates.append(state)
            let record = HardStateRecord(term: state.term, votedFor: state.votedFor)
            try log.persist(hardState: record, completion: stored)
        case .truncate(let index):
            unreported[group].steps.append(.cut(index))
            try log.truncate(from: index)
        case .append(let frames):
            for frame in frames {
                unreported[group].steps.append(.frame(frame))
                try append(frame.entry, to: log, group)
            }
        case .trim(let index): unreported[group].bases.append(index)
        case .install, .markAmnesiac: preconditionFailure("the production store is not asked for \(write)")
        }
    }

    private func append(_ entry: Entry, to log: any GroupLog, _ group: Int) throws(StoreError) {
        let ledger = ledgers[group]
        if let known = ledger.record(entry.index, entry.term)?.stored { return try log.append(known.draft) }
        var draft = FrameDraft(
            kind: .noop, term: entry.term, index: entry.index, baseOffset: log.logEndOffset, recordCount: 0,
            maxTimestamp: -1, payload: ByteBuffer())
        switch entry.body {
        case .noop: break
        case .configuration(let configuration):
            draft.kind = .configuration
            draft.payload = ByteBuffer(bytes: configuration.encoded)
        case .data(let operation) where plan.isCommands(group):
            draft.kind = .command
            draft.payload = Payloads.command(operation, size: plan.payloadBytes(of: operation))
        case .data(let operation):
            let now = clock.clock.wallTime().milliseconds
            let make = plan.compactsKeys ? Payloads.keyed : Payloads.batch
            let (payload, count) = make(
                operation, plan.payloadBytes(of: operation), log.logEndOffset, entry.term, now)
            draft.kind = .data
            draft.payload = payload
            draft.recordCount = Int32(count)
            draft.maxTimestamp = now + Int64(count - 1)
            if payload.readableBytes >= Payloads.placedBytesMin { draft.compression = .never }
        }
        ledger.note(entry, raw: draft.payload)
        if plan.isCommands(group) { _ = ledger.seal(EntryBytes(command: draft)) }
        try log.append(draft)
    }

    /// Notes that a snapshot has taken the place of a log; returns the steps that are durable by that.
    func installed(_ group: Int) -> [LogStep] {
        let place = unreported[group].steps.lastIndex { if case .install = $0 { true } else { false } }
        let steps = Array(unreported[group].steps[...(place ?? 0)])
        unreported[group].steps.removeFirst(steps.count)
        return steps
    }

    /// Notes that the log reported entries up to `index` durable; returns the steps that are durable by that, or a
    /// broken rule.
    func reported(_ index: LogIndex, _ term: Term, _ group: Int) -> Result<[LogStep], Problem> {
        let place = unreported[group].steps.lastIndex { step in
            if case .frame(let frame) = step { frame.entry.index == index && frame.entry.term == term } else { false }
        }
        guard let place else {
            return .failure(Problem("S3: entry \(index) of term \(term) is reported durable and was not asked for"))
        }
        let steps = Array(unreported[group].steps[...place])
        unreported[group].steps.removeFirst(place + 1)
        return .success(steps)
    }
}

/// A rule that does not hold.
struct Problem: Error {
    let text: String
    init(_ text: String) { self.text = text }
}

extension GroupImage {
    /// Carries out one step.
    mutating func apply(_ step: LogStep) {
        switch step {
        case .cut(let index): apply(.truncate(index))
        case .frame(let frame): apply(.append([frame]))
        case .install(let source, let index): copy(source, through: index)
        }
    }
}
