// SPDX-License-Identifier: Apache-2.0
//
// HashRing.swift
// Consistent hashing: each broker stands at many places of a ring, a partition takes the brokers that follow its own.

package import Model

/// A ring of brokers.
///
/// Invariant: `points` ascends. A broker that comes or goes changes the assignments only of partitions that take it, or
/// took it: about one in `brokers / replicas`.
package struct HashRing: Sendable {
    /// Places of each broker: with 128 the share of a broker is within about a quarter of even.
    package static let virtualNodes = 128

    private struct Point {
        let hash: UInt64
        let member: Int
    }

    private let members: [(node: NodeID, rack: String?)]
    private let points: [Point]

    /// A ring of these brokers.
    package init(_ brokers: [(node: NodeID, rack: String?)]) {
        members = brokers.sorted { $0.node < $1.node }
        var points: [Point] = []
        for (member, broker) in members.enumerated() {
            for copy in 0..<Self.virtualNodes {
                let seed = UInt64(UInt32(bitPattern: broker.node.rawValue)) << 32 | UInt64(copy)
                points.append(Point(hash: Self.mix(seed), member: member))
            }
        }
        self.points = points.sorted { ($0.hash, $0.member) < ($1.hash, $1.member) }
    }

    /// The first `count` different brokers from the partition's place on, of different racks while there are any.
    package func replicas(of topic: TopicID, index: Int, count: Int) -> [NodeID] {
        let hash = Self.mix(Self.mix(topic.high) ^ topic.low &+ Self.mix(UInt64(index)))
        var order: [Int] = []
        var start = lowerBound(hash)
        for _ in points.indices where order.count < members.count {
            if start == points.count { start = 0 }
            let member = points[start].member
            if !order.contains(member) { order.append(member) }
            start += 1
        }
        var chosen: [Int] = []
        var racks: Set<String> = []
        for member in order where chosen.count < count {
            if let rack = members[member].rack, !racks.insert(rack).inserted { continue }
            chosen.append(member)
        }
        for member in order where chosen.count < count && !chosen.contains(member) { chosen.append(member) }
        return chosen.map { members[$0].node }
    }

    private func lowerBound(_ hash: UInt64) -> Int {
        var low = 0
        var high = points.count
        while low < high {
            let middle = (low + high) / 2
            if points[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The same on every machine and in every release, unlike the standard library's hashes.
    private static func mix(_ value: UInt64) -> UInt64 {
        var random = SeededRandom(seed: value)
        return random.next()
    }
}
