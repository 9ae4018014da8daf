// SPDX-License-Identifier: Apache-2.0
//
// World+Workload.swift
// What clients and operators do: proposals, reads, transfers, changes of members, retention, and the healing of
// replicas that lost their disk.

internal import LogStore
internal import Model
internal import Raft

extension World {
    /// One operation, usually a proposal.
    func operate() {
        let group = Int.random(in: 0..<plan.groups, using: &workRandom)
        // Afterwards nobody disturbs the leaders any more.
        let faults = isFaulty ? plan.faults : plan.faults.subtracting([.transfer, .membership, .resign])
        switch Int.random(in: 0..<100, using: &workRandom) {
        case 24..<36 where faults.contains(.reads): read(group)
        case 6..<8 where faults.contains(.transfer): transfer(group)
        case 8..<12 where faults.contains(.membership): change(group)
        case 12..<18 where faults.contains(.compaction):
            compact(nodes[Int.random(in: 0..<nodes.count, using: &workRandom)], group)
        case 18 where faults.contains(.resign):
            if let leader = leaders(of: group).first, leader.pausedUntil <= now {
                trace("\(leader.id)/\(group): resigns")
                run(leader, group) { $0.resign(into: &$1) }
            }
        case 19..<24:
            healAmnesiacs(group)
            if plan.profile == .newcomers || faults.contains(.membership) && chance(200, &workRandom) { retire(group) }
        case 36..<44 where plan.production != nil: consume(group)
        case 44..<56 where plan.production?.compactsKeys == true: compactKeys(group)
        default: propose(group)
        }
    }

    /// Clients propose to whoever believes to lead.
    func propose(_ group: Int) {
        for leader in leaders(of: group) where leader.pausedUntil <= now && mayPropose(leader, group) {
            let proposals = (0..<Int.random(in: 1...3, using: &workRandom)).map { _ in
                nextOperation += 1
                return Raft.Proposal(
                    nextOperation, byteCount: Int.random(in: 1...plan.payloadBytesMax, using: &workRandom))
            }
            var range: ClosedRange<LogIndex>?
            request(leader, group) { core, directives throws(Raft.Refusal) in
                range = try core.propose(proposals, into: &directives)
            } accepted: {
                // Before the directives: a single voter may commit within them.
            }
            guard let range, let term = leader.replicas[group].core?.term else { continue }
            statistics.proposed += proposals.count
            for (place, proposal) in proposals.enumerated() {
                let index = range.lowerBound + place
                leader.replicas[group].waiting.append(
                    WaitingOperation(index: index, term: term, operation: proposal.payload))
                if leader.store.mutation == .answerAppended {
                    check(histories[group].answer(proposal.payload, at: index))
                }
            }
        }
    }

    /// Whether there is room for data.
    private func mayPropose(_ node: Node, _ group: Int) -> Bool {
        guard let production = node.production else { return !node.isDiskFull }
        if let refusal = production.logs[group]?.refusal(for: 4_000) {
            note("refusal: \(refusal.kind)")
            return false
        }
        return !node.isDoomed
    }

    private func request(
        _ node: Node, _ group: Int,
        _ event: (inout Core, inout Core.Directives) throws(Raft.Refusal) -> Void, accepted: () -> Void = {}
    ) {
        do throws(Raft.Refusal) {
            try run(node, group, event)
            accepted()
        } catch {
            // Refusals are part of the game.
            note("refusal: \(Self.name(of: error))")
            trace("\(node.id)/\(group): refused: \(error)")
        }
    }

    private func read(_ group: Int) {
        for leader in leaders(of: group) where leader.pausedUntil <= now {
            nextOperation += 1
            let read = Raft.ReadID(rawValue: nextOperation)
            leader.replicas[group].reads.append((read, histories[group].answered))
            var isAccepted = false
            request(leader, group) { core, directives throws(Raft.Refusal) in
                try core.requestRead(read, into: &directives)
                isAccepted = true
            }
            if !isAccepted { leader.replicas[group].reads.removeAll { $0.read == read } }
        }
    }

    private func transfer(_ group: Int) {
        let target = NodeID(rawValue: Int32.random(in: 1...Int32(nodes.count), using: &workRandom))
        for leader in leaders(of: group) where leader.pausedUntil <= now {
            trace("\(leader.id)/\(group): transfer to \(target)")
            request(leader, group) { core, directives throws(Raft.Refusal) in
                try core.transferLeadership(to: target, into: &directives)
            }
        }
    }

    // MARK: - Members

    /// Moves one to three replicas between voter, learner and neither, or takes a change back.
    private func change(_ group: Int) {
        // While a disk is damaged, quorums are not made smaller; healing is another matter.
        guard nodes.allSatisfy({ $0.health == .good }) else { return }
        let cancels = Int.random(in: 0..<4, using: &workRandom) == 0
        let moves = (0..<Int.random(in: 1...3, using: &workRandom)).map { _ in
            (
                node: NodeID(rawValue: Int32.random(in: 1...Int32(nodes.count), using: &workRandom)),
                place: Int.random(in: 0..<4, using: &workRandom)
            )
        }
        for leader in leaders(of: group) where leader.pausedUntil <= now {
            guard let current = leader.replicas[group].core?.configuration else { continue }
            var voters = current.voters
            var learners = current.learners
            for (node, place) in moves {
                voters.removeAll { $0 == node }
                learners.removeAll { $0 == node }
                if place == 1 { learners.append(node) }
                if place > 1 { voters.append(node) }
            }
            // A new voter must be a learner first.
            let strangers = voters.filter { !current.contains($0) }
            voters.removeAll(where: strangers.contains)
            learners += strangers
            apply(voters: voters, learners: learners, cancels: cancels, leader, group)
        }
    }

    private func apply(voters: [NodeID], learners: [NodeID], cancels: Bool, _ leader: Node, _ group: Int) {
        trace("\(leader.id)/\(group): " + (cancels ? "cancel" : "change to \(voters) and learners \(learners)"))
        request(leader, group) { core, directives throws(Raft.Refusal) in
            if cancels {
                _ = try core.cancelMembershipChange(into: &directives)
            } else {
                _ = try core.changeMembership(voters: voters, learners: learners, into: &directives)
            }
        }
    }

    /// Lets replicas that lost their promises leave, and starts them anew once they have left; also damaged ones that
    /// nobody can repair any more because they have left.
    func healAmnesiacs(_ group: Int) {
        for node in nodes where node.isUp {
            let isAmnesiac = node.store.mirror[group].isAmnesiac
            guard isAmnesiac || node.replicas[group].isDamaged else { continue }
            let settled = histories[group].settled.configuration
            let mayRecreate = !settled.isJoint && !settled.contains(node.id) && !isWanted(node.id, group)
            // The production store is not repaired in place: a damaged replica leaves and starts anew.
            guard isAmnesiac || mayRecreate || node.production != nil else { continue }
            if mayRecreate || node.store.mutation == .recreateEarly {
                recreate(node, group)
                return
            }
            remove(node.id, from: group)
        }
        for node in nodes { if let production = node.production { pruneDamage(node, production) } }
        let isHealed = { (node: Node) in
            node.isUp && !node.store.mirror.contains(where: \.isAmnesiac) && !node.replicas.contains(where: \.isDamaged)
                && node.store.injected.isEmpty && node.production?.damaged.isEmpty ?? true
                && !node.store.durable.contains(where: \.isAmnesiac)
        }
        for node in nodes where node.health != .good && isHealed(node) { node.health = .good }
    }

    /// A replica that has left its group is deleted, as brokers do that do not host it any more; it may come back.
    private func retire(_ group: Int) {
        let settled = histories[group].settled.configuration
        guard !settled.isJoint else { return }
        for node in nodes where node.isUp && !settled.contains(node.id) && node.health == .good {
            guard node.store.mirror[group].last > .zero, !node.replicas[group].isDamaged, !isWanted(node.id, group)
            else { continue }
            return recreate(node, group)
        }
    }

    /// Whether some log has it that a replica is to be taken in again.
    private func isWanted(_ id: NodeID, _ group: Int) -> Bool {
        // What stands at or below that and is not what is committed there will never be.
        let committed = histories[group].committedIndex
        return nodes.contains { node in
            node.store.mirror[group].configurations.elements.contains {
                $0.index > committed && $0.configuration.contains(id)
            }
        }
    }

    private func remove(_ id: NodeID, from group: Int) {
        for leader in leaders(of: group) where leader.pausedUntil <= now {
            guard let current = leader.replicas[group].core?.configuration, current.contains(id) else { continue }
            apply(
                voters: current.voters.filter { $0 != id }, learners: current.learners.filter { $0 != id },
                cancels: false, leader, group)
        }
    }

    /// An operator stops the process, removes what the replica stored, and starts it again at its floor.
    private func recreate(_ node: Node, _ group: Int) {
        trace("\(node.id)/\(group): starts anew")
        statistics.recreations += 1
        // What its earlier life confirmed was counted, if at all, before it left.
        node.confirmedBeforeDamage[group] = .zero
        let floor = histories[group].forget(node.number)
        if let production = node.production { return recreateProduction(node, production, group, floor: floor) }
        crash(node, isPowerLoss: false, fate: .kept)
        node.store.recreate(group, floor: floor)
        start(node)
    }
}
