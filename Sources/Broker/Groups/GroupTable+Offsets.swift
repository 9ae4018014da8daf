// SPDX-License-Identifier: Apache-2.0
//
// GroupTable+Offsets.swift
// Offset commits and deletions, group deletion and expiry: what may be proposed, and what each request is told.

import Model

/// What becomes of a request that changes the replicated state.
enum CoordinatorDecision: Hashable, Sendable {
    /// The whole request is refused.
    case refuse(GroupError)
    /// `command` is proposed (nil when nothing is left to do); the request is answered when it is applied.
    /// `refused` has one entry for each partition of the request: nil where it is part of the command.
    case propose(CoordinatorCommand?, refused: [GroupError?])
}

/// An OffsetCommit request.
struct OffsetCommit: Sendable {
    /// The group.
    var group: String
    /// Who commits.
    var claim: MemberClaim
    /// The offsets.
    var entries: [OffsetCommitBatch.Entry]
    /// How long they are to live (versions 2-4); nil or negative means the broker's rule.
    var retentionMilliseconds: Int64?
    /// Version 9 and later have their own error for a group that does not exist.
    var knowsGroupIDNotFound: Bool = false
    /// Version 9 and later can say a member's epoch in the place of a generation.
    var knowsMemberEpoch: Bool = false
}

extension GroupTable {
    // MARK: Offsets

    /// Decides about an OffsetCommit; entries with too long a note are left out with error 12.
    mutating func commit(_ request: OffsetCommit, state: CoordinatorState, now: Moment) -> CoordinatorDecision {
        if !Self.isValid(request.group) { return .refuse(.invalidGroupID) }
        if var instance = take(request.group, state: state, now: now) {
            let error = instance.commit(request.claim, now: now)
            put(instance)
            if let error { return .refuse(error) }
        } else if request.claim.generation >= 0 {
            return .refuse(request.knowsGroupIDNotFound ? .groupIDNotFound : .illegalGeneration)
        } else if !hasRoom(state: state) {
            return .refuse(.groupMaxSizeReached)
        }
        return accept(request, now: now)
    }

    /// What becomes of an OffsetCommit of someone who may commit.
    func accept(_ request: OffsetCommit, now: Moment) -> CoordinatorDecision {
        let refused = request.entries.map { entry -> GroupError? in
            entry.metadata.utf8.count > settings.offsetMetadataMaxBytes ? .offsetMetadataTooLarge : nil
        }
        let accepted = zip(request.entries, refused).filter { $0.1 == nil }.map(\.0)
        guard !accepted.isEmpty else { return .propose(nil, refused: refused) }
        let retention = request.retentionMilliseconds.flatMap { $0 >= 0 ? $0 : nil }
        let expiresAt = retention.map {
            let (sum, overflow) = now.wallTime.milliseconds.addingReportingOverflow($0)
            return WallTime(milliseconds: overflow ? .max : sum)
        }
        let batch = OffsetCommitBatch(
            group: request.group, committedAt: now.wallTime, expiresAt: expiresAt, entries: accepted)
        return .propose(.commitOffsets(batch), refused: refused)
    }

    /// Decides about an OffsetDelete; topics that a live member reads keep their offsets (error 86).
    mutating func deleteOffsets(
        group: String, _ partitions: [TopicPartition], state: CoordinatorState, now: Moment
    ) -> CoordinatorDecision {
        if !Self.isValid(group) { return .refuse(.invalidGroupID) }
        guard let instance = take(group, state: state, now: now) else { return .refuse(.groupIDNotFound) }
        defer { put(instance) }
        if let error = instance.offsetDeleteRejection() { return .refuse(error) }
        let refused = partitions.map { partition -> GroupError? in
            instance.isSubscribed(to: partition.topic) ? .groupSubscribedToTopic : nil
        }
        let accepted = zip(partitions, refused).filter { $0.1 == nil }.map(\.0)
        guard !accepted.isEmpty else { return .propose(nil, refused: refused) }
        return .propose(.deleteOffsets(group: group, partitions: accepted), refused: refused)
    }

    // MARK: Deleting groups

    /// Decides about one group of a DeleteGroups request; until `deleted` or `deleteFailed` nobody can join it.
    mutating func delete(group: String, state: CoordinatorState, now: Moment) -> CoordinatorDecision {
        if !Self.isValid(group) { return .refuse(.invalidGroupID) }
        guard var instance = take(group, state: state, now: now) else { return .refuse(.groupIDNotFound) }
        let error = instance.beginDelete()
        put(instance)
        if let error { return .refuse(error) }
        return .propose(.deleteGroup(group: group), refused: [])
    }

    /// The deletion is applied.
    mutating func deleted(group: String) {
        if live[group]?.state == .dead { forget(group) }
    }

    /// The deletion was refused: the group is empty again.
    mutating func deleteFailed(group: String) {
        guard var instance = live[group], instance.state == .dead else { return }
        forget(group)
        instance.cancelDelete()
        put(instance)
    }

    // MARK: Expiry

    /// Commands that remove what nobody needs any more; the shell proposes them every few minutes.
    ///
    /// Each command checks again when it is applied, so that a commit on its way is not lost.
    func expirations(state: CoordinatorState, now: WallTime) -> [CoordinatorCommand] {
        var commands: [CoordinatorCommand] = []
        for (id, group) in state.groups.sorted(by: { $0.key < $1.key }) {
            let expired = group.offsets.expired(
                now: now, retentionMilliseconds: settings.offsetsRetentionMilliseconds,
                basis: expiryBasis(of: id, group))
            if !expired.isEmpty { commands.append(.expireOffsets(group: id, offsets: expired)) }
            let isUnused = group.isWithoutMembers && group.share?.states.isEmpty != false && live[id] == nil
            if isUnused, expired.count == group.offsets.count { commands.append(.removeIdleGroup(group: id)) }
        }
        return commands
    }

    private func expiryBasis(of id: String, _ group: CoordinatorState.Group) -> OffsetTable.ExpiryBasis {
        if let instance = live[id] {
            switch instance.state {
            case .empty: return instance.protocolType == nil ? .commit : .groupEmptied(instance.changedAt)
            case .stable: return instance.subscribedTopics.map { .commitUnless(subscribed: $0) } ?? .never
            case .preparingRebalance, .completingRebalance, .dead: return .never
            }
        }
        if let consumer = group.consumer {
            if consumer.members.isEmpty { return .groupEmptied(consumer.header.changedAt) }
            return consumer.subscribedTopics.map { .commitUnless(subscribed: $0) } ?? .never
        }
        guard let snapshot = group.snapshot else { return .commit }
        return snapshot.members.isEmpty ? .groupEmptied(snapshot.changedAt) : .never
    }

    // MARK: Showing groups

    /// The group for DescribeGroups; an unknown one is Dead, and from version 6 the handler adds error 69.
    ///
    /// A group under the consumer protocol is unknown here, and so is a share group.
    func describe(group: String, state: CoordinatorState, now: Moment) -> GroupDescription {
        if let instance = live[group] { return instance.describe() }
        guard let stored = state.groups[group] else { return .dead(group) }
        if stored.consumer != nil || stored.share != nil { return .dead(group) }
        guard let snapshot = stored.snapshot else {
            return GroupDescription(id: group, state: .empty, protocolType: "", protocolName: "", members: [])
        }
        return GroupInstance(id: group, restoring: snapshot, settings: settings, now: now).describe()
    }

    /// All groups for ListGroups but those under the consumer protocol and share groups, by id; an empty filter lets
    /// every state pass (version 4 names states in any case).
    func list(states: Set<String> = [], state: CoordinatorState) -> [GroupListing] {
        let wanted = Set(states.map { $0.lowercased() })
        let ids = Set(live.keys).union(state.groups.keys)
        return ids.sorted().compactMap { id in
            if live[id] == nil, state.groups[id]?.consumer != nil || state.groups[id]?.share != nil { return nil }
            let listing = listing(of: id, state: state)
            return wanted.isEmpty || wanted.contains(listing.state.rawValue.lowercased()) ? listing : nil
        }
    }

    private func listing(of id: String, state: CoordinatorState) -> GroupListing {
        if let instance = live[id] {
            return GroupListing(id: id, protocolType: instance.protocolType ?? "", state: instance.state)
        }
        let snapshot = state.groups[id]?.snapshot
        return GroupListing(
            id: id, protocolType: snapshot?.protocolType ?? "",
            state: snapshot?.members.isEmpty == false ? .stable : .empty)
    }
}
