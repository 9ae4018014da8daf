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
    /// `classic`, `consumer` or `share`: the protocol of its members; empty when the broker is too old to tell.
    public let type: String
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
        /// Its epoch, under the consumer protocol and in share groups.
        public let epoch: Int32?
    }

    /// The group's name.
    public let id: String
    /// `Stable`, `Empty`, `Dead` and so on.
    public let state: String
    /// `consumer` for consumers.
    public let protocolType: String
    /// `classic`, `consumer` or `share`: the protocol of its members.
    public let type: String
    /// The epoch of the group, under the consumer protocol and of share groups.
    public let epoch: Int32?
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

/// How far a share group is in a partition.
public struct ShareOffset: Equatable, Sendable {
    /// The first record that the group may still get.
    public let start: Offset
    /// How many records it still has to get, when that is known.
    public let lag: Int64?
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
                    id: $0.groupID, protocolType: $0.protocolType, state: $0.groupState, type: $0.groupType,
                    coordinator: broker.id)
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
            if group?.groupState == "Dead", let consumers = try await client.describeConsumers(id, coordinator) {
                return consumers
            }
            if group?.groupState == "Dead", let share = try await client.describeShare(id, coordinator) { return share }
            return GroupDescription(
                id: id, state: group?.groupState ?? "", protocolType: group?.protocolType ?? "",
                type: "classic", epoch: nil, assignor: group?.protocolData ?? "", coordinator: coordinator,
                members: (group?.members ?? []).map { Self.member($0) }.sorted { $0.id < $1.id })
        }
    }

    /// A share group; nil when it is none, or when the broker does not know them.
    private func describeShare(_ id: String, _ coordinator: NodeID) async throws(ClientError) -> GroupDescription? {
        let response: ShareGroupDescribeResponse
        do throws(ClientError) {
            response = try await call(ShareGroupDescribeRequest(groupIDs: [id]), to: .node(coordinator))
        } catch {
            if error.code == .unsupportedVersion { return nil }
            throw error
        }
        guard let group = response.groups.first, group.errorCode != .groupIDNotFound else { return nil }
        try Self.check(group.errorCode, group.errorMessage, "ShareGroupDescribe", "group \(id)")
        let members = group.members.map { member in
            GroupDescription.Member(
                id: member.memberID, instanceID: nil, clientID: member.clientID, host: member.clientHost,
                assignment: Self.partitions(member.assignment), epoch: member.memberEpoch)
        }
        return GroupDescription(
            id: id, state: group.groupState, protocolType: "share", type: "share", epoch: group.groupEpoch,
            assignor: group.assignorName, coordinator: coordinator, members: members.sorted { $0.id < $1.id })
    }

    private static func partitions(_ assignment: ConsumerGroupDescribeResponse.Assignment) -> [TopicPartition] {
        assignment.topicPartitions.flatMap { topic in
            topic.partitions.map { TopicPartition(topic: topic.topicName, partition: PartitionIndex(rawValue: $0)) }
        }
    }

    /// How far a share group is in every partition that it has begun with.
    public func shareOffsets(group id: String) async throws(ClientError) -> [TopicPartition: ShareOffset] {
        try await retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: id)
            let request = DescribeShareGroupOffsetsRequest(groups: [.init(groupID: id)])
            let response = try await client.call(request, to: .node(coordinator))
            let group = response.groups.first
            try Self.check(group?.errorCode, group?.errorMessage, "DescribeShareGroupOffsets", "group \(id)")
            var offsets: [TopicPartition: ShareOffset] = [:]
            for topic in group?.topics ?? [] {
                for one in topic.partitions where one.errorCode == .none && one.startOffset >= 0 {
                    let partition = TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: one.index))
                    offsets[partition] = ShareOffset(
                        start: Offset(one.startOffset), lag: one.lag >= 0 ? one.lag : nil)
                }
            }
            return offsets
        }
    }

    /// A group under the consumer protocol; nil when it is none, or when the broker does not know that protocol.
    private func describeConsumers(_ id: String, _ coordinator: NodeID) async throws(ClientError) -> GroupDescription? {
        let response: ConsumerGroupDescribeResponse
        do throws(ClientError) {
            response = try await call(ConsumerGroupDescribeRequest(groupIDs: [id]), to: .node(coordinator))
        } catch {
            if error.code == .unsupportedVersion { return nil }
            throw error
        }
        guard let group = response.groups.first, group.errorCode != .groupIDNotFound else { return nil }
        try Self.check(group.errorCode, group.errorMessage, "ConsumerGroupDescribe", "group \(id)")
        let members = group.members.map { member in
            GroupDescription.Member(
                id: member.memberID, instanceID: member.instanceID, clientID: member.clientID, host: member.clientHost,
                assignment: Self.partitions(member.assignment), epoch: member.memberEpoch)
        }
        return GroupDescription(
            id: id, state: group.groupState, protocolType: "consumer", type: "consumer", epoch: group.groupEpoch,
            assignor: group.assignorName, coordinator: coordinator, members: members.sorted { $0.id < $1.id })
    }

    private static func member(_ member: DescribeGroupsResponse.Member) -> GroupDescription.Member {
        // An assignment that cannot be read belongs to another protocol: the member is shown without partitions.
        let assignment = (try? ConsumerProtocolAssignment(decoding: member.memberAssignment))?.topicPartitions ?? []
        return GroupDescription.Member(
            id: member.memberID, instanceID: member.groupInstanceID, clientID: member.clientID, host: member.clientHost,
            assignment: assignment, epoch: nil)
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

    /// The broker that coordinates a group, or a transactional id.
    func coordinator(
        of key: String, _ type: CoordinatorType = .group
    ) async throws(ClientError) -> NodeID {
        let response = try await call(FindCoordinatorRequest(key: key, keyType: type.rawValue))
        try Self.check(response.errorCode, response.errorMessage, "FindCoordinator", "\(type) \(key)")
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
