// SPDX-License-Identifier: Apache-2.0
//
// TestCluster.swift
// Replicas of one group in memory: each with a disk whose writes become durable when the test says so, and a network
// that delivers when the test says so. Every directive is checked against the invariants A1 to A10.

import Model
import Raft

typealias Entry = Raft.Entry<String>
typealias Message = Raft.Message<String>
typealias Instance = Raft.Instance<String>

/// A write that storage was given and has not completed.
enum DiskWrite {
    case hardState(Raft.HardState)
    case truncate(LogIndex)
    case append([Entry])
    case install(Raft.SnapshotInfo)
}

/// What one replica has stored, durably or in memory.
struct DiskImage {
    var hardState = Raft.HardState()
    var base = Raft.Position.zero
    var baseConfiguration: Raft.Configuration
    var entries: [Entry] = []
    /// Where the replica began when it joined.
    var floor: Raft.Position?

    var last: LogIndex { base.index + entries.count }

    func entry(at index: LogIndex) -> Entry? {
        index > base.index && index <= last ? entries[index - base.index - 1] : nil
    }

    func term(at index: LogIndex) -> Term? {
        index == base.index ? base.term : entry(at: index)?.term
    }

    /// The configurations of the log, the one at the base first.
    var configurations: Raft.ConfigurationHistory {
        var history = Raft.ConfigurationHistory(initial: baseConfiguration, at: base.index)
        for entry in entries {
            if case .configuration(let configuration) = entry.body { history.append(configuration, at: entry.index) }
        }
        return history
    }

    mutating func apply(_ write: DiskWrite) {
        switch write {
        case .hardState(let state): hardState = state
        case .truncate(let from): if from <= last { entries.removeLast(last - from + 1) }
        case .append(let new):
            precondition(new[0].index == last.next, "hole in the log: \(new[0].index) after \(last)")
            entries += new
        case .install(let info):
            base = info.position
            baseConfiguration = info.configuration
            entries = []
        }
    }

    mutating func compact(through index: LogIndex) {
        guard index > base.index, let term = term(at: index) else { return }
        baseConfiguration = configurations.element(at: index).configuration
        entries.removeFirst(index - base.index)
        base = Raft.Position(index: index, term: term)
    }

    /// What a replica recovers from this.
    func recovered(committed: LogIndex, standing: Raft.Standing) -> Raft.DurableState {
        var runs: [Raft.TermStart] = []
        for entry in entries where entry.term != runs.last?.term {
            runs.append(Raft.TermStart(term: entry.term, start: entry.index))
        }
        return Raft.DurableState(
            hardState: hardState, base: base, lastIndex: last, termStarts: runs, committed: max(base.index, committed),
            configurations: configurations, standing: standing, floor: floor)
    }
}

/// One replica: the instance while it runs, and its storage always.
final class TestNode {
    let id: NodeID
    /// Nil while crashed.
    var raft: Instance?
    var disk: DiskImage
    /// The disk with all pending writes: what reads of a running replica see.
    var memory: DiskImage
    var pending: [DiskWrite] = []
    var standing = Raft.Standing.sound
    var committed = LogIndex.zero
    var fetch: Raft.SnapshotInfo?
    /// Appends that are durable and not yet reported, by the last entry of each.
    var unreported: [Raft.Position] = []
    var loads: [Raft.EntriesRequest] = []
    var snapshotRequests: [NodeID] = []
    var starts: UInt64 = 0

    init(id: NodeID, configuration: Raft.Configuration) {
        self.id = id
        disk = DiskImage(baseConfiguration: configuration)
        memory = disk
    }
}

/// The replicas, the messages between them, and what must hold.
final class TestCluster {
    var nodes: [TestNode] = []
    var network: [Message] = []
    var settings = Raft.Settings()
    var seed: UInt64 = 1
    /// Nodes that nobody can reach.
    var isolated: Set<NodeID> = []
    /// Whether loads and snapshot offers are answered at once.
    var answersRequests = true
    var output: [String] = []
    var isTracing = true
    /// Whether every step is printed at once, so that the last one before a failed precondition is seen.
    var isEchoing = false
    let invariants = Invariants()

    func node(_ id: NodeID) -> TestNode {
        guard let node = nodes.first(where: { $0.id == id }) else { preconditionFailure("no node \(id)") }
        return node
    }

    // MARK: - Life

    func add(_ id: NodeID, configuration: Raft.Configuration) {
        nodes.append(TestNode(id: id, configuration: configuration))
        start(id)
    }

    /// `committed` is what the replica remembers of the commit index.
    func start(_ id: NodeID, committed: LogIndex = .zero) {
        let node = node(id)
        precondition(node.raft == nil, "node \(id) runs already")
        node.starts += 1
        node.memory = node.disk
        node.pending = []
        node.committed = max(node.disk.base.index, min(committed, node.disk.last))
        node.raft = Instance(
            id: id, group: GroupID(rawValue: 1024), settings: settings,
            state: node.disk.recovered(committed: node.committed, standing: node.standing),
            seed: seed &+ UInt64(id.rawValue) &* 1_000 &+ node.starts)
        run(id) { raft, directives in raft.start(into: &directives) }
    }

    /// Stops a replica; the first `keep` pending writes survive.
    func crash(_ id: NodeID, keep: Int = 0) {
        let node = node(id)
        for write in node.pending.prefix(keep) { node.disk.apply(write) }
        node.pending = []
        node.raft = nil
        node.fetch = nil
        node.unreported = []
        node.loads = []
        node.snapshotRequests = []
    }

    /// Stops a replica in the middle of its oldest pending append: only its first entries survive.
    func tear(_ id: NodeID, entries: Int) {
        let node = node(id)
        if case .append(let all)? = node.pending.first, entries > 0 {
            node.disk.apply(.append(Array(all.prefix(entries))))
        }
        crash(id)
    }

    // MARK: - Events

    /// Calls an entry point and carries out what it asks for.
    func run(_ id: NodeID, _ event: (inout Instance, inout [Raft.Directive<String>]) throws -> Void) rethrows {
        let node = node(id)
        guard var raft = node.raft else { return }
        var directives: [Raft.Directive<String>] = []
        node.raft = nil
        defer {
            node.raft = raft
            for directive in directives { carryOut(directive, on: node) }
            invariants.checkState(node)
            if answersRequests { answerRequests(of: node) }
        }
        try event(&raft, &directives)
    }

    /// Completes the oldest pending writes and reports them.
    ///
    /// With `isCoalesced`, only the last of several appends in a row is reported; with `isLate`, appends are reported
    /// another time.
    func persist(_ id: NodeID, count: Int = .max, isCoalesced: Bool = false, isLate: Bool = false) {
        let node = node(id)
        var left = min(count, node.pending.count)
        while left > 0, node.raft != nil {
            left -= 1
            let write = node.pending.removeFirst()
            node.disk.apply(write)
            switch write {
            case .hardState(let state): run(id) { $0.hardStatePersisted(state, into: &$1) }
            case .truncate: break
            case .append(let entries):
                if isCoalesced, left > 0, case .append = node.pending.first { continue }
                node.unreported.append(entries[entries.count - 1].position)
                if !isLate { report(id) }
            case .install(let info): run(id) { $0.snapshotInstalled(info, into: &$1) }
            }
        }
    }

    /// Reports appends that are durable, oldest first.
    func report(_ id: NodeID, count: Int = .max) {
        let node = node(id)
        for _ in 0..<min(count, node.unreported.count) {
            let position = node.unreported.removeFirst()
            trace("\(id): flushed \(position)")
            run(id) { $0.persisted(position.index, term: position.term, into: &$1) }
        }
    }

    /// Completes a fetch under way.
    func fetch(_ id: NodeID) {
        let node = node(id)
        guard let info = node.fetch else { return }
        node.fetch = nil
        run(id) { $0.snapshotFetched(info, into: &$1) }
    }

    /// Removes the message at `index` of the network and gives it to its receiver.
    func deliver(at index: Int) {
        let message = network.remove(at: index)
        let receiver = node(message.to)
        if isolated.contains(message.to) || isolated.contains(message.from) || receiver.raft == nil {
            trace("\(message.to): lost \(message.from) \(describe(message))")
            return
        }
        trace("\(message.to): <- \(message.from) \(describe(message))")
        run(message.to) { $0.step(message, into: &$1) }
    }

    /// Compacts a replica's log.
    func compact(_ id: NodeID, through index: LogIndex) {
        let node = node(id)
        node.disk.compact(through: index)
        node.memory.compact(through: index)
        run(id) { raft, _ in raft.compacted(through: index) }
    }

    /// Whether nothing is on its way anywhere.
    var isQuiet: Bool {
        network.isEmpty
            && nodes.allSatisfy { node in
                node.pending.isEmpty && node.unreported.isEmpty && node.fetch == nil && node.loads.isEmpty
                    && node.snapshotRequests.isEmpty
            }
    }

    /// Completes writes, fetches and deliveries until nothing is left to do.
    func stabilize() {
        for _ in 0..<10_000 {
            if isQuiet { return }
            for node in nodes where node.raft != nil {
                persist(node.id)
                report(node.id)
                fetch(node.id)
                answerRequests(of: node)
            }
            for _ in 0..<network.count { deliver(at: 0) }
        }
        invariants.note("L3: the cluster does not come to rest")
    }

    /// Answers the loads and the requests for snapshots of a replica.
    func answerRequests(of node: TestNode) {
        while let request = node.loads.first, node.raft != nil {
            node.loads.removeFirst()
            var entries: [Entry] = []
            var bytes = 0
            var index = request.from
            while index <= request.through, let entry = node.memory.entry(at: index) {
                if !entries.isEmpty && bytes + entry.byteCount > request.bytesMax { break }
                entries.append(entry)
                bytes += entry.byteCount
                index = index.next
            }
            run(node.id) { raft, directives in
                if entries.isEmpty {
                    raft.entriesUnavailable(request, into: &directives)
                } else {
                    raft.entriesLoaded(request, entries: entries, into: &directives)
                }
            }
        }
        while let peer = node.snapshotRequests.first, node.raft != nil {
            node.snapshotRequests.removeFirst()
            let index = min(node.committed, node.memory.last)
            guard let term = node.memory.term(at: index) else { continue }
            let info = Raft.SnapshotInfo(
                position: Raft.Position(index: index, term: term),
                configuration: node.memory.configurations.element(at: index).configuration)
            run(node.id) { $0.snapshotProvided(info, to: peer, into: &$1) }
        }
    }

    private func carryOut(_ directive: Raft.Directive<String>, on node: TestNode) {
        trace("\(node.id): \(describe(directive))")
        switch directive {
        case .persistHardState(let state): add(.hardState(state), to: node)
        case .truncate(let from): add(.truncate(from), to: node)
        case .append(let entries): add(.append(entries), to: node)
        case .installSnapshot(let info): add(.install(info), to: node)
        case .send(let message): network.append(message)
        case .needEntries(let request): node.loads.append(request)
        case .provideSnapshot(let peer): node.snapshotRequests.append(peer)
        case .fetchSnapshot(let info, _): node.fetch = info
        default: break
        }
        invariants.check(directive, on: node, in: nodes)
    }

    private func add(_ write: DiskWrite, to node: TestNode) {
        node.pending.append(write)
        node.memory.apply(write)
    }

    func trace(_ line: @autoclosure () -> String) {
        if isTracing { output.append(line()) }
        if isEchoing { print(line()) }
    }
}
