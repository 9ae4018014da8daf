// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+Groups.swift
// Calls about consumer groups: their members, their committed offsets, their end.

import KafkaProtocol
public import Model

/// A group as a list shows it.
public struct GroupListing: Equatable, Sendable {
    /// The group's name.
    public let id: String
    /// `consumer` for consumers; empty for a group that only commits offsets.
    public let protocolType: String
    /// `Stable`, `Empty` and so on; empty when the broker is too old to tell.
    public let state: String
    /// The broker that coordinates it.
    public let coordinator: NodeID
}

/// A group with its members.
public struct GroupDescription: Equatable, Sendable {
    /// One member.
    public struct Member: Equatable, Sendable {
        /// The id the coordinator gave it.
        public let id: String
        /// The id its configuration gives it, when it has one.
        public let instanceID: String?
        /// The name of its client.
        public let clientID: String
        /// The address it connects from.
        public let host: String
        /// The partitions it reads.
        public let assignment: [TopicPartition]
    }

    /// The group's name.
    public let id: String
    /// `Stable`, `Empty`, `Dead` and so on.
    public let state: String
    /// `consumer` for consumers.
    public let protocolType: String
    /// The assignor in use.
    public let assignor: String
    /// The broker that coordinates it.
    public let coordinator: NodeID
    /// In order of their ids.
    public let members: [Member]
}

/// What a group has committed for a partition.
public struct CommittedOffset: Equatable, Sendable {
    /// The next offset to read.
    public let offset: Offset
    /// The text the consumer left with it.
    public let metadata: String?
}

extension KafkaClient {
    /// Every group of the cluster, by name.
    ///
    /// Groups are asked for at every broker, since each knows only its own.
    public func listGroups() async throws(ClientError) -> [GroupListing] {
        let brokers = try await metadata(topics: []).brokers
        var groups: [GroupListing] = []
        for broker in brokers {
            let response = try await retrying { client throws(ClientError) in
                let response = try await client.call(ListGroupsRequest(), to: .node(broker.id))
                try Self.check(response.errorCode, nil, "ListGroups", "broker \(broker.id)")
                return response
            }
            groups += response.groups.map {
                GroupListing(
                    id: $0.groupID, protocolType: $0.protocolType, state: $0.groupState, coordinator: broker.id)
            }
        }
        return groups.sorted { $0.id < $1.id }
    }

    /// A group with its members.
    ///
    /// A group that does not exist is in state `Dead`.
    public func describeGroup(_ id: String) async throws(ClientError) -> GroupDescription {
        try await retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: id)
            let response = try await client.call(DescribeGroupsRequest(groupIDs: [id]), to: .node(coordinator))
            let group = response.groups.first
            try Self.check(group?.errorCode, nil, "DescribeGroups", "group \(id)")
            return GroupDescription(
                id: id, state: group?.groupState ?? "", protocolType: group?.protocolType ?? "",
                assignor: group?.protocolData ?? "", coordinator: coordinator,
                members: (group?.members ?? []).map { Self.member($0) }.sorted { $0.id < $1.id })
        }
    }

    private static func member(_ member: DescribeGroupsResponse.Member) -> GroupDescription.Member {
        // An assignment that cannot be read belongs to another protocol: the member is shown without partitions.
        let assignment = (try? ConsumerProtocolAssignment(decoding: member.memberAssignment))?.topicPartitions ?? []
        return GroupDescription.Member(
            id: member.memberID, instanceID: member.groupInstanceID, clientID: member.clientID, host: member.clientHost,
            assignment: assignment)
    }

    /// The offsets that a group has committed: for the named partitions, or for all.
    public func committedOffsets(
        group id: String, partitions: [TopicPartition]? = nil
    ) async throws(ClientError) -> [TopicPartition: CommittedOffset] {
        let topics = partitions?.groupedByTopic.map { topic, members in
            OffsetFetchRequest.Topic(name: topic, partitionIndexes: members.map(\.rawValue))
        }
        return try await retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: id)
            let request = OffsetFetchRequest(groupID: id, topics: topics)
            let response = try await client.call(request, to: .node(coordinator))
            try Self.check(response.errorCode, nil, "OffsetFetch", "group \(id)")
            var offsets: [TopicPartition: CommittedOffset] = [:]
            for topic in response.topics {
                for answer in topic.partitions {
                    let partition = TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: answer.index))
                    try Self.check(answer.errorCode, nil, "OffsetFetch", "\(partition)")
                    guard answer.committedOffset >= 0 else { continue }
                    offsets[partition] = CommittedOffset(
                        offset: Offset(answer.committedOffset), metadata: answer.metadata)
                }
            }
            return offsets
        }
    }

    /// Deletes a group that has no members, with its offsets.
    public func deleteGroup(_ id: String) async throws(ClientError) {
        try await retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: id)
            let response = try await client.call(DeleteGroupsRequest(groupIDs: [id]), to: .node(coordinator))
            try Self.check(response.groups.first { $0.groupID == id }?.errorCode, nil, "delete group", "group \(id)")
        }
    }

    /// The broker that coordinates a group.
    func coordinator(of group: String) async throws(ClientError) -> NodeID {
        let response = try await call(FindCoordinatorRequest(key: group, keyType: CoordinatorType.group.rawValue))
        try Self.check(response.errorCode, response.errorMessage, "FindCoordinator", "group \(group)")
        let node = NodeID(rawValue: response.nodeID)
        let isKnown: Bool = await withCore { core, done in done(core.metadata.address(of: node) != nil) }
        if !isKnown { _ = try await metadata(topics: []) }
        return node
    }
}

extension ConsumerProtocolAssignment {
    /// The partitions as single values, in rising order.
    var topicPartitions: [TopicPartition] {
        assignedPartitions.sorted { $0.name < $1.name }.flatMap { topic in
            topic.partitions.sorted().map {
                TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: $0))
            }
        }
    }
}
