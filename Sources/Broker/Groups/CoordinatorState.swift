// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorState.swift
// Every group as the replicas agree on it. Each broker has a copy; the leader's live groups are in GroupTable.

import Model

/// The state machine of the coordinator's Raft group.
///
/// Deterministic: the result of `apply` depends on the state and the command only. A group exists exactly when it has
/// a snapshot or at least one offset.
struct CoordinatorState: Sendable {
    /// What is agreed about one group.
    struct Group: Hashable, Sendable {
        /// Its generation and members; nil for a group that only simple consumers used.
        var snapshot: GroupSnapshot?
        /// Its offsets.
        var offsets = OffsetTable()
    }

    /// The key prefix of this coordinator's records.
    let keyPrefix: [UInt8]
    /// All groups by id.
    private(set) var groups: [String: Group] = [:]

    /// A coordinator without groups, replicated by `shard`.
    init(shard: GroupID = .coordinator) {
        keyPrefix = CoordinatorKey.prefix(of: shard)
    }

    /// How many committed offsets all groups have together.
    ///
    /// Cost: one walk over the groups.
    var offsetCount: Int { groups.values.reduce(0) { $0 + $1.offsets.count } }

    /// The committed offset of one partition for a group that may not exist.
    func fetch(group: String, _ partition: TopicPartition) -> CommittedOffset {
        groups[group]?.offsets.fetch(partition) ?? .missing
    }

    /// Every committed offset of a group, by topic and partition.
    func fetchAll(group: String) -> [(partition: TopicPartition, committed: CommittedOffset)] {
        groups[group]?.offsets.all() ?? []
    }

    // MARK: Applying

    /// Applies a committed command and appends what the column family has to take over.
    mutating func apply(_ command: CoordinatorCommand, into writes: inout [CoordinatorWrite]) {
        switch command {
        case .groupMetadata(let group, let snapshot):
            groups[group, default: Group()].snapshot = snapshot
            write(.group(group), CoordinatorValue.encode(snapshot), into: &writes)
        case .deleteGroup(let group):
            guard let removed = groups.removeValue(forKey: group) else { return }
            if removed.snapshot != nil { write(.group(group), nil, into: &writes) }
            for one in removed.offsets.all() { write(.offset(group: group, one.partition), nil, into: &writes) }
        case .removeIdleGroup(let group):
            guard let found = groups[group], found.offsets.isEmpty, found.snapshot?.members.isEmpty != false
            else { return }
            groups[group] = nil
            write(.group(group), nil, into: &writes)
        case .commitOffsets(let batch):
            apply(batch, into: &writes)
        case .deleteOffsets(let group, let partitions):
            for partition in partitions { remove(partition, of: group, into: &writes) }
        case .expireOffsets(let group, let offsets):
            for one in offsets where groups[group]?.offsets[one.partition]?.committedAt == one.committedAt {
                remove(one.partition, of: group, into: &writes)
            }
        case .forgetTopics(let topics):
            for group in groups.keys.sorted() {
                for topic in topics {
                    for partition in groups[group]?.offsets.partitions(of: topic) ?? [] {
                        remove(partition, of: group, into: &writes)
                    }
                }
            }
        }
    }

    private mutating func apply(_ batch: OffsetCommitBatch, into writes: inout [CoordinatorWrite]) {
        for entry in batch.entries {
            let committed = CommittedOffset(
                offset: entry.offset, leaderEpoch: entry.leaderEpoch, metadata: entry.metadata,
                committedAt: batch.committedAt, expiresAt: batch.expiresAt)
            groups[batch.group, default: Group()].offsets.commit(committed, for: entry.partition)
            let value = CoordinatorValue.encode(committed)
            write(.offset(group: batch.group, entry.partition), value, into: &writes)
        }
    }

    private mutating func remove(
        _ partition: TopicPartition, of group: String, into writes: inout [CoordinatorWrite]
    ) {
        guard groups[group]?.offsets.remove(partition) == true else { return }
        if groups[group]?.snapshot == nil, groups[group]?.offsets.isEmpty == true { groups[group] = nil }
        write(.offset(group: group, partition), nil, into: &writes)
    }

    private func write(_ key: CoordinatorKey, _ value: [UInt8]?, into writes: inout [CoordinatorWrite]) {
        writes.append(CoordinatorWrite(key: key.encoded(prefix: keyPrefix), value: value))
    }

    // MARK: Loading and copying

    /// Takes over one stored record; the order of records does not matter.
    mutating func load(key: [UInt8], value: [UInt8]) throws(BinaryCodingError) {
        switch try CoordinatorKey(decoding: key, prefix: keyPrefix) {
        case .group(let group):
            groups[group, default: Group()].snapshot = try CoordinatorValue.decodeSnapshot(value)
        case .offset(let group, let partition):
            let committed = try CoordinatorValue.decodeOffset(value)
            groups[group, default: Group()].offsets.commit(committed, for: partition)
        }
    }

    /// The whole state as records, in a fixed order: what a snapshot of the coordinator contains.
    func records() -> [CoordinatorWrite] {
        var writes: [CoordinatorWrite] = []
        for (id, group) in groups.sorted(by: { $0.key < $1.key }) {
            if let snapshot = group.snapshot { write(.group(id), CoordinatorValue.encode(snapshot), into: &writes) }
            for one in group.offsets.all() {
                write(.offset(group: id, one.partition), CoordinatorValue.encode(one.committed), into: &writes)
            }
        }
        return writes
    }
}
