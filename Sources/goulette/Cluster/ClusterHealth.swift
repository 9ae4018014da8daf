// SPDX-License-Identifier: Apache-2.0
//
// ClusterHealth.swift
// A verdict on a cluster from what it tells its clients.

import KafkaClient
import Model
import Terminal

/// What is wrong with a cluster, as far as its metadata shows.
struct ClusterHealth: Sendable {
    let controller: NodeID?
    let brokers: [NodeID]
    let partitions: Int
    let leaderless: [TopicPartition]
    let underReplicated: [TopicPartition]
    /// Brokers that hold replicas, and are not there.
    let missingBrokers: [NodeID]

    init(_ metadata: ClusterMetadata) {
        controller = metadata.controller
        brokers = metadata.brokers.map(\.id)
        var (count, leaderless, under): (Int, [TopicPartition], [TopicPartition]) = (0, [], [])
        var holders: Set<NodeID> = []
        for topic in metadata.topics.values.sorted(by: { $0.name < $1.name }) {
            for partition in topic.partitions {
                let name = TopicPartition(topic: topic.name, partition: partition.index)
                count += 1
                holders.formUnion(partition.replicas)
                if partition.leader == nil { leaderless.append(name) }
                if partition.inSync.count < partition.replicas.count { under.append(name) }
            }
        }
        partitions = count
        self.leaderless = leaderless
        underReplicated = under
        missingBrokers = holders.subtracting(brokers).sorted()
    }

    var isHealthy: Bool {
        controller != nil && leaderless.isEmpty && underReplicated.isEmpty && missingBrokers.isEmpty
    }

    /// The verdict in one sentence.
    var verdict: TableCell {
        if isHealthy { return TableCell("healthy", state: .healthy) }
        var reasons: [String] = []
        if controller == nil { reasons.append("no controller") }
        func number(_ partitions: [TopicPartition]) -> String {
            partitions.count == 1 ? "1 partition" : "\(partitions.count) partitions"
        }
        if !leaderless.isEmpty { reasons.append("\(number(leaderless)) without leader") }
        if !underReplicated.isEmpty { reasons.append("\(number(underReplicated)) under-replicated") }
        if !missingBrokers.isEmpty {
            reasons.append("missing brokers " + missingBrokers.map { "\($0)" }.joined(separator: ","))
        }
        let isFailed = controller == nil || !leaderless.isEmpty
        return TableCell("unhealthy: " + reasons.joined(separator: ", "), state: isFailed ? .failed : .degraded)
    }

    var json: JSONValue {
        func names(_ partitions: [TopicPartition]) -> JSONValue { .array(partitions.map { .string("\($0)") }) }
        return .object([
            ("healthy", .boolean(isHealthy)), ("controller", controller.map { .integer($0.rawValue) } ?? .null),
            ("brokers", .array(brokers.map { .integer($0.rawValue) })),
            ("missingBrokers", .array(missingBrokers.map { .integer($0.rawValue) })),
            ("partitions", .integer(partitions)), ("leaderless", names(leaderless)),
            ("underReplicated", names(underReplicated)),
        ])
    }
}
