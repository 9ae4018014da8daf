// SPDX-License-Identifier: Apache-2.0
//
// World+Production.swift
// Runs on the production store: its life, the steps of its workers, and what it reports. The oracles `mirror` and
// `durable`
// are kept beside it and say what it must hold.

internal import LogStore
internal import Model
internal import Raft

extension World {
    // MARK: - Life

    /// Opens the store of a machine, recovers all logs and compares them with what was promised, and starts the
    /// replicas.
    func startProduction(_ node: Node, _ production: ProductionStore) {
        production.clock.set(now)
        let canDie = isFaulty && !plan.faults.isDisjoint(with: [.crash, .power])
        // S5: a recovery that is interrupted is begun again.
        if canDie, chance(200, &diskRandom) { production.disk.die(after: Int.random(in: 0...50, using: &diskRandom)) }
        do throws(StoreError) {
            try production.open()
            if production.store?.isAmnesiac == true { forgetPromises(node, production) }
            setIndexAside(node, production)
            var states: [Raft.DurableState?] = []
            for group in node.replicas.indices { states.append(try recoverReplica(node, production, group)) }
            guard !production.disk.isDead else { return failedStart(node, production, .closed) }
            production.disk.survive()
            production.isIndexOld = false
            for (group, state) in states.enumerated() {
                if let state, node.isUp, violation == nil { startCore(node, group, state) }
            }
        } catch {
            failedStart(node, production, error)
        }
        if node.isUp { queue.add(.tick(node: node.number, life: node.life), at: now + 1 + tickOffset(node)) }
    }

    private func tickOffset(_ node: Node) -> Int { Int.random(in: 0..<node.tick, using: &diskRandom) }

    /// The process could not start, which some fault must explain.
    private func failedStart(_ node: Node, _ production: ProductionStore, _ error: StoreError) {
        trace("\(node.id): does not start: \(error)")
        if production.disk.isDead {
            crash(node, isPowerLoss: plan.faults.contains(.power))
        } else if production.isJournalDamaged, case .corrupt = error {
            // Nothing was changed, and nobody can say what was promised: an operator gives the machine an empty disk.
            crash(node, isPowerLoss: false)
            loseDisk(node, production)
        } else if node.isDiskFull {
            crash(node, isPowerLoss: false)
        } else {
            return fail("S9: node \(node.id) does not start: \(error)")
        }
        queue.add(.restart(node: node.number), at: now + Int.random(in: 1...40 * plan.tick, using: &diskRandom))
    }

    /// The index forgot something and the store noticed: nothing it holds counts any more.
    private func forgetPromises(_ node: Node, _ production: ProductionStore) {
        trace("\(node.id): the store is amnesiac")
        if node.health != .lost { fail("A9: node \(node.id) takes itself for amnesiac") }
        production.isIndexOld = false
        for group in node.replicas.indices { forgetPromises(node, group) }
    }

    /// A replica says of itself, from now on at each start, that it may have forgotten something.
    private func forgetPromises(_ node: Node, _ group: Int) {
        markLost(node, group)
        if node.production?.traced.contains(group) == true { node.forgetful.insert(group) }
    }

    /// Keeps the index of before any group is opened: put back later, it may not know all of them.
    private func setIndexAside(_ node: Node, _ production: ProductionStore) {
        guard production.formerIndex == nil else { return }
        // With a generator of its own: nothing else of a run is to depend on it.
        var random = SeededRandom(seed: mix(options.seed, UInt64(node.number + 1) << 40 | UInt64(node.life)))
        if chance(300, &random) { production.formerIndex = production.medium.durable }
    }

    /// A replica whose promises are lost: it serves nobody until it has left its group and starts anew.
    private func markLost(_ node: Node, _ group: Int) {
        var image = GroupImage(.empty)
        image.apply(.markAmnesiac)
        node.behindSnapshot.remove(group)
        node.store.mirror[group] = image
        node.store.durable[group] = image
    }

    /// An empty disk in the place of the old one.
    func loseDisk(_ node: Node, _ production: ProductionStore) {
        production.replaceDisk()
        node.forgetful = []
        node.health = .lost
        for group in node.replicas.indices { markLost(node, group) }
    }

    // MARK: - Recovery

    /// Recovers one log; nil when its replica is out of service, or not what it must be.
    private func recoverReplica(
        _ node: Node, _ production: ProductionStore, _ group: Int
    ) throws(StoreError) -> Raft.DurableState? {
        node.replicas[group] = Replica()
        if node.returns[group] != nil { return try comeBack(node, production, group) }
        if node.store.mirror[group].isAmnesiac {
            // Opened all the same, as deleting it later needs; no core runs on it.
            let log = try production.openLog(group)
            if node.forgetful.contains(group), !log.isAmnesiac {
                fail("A11: \(log.id) on node \(node.id) does not know any more that it forgot")
            }
            return nil
        }
        noteSnapshot(node, production, group)
        let log = try production.openLog(group)
        for ending in production.endings { note("recovery: \(ending.name)") }
        production.endings = []
        if production.isIndexOld, log.isAmnesiac || !production.traced.contains(group) {
            // A start that was cut short noticed it; this one tells by the groups.
            trace("\(node.id)/\(group): amnesiac")
            forgetPromises(node, group)
            return nil
        }
        let isDamaged = production.damaged.contains { $0.group == group }
        if let damage = log.damage {
            note("recovery: damage")
            if !isDamaged { fail("S1: node \(node.id): \(damage)") }
            takeOutOfService(node, production, group, from: damage.index ?? log.firstIndex)
            return nil
        }
        if log.isAmnesiac != (production.store?.isAmnesiac ?? false) {
            fail("A11: \(log.id) on node \(node.id) forgot")
        }
        switch production.verify(log, group, durable: node.store.durable[group]) {
        case .failure(let problem):
            if production.disk.isDead { throw .closed }
            if isDamaged, problem.text.hasPrefix("S10") || problem.text.hasPrefix("S1:") {
                takeOutOfService(node, production, group, from: log.firstIndex)
                return nil
            }
            fail("\(problem.text) (node \(node.id))")
            return nil
        case .success(let image):
            production.unreported[group] = Unreported()
            node.store.mirror[group] = image
            node.store.durable[group] = image
            check(checkApplied(node, production, group, log))
            return durableState(of: log, initial: node.initial[group])
        }
    }

    private func takeOutOfService(_ node: Node, _ production: ProductionStore, _ group: Int, from index: LogIndex) {
        trace("\(node.id)/\(group): damaged from \(index), out of service")
        node.store.mirror[group] = node.store.durable[group]
        node.replicas[group].standing = .corrupt(from: index)
    }

    /// What production's shell tells the core of a recovered log.
    func durableState(of log: any GroupLog, initial: Raft.Configuration) -> Raft.DurableState {
        let base = Raft.Position(index: log.firstIndex.previous, term: log.termBeforeFirst)
        var history = Raft.ConfigurationHistory(initial: initial, at: .zero)
        for record in log.configurations {
            guard let configuration = Raft.Configuration(decoding: record.bytes) else {
                fail("A10: the configuration at \(record.index) of \(log.id) cannot be read")
                continue
            }
            if record.index <= base.index {
                history = Raft.ConfigurationHistory(initial: configuration, at: record.index)
            } else {
                history.append(configuration, at: record.index)
            }
        }
        return Raft.DurableState(
            hardState: Raft.HardState(term: log.hardState.term, votedFor: log.hardState.votedFor), base: base,
            lastIndex: log.lastIndex,
            termStarts: log.termStarts.map { Raft.TermStart(term: $0.term, start: $0.firstIndex) },
            committed: max(base.index, (log as? PartitionLog)?.committedAtLeast ?? .zero), configurations: history,
            floor: log.floor.map { Raft.Position(index: $0.index, term: $0.term) })
    }

    /// Starts the core of a replica on its log.
    func startCore(_ node: Node, _ group: Int, _ state: Raft.DurableState) {
        guard let production = node.production, let log = production.logs[group] else { return }
        trace("\(node.id)/\(group): starts, \(node.store.mirror[group].summary)")
        var replica = Replica()
        replica.committed = state.committed
        replica.configuration = state.configurations.current.configuration
        replica.core = Core(
            id: node.id, group: production.plan.id(of: group), settings: plan.settings, state: state,
            seed: mix(options.seed, UInt64(node.number * 1_000 + group) << 20 | UInt64(node.life)))
        node.replicas[group] = replica
        let life = node.life
        if production.plan.compactsKeys, let partition = log as? PartitionLog { followKeys(partition, node, group) }
        log.onFlushed = { [weak self] index, term in self?.flushed(index, term, node, life, group) }
        log.onFailed = { [weak self] error in self?.doom(node, life, "\(error)") }
        log.onSealed = { [weak self, weak log] in
            guard let log, let entry = log.sealedEntries(from: log.sealedIndex, through: log.sealedIndex)?.first else {
                return
            }
            self?.sealed(EntryBytes(entry), node, life, group)
        }
        run(node, group) { $0.start(into: &$1) }
    }

    // MARK: - Work

    /// After each event: what failed dies, and what lies in a mailbox gets its time.
    func tend(_ node: Node) {
        guard let production = node.production else { return }
        if let log = production.log { for line in log.take() { trace("\(node.id): # \(line)") } }
        guard node.isUp else { return }
        if node.isDoomed {
            crash(node, isPowerLoss: !node.isDiskFull)
            queue.add(.restart(node: node.number), at: now + Int.random(in: 1...40 * plan.tick, using: &diskRandom))
            return
        }
        if !node.unchecked.isEmpty { checkChangedKeys(node) }
        guard let steps = production.steps else { return }
        for worker in StoreSteps.Worker.allCases where !node.scheduled.contains(worker) && steps.hasWork(worker) {
            schedule(worker, node)
        }
        if !node.isTurning, production.loop.hasWork {
            node.isTurning = true
            let delay = Int.random(in: plan.reportDelay(isFaulty: isFaulty), using: &diskRandom)
            queue.add(.turn(node: node.number, life: node.life), at: now + delay)
        }
    }

    private func schedule(_ worker: StoreSteps.Worker, _ node: Node) {
        node.scheduled.insert(worker)
        var delay: Int
        switch worker {
        case .flush:
            delay = Int.random(in: plan.flush(isFaulty: isFaulty), using: &diskRandom)
            if isFaulty, plan.faults.contains(.hang), chance(5, &diskRandom) { delay += 40 * plan.tick }
        case .apply: delay = Int.random(in: isFaulty ? plan.applyDelay : 1...plan.tick, using: &diskRandom)
        case .codec, .read, .stage, .compact:
            delay = Int.random(in: plan.flush(isFaulty: isFaulty), using: &diskRandom) / 4
        }
        queue.add(.work(node: node.number, life: node.life, worker), at: now + delay)
    }

    /// A worker of the store does what it has to do; sometimes the machine dies in the middle of it.
    func work(_ worker: StoreSteps.Worker, _ node: Node) {
        guard let production = node.production, let steps = production.steps else { return }
        node.scheduled.remove(worker)
        production.clock.set(now)
        // An installation is the longest thing that can be cut short.
        let isInstalling = worker == .stage && isInstalling(node)
        let isCompacting = production.plan.compactsKeys && (worker == .stage || worker == .compact)
        let isMortal =
            isFaulty && !plan.faults.isDisjoint(with: [.crash, .power])
            && chance(isInstalling ? 250 : isCompacting ? 60 : 6, &diskRandom)
        if isMortal {
            let most = isInstalling || isCompacting ? 40 : 10
            production.disk.die(after: Int.random(in: 0...most, using: &diskRandom))
        }
        let strike = isInstalling ? strikeInstallation(node, production) : nil
        trace("\(node.id): \(worker)")
        steps.run(worker)
        digest = mix(digest, UInt64(production.disk.operations))
        if production.disk.isDead {
            let isPower =
                plan.faults.contains(.power)
                && (!plan.faults.contains(.crash) || Bool.random(using: &diskRandom) || strike != nil)
            crash(node, isPowerLoss: isPower, loss: strike)
            queue.add(.restart(node: node.number), at: now + Int.random(in: 1...40 * plan.tick, using: &diskRandom))
            return
        }
        production.disk.survive()
        if let failure = production.store?.failure { doom(node, node.life, "\(failure)") }
    }

    /// Lets the power fail at some operation of an installation; returns what that does, nil when it does not happen.
    ///
    /// Installations are rare, and each of their steps has its own way to go wrong: those around the decision and behind it
    /// most of all. With a generator of its own, as nothing else of a run is to depend on it.
    private func strikeInstallation(_ node: Node, _ production: ProductionStore) -> PowerLoss? {
        guard isFaulty, plan.faults.contains(.power) else { return nil }
        var random = SeededRandom(seed: mix(options.seed, UInt64(node.number + 1) << 32 | UInt64(node.life)))
        guard chance(700, &random) else { return nil }
        if Bool.random(using: &random) {
            production.disk.die(afterCommitAnd: Int.random(in: 0...25, using: &random))
        } else {
            let most = Int.random(in: 10...80, using: &random)
            production.disk.die(after: Int.random(in: 0...most, using: &random))
        }
        return Bool.random(using: &random) ? .all : .torn
    }

    /// The loop of a process runs what the store's workers reported.
    func turn(_ node: Node) {
        node.isTurning = false
        node.production?.clock.set(now)
        node.production?.loop.turn()
    }

    /// What is done by the clock.
    func tickProduction(_ node: Node) {
        if let production = node.production { tickSnapshots(node, production) }
        for worker in [StoreSteps.Worker.flush, .apply]
        where !node.scheduled.contains(worker) && chance(200, &diskRandom) {
            schedule(worker, node)
        }
    }

    /// The process cannot go on.
    func doom(_ node: Node, _ life: Int, _ reason: String) {
        guard node.life == life, !node.isDoomed else { return }
        trace("\(node.id): fails: \(reason)")
        node.isDoomed = true
    }

    // MARK: - Writes and reports

    /// Hands a write to the production store.
    func issueProduction(_ write: Write, _ node: Node, _ production: ProductionStore, _ group: Int) {
        guard !node.isDoomed else { return }
        node.store.mirror[group].apply(write)
        let life = node.life
        production.clock.set(now)
        do throws(StoreError) {
            try production.issue(write, group) { [weak self] in
                if case .hardState(let state) = write { self?.stored(state, node, life, group) }
            }
        } catch {
            doom(node, life, "\(error)")
        }
    }

    private func stored(_ state: Raft.HardState, _ node: Node, _ life: Int, _ group: Int) {
        guard let production = node.production, node.life == life, !node.isDoomed else { return }
        trace("\(node.id)/\(group): stored \(state)")
        if let place = production.unreported[group].hardStates.firstIndex(of: state) {
            production.unreported[group].hardStates.removeFirst(place + 1)
        }
        node.store.durable[group].apply(.hardState(state))
        run(node, group) { $0.hardStatePersisted(state, into: &$1) }
    }

    private func flushed(_ index: LogIndex, _ term: Term, _ node: Node, _ life: Int, _ group: Int) {
        guard let production = node.production, node.life == life, !node.isDoomed else { return }
        trace("\(node.id)/\(group): flushed \(index)/\(term)")
        switch production.reported(index, term, group) {
        case .failure(let problem): fail("\(problem.text) (node \(node.id))")
        case .success(let steps):
            for step in steps { node.store.durable[group].apply(step) }
            run(node, group) { $0.persisted(index, term: term, isCurrent: true, into: &$1) }
        }
    }

    /// A log has decided the stored form of an entry: messages that wait for it can go.
    private func sealed(_ bytes: EntryBytes, _ node: Node, _ life: Int, _ group: Int) {
        guard let production = node.production, node.life == life else { return }
        if let problem = production.ledgers[group].seal(bytes) { fail("\(problem) (node \(node.id))") }
        guard !node.replicas[group].held.isEmpty else { return }
        let held = node.replicas[group].held
        node.replicas[group].held = []
        for message in held { sendStored(message, node, group) }
    }

    /// Sends a message once the stored forms of its entries are known, as production does.
    func sendStored(_ message: Message, _ node: Node, _ group: Int) {
        if let production = node.production, case .append(let append) = message.body,
            !production.ledgers[group].hasStored(append.entries)
        {
            node.replicas[group].held.append(message)
            return
        }
        send(message, group: group)
    }
}

extension StoreError {
    /// What went wrong, without the particulars.
    var kind: String {
        switch self {
        case .diskFull, .indexFull: "disk full"
        case .diskFailed: "disk failed"
        case .corrupt: "corrupt"
        case .busy: "busy"
        case .closed: "closed"
        case .locked, .formatVersion, .outOfRange, .unknownGroup, .index, .file: "other"
        }
    }
}
