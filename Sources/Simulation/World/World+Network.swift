// SPDX-License-Identifier: Apache-2.0
//
// World+Network.swift
// Messages between processes: lost, repeated, late, out of order, and cut off in either direction.

internal import Model
internal import Raft

extension World {
    /// Puts a message on its way.
    func send(_ message: Message, group: Int) {
        let (from, to) = (Int(message.from.rawValue) - 1, Int(message.to.rawValue) - 1)
        statistics.sent += 1
        guard to >= 0, to < nodes.count else {
            fail("A0: a message to node \(message.to), which does not exist")
            return
        }
        if blocked[from][to] || (isFaulty && chance(plan.lossPermille, &networkRandom)) {
            statistics.lost += 1
            trace("\(message.to)/\(group): lost \(message.from) \(describe(message))")
            return
        }
        schedule(message, group: group, from: from, to: to)
        if isFaulty && chance(plan.duplicatePermille, &networkRandom) {
            schedule(message, group: group, from: from, to: to)
        }
        scheduleLateCopy(message, group: group)
    }

    /// Copies of what a replica said, or was asked, that arrive when it is another one.
    private func scheduleLateCopy(_ message: Message, group: Int) {
        guard isFaulty, plan.profile == .newcomers || plan.profile == .snapshots else { return }
        let permille =
            switch message.body {
            case .voteRequest(let request): request.isPreVote ? 0 : 700
            case .voteResponse(let response): response.isPreVote ? 0 : 300
            case .appendResponse: 100
            case .snapshot: 700
            default: 0
            }
        guard chance(permille, &networkRandom) else { return }
        let delay = Int.random(
            in: 1...[20, 100, 300][Int.random(in: 0..<3, using: &networkRandom)], using: &networkRandom)
        queue.add(.deliver(Packet(group: group, message: message)), at: now + delay * plan.tick)
    }

    private func schedule(_ message: Message, group: Int, from: Int, to: Int) {
        var arrival = now + Int.random(in: plan.latency(isFaulty: isFaulty), using: &networkRandom)
        if isFaulty && chance(plan.spikePermille, &networkRandom) {
            // From a little late to so late that nobody remembers the question.
            let scale = [2, 20, 200][Int.random(in: 0..<3, using: &networkRandom)]
            arrival += Int.random(in: 1...scale * plan.tick, using: &networkRandom)
        } else if !plan.faults.contains(.reordering) {
            arrival = max(arrival, lastArrival[from][to])
            lastArrival[from][to] = arrival
        }
        queue.add(.deliver(Packet(group: group, message: message)), at: arrival)
    }

    /// A message arrives.
    func deliver(_ packet: Packet) {
        let receiver = node(packet.message.to)
        if receiver.isUp && receiver.pausedUntil > now {
            queue.add(.deliver(packet), at: receiver.pausedUntil)
            return
        }
        guard receiver.isUp, !isBlocked(node(packet.message.from), receiver) else {
            statistics.lost += 1
            trace("\(packet.message.to)/\(packet.group): lost \(packet.message.from) \(describe(packet.message))")
            return
        }
        trace("\(packet.message.to)/\(packet.group): <- \(packet.message.from) \(describe(packet.message))")
        note("message: \(Self.name(of: packet.message.body))")
        digest = mix(digest, mix(UInt64(packet.message.to.rawValue), packet.message.term.rawValue))
        run(receiver, packet.group) { $0.step(packet.message, into: &$1) }
    }

    /// Whether messages from one node to another are lost now.
    func isBlocked(_ from: Node, _ to: Node) -> Bool { blocked[from.number][to.number] }

    // MARK: - Connections

    /// All others lose their connections to a node, at moments of their own: because it died, or for no reason at all.
    func disconnect(_ node: Node) {
        for other in nodes where other !== node && other.isUp {
            let delay = Int.random(in: 1...2 * plan.tick, using: &linkRandom)
            queue.add(.disconnected(node: other.number, life: other.life, from: node.id), at: now + delay)
        }
    }

    /// Now and then connections are lost between processes that go on.
    func resetConnections() {
        let node = nodes[Int.random(in: 0..<nodes.count, using: &linkRandom)]
        switch Int.random(in: 0..<8, using: &linkRandom) {
        case 0: disconnect(node)
        case 1...2:
            let other = nodes[Int.random(in: 0..<nodes.count, using: &linkRandom)]
            guard other !== node, other.isUp else { return }
            queue.add(.disconnected(node: other.number, life: other.life, from: node.id), at: now)
        default: break
        }
    }

    /// A node is told that a connection was lost.
    func disconnected(_ node: Node, from peer: NodeID) {
        trace("\(node.id): lost the connection to \(peer)")
        for group in node.replicas.indices {
            run(node, group) { core, directives in
                core.disconnected(from: peer, into: &directives)
                note("connection lost: \(core.doubtsLeader ? "the leader is doubted" : "no matter")")
            }
            if !node.isUp { return }
        }
    }

    // MARK: - Partitions

    /// Cuts the cluster in two, in one direction or both, or cuts off one node.
    func partition(alone chosen: Node? = nil) {
        var side = nodes.map { _ in Bool.random(using: &faultRandom) }
        if chosen != nil || Bool.random(using: &faultRandom) {
            let leaders = leaders(of: Int.random(in: 0..<plan.groups, using: &faultRandom))
            let alone = (chosen ?? leaders.first)?.number ?? Int.random(in: 0..<nodes.count, using: &faultRandom)
            side = nodes.map { $0.number == alone }
        }
        let isOneWay =
            plan.faults.contains(.oneWay)
            && (!plan.faults.contains(.partition) || Bool.random(using: &faultRandom))
        let direction = Bool.random(using: &faultRandom)
        for from in nodes.indices {
            for to in nodes.indices where side[from] != side[to] {
                if !isOneWay || side[from] == direction { blocked[from][to] = true }
            }
        }
        trace("partition " + (isOneWay ? "from \(direction) " : "") + side.map { $0 ? "1" : "0" }.joined())
        isPartitioned = true
        queue.add(.heal, at: now + Int.random(in: 1...60 * plan.tick, using: &faultRandom))
    }

    /// Cuts off a leader together with one follower, whose log it fills: the others choose another leader, which is
    /// given the same follower.
    func besiege(_ leader: Node, with victim: Node) {
        healLinks()
        for from in nodes.indices {
            for to in nodes.indices {
                let isInside = { (number: Int) in number == leader.number || number == victim.number }
                if isInside(from) != isInside(to) { blocked[from][to] = true }
            }
        }
        trace("\(leader.id) is alone with \(victim.id)")
        isPartitioned = true
        let length = Int.random(in: 1...6 * plan.settings.electionTicks, using: &faultRandom) * plan.tick
        queue.add(.heal, at: now + length)
    }

    /// All links work again.
    func healLinks() {
        guard isPartitioned else { return }
        trace("links healed")
        isPartitioned = false
        for from in nodes.indices { for to in nodes.indices { blocked[from][to] = false } }
    }
}
