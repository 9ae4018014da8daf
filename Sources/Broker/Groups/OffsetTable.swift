// SPDX-License-Identifier: Apache-2.0
//
// OffsetTable.swift
// The committed offsets of one group. Knows nothing of members; who may commit or delete is decided before.

import Model

/// A committed position; everything comes back as it was given.
struct CommittedOffset: Hashable, Sendable {
    /// The next offset the group wants to read.
    var offset: Int64
    /// The leader epoch the client knew; -1 when it did not say.
    var leaderEpoch: Int32
    /// The client's own note.
    var metadata: String
    /// When it was committed.
    var committedAt: WallTime
    /// When it lapses, if the client asked for a retention of its own (OffsetCommit 2-4).
    var expiresAt: WallTime?

    /// What a fetch answers where nothing was committed.
    static let missing = CommittedOffset(
        offset: -1, leaderEpoch: -1, metadata: "", committedAt: WallTime(milliseconds: -1))
}

/// The committed offsets of one group, by topic and partition.
struct OffsetTable: Hashable, Sendable {
    /// From when the retention of an offset counts.
    enum ExpiryBasis: Hashable, Sendable {
        /// A simple consumer's: from its commit.
        case commit
        /// A group without members: from when it emptied, or from the commit if that was later.
        case groupEmptied(WallTime)
        /// A stable group: only topics that nobody reads any more, from the commit.
        case commitUnless(subscribed: Set<String>)
        /// Nothing expires now.
        case never
    }

    private var topics: [String: [Int32: CommittedOffset]] = [:]
    /// How many offsets there are.
    private(set) var count = 0

    /// A group without offsets.
    init() {}

    /// True when nothing is committed.
    var isEmpty: Bool { count == 0 }

    /// The offset of one partition; nil when nothing is committed.
    subscript(partition: TopicPartition) -> CommittedOffset? {
        topics[partition.topic]?[partition.partition.rawValue]
    }

    /// What OffsetFetch answers for one partition: ``CommittedOffset/missing`` where nothing is committed.
    func fetch(_ partition: TopicPartition) -> CommittedOffset { self[partition] ?? .missing }

    /// Every offset, by topic name and partition number.
    func all() -> [(partition: TopicPartition, committed: CommittedOffset)] {
        topics.sorted { $0.key < $1.key }.flatMap { topic, partitions in
            partitions.sorted { $0.key < $1.key }.map { index, committed in
                (TopicPartition(topic: topic, partition: PartitionIndex(rawValue: index)), committed)
            }
        }
    }

    /// The partitions of one topic that have an offset, in order.
    func partitions(of topic: String) -> [TopicPartition] {
        (topics[topic] ?? [:]).keys.sorted().map {
            TopicPartition(topic: topic, partition: PartitionIndex(rawValue: $0))
        }
    }

    /// Sets the offset of one partition.
    mutating func commit(_ committed: CommittedOffset, for partition: TopicPartition) {
        let old = topics[partition.topic, default: [:]].updateValue(committed, forKey: partition.partition.rawValue)
        if old == nil { count += 1 }
    }

    /// Removes the offset of one partition; false when there was none.
    @discardableResult
    mutating func remove(_ partition: TopicPartition) -> Bool {
        guard topics[partition.topic]?.removeValue(forKey: partition.partition.rawValue) != nil else { return false }
        if topics[partition.topic]?.isEmpty == true { topics[partition.topic] = nil }
        count -= 1
        return true
    }

    /// The offsets whose time is up, with the commit time that identifies each: a later commit is not meant.
    func expired(now: WallTime, retentionMilliseconds: Int64, basis: ExpiryBasis) -> [ExpiredOffset] {
        if basis == .never { return [] }
        return all().compactMap { partition, committed in
            let start: WallTime
            switch basis {
            case .commit: start = committed.committedAt
            case .groupEmptied(let emptied): start = max(emptied, committed.committedAt)
            case .commitUnless(let subscribed):
                if subscribed.contains(partition.topic) { return nil }
                start = committed.committedAt
            case .never: return nil
            }
            let end = committed.expiresAt?.milliseconds ?? (start.milliseconds + retentionMilliseconds)
            return now.milliseconds >= end
                ? ExpiredOffset(partition: partition, committedAt: committed.committedAt) : nil
        }
    }
}

/// An offset that may go, unless it was committed again meanwhile.
struct ExpiredOffset: Hashable, Sendable {
    /// Whose offset.
    var partition: TopicPartition
    /// The commit that is meant.
    var committedAt: WallTime
}
