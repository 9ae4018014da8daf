// SPDX-License-Identifier: Apache-2.0
//
// CommittedOffsetHandlers.swift
// OffsetCommit, OffsetFetch, OffsetDelete.

import KafkaProtocol
import Model

extension Broker {
    // MARK: Committed offsets

    func offsetCommit(_ request: OffsetCommitRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        var entries: [OffsetCommitBatch.Entry] = []
        // For each partition of the request: its place among the entries, or why it has none.
        var places: [Place] = []
        for topic in request.topics {
            let known = call.version >= 10 ? image.topicsByID[topic.topicID] : image.topics[topic.name]
            for partition in topic.partitions {
                guard let known, known.partition(partition.index) != nil else {
                    let isUnknownID = known == nil && call.version >= 10
                    places.append(.refused(isUnknownID ? .unknownTopicID : .unknownTopicOrPartition))
                    continue
                }
                places.append(.entry(entries.count))
                entries.append(
                    .init(
                        partition: TopicPartition(
                            topic: known.record.name, partition: PartitionIndex(rawValue: partition.index)),
                        offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch,
                        metadata: partition.committedMetadata ?? ""))
            }
        }
        let retention = call.version <= 4 && request.retentionTimeMilliseconds >= 0
        let commit = OffsetCommit(
            group: request.groupID,
            claim: MemberClaim(
                memberID: request.memberID, instanceID: request.groupInstanceID, generation: request.generationID),
            entries: entries, retentionMilliseconds: retention ? request.retentionTimeMilliseconds : nil,
            knowsGroupIDNotFound: call.version >= 9, knowsMemberEpoch: call.version >= 9)
        withCoordinator { [places] coordinator in
            coordinator.commit(commit) { result in
                call.respond(Self.answer(request, result, places))
            }
        }
    }

    /// What becomes of a partition of a request.
    private enum Place: Sendable {
        case entry(Int)
        case refused(KafkaErrorCode)
    }

    private static func answer(
        _ request: OffsetCommitRequest, _ result: Result<[GroupError?], GroupError>, _ places: [Place]
    ) -> OffsetCommitResponse {
        var position = 0
        let topics = request.topics.map { topic in
            let partitions = topic.partitions.map { partition in
                defer { position += 1 }
                let code: KafkaErrorCode
                switch (result, places[position]) {
                case (.failure(let error), _): code = error.code
                case (.success, .refused(let refusal)): code = refusal
                case (.success(let refused), .entry(let place)): code = refused[place]?.code ?? .none
                }
                return OffsetCommitResponse.Partition(index: partition.index, errorCode: code)
            }
            return OffsetCommitResponse.Topic(name: topic.name, topicID: topic.topicID, partitions: partitions)
        }
        return OffsetCommitResponse(topics: topics)
    }

    func offsetFetch(_ request: OffsetFetchRequest, _ call: Call) {
        let ids = call.version >= 10 ? shards.shard(on: call.loop).image : nil
        withCoordinator { coordinator in
            coordinator.confirm { refusal in
                let isBatched = call.version >= 8
                let asked = isBatched ? request.groups : [.init(groupID: request.groupID, topics: request.topics)]
                let groups = asked.map { group -> OffsetFetchResponse.Group in
                    let refusal =
                        refusal
                        ?? coordinator.consumers?.fetchRefusal(
                            group: group.groupID, memberID: group.memberID, epoch: group.memberEpoch)
                    return refusal.map { Self.refusal(of: group, $0.code) }
                        ?? Self.answer(group, coordinator.state, ids, requiresStable: request.requireStable)
                }
                guard !isBatched, let only = groups.first else {
                    return call.respond(OffsetFetchResponse(groups: groups))
                }
                call.respond(OffsetFetchResponse(topics: only.topics, errorCode: only.errorCode))
            }
        }
    }

    /// - Parameter ids: where topics are named by their ids, which the metadata knows.
    private static func answer(
        _ request: OffsetFetchRequest.Group, _ state: CoordinatorState, _ ids: ClusterImage?, requiresStable: Bool
    ) -> OffsetFetchResponse.Group {
        guard GroupTable.isValid(request.groupID) else { return refusal(of: request, .invalidGroupID) }
        let unstable =
            requiresStable ? Set(state.transactions.pendingPartitions(of: request.groupID)) : Set<TopicPartition>()
        guard let topics = request.topics else {
            let stored = state.fetchAll(group: request.groupID)
            let known = Set(stored.map(\.partition))
            let added = unstable.subtracting(known).map { (partition: $0, committed: CommittedOffset.missing) }
            let all = (stored + added).sorted { TopicPartition.isBefore($0.partition, $1.partition) }
            return .init(groupID: request.groupID, topics: Self.all(all, unstable, ids))
        }
        let found = topics.map { topic in
            let name = ids.map { $0.topicsByID[topic.topicID]?.record.name } ?? topic.name
            guard let name else { return refusal(of: topic, .unknownTopicID) }
            let partitions = topic.partitionIndexes.map { index in
                let partition = TopicPartition(topic: name, partition: PartitionIndex(rawValue: index))
                if unstable.contains(partition) { return OffsetFetchResponse.Partition(unstable: index) }
                return OffsetFetchResponse.Partition(index, state.fetch(group: request.groupID, partition))
            }
            return OffsetFetchResponse.Topic(name: topic.name, topicID: topic.topicID, partitions: partitions)
        }
        return .init(groupID: request.groupID, topics: found)
    }

    /// Topics that have no id any more, where ids are asked for, are left out: they were deleted.
    private static func all(
        _ offsets: [(partition: TopicPartition, committed: CommittedOffset)], _ unstable: Set<TopicPartition>,
        _ ids: ClusterImage?
    ) -> [OffsetFetchResponse.Topic] {
        var topics: [OffsetFetchResponse.Topic] = []
        for (partition, committed) in offsets {
            let index = partition.partition.rawValue
            let answer =
                unstable.contains(partition)
                ? OffsetFetchResponse.Partition(unstable: index) : OffsetFetchResponse.Partition(index, committed)
            if topics.last?.name == partition.topic {
                topics[topics.count - 1].partitions.append(answer)
            } else {
                let id = ids.map { $0.topics[partition.topic]?.record.id } ?? .zero
                guard let id else { continue }
                topics.append(.init(name: partition.topic, topicID: id, partitions: [answer]))
            }
        }
        return topics
    }

    /// Version 1 has no error for the whole answer, so each partition gets it as well.
    private static func refusal(
        of request: OffsetFetchRequest.Group, _ code: KafkaErrorCode
    ) -> OffsetFetchResponse.Group {
        let topics = (request.topics ?? []).map { refusal(of: $0, code) }
        return .init(groupID: request.groupID, topics: topics, errorCode: code)
    }

    private static func refusal(
        of topic: OffsetFetchRequest.Topic, _ code: KafkaErrorCode
    ) -> OffsetFetchResponse.Topic {
        OffsetFetchResponse.Topic(
            name: topic.name, topicID: topic.topicID,
            partitions: topic.partitionIndexes.map {
                .init(index: $0, committedOffset: -1, committedLeaderEpoch: -1, metadata: "", errorCode: code)
            })
    }

    func offsetDelete(_ request: OffsetDeleteRequest, _ call: Call) {
        let partitions = request.topics.flatMap { topic in
            topic.partitions.map { TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: $0.index)) }
        }
        withCoordinator { coordinator in
            coordinator.deleteOffsets(group: request.groupID, partitions) { result in
                guard case .success(let refused) = result else {
                    guard case .failure(let error) = result else { return }
                    return call.respond(OffsetDeleteResponse(errorCode: error.code))
                }
                var position = 0
                let topics = request.topics.map { topic in
                    OffsetDeleteResponse.Topic(
                        name: topic.name,
                        partitions: topic.partitions.map { partition in
                            defer { position += 1 }
                            let error = position < refused.count ? refused[position] : nil
                            return .init(index: partition.index, errorCode: error?.code ?? .none)
                        })
                }
                call.respond(OffsetDeleteResponse(topics: topics))
            }
        }
    }
}

extension OffsetFetchResponse.Partition {
    fileprivate init(_ index: Int32, _ committed: CommittedOffset) {
        self.init(
            index: index, committedOffset: committed.offset, committedLeaderEpoch: committed.leaderEpoch,
            metadata: committed.metadata, errorCode: .none)
    }

    /// An open transaction is about to change the offset, and who asks wants to wait for that (KIP-447).
    fileprivate init(unstable index: Int32) {
        self.init(index: index, committedOffset: -1, metadata: "", errorCode: .unstableOffsetCommit)
    }
}
