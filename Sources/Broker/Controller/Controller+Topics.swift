// SPDX-License-Identifier: Apache-2.0
//
// Controller+Topics.swift
// Creating, growing, configuring and deleting topics: every check Kafka makes, then one command.

import KafkaProtocol
import Logging
import Model
import Settings

/// A topic that someone wants.
package struct TopicRequest: Sendable {
    package var name: String
    /// -1 for the broker's default.
    package var partitionCount: Int32
    /// -1 for the broker's default.
    package var replicationFactor: Int16
    /// Replicas for each partition when the client assigns them itself; empty otherwise.
    package var assignments: [(partition: Int32, brokers: [Int32])]
    package var configuration: [String: String]

    package init(
        name: String, partitionCount: Int32 = -1, replicationFactor: Int16 = -1,
        assignments: [(partition: Int32, brokers: [Int32])] = [], configuration: [String: String] = [:]
    ) {
        self.name = name
        self.partitionCount = partitionCount
        self.replicationFactor = replicationFactor
        self.assignments = assignments
        self.configuration = configuration
    }
}

extension Controller {
    /// The actor of requests whose sender is not told apart.
    package static let clientActor = "client"

    // MARK: Create

    /// What `request` would create, after every check.
    package func plan(
        _ request: TopicRequest
    ) throws(AdminRefusal) -> (partitions: Int, configuration: [String: String]) {
        if let problem = TopicName.problem(with: request.name) { throw AdminRefusal(.invalidTopicException, problem) }
        if TopicName.isReserved(request.name) {
            throw AdminRefusal(.invalidTopicException, "Topic \(request.name) is kept for brokers and cannot be made")
        }
        if state.topicIDs[request.name] != nil {
            throw AdminRefusal(.topicAlreadyExists, "Topic \(request.name) already exists")
        }
        let key = TopicName.collisionKey(request.name)
        if let other = state.topicIDs.keys.first(where: { TopicName.collisionKey($0) == key }) {
            throw AdminRefusal(
                .invalidTopicException,
                "Topic \(request.name) collides with \(other): '.' and '_' are the same in metrics")
        }
        let count = try partitionCount(of: request)
        guard count <= settings.limits.maxPartitionsPerTopic else {
            throw AdminRefusal(
                .invalidPartitions,
                "\(count) partitions are more than \(settings.limits.maxPartitionsPerTopic) for a topic")
        }
        try checkRoom(topics: 1, partitions: count)
        _ = try checkConfiguration(request.configuration)
        return (count, request.configuration)
    }

    private func partitionCount(of request: TopicRequest) throws(AdminRefusal) -> Int {
        guard request.assignments.isEmpty else { return try assignedCount(of: request) }
        let factor =
            request.replicationFactor == -1
            ? Int16(clamping: settings.topics.defaultReplicationFactor) : request.replicationFactor
        guard factor >= 1 else {
            throw AdminRefusal(
                .invalidReplicationFactor, "Replication factor must be larger than 0, or -1 for the default")
        }
        guard factor == 1 else {
            throw AdminRefusal(
                .invalidReplicationFactor, "Replication factor \(factor) is larger than the 1 broker available")
        }
        let count = request.partitionCount == -1 ? settings.topics.numPartitions : Int(request.partitionCount)
        guard count >= 1 else {
            throw AdminRefusal(.invalidPartitions, "Number of partitions must be larger than 0, or -1 for the default")
        }
        return count
    }

    private func assignedCount(of request: TopicRequest) throws(AdminRefusal) -> Int {
        guard request.partitionCount == -1, request.replicationFactor == -1 else {
            throw AdminRefusal(.invalidRequest, "Partition count and replication factor must be -1 with assignments")
        }
        let numbers = request.assignments.map(\.partition).sorted()
        guard numbers == Array(0..<Int32(numbers.count)) else {
            throw AdminRefusal(.invalidReplicaAssignment, "Assigned partitions must be numbered from 0 without gaps")
        }
        guard request.assignments.allSatisfy({ $0.brokers == [node.rawValue] }) else {
            throw AdminRefusal(
                .invalidReplicaAssignment, "Every partition must be assigned to broker \(node), the only one")
        }
        return numbers.count
    }

    private func checkRoom(topics: Int, partitions: Int) throws(AdminRefusal) {
        guard state.topics.count + creating.count + topics <= settings.limits.maxTopics else {
            throw AdminRefusal(.policyViolation, "The limit of \(settings.limits.maxTopics) topics is reached")
        }
        guard state.partitionCount + Int(reservedGroups) + partitions <= settings.limits.maxPartitions else {
            throw AdminRefusal(.policyViolation, "The limit of \(settings.limits.maxPartitions) partitions is reached")
        }
    }

    func checkConfiguration(_ overrides: [String: String]) throws(AdminRefusal) -> TopicConfiguration {
        do {
            return try TopicConfiguration(overrides: overrides, defaults: settings.topicDefaults)
        } catch {
            throw AdminRefusal(.invalidConfig, "\(error)")
        }
    }

    /// Creates a topic and answers when this broker serves it.
    package func create(_ request: TopicRequest, actor: String = clientActor, then: @escaping Done) {
        if creating[request.name] != nil {
            creating[request.name]?.append { refusal in
                then(refusal ?? AdminRefusal(.topicAlreadyExists, "Topic \(request.name) already exists"))
            }
            return
        }
        let partitions: [PartitionRecord]
        do {
            partitions = newPartitions(try plan(request).partitions)
        } catch {
            return then(error)
        }
        let topic = TopicRecord(
            name: request.name, id: makeTopicID(), partitions: partitions, configuration: request.configuration)
        creating[request.name] = []
        reservedGroups += UInt64(partitions.count)
        propose(.createTopic(topic), actor: actor) { [self] refusal, change in
            reservedGroups -= UInt64(partitions.count)
            let finish: Done = { [self] refusal in
                let others = creating.removeValue(forKey: request.name) ?? []
                then(refusal)
                for other in others { other(refusal) }
            }
            guard refusal == nil, case .topicCreated(let created) = change else { return finish(refusal) }
            logger.info(
                "Topic created",
                metadata: ["topic": "\(created.name)", "partitions": "\(created.partitions.count)"])
            host.host(created, state: state) { finish($0?.refusal) }
        }
    }

    /// The next group numbers, all on this broker; proposals under way have taken some.
    private func newPartitions(_ count: Int) -> [PartitionRecord] {
        let first = state.nextGroup.rawValue + reservedGroups
        return (0..<count).map { position in
            PartitionRecord(group: GroupID(rawValue: first + UInt64(position)), replicas: [node])
        }
    }

    // MARK: Grow, configure, delete

    /// Grows a topic to `total` partitions.
    package func addPartitions(
        to name: String, total: Int32, assignments: [[Int32]]?, validateOnly: Bool, actor: String = clientActor,
        then: @escaping Done
    ) {
        guard let topic = state.topic(named: name) else {
            return then(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"))
        }
        let added = Int(total) - topic.partitions.count
        do {
            guard added > 0 else {
                throw AdminRefusal(
                    .invalidPartitions, "Topic \(name) has \(topic.partitions.count) partitions; \(total) is not more")
            }
            guard Int(total) <= settings.limits.maxPartitionsPerTopic else {
                throw AdminRefusal(
                    .invalidPartitions,
                    "\(total) partitions are more than \(settings.limits.maxPartitionsPerTopic) for a topic")
            }
            if let assignments, assignments.count != added || !assignments.allSatisfy({ $0 == [node.rawValue] }) {
                throw AdminRefusal(.invalidReplicaAssignment, "Each new partition must be assigned to broker \(node)")
            }
            try checkRoom(topics: 0, partitions: added)
        } catch {
            return then(error as? AdminRefusal)
        }
        if validateOnly { return then(nil) }
        let partitions = newPartitions(added)
        reservedGroups += UInt64(added)
        propose(.addPartitions(topic: topic.id, partitions), actor: actor) { [self] refusal, change in
            reservedGroups -= UInt64(added)
            guard refusal == nil, case .partitionsAdded(let grown, _) = change else { return then(refusal) }
            host.host(grown, state: state) { then($0?.refusal) }
        }
    }

    /// Replaces the configuration that is set on a topic.
    package func setConfiguration(
        of name: String, _ overrides: [String: String], validateOnly: Bool, actor: String = clientActor,
        then: @escaping Done
    ) {
        guard let topic = state.topic(named: name) else {
            return then(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"))
        }
        do {
            _ = try checkConfiguration(overrides)
        } catch {
            return then(error)
        }
        if validateOnly { return then(nil) }
        propose(.setConfiguration(topic: topic.id, overrides), actor: actor) { [self] refusal, change in
            guard refusal == nil, case .configurationChanged(let changed) = change else { return then(refusal) }
            host.host(changed, state: state) { then($0?.refusal) }
        }
    }

    /// Deletes a topic and answers when no shard serves it any more; its files go in the background.
    package func delete(_ name: String, actor: String = clientActor, then: @escaping Done) {
        guard settings.topics.deleteEnable else {
            return then(AdminRefusal(.topicDeletionDisabled, "Deleting topics is disabled (topics.delete_enable)"))
        }
        guard let topic = state.topic(named: name) else {
            return then(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"))
        }
        propose(.deleteTopic(topic.id), actor: actor) { [self] refusal, change in
            guard refusal == nil, case .topicDeleted(let deleted) = change else { return then(refusal) }
            logger.info("Topic deleted", metadata: ["topic": "\(deleted.name)"])
            host.remove(deleted, state: state) { [self] in
                onTopicDeleted?(deleted.name)
                then(nil)
            }
        }
    }
}
