// SPDX-License-Identifier: Apache-2.0
//
// ClusterMetadata.swift
// What the cluster said about its brokers and topics, as values.

public import KafkaProtocol
public import Model

/// The brokers and topics of a cluster at one moment.
public struct ClusterMetadata: Equatable, Sendable {
    /// One broker.
    public struct Broker: Equatable, Sendable {
        /// Its id.
        public let id: NodeID
        /// Where it listens for clients.
        public let address: BrokerAddress
        /// Its rack, when it has one.
        public let rack: String?
    }

    /// One partition.
    public struct Partition: Equatable, Sendable {
        /// Its number in the topic.
        public let index: PartitionIndex
        /// The broker that leads it; nil when there is none now.
        public let leader: NodeID?
        /// The leader's epoch, -1 when unknown.
        public let leaderEpoch: Int32
        /// Every broker that holds it, preferred leader first.
        public let replicas: [NodeID]
        /// The brokers that are in sync.
        public let inSync: [NodeID]
        /// What the broker said about it.
        public let errorCode: KafkaErrorCode
    }

    /// One topic.
    public struct Topic: Equatable, Sendable {
        /// Its name.
        public let name: String
        /// What the broker said about it.
        public let errorCode: KafkaErrorCode
        /// Whether the cluster keeps it for itself.
        public let isInternal: Bool
        /// In order of their numbers.
        public let partitions: [Partition]
    }

    /// The cluster's id.
    public private(set) var clusterID: String?
    /// The broker that takes administrative calls; nil when unknown.
    public private(set) var controller: NodeID?
    /// In order of their ids.
    public private(set) var brokers: [Broker] = []
    /// By name.
    public private(set) var topics: [String: Topic] = [:]

    /// Creates metadata that knows nothing.
    public init() {}

    /// Takes in an answer.
    ///
    /// Topics that it does not mention stay as they were, unless `isComplete`.
    public mutating func update(with response: MetadataResponse, isComplete: Bool) {
        clusterID = response.clusterID
        controller = response.controllerID >= 0 ? NodeID(rawValue: response.controllerID) : nil
        brokers = response.brokers.map {
            Broker(
                id: NodeID(rawValue: $0.nodeID), address: BrokerAddress(host: $0.host, port: Int($0.port)),
                rack: $0.rack)
        }.sorted { $0.id < $1.id }
        if isComplete { topics = [:] }
        for topic in response.topics { if let name = topic.name { topics[name] = Topic(name, topic) } }
    }

    /// The address of a broker, when it is known.
    public func address(of node: NodeID) -> BrokerAddress? { brokers.first { $0.id == node }?.address }

    /// The partition, when it is known.
    public subscript(partition: TopicPartition) -> Partition? {
        guard let topic = topics[partition.topic] else { return nil }
        let index = Int(partition.partition.rawValue)
        // Numbers are dense in practice, so the index is nearly always the place.
        if topic.partitions.indices.contains(index), topic.partitions[index].index == partition.partition {
            return topic.partitions[index]
        }
        return topic.partitions.first { $0.index == partition.partition }
    }
}

extension ClusterMetadata.Topic {
    fileprivate init(_ name: String, _ topic: MetadataResponse.Topic) {
        self.name = name
        errorCode = topic.errorCode
        isInternal = topic.isInternal
        partitions = topic.partitions.map { partition in
            ClusterMetadata.Partition(
                index: PartitionIndex(rawValue: partition.index),
                leader: partition.leaderID >= 0 ? NodeID(rawValue: partition.leaderID) : nil,
                leaderEpoch: partition.leaderEpoch, replicas: partition.replicaNodes.map { NodeID(rawValue: $0) },
                inSync: partition.isrNodes.map { NodeID(rawValue: $0) }, errorCode: partition.errorCode)
        }.sorted { $0.index < $1.index }
    }
}
