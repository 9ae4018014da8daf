// SPDX-License-Identifier: Apache-2.0
//
// ReplicaSpread.swift
// How many replicas and preferred leaders each broker has, counting moves under way as done, and how to even that out.

package import Model

/// The spread of replicas over the brokers that may get some.
package struct ReplicaSpread: Sendable {
    /// The brokers that may get replicas, by id.
    package private(set) var brokers: [NodeID: PlacementBroker]
    private let partitions: [PartitionRecord]
    private var topicReplicas: [GroupID: TopicID] = [:]
    private var perTopic: [TopicID: [NodeID: Int]] = [:]

    /// Counts the replicas of `state`.
    package init(_ state: ClusterState) {
        brokers = [:]
        for broker in state.brokers.values where broker.acceptsReplicas {
            brokers[broker.id] = PlacementBroker(id: broker.id, rack: broker.rack)
        }
        partitions = state.topics.values.flatMap(\.partitions).sorted { $0.group < $1.group }
        for partition in partitions {
            let topic = state.locations[partition.group]?.topic
            topicReplicas[partition.group] = topic
            for (rank, node) in Self.final(partition).enumerated() {
                brokers[node]?.replicas += 1
                if rank == 0 { brokers[node]?.leaders += 1 }
                if let topic { perTopic[topic, default: [:]][node, default: 0] += 1 }
            }
        }
    }

    /// The replicas after the reassignment under way.
    private static func final(_ partition: PartitionRecord) -> [NodeID] {
        guard let reassignment = partition.reassignment, reassignment.phase != .cancelling else {
            return partition.replicas
        }
        return reassignment.target
    }

    // MARK: Replacing

    /// The replicas of `partition` with those on `leaving` replaced where there is a place; counts them as moved.
    package mutating func replacing(_ leaving: Set<NodeID>, in partition: PartitionRecord) -> [NodeID] {
        var replicas = partition.replicas
        for position in replicas.indices where leaving.contains(replicas[position]) {
            let keeping = replicas.filter { !leaving.contains($0) }
            let candidates = Array(brokers.values)
            guard
                let found = Placement.replacement(
                    keeping: keeping, among: candidates, excluding: leaving.union(replicas))
            else { continue }
            move(partition.group, from: replicas[position], to: found, isLeader: position == 0)
            replicas[position] = found
        }
        return replicas
    }

    private mutating func move(_ group: GroupID, from: NodeID, to: NodeID, isLeader: Bool) {
        brokers[from]?.replicas -= 1
        brokers[to]?.replicas += 1
        if isLeader {
            brokers[from]?.leaders -= 1
            brokers[to]?.leaders += 1
        }
        guard let topic = topicReplicas[group] else { return }
        perTopic[topic, default: [:]][from, default: 0] -= 1
        perTopic[topic, default: [:]][to, default: 0] += 1
    }

    // MARK: Evening out

    /// Moves of single replicas from full brokers to empty ones, until they differ by no more than the tolerance.
    package mutating func even(limit: Int, tolerance: Double) -> [ReassignmentTarget] {
        var targets: [ReassignmentTarget] = []
        var moved: Set<GroupID> = []
        while targets.count < limit, let target = nextMove(tolerance, moved) {
            moved.insert(target.group)
            targets.append(target)
        }
        return targets
    }

    private mutating func nextMove(_ tolerance: Double, _ moved: Set<GroupID>) -> ReassignmentTarget? {
        guard brokers.count > 1 else { return nil }
        let order = brokers.values.sorted { ($0.replicas, $0.id) < ($1.replicas, $1.id) }
        let mean = Double(order.reduce(0) { $0 + $1.replicas }) / Double(order.count)
        let slack = max(1, Int(mean * tolerance))
        // The fullest broker may hold nothing that the emptiest may take; then the next pair is tried.
        for full in order.reversed() {
            for empty in order where full.replicas - empty.replicas > slack {
                guard let partition = candidate(from: full, to: empty, moved) else { continue }
                guard let position = partition.replicas.firstIndex(of: full.id) else { continue }
                var replicas = partition.replicas
                replicas[position] = empty.id
                move(partition.group, from: full.id, to: empty.id, isLeader: position == 0)
                return ReassignmentTarget(group: partition.group, replicas: replicas)
            }
        }
        return nil
    }

    /// The partition whose replica should go from one broker to the other: of the topic that is spread worst.
    private func candidate(
        from full: PlacementBroker, to empty: PlacementBroker, _ moved: Set<GroupID>
    ) -> PartitionRecord? {
        let wantsLeader = full.leaders > empty.leaders
        var best: (partition: PartitionRecord, score: Int)?
        for partition in partitions where partition.reassignment == nil && !moved.contains(partition.group) {
            guard partition.replicas.contains(full.id), !partition.replicas.contains(empty.id),
                !worsensRacks(partition.replicas, from: full, to: empty)
            else { continue }
            let counts = topicReplicas[partition.group].flatMap { perTopic[$0] } ?? [:]
            let isLeader = partition.replicas.first == full.id
            let score = 2 * ((counts[full.id] ?? 0) - (counts[empty.id] ?? 0)) + (isLeader == wantsLeader ? 1 : 0)
            if score > (best?.score ?? Int.min) { best = (partition, score) }
        }
        return best?.partition
    }

    private func worsensRacks(_ replicas: [NodeID], from: PlacementBroker, to: PlacementBroker) -> Bool {
        guard let rack = to.rack, rack != from.rack else { return false }
        return replicas.contains { $0 != from.id && brokers[$0]?.rack == rack }
    }

    /// Replicas that should be preferred so that preferred leaders differ by one at most, as far as replicas allow.
    package mutating func evenLeaders(limit: Int) -> [(group: GroupID, node: NodeID)] {
        var preferences: [(group: GroupID, node: NodeID)] = []
        var changed: Set<GroupID> = []
        for partition in partitions where preferences.count < limit && partition.reassignment == nil {
            guard let leader = partition.replicas.first, let from = brokers[leader],
                changed.insert(partition.group).inserted
            else { continue }
            let able = partition.replicas.dropFirst().compactMap { brokers[$0] }
            guard let to = able.min(by: { ($0.leaders, $0.id) < ($1.leaders, $1.id) }), from.leaders - to.leaders > 1
            else { continue }
            brokers[from.id]?.leaders -= 1
            brokers[to.id]?.leaders += 1
            preferences.append((partition.group, to.id))
        }
        return preferences
    }
}
