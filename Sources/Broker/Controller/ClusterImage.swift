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
    /// The handle of partition `i` at position `i`.
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
package final class ClusterImage: Sendable {
    package let clusterID: String
    package let controller: NodeID
    package let topics: [String: TopicImage]

    package init(clusterID: String, controller: NodeID, topics: [String: TopicImage]) {
        self.clusterID = clusterID
        self.controller = controller
        self.topics = topics
    }
}
