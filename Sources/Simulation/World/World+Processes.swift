// SPDX-License-Identifier: Apache-2.0
//
// World+Processes.swift
// The life of a process: start and recovery, death, ticks, and the storage work it schedules.

internal import Model
internal import Raft

extension World {
    // MARK: - Life

    /// Starts a process: recovers its storage and hands it to new cores.
    func start(_ node: Node) {
        guard !node.isUp else { return }
        node.isUp = true
        node.life += 1
        node.pausedUntil = 0
        node.isApplying = false
        node.failsNextFlush = false
        if let production = node.production { return startProduction(node, production) }
        let recovery = node.store.recover()
        for problem in recovery.problems { fail("\(problem) (node \(node.id))") }
        if recovery.isJournalDamaged { trace("\(node.id): journal damaged, amnesiac") }
        for group in node.replicas.indices {
            startReplica(node, group, damagedFrom: recovery.damagedFrom[group])
        }
        queue.add(
            .tick(node: node.number, life: node.life), at: now + Int.random(in: 1...node.tick, using: &diskRandom))
        if node.replicas.contains(where: \.isDamaged) {
            queue.add(.repair(node: node.number, life: node.life), at: now + 3 * plan.tick)
        }
        flushIfPossible(node)
    }

    /// Starts the core of one replica on what is stored.
    func startReplica(_ node: Node, _ group: Int, damagedFrom: LogIndex?) {
        let image = node.store.mirror[group]
        var standing = damagedFrom.map { Raft.Standing.corrupt(from: $0) } ?? .sound
        if image.isAmnesiac { standing = .amnesiac }
        let state = image.recovered(standing: standing)
        trace("\(node.id)/\(group): starts, \(image.summary), commit \(state.committed), \(standing)")
        var replica = Replica()
        replica.committed = state.committed
        replica.configuration = image.configuration.configuration
        replica.standing = standing
        replica.core = Core(
            id: node.id, group: GroupID(rawValue: UInt64(1024 + group)), settings: plan.settings, state: state,
            seed: mix(options.seed, UInt64(node.number * 1_000 + group) << 20 | UInt64(node.life)))
        node.replicas[group] = replica
        run(node, group) { $0.start(into: &$1) }
    }

    /// Ends a process.
    ///
    /// With the production store, `loss` is what a power failure does; drawn when it is nil.
    func crash(_ node: Node, isPowerLoss: Bool, fate: InFlightFate? = nil, loss powerLoss: PowerLoss? = nil) {
        guard node.isUp else { return }
        trace("\(node.id): " + (isPowerLoss ? "loses power" : "dies"))
        node.life += 1
        statistics.crashes += 1
        if isPowerLoss { statistics.powerLosses += 1 }
        if let production = node.production {
            let losses = PowerLoss.allCases
            let drawn = isPowerLoss ? losses[Int.random(in: 0..<losses.count, using: &diskRandom)] : nil
            let loss = isPowerLoss ? powerLoss ?? drawn : nil
            note("crash: \(loss.map { "power loss, unsynced \($0)" } ?? "process")")
            production.crash(loss, random: &diskRandom)
            return ended(node)
        }
        let fates: [InFlightFate] = isPowerLoss ? [.lost, .torn, .kept] : [.lost, .kept]
        let chosen = fate ?? fates[Int.random(in: 0..<fates.count, using: &diskRandom)]
        note("crash: \(isPowerLoss ? "power loss" : "process"), flush in flight \(chosen)")
        node.store.crash(isPowerLoss: isPowerLoss, fate: chosen, random: &diskRandom)
        ended(node)
    }

    /// The process is gone.
    func ended(_ node: Node) {
        noteSnapshots(atEndOf: node)
        if node.isUp && plan.noticesDisconnections { disconnect(node) }
        node.isUp = false
        node.isDoomed = false
        node.isTurning = false
        node.scheduled = []
        for group in node.replicas.indices { node.replicas[group] = Replica() }
    }

    /// The clock of a process strikes.
    func tick(_ node: Node) {
        for group in node.replicas.indices {
            run(node, group) { $0.tick(into: &$1) }
            if !node.isUp { return }
        }
        if node.production != nil { tickProduction(node) }
        queue.add(.tick(node: node.number, life: node.life), at: now + node.tick)
    }

    // MARK: - Storage

    /// Queues a write, and begins a flush when none is under way.
    func issue(_ write: Write, _ node: Node, _ group: Int) {
        if let production = node.production { return issueProduction(write, node, production, group) }
        if let early = node.store.issue(write, group: group) { schedule([early], to: node) }
        flushIfPossible(node)
    }

    func flushIfPossible(_ node: Node) {
        guard node.isUp else { return }
        if node.store.canFlush {
            node.store.beginFlush(salt: diskRandom.next())
            var length = Int.random(in: plan.flush(isFaulty: isFaulty), using: &diskRandom)
            if isFaulty, plan.faults.contains(.hang), chance(5, &diskRandom) { length += 40 * plan.tick }
            if isFaulty, node.number == plan.laggard {
                length = Int.random(in: 0...2 * plan.settings.electionTicks * plan.tick, using: &diskRandom)
            }
            queue.add(.flushed(node: node.number, life: node.life), at: now + length)
        } else if node.store.needsCheckpoint {
            checkpoint(node)
        }
    }

    /// The flush in flight has ended.
    func flushed(_ node: Node) {
        let coalesces = Bool.random(using: &diskRandom)
        if node.failsNextFlush {
            node.failsNextFlush = false
            trace("\(node.id): flush failed")
            if node.store.mutation == .retryFailedFlush {
                schedule(node.store.completeFlush(coalesces: coalesces, isLost: true), to: node)
            } else {
                // A failed write is final; what reached the medium is anybody's guess.
                crash(node, isPowerLoss: true)
                queue.add(.restart(node: node.number), at: now + Int.random(in: 1...40 * plan.tick, using: &diskRandom))
                return
            }
        } else {
            schedule(node.store.completeFlush(coalesces: coalesces), to: node)
        }
        if !node.isApplying {
            node.isApplying = true
            queue.add(
                .apply(node: node.number, life: node.life),
                at: now + Int.random(in: plan.applyDelay, using: &diskRandom))
        }
        flushIfPossible(node)
    }

    /// Sends reports to a process's replicas: those of one kind in order, those of different kinds in any.
    private func schedule(_ reports: [Report], to node: Node) {
        var terms: [Report] = []
        var others: [Report] = []
        for report in reports {
            if case .hardState = report.kind { terms.append(report) } else { others.append(report) }
        }
        if !terms.isEmpty {
            let delay = Int.random(in: plan.reportDelay(isFaulty: isFaulty), using: &diskRandom)
            node.lastHardStateReport = max(node.lastHardStateReport, now + delay)
            queue.add(.reports(node: node.number, life: node.life, terms), at: node.lastHardStateReport)
        }
        if !others.isEmpty {
            var delay = Int.random(in: plan.reportDelay(isFaulty: isFaulty), using: &diskRandom)
            if isFaulty, node.number == plan.laggard { delay = Int.random(in: 0...plan.lag, using: &diskRandom) }
            node.lastAppendReport = max(node.lastAppendReport, now + delay)
            queue.add(.reports(node: node.number, life: node.life, others), at: node.lastAppendReport)
        }
    }

    /// Reports reach their replicas.
    func deliver(_ reports: [Report], to node: Node) {
        for report in reports {
            switch report.kind {
            case .hardState(let state):
                trace("\(node.id)/\(report.group): stored \(state)")
                run(node, report.group) { $0.hardStatePersisted(state, into: &$1) }
            case .persisted(let position):
                trace("\(node.id)/\(report.group): flushed \(position)")
                run(node, report.group) { $0.persisted(position.index, term: position.term, into: &$1) }
            case .installed(let info):
                trace("\(node.id)/\(report.group): installed \(info.position)")
                statistics.snapshots += 1
                run(node, report.group) { $0.snapshotInstalled(info, into: &$1) }
            }
            if violation != nil { return }
        }
    }

    /// Segments and index follow the journal.
    func apply(_ node: Node) {
        node.store.applyOne()
        node.isApplying = !node.store.unapplied.isEmpty
        if node.isApplying {
            queue.add(
                .apply(node: node.number, life: node.life),
                at: now + Int.random(in: plan.applyDelay, using: &diskRandom))
        }
        if node.store.unsynced.count >= plan.checkpointBlocks { checkpoint(node) }
    }

    private func checkpoint(_ node: Node) {
        guard node.store.checkpointing == nil else { return }
        // A full journal does not wait for the lazy path.
        while node.store.needsCheckpoint && !node.store.unapplied.isEmpty { node.store.applyOne() }
        node.store.beginCheckpoint()
        queue.add(
            .checkpointed(node: node.number, life: node.life),
            at: now + Int.random(in: plan.flush(isFaulty: isFaulty), using: &diskRandom))
    }

    func checkpointed(_ node: Node) {
        node.store.completeCheckpoint(commits: node.replicas.map(\.committed))
        node.store.pruneInjected()
        flushIfPossible(node)
    }

    // MARK: - Damage and repair

    /// Reads everything again; what is damaged is found.
    func scrub(_ node: Node) {
        guard node.isUp else { return }
        if let production = node.production { return scrubProduction(node, production) }
        for group in node.replicas.indices where !node.store.mirror[group].isAmnesiac {
            let places = node.store.damage(of: group)
            guard let first = places.min() else { continue }
            setStanding(.corrupt(from: first), node, group)
        }
        queue.add(.repair(node: node.number, life: node.life), at: now + plan.tick)
    }

    /// Rewrites damaged entries from peers that have them.
    func repair(_ node: Node) {
        for group in node.replicas.indices where node.replicas[group].isDamaged {
            for place in node.store.damage(of: group) {
                guard let chain = node.store.mirror[group].chain(at: place) else { continue }
                let source = nodes.first { peer in
                    peer.isUp && peer !== node && !isBlocked(peer, node)
                        && peer.store.mirror[group].chain(at: place) == chain
                        && !peer.store.damage(of: group).contains(place)
                }
                guard source != nil else { continue }
                node.store.repair(place, of: group, chain: chain)
                statistics.repairs += 1
                trace("\(node.id)/\(group): repaired \(place)")
            }
            let left = node.store.damage(of: group)
            setStanding(left.min().map { .corrupt(from: $0) } ?? .sound, node, group)
        }
        if node.replicas.contains(where: \.isDamaged) {
            queue.add(.repair(node: node.number, life: node.life), at: now + 3 * plan.tick)
        }
    }

    /// Tells the core how far its storage can be trusted.
    func setStanding(_ standing: Raft.Standing, _ node: Node, _ group: Int) {
        guard node.replicas[group].standing != standing else { return }
        trace("\(node.id)/\(group): \(standing)")
        node.replicas[group].standing = standing
        run(node, group) { $0.setStanding(standing, into: &$1) }
    }
}
