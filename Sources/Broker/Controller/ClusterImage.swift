// SPDX-License-Identifier: Apache-2.0
//
// ClusterImage.swift
// An immutable view of the metadata that every event loop reads without a lock.

package import Model
package import Settings

/// A broker as clients are told of it.
package struct BrokerAddress: Equatable, Sendable {
    package var id: NodeID
    package var host: String
    package var port: Int32

    package init(id: NodeID, host: String, port: Int32) {
        self.id = id
        self.host = host
        self.port = port
    }
}

/// A topic of an image: its record, its configuration with defaults filled in, and where its partitions live.
package final class TopicImage: Sendable {
    package let record: TopicRecord
    package let configuration: TopicConfiguration
    /// The handle of partition `i` at position `i`, also of partitions that other brokers host: those have no owner on
    /// their shard, and nothing was ever published in them.
    package let partitions: [PartitionHandle]

    package init(record: TopicRecord, configuration: TopicConfiguration, partitions: [PartitionHandle]) {
        precondition(
            partitions.count == record.partitions.count, "topic \(record.name) has a partition without a handle")
        self.record = record
        self.configuration = configuration
        self.partitions = partitions
    }

    /// The handle of `index`; nil when the topic has no such partition.
    package func partition(_ index: Int32) -> PartitionHandle? {
        index >= 0 && Int(index) < partitions.count ? partitions[Int(index)] : nil
    }
}

/// The metadata after one command of the controller's log, as this broker serves it.
///
/// Who leads a partition is not in it: that is the leader table's business, which changes far more often.
package final class ClusterImage: Sendable {
    package let clusterID: String
    /// The broker that serves this image.
    package let node: NodeID
    /// The broker that leads the controller's group; nil while nobody is known to.
    package let controller: NodeID?
    /// Every registered broker; empty on a broker that is no part of a cluster.
    package let brokers: [NodeID: BrokerRecord]
    package let topics: [String: TopicImage]
    /// The same topics by their ids.
    package let topicsByID: [TopicID: TopicImage]

    /// What is set on consumer groups and share groups, by their names; most have nothing, and are not in it.
    package let groupConfigurations: [String: GroupConfiguration]

    package init(
        clusterID: String, node: NodeID, controller: NodeID?, brokers: [NodeID: BrokerRecord] = [:],
        topics: [String: TopicImage], groupConfigurations: [String: GroupConfiguration] = [:]
    ) {
        self.clusterID = clusterID
        self.node = node
        self.controller = controller
        self.brokers = brokers
        self.topics = topics
        self.groupConfigurations = groupConfigurations
        self.topicsByID = topics.values.reduce(into: [:]) { $0[$1.record.id] = $1 }
    }

    /// The topic that a request names: by its id when it has one, by its name otherwise.
    package func topic(_ name: String?, _ id: TopicID) -> TopicImage? {
        if id != .zero { return topicsByID[id] }
        return name.flatMap { topics[$0] }
    }

    /// The brokers that clients may be sent to, in the order of their ids: those that are not fenced.
    package var liveBrokers: [BrokerRecord] {
        brokers.values.filter { $0.health == .active }.sorted { $0.id < $1.id }
    }

    /// The registered brokers that clients should not be sent to, in the order of their ids.
    package var fencedBrokers: [BrokerRecord] {
        brokers.values.filter { $0.health != .active }.sorted { $0.id < $1.id }
    }

    /// A partition's assignment; nil when there is no such topic or partition.
    package func assignment(_ topic: String, _ index: Int32) -> PartitionRecord? {
        guard let partitions = topics[topic]?.record.partitions, index >= 0, Int(index) < partitions.count else {
            return nil
        }
        return partitions[Int(index)]
    }
}
