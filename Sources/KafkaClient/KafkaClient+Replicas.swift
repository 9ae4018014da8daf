// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+Replicas.swift
// Administrative calls about replicas: other replicas for partitions, and other leaders.

public import KafkaProtocol
public import Model

/// A partition whose replicas are being changed.
public struct PartitionReassignment: Equatable, Sendable {
    /// The partition.
    public let partition: TopicPartition
    /// All that hold it now or will.
    public let replicas: [NodeID]
    /// Those that come.
    public let adding: [NodeID]
    /// Those that go.
    public let removing: [NodeID]
}

/// How a call ended for one partition.
public struct PartitionOutcome: Equatable, Sendable {
    /// The partition.
    public let partition: TopicPartition
    /// ``KafkaErrorCode/none`` when it was done.
    public let errorCode: KafkaErrorCode
    /// What the broker added.
    public let message: String?
}

extension KafkaClient {
    /// Asks for other replicas, or with nil to turn back; returns when the cluster has taken note, not when data moved.
    public func reassign(
        _ targets: [(partition: TopicPartition, replicas: [NodeID]?)]
    ) async throws(ClientError) -> [PartitionOutcome] {
        let byTopic = Dictionary(grouping: targets) { $0.partition.topic }.sorted { $0.key < $1.key }
        let request = AlterPartitionReassignmentsRequest(
            timeoutMilliseconds: Int32(clamping: settings.requestTimeoutMilliseconds),
            topics: byTopic.map { topic, targets in
                .init(
                    name: topic,
                    partitions: targets.map {
                        .init(index: $0.partition.partition.rawValue, replicas: $0.replicas?.map(\.rawValue))
                    })
            })
        return try await retrying { client throws(ClientError) in
            let response = try await client.callController(request)
            try Self.check(response.errorCode, response.errorMessage, "reassign partitions", "the cluster")
            return Self.outcomes(response.topics)
        }
    }

    /// The partitions whose replicas are being changed.
    public func reassignments() async throws(ClientError) -> [PartitionReassignment] {
        let request = ListPartitionReassignmentsRequest(
            timeoutMilliseconds: Int32(clamping: settings.requestTimeoutMilliseconds))
        return try await retrying { client throws(ClientError) in
            let response = try await client.callController(request)
            try Self.check(response.errorCode, response.errorMessage, "list reassignments", "the cluster")
            return response.topics.flatMap { topic in
                topic.partitions.map { partition in
                    func nodes(_ ids: [Int32]) -> [NodeID] { ids.map { NodeID(rawValue: $0) } }
                    return PartitionReassignment(
                        partition: TopicPartition(
                            topic: topic.name, partition: PartitionIndex(rawValue: partition.index)),
                        replicas: nodes(partition.replicas), adding: nodes(partition.addingReplicas),
                        removing: nodes(partition.removingReplicas))
                }
            }
        }
    }

    /// Makes the preferred replicas leaders, of the given partitions or of all.
    public func electPreferredLeaders(
        _ partitions: [TopicPartition]?
    ) async throws(ClientError) -> [PartitionOutcome] {
        let topics = partitions.map { partitions in
            Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }.map { topic, partitions in
                ElectLeadersRequest.Topic(name: topic, partitionIndexes: partitions.map(\.partition.rawValue))
            }
        }
        let request = ElectLeadersRequest(
            topics: topics, timeoutMilliseconds: Int32(clamping: settings.requestTimeoutMilliseconds))
        return try await retrying { client throws(ClientError) in
            let response = try await client.callController(request)
            try Self.check(response.errorCode, nil, "elect leaders", "the cluster")
            return Self.outcomes(response.topics)
        }
    }

    private static func outcomes(_ topics: [TopicPartitions<PartitionExplainedError>]) -> [PartitionOutcome] {
        topics.flatMap { topic in
            topic.partitions.map {
                PartitionOutcome(
                    partition: TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: $0.index)),
                    errorCode: $0.errorCode, message: $0.errorMessage)
            }
        }
    }
}
