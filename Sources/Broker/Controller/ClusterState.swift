// SPDX-License-Identifier: Apache-2.0
//
// ClusterState.swift
// The controller's state machine: what the cluster's metadata is after applying a prefix of the controller's log.
// Pure: the same commands in the same order give the same state on every broker.

package import Model

/// A partition as the controller knows it.
package struct PartitionRecord: Equatable, Sendable {
    /// The Raft group that stores it; never used again for another partition.
    package var group: GroupID
    /// The brokers that hold a replica; the first is the preferred leader.
    package var replicas: [NodeID]

    package init(group: GroupID, replicas: [NodeID]) {
        self.group = group
        self.replicas = replicas
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

/// An entry of the controller's log.
package enum ClusterCommand: Equatable, Sendable {
    /// Names the cluster; the first command of a new cluster, ignored later.
    case initialize(clusterID: String)
    /// Creates a topic whose groups were numbered from ``ClusterState/nextGroup``.
    case createTopic(TopicRecord)
    case deleteTopic(TopicID)
    /// Appends partitions to a topic.
    case addPartitions(topic: TopicID, [PartitionRecord])
    /// Replaces the configuration that was set on a topic.
    case setConfiguration(topic: TopicID, [String: String])
    /// Hands out the block of producer ids that begins at `first`.
    case allocateProducerIDs(first: Int64, count: Int64)
}

/// What applying a command changed, for the shell to act on.
package enum ClusterChange: Equatable, Sendable {
    case none
    case topicCreated(TopicRecord)
    case topicDeleted(TopicRecord)
    case partitionsAdded(TopicRecord, [PartitionIndex])
    case configurationChanged(TopicRecord)
    case producerIDsAllocated(first: Int64, count: Int64)
    /// The command had become impossible when it was applied (a race that an earlier command won); nothing changed.
    case refused(ClusterRefusal)
}

/// Why a command had no effect.
package enum ClusterRefusal: Equatable, Sendable {
    case topicExists(String)
    case unknownTopic(TopicID)
    case staleGroupNumbers
    case staleProducerIDs
}

/// Everything the controller decides: topics, assignments, configuration, numbers that are handed out.
///
/// Invariants: every group id in `topics` is below `nextGroup`; topic names are unique; partition `i` of a topic is
/// the `i`-th element of its `partitions`.
package struct ClusterState: Equatable, Sendable {
    package private(set) var clusterID: String?
    package private(set) var topics: [TopicID: TopicRecord] = [:]
    package private(set) var topicIDs: [String: TopicID] = [:]
    /// The first group id that was never handed out.
    package private(set) var nextGroup = GroupID.firstPartition
    /// The first producer id that was never handed out.
    package private(set) var nextProducerID: Int64 = 0
    package private(set) var partitionCount = 0

    package init() {}

    package func topic(named name: String) -> TopicRecord? {
        topicIDs[name].flatMap { topics[$0] }
    }

    /// Applies one committed command.
    package mutating func apply(_ command: ClusterCommand) -> ClusterChange {
        switch command {
        case .initialize(let id):
            if clusterID == nil { clusterID = id }
            return .none
        case .createTopic(let topic): return create(topic)
        case .deleteTopic(let id): return delete(id)
        case .addPartitions(let id, let added): return addPartitions(added, to: id)
        case .setConfiguration(let id, let configuration):
            guard topics[id] != nil else { return .refused(.unknownTopic(id)) }
            topics[id]?.configuration = configuration
            return topics[id].map { .configurationChanged($0) } ?? .none
        case .allocateProducerIDs(let first, let count):
            guard first == nextProducerID, count > 0 else { return .refused(.staleProducerIDs) }
            nextProducerID += count
            return .producerIDsAllocated(first: first, count: count)
        }
    }

    private mutating func create(_ topic: TopicRecord) -> ClusterChange {
        guard topicIDs[topic.name] == nil else { return .refused(.topicExists(topic.name)) }
        guard claimGroups(of: topic.partitions) else { return .refused(.staleGroupNumbers) }
        topics[topic.id] = topic
        topicIDs[topic.name] = topic.id
        partitionCount += topic.partitions.count
        return .topicCreated(topic)
    }

    private mutating func delete(_ id: TopicID) -> ClusterChange {
        guard let topic = topics.removeValue(forKey: id) else { return .refused(.unknownTopic(id)) }
        topicIDs.removeValue(forKey: topic.name)
        partitionCount -= topic.partitions.count
        return .topicDeleted(topic)
    }

    private mutating func addPartitions(_ added: [PartitionRecord], to id: TopicID) -> ClusterChange {
        guard var topic = topics[id] else { return .refused(.unknownTopic(id)) }
        guard claimGroups(of: added) else { return .refused(.staleGroupNumbers) }
        let first = topic.partitions.count
        topic.partitions += added
        topics[id] = topic
        partitionCount += added.count
        let indices = (first..<topic.partitions.count).map { PartitionIndex(rawValue: Int32($0)) }
        return .partitionsAdded(topic, indices)
    }

    /// Takes the groups of `partitions`, which must be the next numbers in order: a group id is never used twice.
    private mutating func claimGroups(of partitions: [PartitionRecord]) -> Bool {
        for (position, partition) in partitions.enumerated()
        where partition.group.rawValue != nextGroup.rawValue + UInt64(position) {
            return false
        }
        nextGroup = GroupID(rawValue: nextGroup.rawValue + UInt64(partitions.count))
        return true
    }

    /// Puts back what was stored; used when the applied state is loaded from the store.
    package mutating func restore(_ topic: TopicRecord) {
        precondition(topics[topic.id] == nil && topicIDs[topic.name] == nil, "topic \(topic.name) was stored twice")
        topics[topic.id] = topic
        topicIDs[topic.name] = topic.id
        partitionCount += topic.partitions.count
    }

    /// Puts back the counters that were stored.
    package mutating func restore(clusterID: String?, nextGroup: GroupID, nextProducerID: Int64) {
        self.clusterID = clusterID
        self.nextGroup = nextGroup
        self.nextProducerID = nextProducerID
    }
}
