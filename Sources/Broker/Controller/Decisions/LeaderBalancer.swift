// SPDX-License-Identifier: Apache-2.0
//
// LeaderBalancer.swift
// Which leaders should move: off brokers that may not lead, back to preferred replicas, away from overloaded brokers.
// A value on the controller's leader; it names moves and never makes them.

package import Model

/// A partition as the balancer sees it.
package struct LeaderView: Equatable, Sendable {
    package var group: GroupID
    /// Voters, the preferred leader first.
    package var replicas: [NodeID]
    /// Nil while nobody leads; an election is Raft's business then.
    package var leader: NodeID?
    /// What leading it costs, in any unit (bytes a second).
    package var load: Double

    package init(group: GroupID, replicas: [NodeID], leader: NodeID?, load: Double = 0) {
        self.group = group
        self.replicas = replicas
        self.leader = leader
        self.load = load
    }
}

/// A leader that should move.
package struct LeaderMove: Equatable, Sendable {
    /// Why.
    package enum Reason: String, Equatable, Sendable {
        case drain
        case preferred
        case overload
    }

    package var group: GroupID
    package var from: NodeID
    package var to: NodeID
    package var reason: Reason

    package init(group: GroupID, from: NodeID, to: NodeID, reason: Reason) {
        self.group = group
        self.from = from
        self.to = to
        self.reason = reason
    }
}

/// Keeps leaders where they should be, a few at a time.
///
/// Invariants: at most `movesMax` moves are under way; a group that just moved, or that would not, rests for a while, so
/// nothing moves to and fro. A move for overload makes its target the preferred leader, or the next round would take it
/// back.
package struct LeaderBalancer: Sendable {
    package struct Settings: Equatable, Sendable {
        /// Moves under way at once.
        package var movesMax = 10
        /// Milliseconds after which a move that did not happen is given up.
        package var moveTimeout: Int64 = 10_000
        /// Milliseconds a group rests after a move.
        package var rest: Int64 = 30_000
        /// Milliseconds a group rests after a move that failed; each further failure doubles it.
        package var failureRest: Int64 = 2_000
        /// The longest rest of a group whose moves keep failing.
        package var restMax: Int64 = 10 * 60_000
        /// How far above the mean a broker's load must be to count as overloaded.
        package var overloadFactor = 1.5
        /// A broker below this load is never overloaded.
        package var overloadMin = 1_000_000.0

        package init() {}
    }

    private struct Rest {
        var until: Instant
        var failures: Int
    }

    package let settings: Settings
    private var underWay: [GroupID: (move: LeaderMove, since: Instant)] = [:]
    private var resting: [GroupID: Rest] = [:]

    package init(settings: Settings = Settings()) { self.settings = settings }

    /// Moves that were named and neither happened nor failed yet.
    package var movesUnderWay: [LeaderMove] { underWay.values.map(\.move).sorted { $0.group < $1.group } }

    /// Names the moves to begin now.
    ///
    /// `canLead` are the brokers that may lead; `isDraining` those that should give up what they lead.
    package mutating func plan(
        _ partitions: [LeaderView], canLead: Set<NodeID>, draining: Set<NodeID>, now: Instant
    ) -> [LeaderMove] {
        if !underWay.isEmpty { settle(partitions, now) }
        resting = resting.filter { $0.value.until > now || $0.value.failures > 0 }
        var moves: [LeaderMove] = []
        var room = settings.movesMax - underWay.count
        // Of thousands, nearly all are where they should be.
        let order = partitions.filter { isMisplaced($0, draining) }.sorted { $0.group < $1.group }
        var counts = order.isEmpty ? [:] : leaderCounts(partitions, canLead)
        for find in [drain, preferred] {
            for partition in order where room > 0 && mayMove(partition.group, now) {
                guard let move = find(partition, canLead, draining, counts) else { continue }
                counts[move.from, default: 0] -= 1
                counts[move.to, default: 0] += 1
                begin(move, now)
                moves.append(move)
                room -= 1
            }
        }
        if moves.isEmpty, room > 0, let move = overload(partitions, canLead, draining, now) {
            begin(move, now)
            moves.append(move)
        }
        return moves
    }

    /// A move was refused or failed; the group rests longer each time.
    package mutating func failed(_ group: GroupID, now: Instant) {
        guard underWay.removeValue(forKey: group) != nil else { return }
        let failures = (resting[group]?.failures ?? 0) + 1
        let wait = min(settings.failureRest << Int64(min(failures - 1, 10)), settings.restMax)
        resting[group] = Rest(until: now.advanced(byMilliseconds: wait), failures: failures)
    }

    /// Lets a group move at once: an operator asked.
    package mutating func wake(_ group: GroupID) { resting[group] = nil }

    // MARK: Moves under way

    private mutating func begin(_ move: LeaderMove, _ now: Instant) { underWay[move.group] = (move, now) }

    private func mayMove(_ group: GroupID, _ now: Instant) -> Bool {
        guard underWay[group] == nil else { return false }
        return resting[group].map { $0.until <= now } ?? true
    }

    /// Ends moves that happened, lost their meaning, or took too long.
    private mutating func settle(_ partitions: [LeaderView], _ now: Instant) {
        let leaders = Dictionary(partitions.map { ($0.group, $0.leader) }) { first, _ in first }
        for (group, entry) in underWay {
            guard let leader = leaders[group] else {
                underWay[group] = nil
                resting[group] = nil
                continue
            }
            if leader == entry.move.to {
                underWay[group] = nil
                resting[group] = Rest(until: now.advanced(byMilliseconds: settings.rest), failures: 0)
            } else if now.milliseconds(since: entry.since) >= settings.moveTimeout {
                failed(group, now: now)
            }
        }
    }

    // MARK: Reasons

    private func leaderCounts(_ partitions: [LeaderView], _ canLead: Set<NodeID>) -> [NodeID: Int] {
        var counts = Dictionary(uniqueKeysWithValues: canLead.map { ($0, 0) })
        for partition in partitions {
            if let leader = partition.leader { counts[leader, default: 0] += 1 }
        }
        return counts
    }

    private func isMisplaced(_ partition: LeaderView, _ draining: Set<NodeID>) -> Bool {
        guard let leader = partition.leader else { return false }
        return leader != partition.replicas.first || draining.contains(leader)
    }

    private typealias Finder = (LeaderView, Set<NodeID>, Set<NodeID>, [NodeID: Int]) -> LeaderMove?

    private func drain(
        _ partition: LeaderView, _ canLead: Set<NodeID>, _ draining: Set<NodeID>, _ counts: [NodeID: Int]
    ) -> LeaderMove? {
        guard let leader = partition.leader, draining.contains(leader) else { return nil }
        let able = partition.replicas.filter { canLead.contains($0) && !draining.contains($0) && $0 != leader }
        guard let first = able.first else { return nil }
        let isPreferred = first == partition.replicas.first
        let target = isPreferred ? first : able.min { (counts[$0] ?? 0, $0) < (counts[$1] ?? 0, $1) } ?? first
        return LeaderMove(group: partition.group, from: leader, to: target, reason: .drain)
    }

    private func preferred(
        _ partition: LeaderView, _ canLead: Set<NodeID>, _ draining: Set<NodeID>, _ counts: [NodeID: Int]
    ) -> LeaderMove? {
        guard let leader = partition.leader, let preferred = partition.replicas.first, preferred != leader,
            canLead.contains(preferred), !draining.contains(preferred)
        else { return nil }
        return LeaderMove(group: partition.group, from: leader, to: preferred, reason: .preferred)
    }

    /// One leader from the most loaded broker to a replica where it leaves both less loaded than that one was.
    private func overload(
        _ partitions: [LeaderView], _ canLead: Set<NodeID>, _ draining: Set<NodeID>, _ now: Instant
    ) -> LeaderMove? {
        let able = canLead.subtracting(draining)
        guard able.count > 1, underWay.isEmpty else { return nil }
        var loads = Dictionary(uniqueKeysWithValues: able.map { ($0, 0.0) })
        for partition in partitions {
            if let leader = partition.leader, able.contains(leader) { loads[leader, default: 0] += partition.load }
        }
        let mean = loads.values.reduce(0, +) / Double(able.count)
        guard let (hot, load) = loads.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }),
            load > mean * settings.overloadFactor, load >= settings.overloadMin
        else { return nil }
        var best: (move: LeaderMove, peak: Double)?
        let candidates = partitions.filter { $0.leader == hot && mayMove($0.group, now) }
        for partition in candidates.sorted(by: { $0.group < $1.group }) {
            for target in partition.replicas where target != hot && able.contains(target) {
                let peak = max(load - partition.load, (loads[target] ?? 0) + partition.load)
                guard peak < (best?.peak ?? load * 0.95) else { continue }
                best = (LeaderMove(group: partition.group, from: hot, to: target, reason: .overload), peak)
            }
        }
        return best?.move
    }
}
