// SPDX-License-Identifier: Apache-2.0
//
// ClusterSelection.swift
// The part of the cluster's metadata that somebody asked for: topics by name, brokers by number, and the operations about
// them.

package import Model

/// Topics and brokers to look at; where none are named, all are meant.
package struct ClusterSelection: Sendable {
    private let names: Set<String>
    private let brokers: Set<NodeID>
    private var topicIDs: Set<TopicID> = []
    private var groups: Set<GroupID> = []

    /// Selects among `topics`: operations name topics and partitions by numbers.
    package init(topics names: [String], brokers: [NodeID], among topics: [TopicRecord]) {
        self.names = Set(names)
        self.brokers = Set(brokers)
        for topic in topics where self.names.contains(topic.name) {
            topicIDs.insert(topic.id)
            groups.formUnion(topic.partitions.map(\.group))
        }
    }

    /// Whether nothing was named.
    package var isEverything: Bool { names.isEmpty && brokers.isEmpty }

    package func includes(_ broker: BrokerRecord) -> Bool { brokers.isEmpty || brokers.contains(broker.id) }

    package func includes(_ topic: TopicRecord) -> Bool {
        guard names.isEmpty || names.contains(topic.name) else { return false }
        return brokers.isEmpty || topic.partitions.contains { includes($0) }
    }

    /// Whether a partition of a topic that is included has, or is to have, a replica on one of the brokers.
    package func includes(_ partition: PartitionRecord) -> Bool {
        brokers.isEmpty || !brokers.isDisjoint(with: partition.hosts + partition.adding)
    }

    /// Whether a command names one of the topics or their partitions, and one of the brokers.
    package func includes(_ command: ClusterCommand) -> Bool {
        if names.isEmpty, brokers.isEmpty { return true }
        let subject = command.subject
        let isTopicMeant =
            names.isEmpty || subject.topicName.map(names.contains) ?? false
            || subject.topicID.map(topicIDs.contains) ?? false || !groups.isDisjoint(with: subject.groups)
        return isTopicMeant && (brokers.isEmpty || !brokers.isDisjoint(with: subject.brokers))
    }
}

extension ClusterCommand {
    /// What a command names.
    struct Subject {
        var topicName: String?
        var topicID: TopicID?
        var groups: [GroupID] = []
        var brokers: [NodeID] = []
    }

    var subject: Subject {
        switch self {
        case .initialize, .allocateProducerIDs, .settleBalance, .configureGroup: Subject()
        case .createTopic(let topic):
            Subject(topicName: topic.name, topicID: topic.id, brokers: topic.partitions.flatMap(\.replicas))
        case .deleteTopic(let topic), .setConfiguration(let topic, _): Subject(topicID: topic)
        case .addPartitions(let topic, let added): Subject(topicID: topic, brokers: added.flatMap(\.replicas))
        case .registerBroker(let broker): Subject(brokers: [broker.id])
        case .unregisterBroker(let broker, _), .fenceBroker(let broker, _), .unfenceBroker(let broker, _),
            .drainBroker(let broker, _), .resumeBroker(let broker):
            Subject(brokers: [broker])
        case .preferLeader(let group, let broker), .loseReplica(let group, let broker),
            .rejoinReplica(let group, let broker, _):
            Subject(groups: [group], brokers: [broker])
        case .updateAssignment(let group, let replicas): Subject(groups: [group], brokers: replicas)
        case .beginReassignment(let targets):
            Subject(groups: targets.map(\.group), brokers: targets.flatMap(\.replicas))
        case .stepReassignment(let group, _), .cancelReassignment(let group), .finishReassignment(let group, _):
            Subject(groups: [group])
        }
    }
}
