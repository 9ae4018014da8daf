// SPDX-License-Identifier: Apache-2.0
//
// World+Finish.swift
// After the faults: the cluster must recover by itself, serve, come to rest, and hold the same bytes everywhere.

internal import Model
internal import Raft

extension World {
    /// Ends the faults and demands progress, first with deaf nodes when the seed says so.
    func finish() {
        isFaulty = false
        heal()
        if plan.faults.contains(.deaf) { demandProgressWithDeafNodes() }
        guard violation == nil else { return }
        healLinks()
        demandRest()
        if violation == nil { readBack() }
        if violation == nil && plan.production != nil { readBackProduction() }
    }

    private func heal() {
        healLinks()
        for node in nodes {
            node.pausedUntil = min(node.pausedUntil, now)
            node.failsNextFlush = false
            node.isDiskFull = false
            node.production?.disk.fill(leaving: nil)
            node.production?.disk.succeed()
            if let production = node.production, !production.damaged.isEmpty, node.isUp {
                // What is in memory hides what is on the disk.
                stopCleanly(node, production)
            }
            start(node)
            scrub(node)
        }
    }

    /// Simulated time that all elections, repairs and changes of a healthy cluster fit into.
    private var patience: Int {
        let flush = plan.flush.upperBound + plan.latency.upperBound
        // Clients choose groups at random: each needs its turn.
        let turns = 20 * plan.groups * plan.operationInterval
        return 40 * plan.settings.electionTicks * plan.tick + 200 * flush + turns
    }

    /// Runs until the condition holds, for a limited simulated time.
    private func run(for limit: Int, until condition: () -> Bool) -> Bool {
        let end = now + limit
        let pause = max(plan.tick, plan.latency.upperBound)
        var next = now + pause
        while now < end, violation == nil {
            step()
            if now >= next {
                next = now + pause
                if condition() { return true }
            }
        }
        return false
    }

    // MARK: - Deaf nodes

    /// L0: while the leaders of all groups, or some other minority, can send but not hear, the rest makes progress.
    private func demandProgressWithDeafNodes() {
        let hasVoters = histories.allSatisfy { $0.settled.configuration.voters.count >= 3 }
        // A change that was begun, also one that was taken back since, may come into effect on those who hear no more.
        let isPlain = nodes.allSatisfy { node in
            node.health == .good
                && zip(node.store.mirror, histories).allSatisfy { image, history in
                    let pending = image.configurations.elements.filter { $0.index > history.committedIndex }
                    return !image.configuration.configuration.isJoint
                        && pending.allSatisfy { !$0.configuration.isJoint && $0.configuration.voters.count >= 3 }
                }
        }
        guard hasVoters, isPlain else { return }
        let deaf = leaders(of: Int.random(in: 0..<plan.groups, using: &faultRandom)).first ?? nodes[0]
        trace("\(deaf.id): is deaf")
        isPartitioned = true
        for peer in nodes where peer !== deaf { blocked[peer.number][deaf.number] = true }
        let before = histories.map(\.answered)
        let isDone = run(for: patience) {
            zip(histories, before).allSatisfy { $0.answered > $1 }
        }
        if !isDone && violation == nil {
            fail("L0: with node \(deaf.id) deaf, the others make no progress: \(state)")
        }
    }

    // MARK: - Rest

    /// L1 to L4: everything heals, everything that was proposed ends, and all members are equal.
    private func demandRest() {
        let isHealed = run(for: 4 * patience) { problemBeforeRest == nil }
        if !isHealed && violation == nil { fail("L1: not healed: \(problemBeforeRest ?? "?"); \(state)") }
        guard violation == nil else { return }
        let before = histories.map(\.answered)
        // A backlog may have to travel entry by entry.
        let waiting = nodes.flatMap(\.store.mirror).map { Int($0.last.rawValue) }.max() ?? 0
        let serves = run(for: patience + 4 * plan.tick * waiting) {
            zip(histories, before).allSatisfy { $0.answered > $1 }
        }
        if !serves && violation == nil { fail("L2: some group answers nobody; \(state)") }
        guard violation == nil else { return }
        // No more operations: what is under way must end.
        var left = EventQueue()
        while let (time, event) = queue.next() {
            if case .operation = event { continue }
            left.add(event, at: time)
        }
        queue = left
        // A backlog may have to travel entry by entry.
        let backlog = histories.reduce(0) { $0 + Int($1.committedIndex.rawValue) }
        let rests = run(for: 2 * patience + 4 * plan.tick * backlog) { problemAtRest == nil }
        if !rests && violation == nil { fail("L3: no rest: \(problemAtRest ?? "?"); \(state)") }
    }

    /// What is not as it must be before the last operations; nil when all is well.
    private var problemBeforeRest: String? {
        for group in 0..<plan.groups {
            if nodes.contains(where: { $0.store.mirror[group].isAmnesiac }) {
                healAmnesiacs(group)
                return "an amnesiac in group \(group)"
            }
            if let damaged = nodes.first(where: { $0.replicas[group].isDamaged }) {
                healAmnesiacs(group)
                return "\(damaged.id) is damaged"
            }
        }
        return nil
    }

    /// What is not as it must be when nothing happens any more (L1 to L4, A8); nil when all is well.
    private var problemAtRest: String? {
        for group in 0..<plan.groups {
            let leaders = leaders(of: group)
            guard leaders.count == 1, let core = leaders[0].replicas[group].core else {
                return "group \(group) has leaders \(leaders.map(\.id))"
            }
            if !core.configuration.isVoter(leaders[0].id) { return "leader \(leaders[0].id) is no voter" }
            if core.configuration.isJoint { return "group \(group) is joint: \(core.configuration)" }
            if core.committedIndex != core.lastIndex { return "commit \(core.committedIndex) of \(core.lastIndex)" }
            if core.flushedIndex != core.lastIndex { return "flushed \(core.flushedIndex) of \(core.lastIndex)" }
            if core.uncommittedBytes != 0 { return "\(core.uncommittedBytes) uncommitted bytes at rest" }
            for peer in core.peerStatus {
                if peer.match != core.lastIndex { return "node \(peer.id) is at \(peer.match) of \(core.lastIndex)" }
                if peer.inflightMessages != 0 || peer.inflightBytes != 0 { return "in flight to \(peer.id) at rest" }
                let follower = node(peer.id).replicas[group].core
                if follower?.committedIndex != core.committedIndex { return "node \(peer.id) lags in commit" }
            }
        }
        return nil
    }

    /// S7: all members hold the same entries, and these are the committed ones.
    private func readBack() {
        for (group, history) in histories.enumerated() {
            guard let leader = leaders(of: group).first, let core = leader.replicas[group].core else { continue }
            for id in core.configuration.members {
                let image = node(id).store.durable[group]
                if image.last != core.lastIndex { fail("S7: node \(id) ends at \(image.last) of \(core.lastIndex)") }
                var index = image.base.index
                while index <= image.last {
                    if image.chain(at: index) != history.chain(at: index) {
                        fail("S7: node \(id) holds another entry \(index) in group \(group)")
                        return
                    }
                    index = index.next
                }
            }
        }
    }

    /// Everything in a line, for failures.
    private var state: String {
        nodes.map { node in
            let replicas = node.replicas.indices.map { group -> String in
                guard let core = node.replicas[group].core else { return "down" }
                return "\(group): \(core.role) t\(core.term) \(core.firstIndex)...\(core.lastIndex) "
                    + "c\(core.committedIndex) \(core.configuration) \(node.replicas[group].standing)"
            }
            return "node \(node.id) [" + replicas.joined(separator: "; ") + "]"
        }.joined(separator: " ")
    }
}
