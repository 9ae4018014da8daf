// SPDX-License-Identifier: Apache-2.0
//
// World+ProductionSnapshots.swift
// Snapshots of the production store: made and kept on offer by a leader, pulled piece by piece, put in place of a log.
// The machines may stop at every step of it.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft

/// A snapshot that a leader has on offer.
struct SnapshotOffer {
    let snapshot: LogSnapshot
    /// The giver's log when it was made.
    let source: GroupImage
}

/// A snapshot on its way to a replica.
final class SnapshotPull {
    let info: Raft.SnapshotInfo
    let offer: SnapshotOffer
    /// Who gives it, and in which of its lives.
    let giver: Node
    let giversLife: Int
    let life: Int
    /// When it is given up, unless another piece comes.
    var deadline: Int
    var sizes: [Int] = []
    var file = 0

    init(_ info: Raft.SnapshotInfo, _ offer: SnapshotOffer, from giver: Node, to node: Node, deadline: Int) {
        self.info = info
        self.offer = offer
        self.giver = giver
        giversLife = giver.life
        life = node.life
        self.deadline = deadline
    }
}

extension World {
    // MARK: - Giving

    /// Makes a snapshot for a peer and offers it, or offers the one there is.
    func provideProduction(_ node: Node, _ production: ProductionStore, _ group: Int, to peer: NodeID) {
        guard !node.isDoomed, let core = node.replicas[group].core, core.isLeader,
            let log = production.logs[group] as? any SnapshotLog
        else { return }
        if let offer = node.replicas[group].offer, offer.snapshot.index >= core.firstIndex.previous {
            return self.offer(offer.snapshot, node, group, to: peer)
        }
        guard !node.replicas[group].isMakingOffer else { return }
        dropOffer(node, production, group)
        node.replicas[group].isMakingOffer = true
        let history = core.configurations.elements.map {
            ConfigurationRecord(index: $0.index, bytes: $0.configuration.encoded)
        }
        var source = node.store.mirror[group]
        let life = node.life
        log.makeSnapshot(through: core.committedIndex, configurations: history) { [weak self] result in
            guard let self, node.life == life, !node.isDoomed, production.logs[group] === log else { return }
            node.replicas[group].isMakingOffer = false
            guard case .success(let snapshot) = result else { return trace("\(node.id)/\(group): no snapshot") }
            if LogSnapshot(snapshot.bytes) != snapshot { fail("S9: the description of a snapshot reads as another") }
            if production.plan.isCommands(group) {
                // The state that was read may be later than the call.
                if source.last < snapshot.index { source = node.store.mirror[group] }
                source.apply(.trim(snapshot.index))
            }
            // What is compacted is in it, and no part of the log as consensus has it.
            let base = snapshot.firstIndex.previous
            let beginsRight = production.plan.compactsKeys ? source.base.index >= base : source.base.index == base
            guard source.term(at: snapshot.index) == snapshot.term, beginsRight else {
                return fail("S9: node \(node.id) makes a snapshot of \(snapshot.index)/\(snapshot.term)")
            }
            trace("\(node.id)/\(group): has a snapshot of \(snapshot.firstIndex)...\(snapshot.index)")
            note("snapshot: made")
            node.replicas[group].offer = SnapshotOffer(snapshot: snapshot, source: source)
            offer(snapshot, node, group, to: peer)
        }
    }

    private func offer(_ snapshot: LogSnapshot, _ node: Node, _ group: Int, to peer: NodeID) {
        guard let core = node.replicas[group].core, snapshot.index <= core.committedIndex else { return }
        let info = Raft.SnapshotInfo(
            position: Raft.Position(index: snapshot.index, term: snapshot.term),
            configuration: core.configurations.element(at: snapshot.index).configuration)
        run(node, group) { $0.snapshotProvided(info, to: peer, into: &$1) }
    }

    /// Lets retention go on.
    func dropOffer(_ node: Node, _ production: ProductionStore, _ group: Int) {
        guard node.replicas[group].offer.take() != nil else { return }
        (production.logs[group] as? any SnapshotLog)?.releaseSnapshot()
    }

    // MARK: - Receiving

    /// Begins to pull what was offered, if it still is.
    func pull(
        _ info: Raft.SnapshotInfo, from source: NodeID, _ node: Node, _ production: ProductionStore, _ group: Int
    ) {
        let giver = self.node(source)
        guard let log = production.logs[group] as? any SnapshotLog, let offer = giver.replicas[group].offer,
            offer.snapshot.index == info.position.index, offer.snapshot.term == info.position.term,
            isReachable(giver, node)
        else { return abandon(info, node, group) }
        let pull = SnapshotPull(info, offer, from: giver, to: node, deadline: now + pieceTimeout)
        node.replicas[group].pull = pull
        log.stage(offer.snapshot) { [weak self] result in
            guard let self, isCurrent(pull, node, group) else { return }
            switch result {
            case .success(let sizes):
                pull.sizes = sizes
                note(sizes.contains { $0 > 0 } ? "snapshot: gone on with" : "snapshot: begun")
                nextPiece(pull, node, group)
            case .failure(let error): giveUp(pull, error, node, group)
            }
        }
    }

    /// How long a piece may take.
    private var pieceTimeout: Int { 4 * plan.settings.electionTicks * plan.tick + 20 * plan.flush.upperBound }

    private func isReachable(_ giver: Node, _ node: Node) -> Bool {
        giver.isUp && !giver.isDoomed && giver.pausedUntil <= now && !isBlocked(giver, node)
    }

    private func isCurrent(_ pull: SnapshotPull, _ node: Node, _ group: Int) -> Bool {
        node.isUp && !node.isDoomed && node.life == pull.life && node.replicas[group].pull === pull
    }

    /// Asks for the next piece, or has everything checked when there is none.
    func nextPiece(_ pull: SnapshotPull, _ node: Node, _ group: Int) {
        guard isCurrent(pull, node, group), let log = node.production?.logs[group] as? any SnapshotLog else { return }
        pull.deadline = now + pieceTimeout
        let snapshot = pull.offer.snapshot
        while pull.file < pull.sizes.count, pull.sizes[pull.file] == snapshot.byteCount(ofFile: pull.file) {
            pull.file += 1
        }
        guard pull.file < pull.sizes.count else { return check(pull, log, node, group) }
        let giver = pull.giver
        guard isReachable(giver, node), giver.life == pull.giversLife,
            giver.replicas[group].offer?.snapshot.index == snapshot.index,
            let source = giver.production?.logs[group] as? any SnapshotLog
        else { return giveUp(pull, .closed, node, group) }
        let (file, position) = (pull.file, pull.sizes[pull.file])
        let left = snapshot.byteCount(ofFile: file) - position
        let most = Bool.random(using: &networkRandom) ? 1_000 : 20_000
        let count = min(left, Int.random(in: 1...most, using: &networkRandom))
        source.readSnapshot(snapshot, file: file, from: position, count: count) { [weak self] result in
            guard let self, isCurrent(pull, node, group) else { return }
            switch result {
            case .success(let bytes): add(bytes, file, position, pull, log, node, group)
            case .failure(let error): giveUp(pull, error, node, group)
            }
        }
    }

    private func add(
        _ bytes: ByteBuffer, _ file: Int, _ position: Int, _ pull: SnapshotPull, _ log: any SnapshotLog, _ node: Node,
        _ group: Int
    ) {
        log.addStaged(bytes, file: file, at: position) { [weak self] result in
            guard let self, isCurrent(pull, node, group) else { return }
            switch result {
            case .success:
                pull.sizes[file] = position + bytes.readableBytes
                let delay = 2 * Int.random(in: plan.latency(isFaulty: isFaulty), using: &networkRandom)
                queue.add(.pull(node: node.number, life: node.life, group: group, pull), at: now + delay)
            case .failure(let error): giveUp(pull, error, node, group)
            }
        }
    }

    private func check(_ pull: SnapshotPull, _ log: any SnapshotLog, _ node: Node, _ group: Int) {
        log.checkStaged { [weak self] result in
            guard let self, isCurrent(pull, node, group) else { return }
            switch result {
            case .success(true):
                run(node, group) { $0.snapshotFetched(pull.info, into: &$1) }
                // It may not be wanted any more.
                if node.replicas[group].pull === pull { node.replicas[group].pull = nil }
            case .success(false): check(pull, log, node, group)
            case .failure(let error): giveUp(pull, error, node, group)
            }
        }
    }

    private func giveUp(_ pull: SnapshotPull, _ error: StoreError, _ node: Node, _ group: Int) {
        trace("\(node.id)/\(group): snapshot \(pull.info.position): \(error)")
        note("snapshot: given up, \(error.kind)")
        node.replicas[group].pull = nil
        abandon(pull.info, node, group)
    }

    private func abandon(_ info: Raft.SnapshotInfo, _ node: Node, _ group: Int) {
        trace("\(node.id)/\(group): snapshot \(info.position) abandoned")
        run(node, group) { core, _ in core.snapshotAbandoned(info) }
    }

    /// Gives up what does not come, and now and then what nobody fetches.
    func tickSnapshots(_ node: Node, _ production: ProductionStore) {
        for group in node.replicas.indices {
            if let pull = node.replicas[group].pull, pull.deadline < now { giveUp(pull, .busy, node, group) }
            if node.replicas[group].offer != nil, chance(20, &diskRandom) { dropOffer(node, production, group) }
        }
    }

    /// Replaces a log by the snapshot that was pulled.
    func installProduction(_ info: Raft.SnapshotInfo, _ node: Node, _ production: ProductionStore, _ group: Int) {
        guard let pull = node.replicas[group].pull, pull.info == info,
            let log = production.logs[group] as? any SnapshotLog
        else { return fail("S9: node \(node.id) installs \(info.position), which it has not fetched") }
        node.replicas[group].pull = nil
        if info.position.index <= node.replicas[group].committed {
            fail("A8: node \(node.id) installs \(info.position), committed is \(node.replicas[group].committed)")
        }
        let source = pull.offer.source
        if let truth = histories[group].chain(at: info.position.index), truth != source.chain(at: info.position.index) {
            fail("A4: node \(node.id) installs \(info.position), which differs from what is committed")
        }
        if node.store.mirror[group].term(at: info.position.index) == info.position.term {
            fail("S9: node \(node.id) replaces a log that holds \(info.position) by a snapshot of it")
        }
        node.replicas[group].committed = info.position.index
        production.unreported[group].steps.append(.install(source, through: info.position.index))
        if production.plan.compactsKeys {
            let known = production.unreported[group].compactsThrough
            production.unreported[group].compactsThrough = max(known, info.position.index)
        }
        node.store.mirror[group].copy(source, through: info.position.index)
        node.replicas[group].isInstalling = true
        let life = node.life
        log.installStaged { [weak self] result in
            guard let self, node.life == life, !node.isDoomed, production.logs[group] === log else { return }
            node.replicas[group].isInstalling = false
            if case .failure(let error) = result { return doom(node, life, "\(error)") }
            trace("\(node.id)/\(group): installed \(info.position)")
            note("snapshot: installed, \(production.plan.isCommands(group) ? "state" : "segments")")
            statistics.snapshots += 1
            node.behindSnapshot.insert(group)
            // What was damaged is gone with its files.
            production.damaged.removeAll { $0.group == group }
            for step in production.installed(group) { node.store.durable[group].apply(step) }
            run(node, group) { $0.snapshotInstalled(info, into: &$1) }
            guard production.plan.compactsKeys, let partition = log as? PartitionLog else { return }
            node.unchecked.insert(group)
            noteBase(of: partition, node, group)
        }
    }

    // MARK: - Stopping in the middle

    /// Whether a snapshot takes the place of some log of the machine.
    func isInstalling(_ node: Node) -> Bool { node.replicas.contains(where: \.isInstalling) }

    /// Counts in what moments of a snapshot's way machines stop.
    func noteSnapshots(atEndOf node: Node) {
        guard options.countsCoverage, node.production != nil else { return }
        for replica in node.replicas {
            if replica.pull != nil { note("snapshot: cut short on its way") }
            if replica.isInstalling { note("snapshot: cut short while it is installed") }
        }
    }

    /// Counts what a start finds of snapshots.
    func noteSnapshot(_ node: Node, _ production: ProductionStore, _ group: Int) {
        guard options.countsCoverage, let store = production.store else { return }
        let id = production.plan.id(of: group)
        if node.behindSnapshot.contains(group) { note("recovery: behind a snapshot") }
        guard let manifest = try? store.metadata.snapshotManifest(of: id), manifest.index > .zero else { return }
        note("recovery: an installation is finished")
        node.behindSnapshot.insert(group)
    }
}
