// SPDX-License-Identifier: Apache-2.0
//
// ShareAssignment.swift
// The assignor `simple`: every partition is read by somebody, and nobody is without one (KIP-932).

import Model

/// How partitions are given to the members of a share group.
///
/// While there are at least as many partitions as members, each goes to one of them, in equal shares; when there are
/// more members, each gets one that as few others as possible read. Whoever has a partition keeps it as far as that
/// allows: records that are on their way to a member stay there.
enum ShareAssignment {
    /// What assignors are called in descriptions of groups.
    static let name = "simple"

    /// What the members get.
    ///
    /// Cost: that of the assignor `uniform`; and members without a partition of their own times partitions.
    static func make(_ request: AssignmentRequest) -> [String: PartitionSet] {
        var result = UniformAssignment.make(request)
        let idle = request.members.filter { result[$0.id]?.isEmpty != false && !$0.topics.isEmpty }
        guard !idle.isEmpty else { return result }
        var readers: [TopicID: [Int32: Int]] = [:]
        for partitions in result.values {
            for (topic, indexes) in partitions.topics {
                for index in indexes { readers[topic, default: [:]][index, default: 0] += 1 }
            }
        }
        for member in idle {
            guard let found = leastRead(by: member, request, readers) else { continue }
            result[member.id, default: PartitionSet()].insert(found.topic, found.index)
            readers[found.topic, default: [:]][found.index, default: 0] += 1
        }
        return result
    }

    /// The partition with the fewest readers of those that a member may read: one that it has, or else the first.
    private static func leastRead(
        by member: AssignmentRequest.Member, _ request: AssignmentRequest, _ readers: [TopicID: [Int32: Int]]
    ) -> (topic: TopicID, index: Int32)? {
        var best: (count: Int, isNew: Int, topic: TopicID, index: Int32)?
        for topic in member.topics.sorted(by: { $0.precedes($1) }) {
            for index in request.partitions(of: topic) {
                let count = readers[topic]?[index] ?? 0
                let isNew = member.current.contains(topic, index) ? 0 : 1
                if let best, (best.count, best.isNew) <= (count, isNew) { continue }
                best = (count, isNew, topic, index)
            }
        }
        return best.map { ($0.topic, $0.index) }
    }
}
