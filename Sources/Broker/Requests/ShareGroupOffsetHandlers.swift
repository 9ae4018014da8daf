// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupOffsetHandlers.swift
// DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets: how far share groups are in partitions.

import KafkaProtocol
import Model

extension Broker {
    // MARK: Describe

    func describeShareGroupOffsets(_ request: DescribeShareGroupOffsetsRequest, _ call: Call) {
        withCoordinator { [self] coordinator in
            coordinator.confirm { [self] absence in
                let groups = request.groups.map { group in
                    if let absence { return DescribedShareGroup(groupID: group.groupID, refusal: absence.code) }
                    return coordinator.describeShareStates(of: group.groupID, topics: group.topics)
                }
                guard call.version >= 1 else { return call.respond(Self.answer(groups, ends: [:])) }
                ends(of: groups.flatMap(\.started)) { ends in call.respond(Self.answer(groups, ends: ends)) }
            }
        }
    }

    private static func answer(
        _ groups: [DescribedShareGroup], ends: [TopicPartition: Int64]
    ) -> DescribeShareGroupOffsetsResponse {
        DescribeShareGroupOffsetsResponse(
            groups: groups.map { group in
                .init(
                    groupID: group.groupID,
                    topics: group.topics.map { topic in
                        .init(
                            name: topic.name, topicID: topic.id ?? .zero,
                            partitions: topic.partitions.map { $0.answer(topic, ends) })
                    }, errorCode: group.refusal ?? .none, errorMessage: group.refusal?.meaning)
            })
    }

    /// The ends of what is committed in partitions, as far as their leaders can be asked; on the first loop.
    private func ends(
        of partitions: [TopicPartition], then: @escaping @Sendable ([TopicPartition: Int64]) -> Void
    ) {
        var byLeader: [NodeID: [TopicPartition]] = [:]
        for partition in partitions {
            if let leader = knownLeader(of: partition) { byLeader[leader, default: []].append(partition) }
        }
        let gathering = Gathering<[TopicPartition: Int64]>(count: byLeader.count) { found in
            then(found.reduce(into: [:]) { $0.merge($1) { first, _ in first } })
        }
        for (slot, (leader, asked)) in byLeader.enumerated() {
            let topics = asked.byTopic.map { topic, indexes in
                ListOffsetsRequest.Topic(
                    name: topic, partitions: indexes.map { .init(index: $0, timestamp: Self.latestTimestamp) })
            }
            let request = ListOffsetsRequest(replicaID: -1, isolationLevel: 0, topics: topics)
            ask(request, version: 7, of: leader) { answer in
                var ends: [TopicPartition: Int64] = [:]
                for topic in answer?.topics ?? [] {
                    for one in topic.partitions where one.errorCode == .none {
                        ends[TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: one.index))] =
                            one.offset
                    }
                }
                gathering.set(slot, ends)
            }
        }
    }

    /// Asks ListOffsets for the end.
    private static let latestTimestamp: Int64 = -1

    // MARK: Change

    func alterShareGroupOffsets(_ request: AlterShareGroupOffsetsRequest, _ call: Call) {
        withCoordinator { coordinator in
            coordinator.takeTopics()
            var starts: [ShareStart] = []
            let topics = request.topics.map { topic -> AlterShareGroupOffsetsResponse.Topic in
                let known = coordinator.topics?.byName[topic.name]
                let partitions = topic.partitions.map { partition -> PartitionExplainedError in
                    guard let known, (0..<known.partitions).contains(partition.index) else {
                        return .init(index: partition.index, .unknownTopicOrPartition)
                    }
                    guard partition.startOffset >= 0 else { return .init(index: partition.index, .invalidRequest) }
                    starts.append(
                        ShareStart(
                            topicID: known.id, partition: partition.index, startOffset: partition.startOffset))
                    return .init(index: partition.index)
                }
                return .init(name: topic.name, topicID: known?.id ?? .zero, partitions: partitions)
            }
            coordinator.changeShareStates(
                of: request.groupID, .restart(group: request.groupID, starts)
            ) { code in
                guard code == .none else {
                    return call.respond(AlterShareGroupOffsetsResponse(errorCode: code, errorMessage: code.meaning))
                }
                call.respond(AlterShareGroupOffsetsResponse(topics: topics))
            }
        }
    }

    func deleteShareGroupOffsets(_ request: DeleteShareGroupOffsetsRequest, _ call: Call) {
        withCoordinator { coordinator in
            coordinator.takeTopics()
            let topics = request.topics.map { topic -> DeleteShareGroupOffsetsResponse.Topic in
                guard let known = coordinator.topics?.byName[topic.name] else {
                    return .init(
                        name: topic.name, errorCode: .unknownTopicOrPartition,
                        errorMessage: KafkaErrorCode.unknownTopicOrPartition.meaning)
                }
                return .init(name: topic.name, topicID: known.id)
            }
            let known = topics.filter { $0.errorCode == .none }.map(\.topicID)
            coordinator.changeShareStates(
                of: request.groupID, .delete(group: request.groupID, topics: known)
            ) { code in
                guard code == .none else {
                    return call.respond(DeleteShareGroupOffsetsResponse(errorCode: code, errorMessage: code.meaning))
                }
                call.respond(DeleteShareGroupOffsetsResponse(topics: topics))
            }
        }
    }
}

/// What DescribeShareGroupOffsets says of a group, but for where partitions end.
struct DescribedShareGroup: Sendable {
    /// A topic that was asked for, or that the group has a state of.
    struct Topic: Sendable {
        var name: String
        /// Nil for a topic that does not exist.
        var id: TopicID?
        var partitions: [Partition]
    }

    /// A partition; nil for one of which the group has no state.
    struct Partition: Sendable {
        var index: Int32
        var state: ShareState?
        /// Whether there is such a partition.
        var exists = true

        func answer(
            _ topic: Topic, _ ends: [TopicPartition: Int64]
        ) -> DescribeShareGroupOffsetsResponse.Partition {
            guard exists else {
                return .init(
                    index: index, errorCode: .unknownTopicOrPartition,
                    errorMessage: KafkaErrorCode.unknownTopicOrPartition.meaning)
            }
            guard let state, state.startOffset >= 0 else { return .init(index: index) }
            let partition = TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: index))
            let lag = ends[partition].map { max(0, $0 - state.startOffset - state.doneCount) }
            return .init(
                index: index, startOffset: state.startOffset, leaderEpoch: max(0, state.leaderEpoch), lag: lag ?? -1)
        }
    }

    var groupID: String
    var refusal: KafkaErrorCode?
    var topics: [Topic] = []

    /// The partitions that the group has begun with.
    var started: [TopicPartition] {
        topics.flatMap { topic in
            topic.partitions.filter { ($0.state?.startOffset ?? -1) >= 0 }.map {
                TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: $0.index))
            }
        }
    }
}

extension GroupCoordinator {
    /// How far a share group is, in the partitions that are asked for, or in all that it has a state of.
    fileprivate func describeShareStates(
        of group: String, topics asked: [TopicPartitionIndexes]?
    ) -> DescribedShareGroup {
        takeTopics()
        var answer = DescribedShareGroup(groupID: group)
        guard isShare(group) else {
            answer.refusal = .groupIDNotFound
            return answer
        }
        let states = state.groups[group]?.share?.states ?? [:]
        if let asked {
            answer.topics = asked.map { topic in
                let known = topics?.byName[topic.name]
                return .init(
                    name: topic.name, id: known?.id,
                    partitions: topic.partitionIndexes.map { index in
                        .init(
                            index: index, state: known.flatMap { states[$0.id]?[index] },
                            exists: known.map { (0..<$0.partitions).contains(index) } ?? false)
                    })
            }
            return answer
        }
        answer.topics = states.compactMap { id, partitions in
            guard let name = topics?.names[id] else { return nil }
            let sorted = partitions.sorted { $0.key < $1.key }
            return .init(name: name, id: id, partitions: sorted.map { .init(index: $0.key, state: $0.value) })
        }.sorted { $0.name < $1.name }
        return answer
    }
}

extension PartitionExplainedError {
    /// The error with its meaning.
    fileprivate init(index: Int32, _ code: KafkaErrorCode) {
        self.init(index: index, errorCode: code, errorMessage: code.meaning)
    }
}
