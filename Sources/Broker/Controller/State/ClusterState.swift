// SPDX-License-Identifier: Apache-2.0
//
// ClusterState.swift
// The controller's state machine: what the cluster's metadata is after applying a prefix of the controller's log.
// Pure: the same entries in the same order give the same state on every broker.

package import LogStore
package import Model

/// Everything the controller decides: brokers, topics, assignments, configuration, numbers that are handed out.
///
/// Invariants: every group id in `topics` is below `nextGroup`; topic names are unique; partition `i` of a topic is
/// the `i`-th element of its `partitions`; once a broker has registered, replicas that a command names are registered
/// brokers (before that, the cluster is one broker that needs no registration).
package struct ClusterState: Equatable, Sendable {
    /// The most replicas a partition can have.
    package static let replicasMax = 9

    package private(set) var clusterID: String?
    package internal(set) var topics: [TopicID: TopicRecord] = [:]
    package private(set) var topicIDs: [String: TopicID] = [:]
    package internal(set) var brokers: [NodeID: BrokerRecord] = [:]
    /// What was set on consumer groups and share groups, by their names; what is absent the brokers' settings say.
    package internal(set) var groupConfigurations: [String: [String: String]] = [:]
    /// Where each partition's group stands.
    package private(set) var locations: [GroupID: PartitionLocation] = [:]
    /// The groups whose replicas are being changed.
    package internal(set) var reassigning: Set<GroupID> = []
    /// The first group id that was never handed out.
    package private(set) var nextGroup = GroupID.firstPartition
    /// The first producer id that was never handed out.
    package private(set) var nextProducerID: Int64 = 0
    /// The number of the last applied entry.
    package private(set) var lastOperation: UInt64 = 0
    /// Where a broker begins that is taken into one of the brokers' own groups.
    package internal(set) var ownFloors: [GroupID: JoinFloor] = [:]
    /// The data directories of brokers that were decommissioned, until brokers of their numbers come with others.
    package internal(set) var retired: [NodeID: UInt64] = [:]
    /// Whether replicas are to be evened out because a broker came or left.
    package internal(set) var isBalanceDue = false

    package init() {}

    package var partitionCount: Int { locations.count }

    package func topic(named name: String) -> TopicRecord? {
        topicIDs[name].flatMap { topics[$0] }
    }

    /// The partition that `group` stores; nil when it was deleted or never existed.
    package func partition(_ group: GroupID) -> PartitionRecord? {
        guard let location = locations[group] else { return nil }
        return topics[location.topic]?.partitions[Int(location.index.rawValue)]
    }

    // MARK: Apply

    /// Applies one committed entry, which gets the next operation number whether it has an effect or not.
    package mutating func apply(_ entry: ClusterEntry) -> ClusterChange {
        lastOperation += 1
        do {
            return try perform(entry.command, at: entry.time)
        } catch {
            return .refused(error)
        }
    }

    private mutating func perform(
        _ command: ClusterCommand, at time: WallTime
    ) throws(ClusterRefusal) -> ClusterChange {
        switch command {
        case .initialize(let id):
            if clusterID == nil { clusterID = id }
            return .none
        case .createTopic(let topic): return try create(topic)
        case .deleteTopic(let id): return try delete(id)
        case .addPartitions(let id, let added): return try addPartitions(added, to: id)
        case .setConfiguration(let id, let configuration): return try configure(id, configuration)
        case .configureGroup(let group, let configuration): return configure(group: group, configuration)
        case .allocateProducerIDs(let first, let count):
            guard first == nextProducerID, count > 0 else { throw .staleProducerIDs }
            nextProducerID += count
            return .producerIDsAllocated(first: first, count: count)
        case .registerBroker(let registration): return try register(registration, at: time)
        case .unregisterBroker(let id, let storeID): return try unregister(id, retiring: storeID)
        case .fenceBroker(let id, let incarnation):
            return try setHealth(.failed, of: id, incarnation: incarnation, at: time)
        case .unfenceBroker(let id, let incarnation):
            return try setHealth(.active, of: id, incarnation: incarnation, at: time)
        case .drainBroker(let id, let mode): return try setDrain(mode, of: id, at: time)
        case .resumeBroker(let id): return try setDrain(nil, of: id, at: time)
        case .settleBalance:
            isBalanceDue = false
            return .none
        case .preferLeader(let group, let node): return try prefer(node, for: group)
        case .updateAssignment(let group, let replicas): return try assign(replicas, to: group)
        case .beginReassignment(let targets): return try begin(targets, at: time)
        case .stepReassignment(let group, let phase): return try step(group, from: phase)
        case .cancelReassignment(let group): return try cancel(group)
        case .finishReassignment(let group, let floor): return try finish(group, floor)
        case .loseReplica(let group, let node): return try lose(node, in: group)
        case .rejoinReplica(let group, let node, let floor): return try rejoin(node, in: group, floor)
        }
    }

    // MARK: Topics

    private mutating func create(_ topic: TopicRecord) throws(ClusterRefusal) -> ClusterChange {
        guard topicIDs[topic.name] == nil, topics[topic.id] == nil else { throw .topicExists(topic.name) }
        try claimGroups(of: topic.partitions)
        insert(topic)
        return .topicCreated(topic)
    }

    private mutating func delete(_ id: TopicID) throws(ClusterRefusal) -> ClusterChange {
        guard let topic = topics.removeValue(forKey: id) else { throw .unknownTopic(id) }
        topicIDs.removeValue(forKey: topic.name)
        for partition in topic.partitions {
            locations.removeValue(forKey: partition.group)
            reassigning.remove(partition.group)
        }
        return .topicDeleted(topic)
    }

    private mutating func addPartitions(
        _ added: [PartitionRecord], to id: TopicID
    ) throws(ClusterRefusal) -> ClusterChange {
        guard var topic = topics[id] else { throw .unknownTopic(id) }
        try claimGroups(of: added)
        let first = topic.partitions.count
        topic.partitions += added
        insert(topic)
        let indices = (first..<topic.partitions.count).map { PartitionIndex(rawValue: Int32($0)) }
        return .partitionsAdded(topic, indices)
    }

    private mutating func configure(
        _ id: TopicID, _ configuration: [String: String]
    ) throws(ClusterRefusal) -> ClusterChange {
        guard var topic = topics[id] else { throw .unknownTopic(id) }
        topic.configuration = configuration
        topics[id] = topic
        return .configurationChanged(topic)
    }

    /// Takes the groups of `partitions`, which must be the next numbers in order: a group id is never used twice.
    private mutating func claimGroups(of partitions: [PartitionRecord]) throws(ClusterRefusal) {
        for (position, partition) in partitions.enumerated() {
            guard partition.group.rawValue == nextGroup.rawValue + UInt64(position) else { throw .staleGroupNumbers }
            guard partition.reassignment == nil else { throw .reassignmentInProgress(partition.group) }
            guard partition.founders == partition.replicas, partition.rejoining.isEmpty else {
                throw .invalidAssignment(.unchanged(partition.group))
            }
            try checkReplicas(partition.replicas)
        }
        nextGroup = GroupID(rawValue: nextGroup.rawValue + UInt64(partitions.count))
    }

    private mutating func insert(_ topic: TopicRecord) {
        topics[topic.id] = topic
        topicIDs[topic.name] = topic.id
        for (number, partition) in topic.partitions.enumerated() {
            let index = PartitionIndex(rawValue: Int32(number))
            locations[partition.group] = PartitionLocation(topic: topic.id, index: index)
            if partition.reassignment != nil { reassigning.insert(partition.group) }
        }
    }

    // MARK: Restore

    /// Puts back what was stored; used when the applied state is loaded from the store.
    package mutating func restore(_ topic: TopicRecord) {
        precondition(topics[topic.id] == nil && topicIDs[topic.name] == nil, "topic \(topic.name) was stored twice")
        insert(topic)
    }

    /// Puts back a stored broker.
    package mutating func restore(_ broker: BrokerRecord) {
        precondition(brokers[broker.id] == nil, "broker \(broker.id) was stored twice")
        brokers[broker.id] = broker
    }

    /// Puts back the counters that were stored.
    package mutating func restore(
        clusterID: String?, nextGroup: GroupID, nextProducerID: Int64, lastOperation: UInt64 = 0,
        ownFloors: [GroupID: JoinFloor] = [:], retired: [NodeID: UInt64] = [:], isBalanceDue: Bool = false
    ) {
        self.clusterID = clusterID
        self.nextGroup = nextGroup
        self.nextProducerID = nextProducerID
        self.lastOperation = lastOperation
        self.ownFloors = ownFloors
        self.retired = retired
        self.isBalanceDue = isBalanceDue
    }
}
