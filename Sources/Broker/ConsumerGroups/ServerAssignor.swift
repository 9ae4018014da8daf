// SPDX-License-Identifier: Apache-2.0
//
// ServerAssignor.swift
// How the coordinator shares partitions out among the members of a consumer group (KIP-848).

import Model

/// A way to share partitions out.
enum ServerAssignor: String, Hashable, Sendable, CaseIterable {
    /// Everyone gets as many as the others, and keeps what it has as far as that allows.
    case uniform
    /// Everyone gets neighbouring partitions of each topic, and the same numbers of topics that all read.
    case range

    /// What the members get: each partition of a subscribed topic goes to exactly one of its subscribers.
    func assign(_ request: AssignmentRequest) -> [String: PartitionSet] {
        switch self {
        case .uniform: UniformAssignment.make(request)
        case .range: RangeAssignment.make(request)
        }
    }
}

/// What an assignor knows.
struct AssignmentRequest: Sendable {
    /// One member.
    struct Member: Sendable {
        /// The member.
        var id: String
        /// Its static name.
        var instanceID: String?
        /// The topics that it reads; all of them have a partition count.
        var topics: Set<TopicID>
        /// What it was meant to have until now.
        var current: PartitionSet
    }

    /// Everyone, by rising id, each once.
    var members: [Member]
    /// How many partitions each topic has.
    var partitionCounts: [TopicID: Int32]

    /// The topics that someone reads, in order.
    var subscribedTopics: [TopicID] {
        members.reduce(into: Set()) { $0.formUnion($1.topics) }.sorted { $0.precedes($1) }
    }

    /// The numbers of a topic's partitions.
    func partitions(of topic: TopicID) -> Range<Int32> { 0..<max(0, partitionCounts[topic] ?? 0) }
}

/// The assignor `range`.
enum RangeAssignment {
    /// Cost: in proportion to members times topics, and partitions.
    static func make(_ request: AssignmentRequest) -> [String: PartitionSet] {
        // A static member keeps its place when it comes back with another id.
        let ordered = request.members.sorted { key($0) < key($1) }
        var result = Dictionary(uniqueKeysWithValues: request.members.map { ($0.id, PartitionSet()) })
        for topic in request.subscribedTopics {
            let subscribers = ordered.filter { $0.topics.contains(topic) }
            let partitions = request.partitions(of: topic)
            guard !subscribers.isEmpty else { continue }
            let share = partitions.count / subscribers.count
            let extra = partitions.count % subscribers.count
            var next = partitions.lowerBound
            for (place, member) in subscribers.enumerated() {
                for _ in 0..<(share + (place < extra ? 1 : 0)) {
                    result[member.id]?.insert(topic, next)
                    next += 1
                }
            }
        }
        return result
    }

    private static func key(_ member: AssignmentRequest.Member) -> (Int, String, String) {
        (member.instanceID == nil ? 1 : 0, member.instanceID ?? "", member.id)
    }
}
