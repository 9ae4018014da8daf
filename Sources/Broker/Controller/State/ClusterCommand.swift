// SPDX-License-Identifier: Apache-2.0
//
// ClusterCommand.swift
// What may happen to the cluster's metadata, what it changed, and why it did not.

package import LogStore
package import Model

/// What one entry of the controller's log does.
package enum ClusterCommand: Equatable, Sendable {
    /// Names the cluster; the first command of a new cluster, ignored later.
    case initialize(clusterID: String)

    // Topics.

    /// Creates a topic whose groups were numbered from ``ClusterState/nextGroup``.
    case createTopic(TopicRecord)
    case deleteTopic(TopicID)
    /// Appends partitions to a topic.
    case addPartitions(topic: TopicID, [PartitionRecord])
    /// Replaces the configuration that was set on a topic.
    case setConfiguration(topic: TopicID, [String: String])

    // Groups.

    /// Replaces the configuration that was set on a consumer group or a share group.
    case configureGroup(String, [String: String])

    // Producers.

    /// Hands out the block of producer ids that begins at `first`.
    case allocateProducerIDs(first: Int64, count: Int64)

    // Brokers.

    /// Makes a broker known, or says that a known one began a new life; it is `starting` then.
    case registerBroker(BrokerRegistration)
    /// Forgets a broker that holds no replica; with its data directory named, that one is not let in again.
    case unregisterBroker(NodeID, retiring: UInt64?)
    /// Marks this life of a broker as failed.
    case fenceBroker(NodeID, incarnation: UInt64)
    /// Marks this life of a broker as active.
    case unfenceBroker(NodeID, incarnation: UInt64)
    case drainBroker(NodeID, DrainMode)
    /// Ends draining.
    case resumeBroker(NodeID)
    /// Replicas are as even as they can be after brokers came or left.
    case settleBalance

    // Assignments.

    /// Makes a replica the preferred leader.
    case preferLeader(GroupID, NodeID)
    /// Replaces the replicas of a partition at once, without moving anything.
    ///
    /// For a partition whose group changed its members by itself, and for repair by hand.
    case updateAssignment(GroupID, [NodeID])
    /// Asks for new replicas of partitions; all or none.
    case beginReassignment([ReassignmentTarget])
    /// Brings a reassignment from one phase to the next.
    case stepReassignment(GroupID, from: Reassignment.Phase)
    /// Turns back; a queued reassignment is gone at once.
    case cancelReassignment(GroupID)
    /// Ends a reassignment whose group has its final members since the entry that is named.
    case finishReassignment(GroupID, floor: JoinFloor?)
    /// A replica has lost its log, though its broker has not lost its directory: it has to leave, and is taken in again.
    case loseReplica(GroupID, NodeID)
    /// A replica that had lost its log is no member any more since that entry, so it may be taken in again.
    case rejoinReplica(GroupID, NodeID, floor: JoinFloor?)
}

/// The replicas that a partition is to have.
package struct ReassignmentTarget: Equatable, Sendable {
    package var group: GroupID
    /// The first is to be the preferred leader.
    package var replicas: [NodeID]

    package init(group: GroupID, replicas: [NodeID]) {
        self.group = group
        self.replicas = replicas
    }
}

/// One entry of the controller's log: a command, who asked for it and when.
package struct ClusterEntry: Equatable, Sendable {
    /// The civil time at the leader that proposed it; 0 in entries of the first format.
    package var time: WallTime
    /// Who asked, as the leader was told: a broker's part or a user; empty in entries of the first format.
    package var actor: String
    package var command: ClusterCommand

    package init(time: WallTime, actor: String, command: ClusterCommand) {
        self.time = time
        self.actor = actor
        self.command = command
    }
}

/// An applied entry of the controller's log with its number.
package struct ClusterOperation: Equatable, Sendable {
    /// Rises by one with every applied entry, from 1.
    package var id: UInt64
    package var entry: ClusterEntry

    package init(id: UInt64, entry: ClusterEntry) {
        self.id = id
        self.entry = entry
    }
}

/// What applying a command changed, for the shell to act on.
package enum ClusterChange: Equatable, Sendable {
    case none
    case topicCreated(TopicRecord)
    case topicDeleted(TopicRecord)
    case partitionsAdded(TopicRecord, [PartitionIndex])
    case configurationChanged(TopicRecord)
    /// What is set on the consumer group or share group of that name is another.
    case groupConfigured(String)
    case producerIDsAllocated(first: Int64, count: Int64)
    case brokerChanged(BrokerRecord)
    case brokerRemoved(BrokerRecord)
    /// The broker registered with another data directory; its replicas of these groups have to rejoin.
    case brokerReset(BrokerRecord, [GroupID], topics: [TopicID])
    /// Replicas, preferred leaders or phases of these groups changed, which belong to these topics.
    case assignmentsChanged([GroupID], topics: [TopicID])
    /// The command had become impossible when it was applied (a race that an earlier command won); nothing changed.
    case refused(ClusterRefusal)
}

/// Why a command had no effect.
package enum ClusterRefusal: Error, Equatable, Sendable {
    case topicExists(String)
    case unknownTopic(TopicID)
    case staleGroupNumbers
    case staleProducerIDs
    case unknownBroker(NodeID)
    /// The broker is in another life than the command speaks of.
    case staleIncarnation(NodeID)
    /// The broker was decommissioned with the data directory that it has.
    case retired(NodeID)
    /// The broker holds replicas, or is to hold some.
    case brokerInUse(NodeID, partitions: Int)
    case unknownPartition(GroupID)
    case invalidAssignment(AssignmentProblem)
    case reassignmentInProgress(GroupID)
    case noReassignment(GroupID)
    /// Without the replica there would be no majority with a whole log.
    case tooFewReplicas(GroupID)
    /// The reassignment is in this phase, which the command does not fit.
    case wrongPhase(GroupID, Reassignment.Phase)
}

/// What is wrong with a list of replicas.
package enum AssignmentProblem: Error, Equatable, Sendable {
    case noReplicas
    case repeatedReplica(NodeID)
    case unknownBroker(NodeID)
    /// The broker cannot lead a partition of which it holds no replica.
    case notReplica(NodeID)
    /// The replicas are these already.
    case unchanged(GroupID)
    case tooManyReplicas(Int)
}
