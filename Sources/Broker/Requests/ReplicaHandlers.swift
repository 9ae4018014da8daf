// SPDX-License-Identifier: Apache-2.0
//
// ReplicaHandlers.swift
// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, DescribeLogDirs, DescribeQuorum: where replicas
// are, and who leads.

import KafkaProtocol
import LogStore
import Model
import NIOCore
import Replication
import Settings

extension Broker {
    // MARK: Leaders

    /// A lone replica always leads; an election is never needed, and one without its replicas never possible.
    func electLeaders(_ request: ElectLeadersRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        // All partitions: those that need no election are left out.
        guard let asked = request.topics else { return call.respond(ElectLeadersResponse()) }
        let topics = asked.map { topic in
            let partitions = topic.partitionIndexes.map { index -> ElectLeadersResponse.Partition in
                guard image.topics[topic.name]?.partition(index) != nil else {
                    return .init(index: index, errorCode: .unknownTopicOrPartition)
                }
                return .init(index: index, errorCode: .electionNotNeeded)
            }
            return ElectLeadersResponse.Topic(name: topic.name, partitions: partitions)
        }
        call.respond(ElectLeadersResponse(topics: topics))
    }

    // MARK: Moves

    func alterPartitionReassignments(_ request: AlterPartitionReassignmentsRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let topics = request.topics.map { topic in
            let partitions = topic.partitions.map { partition -> AlterPartitionReassignmentsResponse.Partition in
                guard image.topics[topic.name]?.partition(partition.index) != nil else {
                    return .init(index: partition.index, errorCode: .unknownTopicOrPartition)
                }
                guard let replicas = partition.replicas else {
                    return .init(index: partition.index, errorCode: .noReassignmentInProgress)
                }
                guard replicas == [node.rawValue] else {
                    return .init(
                        index: partition.index, errorCode: .invalidReplicaAssignment,
                        errorMessage: "Broker \(node) is the only one")
                }
                return .init(index: partition.index)
            }
            return AlterPartitionReassignmentsResponse.Topic(name: topic.name, partitions: partitions)
        }
        call.respond(
            AlterPartitionReassignmentsResponse(
                allowReplicationFactorChange: request.allowReplicationFactorChange, topics: topics))
    }

    func listPartitionReassignments(_ request: ListPartitionReassignmentsRequest, _ call: Call) {
        call.respond(ListPartitionReassignmentsResponse())
    }

    // MARK: Disk

    /// The partitions on this broker's disk; others are left out, as a client asks every broker for its own.
    func describeLogDirs(_ request: DescribeLogDirsRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let asked = request.topics.map { topics in
            topics.map { topic in
                (topic.name, topic.partitionIndexes.compactMap { image.topics[topic.name]?.partition($0) })
            }
        }
        let all = image.topics.values.sorted { $0.record.name < $1.record.name }
        let topics = (asked ?? all.map { ($0.record.name, $0.partitions) }).compactMap { name, handles in
            let partitions = handles.filter(\.isHosted).map { handle in
                DescribeLogDirsResponse.Partition(index: handle.index.rawValue, sizeBytes: Int64(handle.sizeBytes))
            }
            return partitions.isEmpty ? nil : DescribeLogDirsResponse.Topic(name: name, partitions: partitions)
        }
        call.respond(
            DescribeLogDirsResponse(directories: [.init(path: settings.storage.directory, topics: topics)]))
    }

    // MARK: Controller

    /// The topic by which clients name the controller's group.
    private static let metadataTopic = "__cluster_metadata"

    func describeQuorum(_ request: DescribeQuorumRequest, _ call: Call) {
        withController { controller in
            let quorum = controller.quorum
            let topics = request.topics.map { topic in
                let partitions = topic.partitions.map { partition -> DescribeQuorumResponse.Partition in
                    guard topic.name == Self.metadataTopic, partition.index == 0 else {
                        return .init(index: partition.index, errorCode: .unknownTopicOrPartition)
                    }
                    return quorum
                }
                return DescribeQuorumResponse.Topic(name: topic.name, partitions: partitions)
            }
            call.respond(DescribeQuorumResponse(topics: topics))
        }
    }
}

extension Controller {
    /// The controller's group as DescribeQuorum shows it; positions are entries of its log.
    fileprivate var quorum: DescribeQuorumResponse.Partition {
        let replica = machine.replica
        guard let term = replica.leadingTerm else {
            return DescribeQuorumResponse.Partition(index: 0, errorCode: .notLeaderOrFollower)
        }
        let end = Int64(replica.log.lastIndex.next.rawValue)
        return DescribeQuorumResponse.Partition(
            index: 0, leaderID: node.rawValue, leaderEpoch: term.leaderEpoch,
            highWatermark: Int64(replica.committed.next.rawValue),
            currentVoters: [.init(replicaID: node.rawValue, logEndOffset: end)])
    }
}
