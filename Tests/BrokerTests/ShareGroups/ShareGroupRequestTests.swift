// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupRequestTests.swift
// Share groups through the broker: heartbeats, description, listing, offsets, and groups of other kinds.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct ShareGroupRequestTests {
    private func beat(
        _ member: String, _ epoch: Int32, group: String = "s", names: [String]? = nil
    ) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest(groupID: group, memberID: member, memberEpoch: epoch, subscribedTopicNames: names)
    }

    @Test func membersAreDescribedAndListed() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t", partitions: 2)
            let first = try await broker.call(beat("a", 0, names: ["t"]), version: 1)
            #expect(first.errorCode == .none && first.memberEpoch == 1 && first.memberID == "a")
            #expect(first.heartbeatIntervalMilliseconds == 5_000)
            #expect(first.assignment?.topicPartitions.map(\.partitions) == [[0, 1]])
            #expect(try await broker.call(beat("b", 0, names: ["t"]), version: 1).memberEpoch == 2)
            #expect(try await broker.call(beat("a", 1), version: 1).memberEpoch == 2)

            let described = try await broker.call(
                ShareGroupDescribeRequest(groupIDs: ["s", "none"], includeAuthorizedOperations: true), version: 1)
            let group = try #require(described.groups.first)
            #expect(group.groupState == "Stable" && group.groupEpoch == 2 && group.assignorName == "simple")
            #expect(group.members.map(\.memberID) == ["a", "b"])
            #expect(group.members.allSatisfy { $0.assignment.topicPartitions.map(\.topicName) == ["t"] })
            #expect(described.groups.last?.errorCode == .groupIDNotFound)
            let listed = try await broker.call(ListGroupsRequest(typesFilter: ["Share"]), version: 5)
            #expect(listed.groups.map(\.groupID) == ["s"] && listed.groups.first?.groupType == "share")
            #expect(try await broker.call(ListGroupsRequest(typesFilter: ["classic"]), version: 5).groups.isEmpty)
            #expect(broker.metric("goulette_share_group_members") == 2)
        }
    }

    @Test func groupsOfOtherKindsKeepTheirIDs() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t", partitions: 1)
            _ = try await broker.call(beat("a", 0, names: ["t"]), version: 1)
            let consumer = ConsumerGroupHeartbeatRequest(
                groupID: "s", memberID: "c", memberEpoch: 0, rebalanceTimeoutMilliseconds: 1_000,
                subscribedTopicNames: ["t"], topicPartitions: [])
            #expect(try await broker.call(consumer, version: 1).errorCode == .groupIDNotFound)
            let classic = JoinGroupRequest(
                groupID: "s", sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 10_000, memberID: "",
                protocolType: "consumer", protocols: [.init(name: "range", metadata: [])])
            #expect(try await broker.call(classic, version: 2).errorCode == .inconsistentGroupProtocol)
            let commit = OffsetCommitRequest(
                groupID: "s", memberID: "",
                topics: [.init(name: "t", partitions: [.init(index: 0, committedOffset: 1)])])
            let committed = try await broker.call(commit, version: 9)
            #expect(committed.topics.first?.partitions.first?.errorCode == .groupIDNotFound)

            var other = consumer
            other.groupID = "c"
            #expect(try await broker.call(other, version: 1).errorCode == .none)
            let refused = try await broker.call(beat("x", 0, group: "c", names: ["t"]), version: 1)
            #expect(refused.errorCode == .groupIDNotFound && refused.errorMessage == "Group c is not a share group.")
        }
    }

    @Test func operatorsReadAndChangeHowFarAGroupIs() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t", partitions: 2)
            _ = try await broker.call(beat("a", 0, names: ["t"]), version: 1)
            let alter = AlterShareGroupOffsetsRequest(
                groupID: "s",
                topics: [
                    .init(name: "t", partitions: [.init(index: 1, startOffset: 3), .init(index: 9, startOffset: 0)]),
                    .init(name: "none", partitions: [.init(index: 0, startOffset: 0)]),
                ])
            #expect(try await broker.call(alter, version: 0).errorCode == .nonEmptyGroup)
            let delete = DeleteGroupsRequest(groupIDs: ["s"])
            #expect(try await broker.call(delete, version: 2).groups.first?.errorCode == .nonEmptyGroup)
            _ = try await broker.call(beat("a", -1), version: 1)
            let altered = try await broker.call(alter, version: 0)
            #expect(altered.errorCode == .none)
            #expect(
                altered.topics.flatMap { $0.partitions.map(\.errorCode) }
                    == [.none, .unknownTopicOrPartition, .unknownTopicOrPartition])

            let describe = DescribeShareGroupOffsetsRequest(groups: [.init(groupID: "s"), .init(groupID: "none")])
            let described = try await broker.call(describe, version: 1)
            #expect(described.groups.map(\.errorCode) == [.none, .groupIDNotFound])
            let partitions = try #require(described.groups.first?.topics.first?.partitions)
            #expect(partitions.map(\.startOffset) == [-1, 3] && partitions.map(\.lag) == [-1, 0])
            let named = DescribeShareGroupOffsetsRequest(
                groups: [.init(groupID: "s", topics: [.init(name: "t", partitionIndexes: [1, 7])])])
            let answer = try await broker.call(named, version: 0)
            #expect(
                answer.groups.first?.topics.first?.partitions.map(\.errorCode) == [.none, .unknownTopicOrPartition])

            let forget = DeleteShareGroupOffsetsRequest(groupID: "s", topics: [.init(name: "t"), .init(name: "none")])
            let forgotten = try await broker.call(forget, version: 0)
            #expect(forgotten.topics.map(\.errorCode) == [.none, .unknownTopicOrPartition])
            #expect(try await broker.call(describe, version: 1).groups.first?.topics.isEmpty == true)
            #expect(try await broker.call(delete, version: 2).groups.first?.errorCode == KafkaErrorCode.none)
            #expect(try await broker.call(delete, version: 2).groups.first?.errorCode == .groupIDNotFound)
            #expect(try await broker.call(forget, version: 0).errorCode == .groupIDNotFound)
        }
    }

    @Test func theCoordinatorIsFoundByKey() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let id = TopicID(high: 1, low: 2)
            let request = FindCoordinatorRequest(keyType: 2, coordinatorKeys: ["g:\(id):0", "g"])
            let found = try await broker.call(request, version: 6)
            #expect(found.coordinators.map(\.errorCode) == [.none, .invalidRequest])
        }
    }
}
