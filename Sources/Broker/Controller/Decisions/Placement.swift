// SPDX-License-Identifier: Apache-2.0
//
// Placement.swift
// Which brokers get the replicas of new partitions. A value; the same input gives the same answer on every broker.

package import Model
package import Settings

/// A broker that may get replicas, with what it holds already.
package struct PlacementBroker: Equatable, Sendable {
    package var id: NodeID
    package var rack: String?
    /// Replicas it holds or is to hold.
    package var replicas: Int
    /// Partitions whose preferred leader it is.
    package var leaders: Int

    package init(id: NodeID, rack: String? = nil, replicas: Int = 0, leaders: Int = 0) {
        self.id = id
        self.rack = rack
        self.replicas = replicas
        self.leaders = leaders
    }
}

/// Why there is no place.
package enum PlacementError: Error, Equatable, Sendable {
    case tooFewBrokers(wanted: Int, available: Int)
}

/// Chooses brokers for replicas.
///
/// Invariants: the replicas of a partition are distinct; in a topic that is placed at once, preferred leaders differ by
/// at most one between brokers, and so do replicas where racks do not forbid it; with racks, no rack holds a second
/// replica while another rack holds none.
package struct Placement: Sendable {
    /// How the brokers stand in one topic while it is being placed.
    private struct Standing {
        var broker: PlacementBroker
        var topicReplicas = 0
        var topicLeaders = 0
    }

    private let policy: PlacementPolicy
    private var standings: [Standing]

    /// Places on `brokers`, of which each is there once.
    package init(policy: PlacementPolicy, brokers: [PlacementBroker]) {
        self.policy = policy
        standings = brokers.sorted { ($0.leaders, $0.replicas, $0.id) < ($1.leaders, $1.replicas, $1.id) }
            .map { Standing(broker: $0) }
    }

    /// Counts what partitions of the same topic have already.
    package mutating func count(existing: [[NodeID]]) {
        for replicas in existing {
            for (rank, node) in replicas.enumerated() {
                guard let position = standings.firstIndex(where: { $0.broker.id == node }) else { continue }
                standings[position].topicReplicas += 1
                if rank == 0 { standings[position].topicLeaders += 1 }
            }
        }
    }

    /// The replicas of `count` partitions of `topic`, numbered from `first`; the preferred leader comes first.
    package mutating func place(
        topic: TopicID, first: Int = 0, count: Int, replicationFactor: Int
    ) throws(PlacementError) -> [[NodeID]] {
        guard replicationFactor <= standings.count, replicationFactor > 0 else {
            throw .tooFewBrokers(wanted: replicationFactor, available: standings.count)
        }
        if policy == .consistentHash {
            let ring = HashRing(standings.map { (node: $0.broker.id, rack: $0.broker.rack) })
            return (first..<first + count).map { ring.replicas(of: topic, index: $0, count: replicationFactor) }
        }
        return (first..<first + count).map { placeInTurn($0, replicationFactor) }
    }

    // MARK: In turn

    private mutating func placeInTurn(_ index: Int, _ replicationFactor: Int) -> [NodeID] {
        var chosen: [Int] = []
        for rank in 0..<replicationFactor {
            var best: Int?
            for candidate in standings.indices where !chosen.contains(candidate) {
                guard let current = best else {
                    best = candidate
                    continue
                }
                if isBefore(candidate, current, after: chosen, rank: rank, index: index) { best = candidate }
            }
            guard let best else { break }
            chosen.append(best)
            standings[best].topicReplicas += 1
            standings[best].broker.replicas += 1
            if rank == 0 {
                standings[best].topicLeaders += 1
                standings[best].broker.leaders += 1
            }
        }
        return chosen.map { standings[$0].broker.id }
    }

    /// Whether broker `a` is the better next replica than `b` beside those chosen.
    private func isBefore(_ a: Int, _ b: Int, after chosen: [Int], rank: Int, index: Int) -> Bool {
        let (one, other) = (standings[a], standings[b])
        if rank == 0 {
            let left = (one.topicLeaders, one.topicReplicas, one.broker.leaders, one.broker.replicas)
            let right = (other.topicLeaders, other.topicReplicas, other.broker.leaders, other.broker.replicas)
            return left == right ? turn(a, chosen, index) < turn(b, chosen, index) : left < right
        }
        let racks = (neighbours(of: a, in: chosen), neighbours(of: b, in: chosen))
        if racks.0 != racks.1 { return racks.0 < racks.1 }
        let left = (one.topicReplicas, one.broker.replicas)
        let right = (other.topicReplicas, other.broker.replicas)
        return left == right ? turn(a, chosen, index) < turn(b, chosen, index) : left < right
    }

    /// How many of the chosen stand in the same rack.
    private func neighbours(of candidate: Int, in chosen: [Int]) -> Int {
        guard policy == .rackAware, let rack = standings[candidate].broker.rack else { return 0 }
        return chosen.count { standings[$0].broker.rack == rack }
    }

    /// Where a broker stands in the order of turns; it shifts with every round, so that the partitions of one leader
    /// have their followers on different brokers.
    private func turn(_ position: Int, _ chosen: [Int], _ index: Int) -> Int {
        let count = standings.count
        guard let leader = chosen.first else { return (position + count - index % count) % count }
        guard count > 1 else { return 0 }
        let distance = (position + count - leader) % count
        return (distance + count - 2 - index / count % (count - 1)) % (count - 1)
    }

    // MARK: Replacement

    /// The best broker for a replica beside `keeping`, or nil when there is none.
    ///
    /// Brokers of other racks come first, then those with the fewest replicas; `excluding` get nothing.
    package static func replacement(
        keeping: [NodeID], among brokers: [PlacementBroker], excluding: Set<NodeID> = [], rackAware: Bool = true
    ) -> NodeID? {
        let racks = brokers.filter { keeping.contains($0.id) }.compactMap(\.rack)
        func crowding(_ broker: PlacementBroker) -> Int {
            guard rackAware, let rack = broker.rack else { return 0 }
            return racks.count { $0 == rack }
        }
        return
            brokers
            .filter { !keeping.contains($0.id) && !excluding.contains($0.id) }
            .min { (crowding($0), $0.replicas, $0.leaders, $0.id) < (crowding($1), $1.replicas, $1.leaders, $1.id) }?
            .id
    }
}
