// SPDX-License-Identifier: Apache-2.0
//
// RangeAssignor.swift
// Kafka's range assignor: each topic is cut into runs of partitions, one for each member that wants it.

public import Model

/// Divides partitions among the members of a group.
public enum RangeAssignor {
    /// The name by which members agree on it.
    public static let name = "range"

    /// Divides the partitions of `topics` among `subscriptions`, by member id.
    ///
    /// Members are taken in the order of their ids; the first of them get one partition more when it does not come out
    /// even. Every member has an entry, if only an empty one.
    public static func assign(
        partitionCounts topics: [String: Int], subscriptions: [String: [String]]
    ) -> [String: [TopicPartition]] {
        var result = subscriptions.mapValues { _ in [TopicPartition]() }
        for (topic, count) in topics.sorted(by: { $0.key < $1.key }) {
            let members = subscriptions.filter { $0.value.contains(topic) }.keys.sorted()
            guard !members.isEmpty else { continue }
            let (share, extra) = count.quotientAndRemainder(dividingBy: members.count)
            var next = 0
            for (place, member) in members.enumerated() {
                let size = share + (place < extra ? 1 : 0)
                result[member, default: []] += (next..<next + size).map {
                    TopicPartition(topic: topic, partition: PartitionIndex(rawValue: Int32($0)))
                }
                next += size
            }
        }
        return result
    }
}
