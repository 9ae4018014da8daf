// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupInstance+Assignment.swift
// From subscriptions to a target for everyone, and from what a member has to its target, one safe step at a time.

import Model

extension ConsumerGroupInstance {
    /// Computes the target assignment anew in a new epoch.
    ///
    /// Cost: the assignor's, and one walk over members and the partitions they read.
    mutating func reassign(
        _ resolver: inout SubscriptionResolver, now: Moment, into directives: inout [ConsumerGroupDirective]
    ) {
        let request = assignmentRequest(&resolver)
        let assignor = chosenAssignor
        let targets = assignor.assign(request)
        snapshot.header.epoch += 1
        snapshot.header.assignor = assignor.rawValue
        snapshot.header.topicsHash = SubscriptionResolver.hash(request.partitionCounts)
        snapshot.header.changedAt = now.wallTime
        isHeaderChanged = true
        for (memberID, target) in targets where snapshot.members[memberID]?.target != target {
            snapshot.members[memberID]?.target = target
            updated.insert(memberID)
        }
        directives.append(.reassigned(group: id, epoch: snapshot.header.epoch, members: snapshot.members.count))
    }

    /// Assigns anew if the topics that members read are others than those of the target assignment.
    mutating func topicsChanged(
        _ resolver: inout SubscriptionResolver, now: Moment, into directives: inout [ConsumerGroupDirective]
    ) {
        guard !isBroken, !snapshot.members.isEmpty else { return }
        let counts = assignmentRequest(&resolver).partitionCounts
        guard SubscriptionResolver.hash(counts) != snapshot.header.topicsHash else { return }
        reassign(&resolver, now: now, into: &directives)
        propose(into: &directives)
    }

    private func assignmentRequest(_ resolver: inout SubscriptionResolver) -> AssignmentRequest {
        var members: [AssignmentRequest.Member] = []
        var topics: Set<TopicID> = []
        for member in self.members {
            let read = resolver.topics(of: member)
            topics.formUnion(read)
            members.append(
                .init(id: member.id, instanceID: member.instanceID, topics: read, current: member.target))
        }
        return AssignmentRequest(members: members, partitionCounts: resolver.partitionCounts(topics))
    }

    /// The assignor that most members prefer; the first of the configured ones when nobody says, and when it is even
    /// the one that is configured earlier.
    private var chosenAssignor: ServerAssignor {
        var votes: [ServerAssignor: Int] = [:]
        for member in snapshot.members.values {
            if let assignor = member.assignor.flatMap({ ServerAssignor(rawValue: $0) }) {
                votes[assignor, default: 0] += 1
            }
        }
        let offered = settings.consumerAssignors
        let most = votes.values.max()
        return offered.first { votes[$0] == most && most != nil } ?? offered.first ?? .uniform
    }

    // MARK: Reconciliation

    /// Brings a member one step nearer to its target.
    ///
    /// What it has and is not meant to have, it gives up first, and stays in its epoch until it says that it did. What
    /// it is meant to have and nobody holds, it gets. `owned` is what it says it owns; nil when it does not say.
    mutating func reconcile(_ memberID: String, owned: PartitionSet?, now: Moment) {
        guard let member = snapshot.members[memberID] else { return }
        switch member.state {
        case .stable:
            if member.epoch != snapshot.header.epoch { advance(member, to: member.epoch, owned) }
        case .unrevoked:
            // Only what it says counts: it may still be reading.
            if let owned, owned.isDisjoint(with: member.revoking) {
                advance(member, to: min(member.epoch + 1, snapshot.header.epoch), owned)
            }
        case .unreleased:
            advance(member, to: member.epoch, owned)
        }
        guard let after = snapshot.members[memberID] else { return }
        // What is asked for anew has its own time.
        if after.epoch != member.epoch || after.revoking != member.revoking { revocations[memberID] = nil }
        armRevocation(after, now: now)
    }

    private mutating func advance(_ old: ConsumerGroupMember, to epoch: Int32, _ owned: PartitionSet?) {
        var member = old
        let kept = old.assigned.intersection(old.target)
        let revoking = old.assigned.subtracting(old.target)
        if !revoking.isEmpty, owned.map({ !$0.isDisjoint(with: revoking) }) ?? true {
            member.state = .unrevoked
            member.revoking = revoking
            member.assigned = kept
            move(&member, to: epoch)
            return put(member)
        }
        let missing = old.target.subtracting(kept)
        var free = PartitionSet()
        var isWaiting = false
        for (topic, indexes) in missing.topics {
            for index in indexes {
                // What it gives up itself in this very step is free for it, too.
                let owner = owners[topic]?[index]
                if owner == nil || owner == old.id { free.insert(topic, index) } else { isWaiting = true }
            }
        }
        member.assigned = kept.union(free)
        member.revoking = PartitionSet()
        member.state = isWaiting ? .unreleased : .stable
        move(&member, to: snapshot.header.epoch)
        put(member)
    }

    private func move(_ member: inout ConsumerGroupMember, to epoch: Int32) {
        guard member.epoch != epoch else { return }
        member.previousEpoch = member.epoch
        member.epoch = epoch
    }
}
