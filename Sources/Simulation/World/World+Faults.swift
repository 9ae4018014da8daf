// SPDX-License-Identifier: Apache-2.0
//
// World+Faults.swift
// What goes wrong, and the atlas that keeps it survivable: a cluster that loses no more than it can afford must lose
// nothing.

internal import Model
internal import Raft

extension World {
    /// Draws one fault of the classes that are on.
    func drawFault() {
        let node = nodes[Int.random(in: 0..<nodes.count, using: &faultRandom)]
        let faults = plan.faults
        switch Int.random(in: 0..<14, using: &faultRandom) {
        case 0...1 where !faults.isDisjoint(with: [.partition, .oneWay]): if !isPartitioned { partition() }
        case 2...3 where faults.contains(.crash): stop(node, isPowerLoss: false)
        case 4 where faults.contains(.power): stop(node, isPowerLoss: true)
        case 5 where faults.contains(.power):
            // The lights go out for all, or for many.
            for victim in nodes where Int.random(in: 0..<4, using: &faultRandom) > 0 { stop(victim, isPowerLoss: true) }
        case 6...7 where faults.contains(.pause): pause(node)
        case 8 where faults.contains(.ioError): failDisk(node)
        case 9 where faults.contains(.diskFull): fillDisk(node)
        case 10...11 where !faults.isDisjoint(with: .damage): damage(node)
        case 12: scrub(node)
        default: break
        }
    }

    /// Lets something happen to a new leader soon: the moments after an election are the dangerous ones.
    func hunt(_ node: Node) {
        guard isFaulty, plan.faults.contains(.hunt), Bool.random(using: &faultRandom) || plan.laggard != nil else {
            return
        }
        let delay = Int.random(in: 1...12 * plan.tick, using: &faultRandom)
        queue.add(.hunted(node: node.number, life: node.life), at: now + delay)
    }

    /// Something happens to a leader.
    func strike(_ node: Node) {
        guard isFaulty else { return }
        if let victim = plan.laggard, Int.random(in: 0..<8, using: &faultRandom) > 0 {
            return besiege(node, with: nodes[victim])
        }
        switch Int.random(in: 0..<4, using: &faultRandom) {
        case 0 where plan.faults.contains(.crash): stop(node, isPowerLoss: false)
        case 1 where plan.faults.contains(.power): stop(node, isPowerLoss: true)
        case 2 where plan.faults.contains(.pause): pause(node)
        default: if !isPartitioned { partition(alone: node) }
        }
    }

    private func pause(_ node: Node) {
        guard node.isUp else { return }
        node.pausedUntil = now + Int.random(in: 1...40 * plan.tick, using: &faultRandom)
        trace("\(node.id): paused until \(node.pausedUntil)")
    }

    private func stop(_ node: Node, isPowerLoss: Bool) {
        guard node.isUp else { return }
        if let production = node.production, !isPowerLoss, Int.random(in: 0..<3, using: &faultRandom) == 0 {
            stopCleanly(node, production)
        } else {
            crash(node, isPowerLoss: isPowerLoss)
        }
        queue.add(.restart(node: node.number), at: now + Int.random(in: 1...60 * plan.tick, using: &faultRandom))
    }

    // MARK: - Disks

    private func failDisk(_ node: Node) {
        note("fault: io-error")
        guard let production = node.production else {
            node.failsNextFlush = node.isUp
            return
        }
        let operations = SimulatedDisk.Operation.allCases
        if node.isUp { production.disk.fail(operations[Int.random(in: 0..<operations.count, using: &faultRandom)]) }
    }

    private func fillDisk(_ node: Node) {
        node.isDiskFull.toggle()
        note("fault: disk \(node.isDiskFull ? "full" : "has room again")")
        let room = Int.random(in: 0...200_000, using: &faultRandom)
        node.production?.disk.fill(leaving: node.isDiskFull ? room : nil)
    }

    /// How many disks may be bad at once: fewer than half of the smallest set of voters in any log.
    var damagesMax: Int {
        var least = Int.max
        for node in nodes {
            for group in node.store.mirror.indices {
                for element in node.store.mirror[group].configurations.elements
                where !element.configuration.voters.isEmpty {
                    least = min(least, element.configuration.voters.count)
                    if element.configuration.isJoint { least = min(least, element.configuration.outgoing.count) }
                }
            }
        }
        for history in histories { least = min(least, history.settled.configuration.voters.count) }
        return (least - 1) / 2
    }

    /// Damages a disk, if the atlas allows another bad one.
    private func damage(_ node: Node) {
        let others = nodes.filter { $0.health != .good && $0 !== node }
        guard others.count < damagesMax else { return }
        let kinds = Faults.damage.intersection(plan.faults).elements
        let kind = kinds[Int.random(in: 0..<kinds.count, using: &faultRandom)]
        // A lost disk is rare among the others: it costs a whole replica.
        if kind == .lostDisk && plan.profile != .newcomers && Int.random(in: 0..<3, using: &faultRandom) > 0 { return }
        // What the node has confirmed so far may have been counted; what it confirms as an amnesiac may not.
        let confirmed = node.store.durable.map(\.last)
        var isDone = true
        var health = DiskHealth.damaged
        if let production = node.production {
            guard let damage = damageProduction(node, production, kind) else { return }
            return damaged(node, kind, damage, confirmed)
        }
        switch kind {
        case .bitFlip: isDone = node.store.flip(random: &faultRandom)
        case .lostWrite: isDone = node.store.misplace(isLost: true, random: &faultRandom)
        case .misdirected: isDone = node.store.misplace(isLost: false, random: &faultRandom)
        case .journalDamage:
            isDone = node.store.damageJournal()
            if isDone {
                crash(node, isPowerLoss: true, fate: .lost)
                queue.add(.restart(node: node.number), at: now + plan.tick)
            }
            health = .lost
        default:
            crash(node, isPowerLoss: true, fate: .lost)
            node.store.replaceDisk()
            queue.add(.restart(node: node.number), at: now + plan.tick)
            health = .lost
        }
        guard isDone else { return }
        damaged(node, kind, health, confirmed)
    }

    private func damaged(_ node: Node, _ kind: Faults, _ health: DiskHealth, _ confirmed: [LogIndex]) {
        trace("\(node.id): \(kind.text)")
        note("fault: \(kind.text)")
        statistics.damages += 1
        for group in confirmed.indices {
            node.confirmedBeforeDamage[group] = max(node.confirmedBeforeDamage[group], confirmed[group])
        }
        if node.health != .lost { node.health = health }
    }
}
