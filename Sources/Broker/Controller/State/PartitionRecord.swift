// SPDX-License-Identifier: Apache-2.0
//
// PartitionRecord.swift
// Topics and partitions as the controller knows them: which brokers hold a replica, and which are to.

package import LogStore
package import Model

/// A change of a partition's replicas that is under way.
///
/// Phases go forward only: queued, copying, switching, gone; or from each of them to gone by way of cancelling.
package struct Reassignment: Equatable, Sendable {
    /// How far the change is.
    package enum Phase: UInt8, Equatable, Sendable, CaseIterable {
        /// Waits for its turn; nothing has moved.
        case queued = 1
        /// New replicas copy the log without voting.
        case copying = 2
        /// The group changes its voters from the old replicas to the new ones.
        case switching = 3
        /// The group goes back to the old replicas.
        case cancelling = 4
    }

    /// The replicas after the change; the first is the preferred leader.
    package var target: [NodeID]
    package var phase: Phase
    /// When the change was asked for.
    package var since: WallTime

    package init(target: [NodeID], phase: Phase = .queued, since: WallTime) {
        self.target = target
        self.phase = phase
        self.since = since
    }
}

/// A partition as the controller knows it.
///
/// Invariant: `replicas` has at least one element and none twice; the same holds for the target of a reassignment.
package struct PartitionRecord: Equatable, Sendable {
    /// The Raft group that stores it; never used again for another partition.
    package var group: GroupID
    /// The brokers that hold a replica; the first is the preferred leader.
    package var replicas: [NodeID]
    /// The replicas the partition was created with: the members its group has before its first entry.
    package let founders: [NodeID]
    /// Replicas that lost their log and still count as members of the group; each has to leave it and come again.
    package var rejoining: [NodeID] = []
    /// Nil unless the replicas are being changed.
    package var reassignment: Reassignment?
    /// Where replicas that are taken in begin; nil as long as the group has the members it was created with.
    package var floor: JoinFloor?

    package init(
        group: GroupID, replicas: [NodeID], founders: [NodeID]? = nil, reassignment: Reassignment? = nil,
        floor: JoinFloor? = nil
    ) {
        self.group = group
        self.replicas = replicas
        self.founders = founders ?? replicas
        self.reassignment = reassignment
        self.floor = floor
    }

    /// The broker that should lead when nothing speaks against it.
    package var preferredLeader: NodeID? { replicas.first }

    /// The brokers that are to hold a replica and do not count yet, as Kafka lists them.
    package var adding: [NodeID] {
        guard let reassignment, reassignment.phase != .cancelling else { return [] }
        return reassignment.target.filter { !replicas.contains($0) }
    }

    /// The brokers that are to give up their replica, as Kafka lists them.
    package var removing: [NodeID] {
        guard let reassignment, reassignment.phase != .cancelling else { return [] }
        return replicas.filter { !reassignment.target.contains($0) }
    }

    /// The brokers that must run a replica now.
    package var hosts: [NodeID] {
        guard let reassignment, reassignment.phase != .queued else { return replicas }
        return replicas + reassignment.target.filter { !replicas.contains($0) }
    }
}

/// The members that a group is to have.
package struct GroupMembership: Equatable, Sendable {
    package var voters: [NodeID]
    package var learners: [NodeID]

    /// Members in any order; a voter is no learner.
    package init(voters: [NodeID], learners: [NodeID] = []) {
        self.voters = voters.sorted()
        self.learners = learners.filter { !voters.contains($0) }.sorted()
    }

    package var members: [NodeID] { (voters + learners).sorted() }
}

extension PartitionRecord {
    /// The members the group is to have now; nil when every replica lost its log.
    ///
    /// A replica that lost its log has to leave altogether: what the leader knows of its log is not true any more, and is
    /// forgotten only with its membership. After that it comes again like a new one.
    package var membership: GroupMembership? {
        let isSwitching = reassignment?.phase == .switching
        let members = isSwitching ? reassignment?.target ?? replicas : replicas
        let voters = members.filter { !rejoining.contains($0) }
        guard !voters.isEmpty else { return nil }
        let copying = reassignment?.phase == .copying ? adding.filter { !rejoining.contains($0) } : []
        return GroupMembership(voters: voters, learners: copying)
    }
}

/// A topic as the controller knows it.
package struct TopicRecord: Equatable, Sendable {
    package var name: String
    package var id: TopicID
    package var partitions: [PartitionRecord]
    /// Configuration that was set on the topic, by Kafka name; what is absent has its default.
    package var configuration: [String: String]

    package init(name: String, id: TopicID, partitions: [PartitionRecord], configuration: [String: String]) {
        self.name = name
        self.id = id
        self.partitions = partitions
        self.configuration = configuration
    }
}

/// Where a group stands among the topics.
package struct PartitionLocation: Equatable, Hashable, Sendable {
    package var topic: TopicID
    package var index: PartitionIndex

    package init(topic: TopicID, index: PartitionIndex) {
        self.topic = topic
        self.index = index
    }
}
