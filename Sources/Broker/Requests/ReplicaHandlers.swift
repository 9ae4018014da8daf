// SPDX-License-Identifier: Apache-2.0
//
// ReplicaHandlers.swift
// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, DescribeLogDirs, DescribeQuorum: where replicas
// are, and who leads.

import KafkaProtocol
import LogStore
import Model
import NIOCore
import Raft
import Replication
import Settings

extension Broker {
    // MARK: Leaders

    /// An election gives a partition to its preferred replica; one that risks data never happens.
    func electLeaders(_ request: ElectLeadersRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let all = image.topics.values.sorted { $0.record.name < $1.record.name }
        let asked =
            request.topics?.map { ($0.name, $0.partitionIndexes) }
            ?? all.map { ($0.record.name, $0.partitions.map(\.index.rawValue)) }
        let isForAll = request.topics == nil
        let isUnclean = request.electionType != 0
        let count = asked.reduce(0) { $0 + $1.1.count }
        let gathering = Gathering<ElectLeadersResponse.Partition>(count: count) { answers in
            var rest = answers[...]
            let topics = asked.compactMap { name, indexes -> ElectLeadersResponse.Topic? in
                defer { rest = rest.dropFirst(indexes.count) }
                // Asked for all, those that need no election are left out.
                let partitions = rest.prefix(indexes.count).filter { !isForAll || $0.errorCode != .electionNotNeeded }
                return partitions.isEmpty && isForAll ? nil : .init(name: name, partitions: Array(partitions))
            }
            call.respond(ElectLeadersResponse(topics: topics))
        }
        withController { [asked] controller in
            var slot = 0
            for (name, indexes) in asked {
                for index in indexes {
                    let place = slot
                    slot += 1
                    if isUnclean, controller.state.topic(named: name) != nil {
                        gathering.set(place, .init(index: index, errorCode: .electionNotNeeded))
                        continue
                    }
                    controller.electPreferred(name, index) { refusal in
                        gathering.set(
                            place,
                            .init(index: index, errorCode: refusal?.code ?? .none, errorMessage: refusal?.message))
                    }
                }
            }
        }
    }

    // MARK: Moves

    func alterPartitionReassignments(_ request: AlterPartitionReassignmentsRequest, _ call: Call) {
        typealias Answer = AlterPartitionReassignmentsResponse.Partition
        let questions = request.topics.flatMap { topic in topic.partitions.map { (topic.name, $0) } }
        let gathering = Gathering<Answer>(count: questions.count) { answers in
            var rest = answers[...]
            let topics = request.topics.map { topic in
                defer { rest = rest.dropFirst(topic.partitions.count) }
                return AlterPartitionReassignmentsResponse.Topic(
                    name: topic.name, partitions: Array(rest.prefix(topic.partitions.count)))
            }
            call.respond(
                AlterPartitionReassignmentsResponse(
                    allowReplicationFactorChange: request.allowReplicationFactorChange, topics: topics))
        }
        let actor = "client \(call.peer)"
        withController { [self] controller in
            for (slot, (topic, partition)) in questions.enumerated() {
                let present = controller.state.topic(named: topic)?.partitions
                let count = partition.index >= 0 ? present?.dropFirst(Int(partition.index)).first?.replicas.count : nil
                if let count, let replicas = partition.replicas, replicas.count != count,
                    !request.allowReplicationFactorChange
                {
                    gathering.set(
                        slot,
                        Answer(
                            index: partition.index, errorCode: .invalidReplicationFactor,
                            errorMessage: "The partition has \(count) replicas, not \(replicas.count)"))
                    continue
                }
                if isAlone, let replicas = partition.replicas, present != nil, replicas != [node.rawValue] {
                    gathering.set(
                        slot,
                        Answer(
                            index: partition.index, errorCode: .invalidReplicaAssignment,
                            errorMessage: "Broker \(node) is the only one"))
                    continue
                }
                let wanted = ReassignmentRequest(
                    topic: topic, partition: partition.index,
                    replicas: partition.replicas?.map { NodeID(rawValue: $0) })
                controller.reassign(wanted, actor: actor) { refusal in
                    gathering.set(
                        slot,
                        Answer(
                            index: partition.index, errorCode: refusal?.code ?? .none,
                            errorMessage: refusal?.message))
                }
            }
        }
    }

    /// Answered by any broker, from the metadata it has applied.
    func listPartitionReassignments(_ request: ListPartitionReassignmentsRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let asked = request.topics?.map { (name: $0.name, indexes: Set($0.partitionIndexes)) }
        let names = asked?.map(\.name) ?? image.topics.keys.sorted()
        let topics = names.enumerated().compactMap { place, name -> ListPartitionReassignmentsResponse.Topic? in
            let records = image.topics[name]?.record.partitions ?? []
            let moving = records.enumerated().compactMap {
                index, record -> ListPartitionReassignmentsResponse.Partition? in
                guard record.reassignment != nil, asked?[place].indexes.contains(Int32(index)) ?? true else {
                    return nil
                }
                return .init(
                    index: Int32(index), replicas: (record.replicas + record.adding).map(\.rawValue),
                    addingReplicas: record.adding.map(\.rawValue), removingReplicas: record.removing.map(\.rawValue))
            }
            return moving.isEmpty ? nil : .init(name: name, partitions: moving)
        }
        call.respond(ListPartitionReassignmentsResponse(topics: topics))
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
                DescribeLogDirsResponse.Partition(
                    index: handle.index.rawValue, sizeBytes: Int64(handle.sizeBytes),
                    offsetLag: max(0, Int64(handle.logEndOffset - handle.highWatermark)))
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
        let brokers = shards.shard(on: call.loop).image.brokers
        withController { controller in
            let quorum = controller.quorum(brokers)
            let topics = request.topics.map { topic in
                let partitions = topic.partitions.map { partition -> DescribeQuorumResponse.Partition in
                    guard topic.name == Self.metadataTopic, partition.index == 0 else {
                        return .init(index: partition.index, errorCode: .unknownTopicOrPartition)
                    }
                    return quorum
                }
                return DescribeQuorumResponse.Topic(name: topic.name, partitions: partitions)
            }
            let members = Set((quorum.currentVoters + quorum.observers).map { NodeID(rawValue: $0.replicaID) })
            let nodes = brokers.values.filter { members.contains($0.id) }.sorted { $0.id < $1.id }.map { broker in
                let address = broker.registration.peer
                let listener = DescribeQuorumResponse.Listener(
                    name: "PEER", host: address.host, port: UInt16(clamping: address.port))
                return DescribeQuorumResponse.Node(nodeID: broker.id.rawValue, listeners: [listener])
            }
            call.respond(DescribeQuorumResponse(topics: topics, nodes: nodes))
        }
    }
}

extension Controller {
    /// The controller's group as DescribeQuorum shows it; positions are entries of its log.
    ///
    /// `brokers` are those that are registered: none where there is no cluster, and then directories have no ids.
    fileprivate func quorum(_ brokers: [NodeID: BrokerRecord]) -> DescribeQuorumResponse.Partition {
        let replica = machine.replica
        guard let term = replica.leadingTerm else {
            return DescribeQuorumResponse.Partition(index: 0, errorCode: .notLeaderOrFollower)
        }
        var ends = [node: replica.log.lastIndex.next]
        for peer in replica.progress { ends[peer.id] = peer.match.next }
        func describe(_ nodes: [NodeID]) -> [DescribeQuorumResponse.Replica] {
            nodes.map { node in
                // Of the 128 bits of Kafka's ids ours have 64.
                let directory = brokers[node].map { UniqueID(high: $0.registration.storeID, low: 1) }
                return .init(
                    replicaID: node.rawValue, replicaDirectoryID: directory ?? .zero,
                    logEndOffset: ends[node].map { Int64($0.rawValue) } ?? -1)
            }
        }
        return DescribeQuorumResponse.Partition(
            index: 0, leaderID: node.rawValue, leaderEpoch: term.leaderEpoch,
            highWatermark: Int64(replica.committed.next.rawValue),
            currentVoters: describe(replica.configuration.voters), observers: describe(replica.configuration.learners))
    }
}
