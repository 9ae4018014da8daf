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

/// What a request for a topic would make.
package struct TopicPlan: Sendable {
    package var partitions: Int
    package var replicationFactor: Int
    package var configuration: [String: String]
}

extension Controller {
    /// The actor of requests whose sender is not told apart.
    package static let clientActor = "client"

    // MARK: Create

    /// What `request` would create, after every check.
    package func plan(_ request: TopicRequest) throws(AdminRefusal) -> TopicPlan {
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
        let factor = request.assignments.first?.brokers.count ?? replicationFactor(of: request)
        return TopicPlan(partitions: count, replicationFactor: factor, configuration: request.configuration)
    }

    private func replicationFactor(of request: TopicRequest) -> Int {
        request.replicationFactor == -1 ? settings.topics.defaultReplicationFactor : Int(request.replicationFactor)
    }

    /// The brokers that may get replicas; a broker that is alone counts for itself.
    private var candidates: [PlacementBroker] {
        let spread = ReplicaSpread(state)
        return state.brokers.isEmpty ? [PlacementBroker(id: node)] : Array(spread.brokers.values)
    }

    private func partitionCount(of request: TopicRequest) throws(AdminRefusal) -> Int {
        guard request.assignments.isEmpty else { return try assignedCount(of: request) }
        let factor = replicationFactor(of: request)
        guard factor >= 1 else {
            throw AdminRefusal(
                .invalidReplicationFactor, "Replication factor must be larger than 0, or -1 for the default")
        }
        let available = candidates.count
        guard factor <= ClusterState.replicasMax else {
            throw AdminRefusal(
                .invalidReplicationFactor, AssignmentProblem.tooManyReplicas(factor).message)
        }
        guard factor <= available else {
            let brokers = available == 1 ? "the 1 broker" : "the \(available) brokers"
            throw AdminRefusal(
                .invalidReplicationFactor, "Replication factor \(factor) is larger than \(brokers) available")
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
        for assignment in request.assignments { try checkAssignment(assignment.brokers) }
        guard Set(request.assignments.map(\.brokers.count)).count == 1 else {
            throw AdminRefusal(.invalidReplicaAssignment, "Every partition must have the same number of replicas")
        }
        return numbers.count
    }

    /// Checks the replicas that a client chose for a partition.
    private func checkAssignment(_ brokers: [Int32]) throws(AdminRefusal) {
        if state.brokers.isEmpty, brokers != [node.rawValue] {
            throw AdminRefusal(
                .invalidReplicaAssignment, "Every partition must be assigned to broker \(node), the only one")
        }
        if let problem = state.problem(with: brokers.map { NodeID(rawValue: $0) }) {
            throw AdminRefusal(.invalidReplicaAssignment, problem.message)
        }
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
        let id = makeTopicID()
        let partitions: [PartitionRecord]
        do throws(AdminRefusal) {
            guard isLeading else { throw notController }
            let plan = try plan(request)
            let chosen = request.assignments.sorted { $0.partition < $1.partition }.map(\.brokers)
            partitions = try newPartitions(
                of: id, first: 0,
                chosen.isEmpty ? .place(plan.partitions, factor: plan.replicationFactor) : .use(chosen))
        } catch {
            return refuse(error, then: then)
        }
        let topic = TopicRecord(
            name: request.name, id: id, partitions: partitions, configuration: request.configuration)
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
            let all = created.partitions.indices.map { PartitionIndex(rawValue: Int32($0)) }
            serve(created, starting: all, then: finish)
        }
    }

    /// Where the replicas of new partitions come from.
    private enum Replicas {
        case place(Int, factor: Int)
        case use([[Int32]])
    }

    /// New partitions with the next group numbers, of which proposals under way have taken some.
    private func newPartitions(
        of topic: TopicID, first: Int, existing: [PartitionRecord] = [], _ replicas: Replicas
    ) throws(AdminRefusal) -> [PartitionRecord] {
        let placed: [[NodeID]]
        switch replicas {
        case .use(let chosen): placed = chosen.map { $0.map { NodeID(rawValue: $0) } }
        case .place(let count, let factor):
            var placement = Placement(policy: settings.cluster?.placement ?? .roundRobin, brokers: candidates)
            placement.count(existing: existing.map(\.replicas))
            do throws(PlacementError) {
                placed = try placement.place(topic: topic, first: first, count: count, replicationFactor: factor)
            } catch {
                throw AdminRefusal(.invalidReplicationFactor, "There are not \(factor) brokers that take replicas")
            }
        }
        let group = state.nextGroup.rawValue + reservedGroups
        return placed.enumerated().map { position, replicas in
            PartitionRecord(group: GroupID(rawValue: group + UInt64(position)), replicas: replicas)
        }
    }

    // MARK: Grow, configure, delete

    /// Grows a topic to `total` partitions.
    package func addPartitions(
        to name: String, total: Int32, assignments: [[Int32]]?, validateOnly: Bool, actor: String = clientActor,
        then: @escaping Done
    ) {
        guard let topic = state.topic(named: name) else {
            return refuse(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"), then: then)
        }
        let added = Int(total) - topic.partitions.count
        let partitions: [PartitionRecord]
        do throws(AdminRefusal) {
            guard isLeading else { throw notController }
            guard added > 0 else {
                throw AdminRefusal(
                    .invalidPartitions, "Topic \(name) has \(topic.partitions.count) partitions; \(total) is not more")
            }
            guard Int(total) <= settings.limits.maxPartitionsPerTopic else {
                throw AdminRefusal(
                    .invalidPartitions,
                    "\(total) partitions are more than \(settings.limits.maxPartitionsPerTopic) for a topic")
            }
            if let assignments {
                guard assignments.count == added else {
                    throw AdminRefusal(.invalidReplicaAssignment, "Each new partition must be assigned")
                }
                for brokers in assignments { try checkAssignment(brokers) }
            }
            try checkRoom(topics: 0, partitions: added)
            let factor = topic.partitions.first?.replicas.count ?? 1
            partitions = try newPartitions(
                of: topic.id, first: topic.partitions.count, existing: topic.partitions,
                assignments.map { .use($0) } ?? .place(added, factor: factor))
        } catch {
            return refuse(error, then: then)
        }
        if validateOnly { return then(nil) }
        reservedGroups += UInt64(added)
        propose(.addPartitions(topic: topic.id, partitions), actor: actor) { [self] refusal, change in
            reservedGroups -= UInt64(added)
            guard refusal == nil, case .partitionsAdded(let grown, let indices) = change else { return then(refusal) }
            serve(grown, starting: indices, then: then)
        }
    }

    /// Replaces the configuration that is set on a topic.
    package func setConfiguration(
        of name: String, _ overrides: [String: String], validateOnly: Bool, actor: String = clientActor,
        then: @escaping Done
    ) {
        guard let topic = state.topic(named: name) else {
            return refuse(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"), then: then)
        }
        do {
            _ = try checkConfiguration(overrides)
        } catch {
            return then(error)
        }
        if validateOnly { return then(nil) }
        propose(.setConfiguration(topic: topic.id, overrides), actor: actor) { [self] refusal, change in
            guard refusal == nil, case .configurationChanged(let changed) = change else { return then(refusal) }
            serve(changed, starting: [], then: then)
        }
    }

    /// Deletes a topic and answers when no shard serves it any more; its files go in the background.
    package func delete(_ name: String, actor: String = clientActor, then: @escaping Done) {
        guard settings.topics.deleteEnable else {
            return then(AdminRefusal(.topicDeletionDisabled, "Deleting topics is disabled (topics.delete_enable)"))
        }
        guard let topic = state.topic(named: name) else {
            return refuse(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"), then: then)
        }
        propose(.deleteTopic(topic.id), actor: actor) { [self] refusal, change in
            guard refusal == nil, case .topicDeleted(let deleted) = change else { return then(refusal) }
            logger.info("Topic deleted", metadata: ["topic": "\(deleted.name)"])
            unserve(deleted) { then(nil) }
        }
    }
}
