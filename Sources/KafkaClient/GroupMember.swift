// SPDX-License-Identifier: Apache-2.0
//
// GroupMember.swift
// One member of a consumer group: joins, learns its partitions, stays alive, commits, leaves.

import KafkaProtocol
public import Model
import NIOCore

/// A member of a consumer group, by the classic protocol with the range assignor.
///
/// The owner calls ``join()``, reads the partitions it returns, and calls ``heartbeat()`` every
/// ``heartbeatIntervalMilliseconds``; when that says that the group is rebalancing, it commits and joins again.
public actor GroupMember {
    /// What a member was given in one generation.
    public struct Assignment: Equatable, Sendable {
        /// The generation.
        public let generation: Int32
        /// The partitions, in rising order.
        public let partitions: [TopicPartition]
    }

    /// How often to call ``heartbeat()``.
    public static let heartbeatIntervalMilliseconds: Int64 = 3_000

    private static let sessionTimeoutMilliseconds: Int32 = 30_000
    private static let rebalanceTimeoutMilliseconds: Int32 = 60_000

    private let client: KafkaClient
    private let group: String
    private let topics: [String]
    private var memberID = ""
    private var generation: Int32 = -1
    private var coordinator: NodeID?

    /// Creates a member that has not joined yet.
    public init(_ client: KafkaClient, group: String, topics: [String]) {
        self.client = client
        self.group = group
        self.topics = topics.sorted()
    }

    /// Joins the group, or joins it again after a rebalance began, and waits for the partitions.
    ///
    /// A group that rebalances again and again is joined again and again; other errors are retried for as long as a
    /// rebalance and a call may take together.
    public func join() async throws(ClientError) -> Assignment {
        let patience = Int64(Self.rebalanceTimeoutMilliseconds) + client.settings.callTimeoutMilliseconds
        let deadline = NIODeadline.now() + .milliseconds(patience)
        while true {
            do {
                return try await joinOnce()
            } catch {
                // The state may have changed while the call was under way; every retry starts from what is known now.
                switch error.kafka {
                case .memberIDRequired, .rebalanceInProgress: continue
                case .unknownMemberID, .illegalGeneration, .fencedInstanceID: forget()
                default:
                    guard error.isRetriable, error.code != .unreachable, NIODeadline.now() < deadline else {
                        throw error
                    }
                    coordinator = nil
                }
                await client.pause(milliseconds: client.settings.backoffMilliseconds)
                if Task.isCancelled { throw error }
            }
        }
    }

    private func joinOnce() async throws(ClientError) -> Assignment {
        let coordinator = try await findCoordinator()
        let subscription = ConsumerProtocolSubscription(topics: topics)
        let request = JoinGroupRequest(
            groupID: group, sessionTimeoutMilliseconds: Self.sessionTimeoutMilliseconds,
            rebalanceTimeoutMilliseconds: Self.rebalanceTimeoutMilliseconds, memberID: memberID,
            protocolType: ConsumerProtocol.protocolType,
            protocols: [.init(name: RangeAssignor.name, metadata: subscription.encoded(version: 1))])
        // The broker answers when the others have joined, or when their time is over.
        let timeout = Int64(Self.rebalanceTimeoutMilliseconds) + client.settings.requestTimeoutMilliseconds
        let response = try await client.call(
            request, to: .node(coordinator), lane: .group, timeoutMilliseconds: timeout)
        if response.errorCode == .memberIDRequired { memberID = response.memberID }
        try KafkaClient.check(response.errorCode, nil, "join group", "group \(group)")
        memberID = response.memberID
        generation = response.generationID
        return try await sync(response, coordinator: coordinator)
    }

    private func sync(_ joined: JoinGroupResponse, coordinator: NodeID) async throws(ClientError) -> Assignment {
        let isLeader = joined.leader == joined.memberID
        let assignments = isLeader ? try await divide(among: joined.members) : []
        let request = SyncGroupRequest(
            groupID: group, generationID: joined.generationID, memberID: joined.memberID,
            protocolType: ConsumerProtocol.protocolType, protocolName: RangeAssignor.name, assignments: assignments)
        let timeout = Int64(Self.rebalanceTimeoutMilliseconds) + client.settings.requestTimeoutMilliseconds
        let response = try await client.call(
            request, to: .node(coordinator), lane: .group, timeoutMilliseconds: timeout)
        try KafkaClient.check(response.errorCode, nil, "sync group", "group \(group)")
        do {
            let assignment = try ConsumerProtocolAssignment(decoding: response.assignment)
            return Assignment(generation: joined.generationID, partitions: assignment.topicPartitions)
        } catch {
            throw ClientError(.malformedResponse, attempted: "sync group", place: "group \(group)", detail: "\(error)")
        }
    }

    /// Divides the partitions, as the member whom the coordinator made the leader must.
    private func divide(
        among members: [JoinGroupResponse.Member]
    ) async throws(ClientError) -> [SyncGroupRequest.Assignment] {
        var subscriptions: [String: [String]] = [:]
        for member in members {
            // A member whose wishes cannot be read gets nothing; the others must not suffer.
            subscriptions[member.memberID] =
                (try? ConsumerProtocolSubscription(decoding: member.metadata))?.topics ?? []
        }
        let names = Set(subscriptions.values.joined()).sorted()
        let metadata = try await client.metadata(topics: names)
        let counts = metadata.topics.filter { names.contains($0.key) }.mapValues(\.partitions.count)
        return RangeAssignor.assign(partitionCounts: counts, subscriptions: subscriptions).sorted { $0.key < $1.key }
            .map {
                let topics = $0.value.groupedByTopic.map { topic, partitions in
                    ConsumerTopicPartitions(name: topic, partitions: partitions.map(\.rawValue))
                }
                return .init(
                    memberID: $0.key,
                    assignment: ConsumerProtocolAssignment(assignedPartitions: topics).encoded(version: 1))
            }
    }

    /// Says that this member is alive.
    ///
    /// - Returns: Whether the generation goes on; false when the member must ``join()`` again.
    public func heartbeat() async throws(ClientError) -> Bool {
        guard let coordinator else { return false }
        let request = HeartbeatRequest(groupID: group, generationID: generation, memberID: memberID)
        let code: KafkaErrorCode
        do {
            code = try await client.call(request, to: .node(coordinator)).errorCode
        } catch {
            guard error.isRetriable else { throw error }
            return true
        }
        switch code {
        case .none: return true
        case .rebalanceInProgress: return false
        case .unknownMemberID, .illegalGeneration, .fencedInstanceID:
            forget()
            return false
        case .notCoordinator, .coordinatorNotAvailable:
            self.coordinator = try? await client.coordinator(of: group)
            return true
        default:
            if code.isRetriable { return true }
            throw ClientError(refused: code, attempted: "heartbeat", place: "group \(group)")
        }
    }

    /// Commits the next offset to read of some partitions.
    public func commit(_ offsets: [TopicPartition: Offset]) async throws(ClientError) {
        guard !offsets.isEmpty else { return }
        let topics = offsets.keys.groupedByTopic.map { topic, partitions in
            OffsetCommitRequest.Topic(
                name: topic,
                partitions: partitions.map { index in
                    let offset = offsets[TopicPartition(topic: topic, partition: index)]?.rawValue ?? -1
                    return .init(index: index.rawValue, committedOffset: offset, committedMetadata: "")
                })
        }
        let request = OffsetCommitRequest(groupID: group, generationID: generation, memberID: memberID, topics: topics)
        let group = group
        try await client.retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: group)
            for topic in try await client.call(request, to: .node(coordinator)).topics {
                for answer in topic.partitions {
                    try KafkaClient.check(answer.errorCode, nil, "commit offset", "\(topic.name)/\(answer.index)")
                }
            }
        }
    }

    /// Leaves the group, so that its partitions go to others at once.
    public func leave() async {
        guard let coordinator, !memberID.isEmpty else { return }
        let request = LeaveGroupRequest(groupID: group, memberID: memberID, members: [.init(memberID: memberID)])
        // Without an answer the session simply runs out.
        _ = try? await client.call(request, to: .node(coordinator), timeoutMilliseconds: 2_000)
        forget()
    }

    private func findCoordinator() async throws(ClientError) -> NodeID {
        if let coordinator { return coordinator }
        let group = group
        let found = try await client.retrying { client throws(ClientError) in try await client.coordinator(of: group) }
        coordinator = found
        return found
    }

    private func forget() {
        memberID = ""
        generation = -1
    }
}
