// SPDX-License-Identifier: Apache-2.0
//
// World+Shell.swift
// The shell of a replica: calls the production core, carries out its directives, and checks each of them.

internal import Model
internal import Raft

extension World {
    /// Calls an entry point of a core and carries out what it asks for.
    ///
    /// Does nothing when the process is down.
    func run<E: Error>(
        _ node: Node, _ group: Int, _ event: (inout Core, inout Core.Directives) throws(E) -> Void
    ) throws(E) {
        guard node.isUp, !node.isDoomed, node.replicas[group].core != nil else { return }
        defer {
            swap(&directives, &carriedOut)
            for directive in carriedOut where violation == nil && !node.isDoomed { carryOut(directive, node, group) }
            carriedOut.removeAll(keepingCapacity: true)
            if violation == nil && !node.isDoomed { checkState(node, group) }
            if options.countsCoverage { countProgress(node, group) }
        }
        guard var core = node.replicas[group].core.take() else { return }
        defer { node.replicas[group].core = core }
        try event(&core, &directives)
    }

    private func carryOut(_ directive: Raft.Directive<UInt64>, _ node: Node, _ group: Int) {
        if isTracing { trace("\(node.id)/\(group): \(describe(directive))") }
        note("directive: \(Self.name(of: directive))")
        let history = histories[group]
        switch directive {
        case .persistHardState(let state): issue(.hardState(state), node, group)
        case .truncate(let from):
            statistics.truncations += 1
            if from <= node.replicas[group].committed {
                fail("A7: node \(node.id) cuts \(from), committed is \(node.replicas[group].committed)")
            }
            issue(.truncate(from), node, group)
        case .append(let entries): append(entries, node, group)
        case .installSnapshot(let info):
            if let production = node.production { return installProduction(info, node, production, group) }
            install(info, node, group)
        case .send(let message):
            checkMessage(message, node, group)
            sendStored(message, node, group)
        case .needEntries(let request):
            if let production = node.production { return loadProduction(request, node, production, group) }
            let delay = Int.random(in: plan.flush(isFaulty: isFaulty), using: &diskRandom)
            queue.add(.load(node: node.number, life: node.life, group: group, request), at: now + delay)
        case .commit(let index): commit(index, node, group)
        case .becameLeader(let term):
            statistics.elections += 1
            check(history.led(node.id, term, log: node.store.mirror[group]))
            checkMayLead(node, group)
            hunt(node)
        case .becameCandidate: checkMayLead(node, group)
        case .becameFollower(let term, let leader):
            let hardState = node.store.mirror[group].hardState
            // A vote that was given before, and may still be on its way to the disk, is no second one.
            if let leader, hardState.term < term || hardState.votedFor == nil || hardState.votedFor == leader {
                node.replicas[group].followed = (term, leader)
            }
            node.replicas[group].held.removeAll()
            if node.store.mutation != .answerByIndex { node.replicas[group].waiting.removeAll() }
        case .termConfirmed: break
        case .configurationChanged(let configuration, _): node.replicas[group].configuration = configuration
        case .configurationCommitted: statistics.changes += 1
        case .readReady(let reads, let index): finish(reads, at: index, node, group)
        case .readFailed(let reads):
            node.replicas[group].reads.removeAll { pending in reads.contains(pending.read) }
        case .transferEnded(_, let outcome): if outcome == .handedOver { statistics.transfers += 1 }
        case .provideSnapshot(let peer):
            let delay = Int.random(in: plan.latency(isFaulty: isFaulty), using: &networkRandom)
            queue.add(.provide(node: node.number, life: node.life, group: group, peer: peer), at: now + delay)
        case .fetchSnapshot(let info, let source):
            let delay = 3 * Int.random(in: plan.latency(isFaulty: isFaulty), using: &networkRandom)
            queue.add(
                .fetched(node: node.number, life: node.life, group: group, info, from: source), at: now + delay)
        }
    }

    // MARK: - Log

    private func append(_ entries: [Entry], _ node: Node, _ group: Int) {
        var chain = node.store.mirror[group].lastChain
        var frames: [Frame] = []
        frames.reserveCapacity(entries.count)
        for entry in entries {
            let frame = Frame(entry, after: chain)
            chain = frame.chain
            check(histories[group].wrote(frame, by: node.id))
            frames.append(frame)
        }
        issue(.append(frames), node, group)
    }

    private func commit(_ index: LogIndex, _ node: Node, _ group: Int) {
        let before = node.replicas[group].committed
        if index <= before { fail("A2: commit of node \(node.id) from \(before) to \(index)") }
        node.replicas[group].committed = index
        guard let core = node.replicas[group].core else { return }
        check(
            histories[group].committed(
                through: index, by: node.id, in: core.term, log: node.store.mirror[group]))
        if core.isLeader { checkQuorum(index, node, group) }
        if core.isLeader || node.store.mutation == .answerByIndex {
            answerClients(through: index, node, group, term: core.term)
        }
    }

    private func answerClients(through index: LogIndex, _ node: Node, _ group: Int, term: Term) {
        var done = 0
        for waiting in node.replicas[group].waiting {
            guard waiting.index <= index else { break }
            done += 1
            guard waiting.term == term || node.store.mutation == .answerByIndex else { continue }
            statistics.answered += 1
            check(histories[group].answer(waiting.operation, at: waiting.index))
        }
        node.replicas[group].waiting.removeFirst(done)
    }

    private func finish(_ reads: [Raft.ReadID], at index: LogIndex, _ node: Node, _ group: Int) {
        for read in reads {
            guard let place = node.replicas[group].reads.firstIndex(where: { $0.read == read }) else {
                fail("C2: node \(node.id) answers read \(read.rawValue), which nobody asked")
                return
            }
            let known = node.replicas[group].reads.remove(at: place).known
            statistics.reads += 1
            check(histories[group].read(at: index, known: known))
        }
    }

    /// Loads entries from storage for a peer.
    func load(_ request: Raft.EntriesRequest, _ node: Node, _ group: Int) {
        let image = node.store.mirror[group]
        let damaged = node.store.damage(of: group).min()
        var entries: [Entry] = []
        var bytes = 0
        var index = request.from
        while index <= request.through, let frame = image.frame(at: index), damaged.map({ index < $0 }) ?? true {
            if !entries.isEmpty && bytes + frame.entry.byteCount > request.bytesMax { break }
            entries.append(frame.entry)
            bytes += frame.entry.byteCount
            index = index.next
        }
        run(node, group) { core, directives in
            if entries.isEmpty {
                core.entriesUnavailable(request, into: &directives)
            } else {
                core.entriesLoaded(request, entries: entries, into: &directives)
            }
        }
        if entries.isEmpty && damaged != nil { scrub(node) }
    }

    /// Removes what is committed, flushed and old from one log.
    func compact(_ node: Node, _ group: Int) {
        if let production = node.production { return compactProduction(node, production, group) }
        guard let core = node.replicas[group].core else { return }
        let image = node.store.mirror[group]
        var limit = min(core.committedIndex, core.flushedIndex)
        if node.store.mutation == .trimUncommitted { limit = core.flushedIndex }
        let keep = Int.random(in: 0...6, using: &workRandom)
        guard limit - image.base.index > keep, !image.isAmnesiac else { return }
        let through = LogIndex(limit.rawValue - UInt64(keep))
        trace("\(node.id)/\(group): compacts through \(through)")
        issue(.trim(through), node, group)
        if through <= core.committedIndex { run(node, group) { core, _ in core.compacted(through: through) } }
    }

    // MARK: - Snapshots

    /// Offers a snapshot of anything between the base of the log and its commit index.
    func provide(_ node: Node, _ group: Int, to peer: NodeID) {
        if let production = node.production { return provideProduction(node, production, group, to: peer) }
        guard let core = node.replicas[group].core, core.isLeader else { return }
        let image = node.store.mirror[group]
        let spare = core.committedIndex - image.base.index
        let index = image.base.index + (spare > 0 ? Int.random(in: 0...spare, using: &workRandom) : 0)
        guard index > .zero, let term = image.term(at: index) else { return }
        let info = Raft.SnapshotInfo(
            position: Raft.Position(index: index, term: term),
            configuration: image.configurations.element(at: index).configuration)
        run(node, group) { $0.snapshotProvided(info, to: peer, into: &$1) }
    }

    /// The pull of a snapshot has ended: with its content, if the source still has it.
    func fetched(_ info: Raft.SnapshotInfo, from source: NodeID, _ node: Node, _ group: Int) {
        if let production = node.production { return pull(info, from: source, node, production, group) }
        let peer = self.node(source)
        let image = peer.store.mirror[group]
        guard peer.isUp, !isBlocked(peer, node), peer.pausedUntil <= now,
            let chain = image.chain(at: info.position.index),
            image.term(at: info.position.index) == info.position.term,
            peer.store.damage(of: group).allSatisfy({ $0 > info.position.index })
        else {
            trace("\(node.id)/\(group): snapshot \(info.position) abandoned")
            run(node, group) { core, _ in core.snapshotAbandoned(info) }
            return
        }
        node.replicas[group].fetched = Installed(info: info, chain: chain)
        run(node, group) { $0.snapshotFetched(info, into: &$1) }
    }

    private func install(_ info: Raft.SnapshotInfo, _ node: Node, _ group: Int) {
        guard let fetched = node.replicas[group].fetched.take(), fetched.info == info else {
            fail("S9: node \(node.id) installs \(info.position), which it has not fetched")
            return
        }
        if info.position.index <= node.replicas[group].committed {
            fail("A8: node \(node.id) installs \(info.position), committed is \(node.replicas[group].committed)")
        }
        if node.store.mirror[group].term(at: info.position.index) == info.position.term {
            fail("S9: node \(node.id) replaces a log that holds \(info.position) by a snapshot of it")
        }
        if let truth = histories[group].chain(at: info.position.index), truth != fetched.chain {
            fail("A4: node \(node.id) installs \(info.position), which differs from what is committed")
        }
        node.replicas[group].committed = info.position.index
        var content = fetched
        if node.store.mutation == .installKeepsConfiguration {
            let old = node.store.mirror[group].configuration.configuration
            content = Installed(
                info: Raft.SnapshotInfo(position: info.position, configuration: old), chain: fetched.chain)
        }
        issue(.install(content), node, group)
    }
}
