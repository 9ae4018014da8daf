// SPDX-License-Identifier: Apache-2.0
//
// UniformAssignment.swift
// The assignor `uniform`: equal shares, and as few partitions as possible change hands.

import Model

/// The assignor `uniform`.
enum UniformAssignment {
    /// One partition.
    private struct Partition: Hashable {
        var topic: TopicID
        var index: Int32
    }

    static func make(_ request: AssignmentRequest) -> [String: PartitionSet] {
        guard let first = request.members.first else { return [:] }
        var shares = keep(request)
        let missing = unassigned(request, shares)
        if request.members.allSatisfy({ $0.topics == first.topics }) {
            shareOut(missing, &shares)
        } else {
            shareOut(missing, &shares, subscribers: subscribers(request))
        }
        var result: [String: PartitionSet] = [:]
        for (member, share) in zip(request.members, shares) {
            var partitions: [TopicID: Set<Int32>] = [:]
            for one in share { partitions[one.topic, default: []].insert(one.index) }
            result[member.id] = PartitionSet(partitions)
        }
        return result
    }

    /// What every member has that it still reads and that still exists; nothing twice.
    private static func keep(_ request: AssignmentRequest) -> [[Partition]] {
        var taken: Set<Partition> = []
        return request.members.map { member in
            var kept: [Partition] = []
            for (topic, indexes) in member.current.sorted where member.topics.contains(topic) {
                let existing = request.partitions(of: topic)
                for index in indexes where existing.contains(index) {
                    let partition = Partition(topic: topic, index: index)
                    if taken.insert(partition).inserted { kept.append(partition) }
                }
            }
            return kept
        }
    }

    private static func unassigned(_ request: AssignmentRequest, _ shares: [[Partition]]) -> [Partition] {
        let taken = Set(shares.joined())
        return request.subscribedTopics.flatMap { topic in
            request.partitions(of: topic).map { Partition(topic: topic, index: $0) }.filter { !taken.contains($0) }
        }
    }

    // MARK: Everyone reads the same

    /// Cost: in proportion to partitions and members.
    private static func shareOut(_ missing: [Partition], _ shares: inout [[Partition]]) {
        let total = missing.count + shares.reduce(0) { $0 + $1.count }
        let low = total / shares.count
        var extra = total % shares.count
        var pool = missing
        var wanted = Array(repeating: low, count: shares.count)
        // Whoever has more than the others may be one of those that keep one more.
        for place in shares.indices where shares[place].count > low {
            if extra > 0 {
                extra -= 1
                wanted[place] += 1
            }
            pool += shares[place].dropFirst(wanted[place])
            shares[place] = Array(shares[place].prefix(wanted[place]))
        }
        for place in shares.indices where extra > 0 && wanted[place] == low {
            extra -= 1
            wanted[place] += 1
        }
        // Dealt one by one, so that neighbouring partitions go to different members.
        var place = 0
        for partition in pool {
            while shares[place].count >= wanted[place] { place = (place + 1) % shares.count }
            shares[place].append(partition)
            place = (place + 1) % shares.count
        }
    }

    // MARK: Members read different topics

    /// The places of the members that read each topic.
    private static func subscribers(_ request: AssignmentRequest) -> [TopicID: [Int]] {
        var subscribers: [TopicID: [Int]] = [:]
        for (place, member) in request.members.enumerated() {
            for topic in member.topics { subscribers[topic, default: []].append(place) }
        }
        return subscribers
    }

    /// Gives each partition to its least loaded subscriber, then moves partitions until no move makes two members
    /// more equal.
    ///
    /// Cost: partitions times subscribers, for each round; a round that moves nothing is the last, and every move
    /// makes the sum of the squared loads smaller.
    private static func shareOut(
        _ missing: [Partition], _ shares: inout [[Partition]], subscribers: [TopicID: [Int]]
    ) {
        var loads = shares.map(\.count)
        var owners: [Partition: Int] = [:]
        for (place, share) in shares.enumerated() { for partition in share { owners[partition] = place } }
        // Those that few can read come first, while there is most choice for the others.
        let pressing = missing.sorted { a, b in
            let (few, many) = (subscribers[a.topic]?.count ?? 0, subscribers[b.topic]?.count ?? 0)
            if few != many { return few < many }
            return a.topic == b.topic ? a.index < b.index : a.topic.precedes(b.topic)
        }
        for partition in pressing {
            guard let place = subscribers[partition.topic]?.min(by: { loads[$0] < loads[$1] }) else { continue }
            owners[partition] = place
            loads[place] += 1
        }
        let all = owners.keys.sorted {
            $0.topic == $1.topic ? $0.index < $1.index : $0.topic.precedes($1.topic)
        }
        var moved = true
        while moved {
            moved = false
            for partition in all {
                guard let owner = owners[partition],
                    let least = subscribers[partition.topic]?.min(by: { loads[$0] < loads[$1] }),
                    loads[owner] > loads[least] + 1
                else { continue }
                owners[partition] = least
                loads[owner] -= 1
                loads[least] += 1
                moved = true
            }
        }
        shares = shares.map { _ in [] }
        for partition in all { if let owner = owners[partition] { shares[owner].append(partition) } }
    }
}
