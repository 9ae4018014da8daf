// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+Storage.swift
// Calls about what lies where: replicas on the disks of brokers, and the controller's group.

import KafkaProtocol
public import Model

/// A partition's replica on a broker's disk.
public struct StoredReplica: Equatable, Sendable {
    /// The partition.
    public let partition: TopicPartition
    /// The broker.
    public let broker: NodeID
    /// Where it lies there.
    public let directory: String
    /// How much of the disk it takes.
    public let byteCount: Int64
    /// Records that are not committed yet, as far as this replica knows.
    public let offsetLag: Int64
}

/// The group of brokers that keeps the cluster's metadata.
public struct MetadataQuorum: Equatable, Sendable {
    /// One of its brokers.
    public struct Member: Equatable, Sendable {
        /// The broker.
        public let id: NodeID
        /// Whether it votes.
        public let isVoter: Bool
        /// The end of its log as the leader knows it.
        public let endOffset: Int64
    }

    /// Who leads it.
    public let leader: NodeID
    /// The leader's term.
    public let epoch: Int32
    /// The end of what is committed.
    public let committed: Int64
    /// Voters, then learners.
    public let members: [Member]
}

extension KafkaClient {
    /// The replicas that lie on the disk of `broker`.
    public func storedReplicas(on broker: NodeID) async throws(ClientError) -> [StoredReplica] {
        try await retrying { client throws(ClientError) in
            let response = try await client.call(DescribeLogDirsRequest(), to: .node(broker))
            try Self.check(response.errorCode, nil, "describe directories", "broker \(broker)")
            return response.directories.flatMap { directory in
                directory.topics.flatMap { topic in
                    topic.partitions.map { partition in
                        StoredReplica(
                            partition: TopicPartition(
                                topic: topic.name, partition: PartitionIndex(rawValue: partition.index)),
                            broker: broker, directory: directory.path, byteCount: partition.sizeBytes,
                            offsetLag: partition.offsetLag)
                    }
                }
            }
        }
    }

    /// The controller's group, as its leader sees it.
    public func metadataQuorum() async throws(ClientError) -> MetadataQuorum {
        let request = DescribeQuorumRequest(topics: [.init(name: "__cluster_metadata", partitions: [.init(index: 0)])])
        return try await retrying { client throws(ClientError) in
            let response = try await client.callController(request)
            try Self.check(response.errorCode, nil, "describe the quorum", "the cluster")
            let answer = response.topics.first?.partitions.first
            try Self.check(answer?.errorCode, nil, "describe the quorum", "the cluster")
            func members(_ replicas: [DescribeQuorumResponse.Replica]?, isVoter: Bool) -> [MetadataQuorum.Member] {
                (replicas ?? []).map {
                    .init(id: NodeID(rawValue: $0.replicaID), isVoter: isVoter, endOffset: $0.logEndOffset)
                }
            }
            return MetadataQuorum(
                leader: NodeID(rawValue: answer?.leaderID ?? -1), epoch: answer?.leaderEpoch ?? -1,
                committed: answer?.highWatermark ?? -1,
                members: members(answer?.currentVoters, isVoter: true) + members(answer?.observers, isVoter: false))
        }
    }
}
