// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorState.swift
// Every group as the replicas agree on it. Each broker has a copy; the leader's live groups are in GroupTable.

import KafkaProtocol
import Model

/// The state machine of the coordinator's Raft group.
///
/// Deterministic: the result of `apply` depends on the state and the command only. A group exists exactly when it has
/// a snapshot of one of the three kinds or at least one offset.
struct CoordinatorState: Sendable {
    /// What is agreed about one group.
    ///
    /// Invariant: at most one of `snapshot`, `consumer` and `share` is not nil; a share group has no offsets.
    struct Group: Hashable, Sendable {
        /// Its generation and members under the classic protocol; nil for a group that did not use it.
        var snapshot: GroupSnapshot?
        /// Its epochs and members under the consumer protocol; nil for a group that did not use it.
        var consumer: ConsumerGroupSnapshot?
        /// Its epochs, its members and how far it is in its partitions, as a share group; nil for others.
        var share: ShareGroupSnapshot?
        /// Its offsets.
        var offsets = OffsetTable()

        /// True when nobody is in it, under any protocol.
        var isWithoutMembers: Bool {
            snapshot?.members.isEmpty != false && consumer?.members.isEmpty != false
                && share?.members.isEmpty != false
        }
    }

    /// The key prefix of this coordinator's records.
    let keyPrefix: [UInt8]
    /// All groups by id.
    var groups: [String: Group] = [:]
    /// All transactional ids.
    var transactions = TransactionRegister()
    /// What became of the last command about share states; no part of what is agreed.
    private(set) var shareOutcome: ShareStateOutcome = .failure(.unknownServerError)

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
            dropConsumers(of: group, into: &writes)
            groups[group, default: Group()].snapshot = snapshot
            write(.group(group), CoordinatorValue.encode(snapshot), into: &writes)
        case .deleteGroup(let group):
            dropConsumers(of: group, into: &writes)
            dropShare(of: group, into: &writes)
            guard let removed = groups.removeValue(forKey: group) else { return }
            if removed.snapshot != nil { write(.group(group), nil, into: &writes) }
            for one in removed.offsets.all() { write(.offset(group: group, one.partition), nil, into: &writes) }
        case .removeIdleGroup(let group):
            guard let found = groups[group], found.offsets.isEmpty, found.isWithoutMembers else { return }
            // How far a share group is stays until an operator deletes the group.
            guard found.share?.states.isEmpty != false else { return }
            dropConsumers(of: group, into: &writes)
            dropShare(of: group, into: &writes)
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
        case .consumerGroup(let change):
            apply(change, into: &writes)
        case .shareGroup(let change):
            applyShareGroup(change, into: &writes)
        case .shareState(let command):
            shareOutcome = applyShareState(command, into: &writes)
        case .forgetTopics(let topics):
            for topic in topics { forgetPending(topic: topic, into: &writes) }
            for group in groups.keys.sorted() {
                for topic in topics {
                    for partition in groups[group]?.offsets.partitions(of: topic) ?? [] {
                        remove(partition, of: group, into: &writes)
                    }
                }
            }
        case .transaction(let id, let record): applyTransaction(id, record, into: &writes)
        case .pendingOffsets(let offsets): applyPending(offsets, into: &writes)
        case .expireTransactions(let ids): applyExpiry(ids, into: &writes)
        }
    }

    /// A change made for another state than this one does nothing: whoever proposed it finds the revision unchanged.
    private mutating func apply(_ change: ConsumerGroupChange, into writes: inout [CoordinatorWrite]) {
        let present = groups[change.group]?.consumer
        guard change.header.revision == (present?.header.revision ?? 0) + 1 else { return }
        if groups[change.group]?.snapshot != nil {
            groups[change.group]?.snapshot = nil
            write(.group(change.group), nil, into: &writes)
        }
        var consumer = present ?? ConsumerGroupSnapshot()
        consumer.header = change.header
        write(.consumerGroup(change.group), CoordinatorValue.encode(change.header), into: &writes)
        for member in change.removed where consumer.members.removeValue(forKey: member) != nil {
            write(.consumerMember(group: change.group, member: member), nil, into: &writes)
        }
        for member in change.updated {
            consumer.members[member.id] = member
            let value = CoordinatorValue.encode(member)
            write(.consumerMember(group: change.group, member: member.id), value, into: &writes)
        }
        groups[change.group, default: Group()].consumer = consumer
    }

    /// Drops what a group has of the consumer protocol: it is deleted, or uses the classic one from now on.
    private mutating func dropConsumers(of group: String, into writes: inout [CoordinatorWrite]) {
        guard let consumer = groups[group]?.consumer else { return }
        groups[group]?.consumer = nil
        write(.consumerGroup(group), nil, into: &writes)
        for member in consumer.members.keys.sorted() {
            write(.consumerMember(group: group, member: member), nil, into: &writes)
        }
    }

    private mutating func apply(_ batch: OffsetCommitBatch, into writes: inout [CoordinatorWrite]) {
        for entry in batch.entries {
            let committed = CommittedOffset(
                offset: entry.offset, leaderEpoch: entry.leaderEpoch, metadata: entry.metadata,
                committedAt: batch.committedAt, expiresAt: batch.expiresAt)
            commit(committed, group: batch.group, entry.partition, into: &writes)
        }
    }

    /// Sets one offset.
    mutating func commit(
        _ committed: CommittedOffset, group: String, _ partition: TopicPartition,
        into writes: inout [CoordinatorWrite]
    ) {
        groups[group, default: Group()].offsets.commit(committed, for: partition)
        write(.offset(group: group, partition), CoordinatorValue.encode(committed), into: &writes)
    }

    private mutating func remove(
        _ partition: TopicPartition, of group: String, into writes: inout [CoordinatorWrite]
    ) {
        guard groups[group]?.offsets.remove(partition) == true else { return }
        if let rest = groups[group], rest.snapshot == nil, rest.consumer == nil, rest.share == nil,
            rest.offsets.isEmpty
        {
            groups[group] = nil
        }
        write(.offset(group: group, partition), nil, into: &writes)
    }

    /// Notes a change of the column family.
    func write(_ key: CoordinatorKey, _ value: [UInt8]?, into writes: inout [CoordinatorWrite]) {
        writes.append(CoordinatorWrite(key: key.encoded(prefix: keyPrefix), value: value))
    }

    // MARK: Loading and copying

    /// Takes over one stored record; the order of records does not matter.
    mutating func load(key: [UInt8], value: [UInt8]) throws(BinaryCodingError) {
        switch try CoordinatorKey(decoding: key, prefix: keyPrefix) {
        case .group(let group):
            groups[group, default: Group()].snapshot = try CoordinatorValue.decodeSnapshot(value)
        case .consumerGroup(let group):
            let header = try CoordinatorValue.decodeHeader(value)
            groups[group, default: Group()].consumer = with(groups[group]?.consumer) { $0.header = header }
        case .consumerMember(let group, let id):
            let member = try CoordinatorValue.decodeMember(value)
            groups[group, default: Group()].consumer = with(groups[group]?.consumer) { $0.members[id] = member }
        case .offset(let group, let partition):
            let committed = try CoordinatorValue.decodeOffset(value)
            groups[group, default: Group()].offsets.commit(committed, for: partition)
        case .transaction(let id):
            transactions.set(try CoordinatorValue.decodeTransaction(value), for: id)
        case .pendingOffset(let id, let group, let partition):
            let committed = try CoordinatorValue.decodeOffset(value)
            transactions.setPending(committed, group: group, partition, by: id)
        case .shareGroup, .shareMember, .shareState:
            try loadShare(try CoordinatorKey(decoding: key, prefix: keyPrefix), value)
        }
    }

    private func with(
        _ consumer: ConsumerGroupSnapshot?, _ change: (inout ConsumerGroupSnapshot) -> Void
    ) -> ConsumerGroupSnapshot {
        var changed = consumer ?? ConsumerGroupSnapshot()
        change(&changed)
        return changed
    }

    /// The whole state as records, in a fixed order: what a snapshot of the coordinator contains.
    func records() -> [CoordinatorWrite] {
        var writes: [CoordinatorWrite] = []
        for (id, group) in groups.sorted(by: { $0.key < $1.key }) {
            if let snapshot = group.snapshot { write(.group(id), CoordinatorValue.encode(snapshot), into: &writes) }
            if let consumer = group.consumer {
                write(.consumerGroup(id), CoordinatorValue.encode(consumer.header), into: &writes)
                for (member, stored) in consumer.members.sorted(by: { $0.key < $1.key }) {
                    write(
                        .consumerMember(group: id, member: member), CoordinatorValue.encode(stored), into: &writes)
                }
            }
            if let share = group.share { shareRecords(of: id, share, into: &writes) }
            for one in group.offsets.all() {
                write(.offset(group: id, one.partition), CoordinatorValue.encode(one.committed), into: &writes)
            }
        }
        transactionRecords(into: &writes)
        return writes
    }
}
