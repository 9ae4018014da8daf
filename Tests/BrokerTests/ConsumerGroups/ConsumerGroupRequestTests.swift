// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupRequestTests.swift
// The consumer protocol through the broker: heartbeats, description, listing, offsets, and groups of the other kind.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct ConsumerGroupRequestTests {
    private func join(_ member: String, group: String = "g", names: [String] = ["t"]) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest(
            groupID: group, memberID: member, memberEpoch: 0, rebalanceTimeoutMilliseconds: 60_000,
            subscribedTopicNames: names, topicPartitions: [])
    }

    private func beat(
        _ member: String, _ epoch: Int32, _ owned: [TopicIDPartitions]? = nil
    )
        -> ConsumerGroupHeartbeatRequest
    {
        ConsumerGroupHeartbeatRequest(groupID: "g", memberID: member, memberEpoch: epoch, topicPartitions: owned)
    }

    @Test func membersShareATopicAndAreDescribed() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t", partitions: 4)
            let first = try await broker.call(join("a"), version: 1)
            #expect(first.errorCode == .none && first.memberEpoch == 1 && first.memberID == "a")
            #expect(first.heartbeatIntervalMilliseconds == 5_000)
            #expect(first.assignment?.topicPartitions.map(\.partitions) == [[0, 1, 2, 3]])
            let second = try await broker.call(join(""), version: 0)
            let chosen = try #require(second.memberID)
            #expect(chosen.count == 36 && second.memberEpoch == 2, "version 0: the coordinator chooses the id")
            #expect(try await broker.call(join(""), version: 1).errorCode == .invalidRequest)
            let kept = try #require(try await broker.call(beat("a", 1), version: 1).assignment?.topicPartitions)
            #expect(try await broker.call(beat("a", 1, kept), version: 1).memberEpoch == 2)
            let given = try await broker.call(beat(chosen, 2), version: 1)
            #expect(given.assignment?.topicPartitions.map(\.partitions.count) == [2])

            let described = try await broker.call(
                ConsumerGroupDescribeRequest(groupIDs: ["g", "none"], includeAuthorizedOperations: true), version: 1)
            let group = try #require(described.groups.first)
            #expect(group.groupState == "Stable" && group.groupEpoch == 2 && group.assignmentEpoch == 2)
            #expect(group.assignorName == "uniform" && group.members.count == 2)
            #expect(group.members.allSatisfy { $0.memberEpoch == 2 && $0.memberType == 1 })
            #expect(group.members.allSatisfy { $0.assignment == $0.targetAssignment })
            let topics = group.members.flatMap(\.assignment.topicPartitions)
            #expect(topics.allSatisfy { $0.topicName == "t" })
            #expect(Set(topics.flatMap(\.partitions)) == [0, 1, 2, 3])
            #expect(described.groups.last?.errorCode == .groupIDNotFound)
            let classic = try await broker.call(DescribeGroupsRequest(groupIDs: ["g"]), version: 6)
            #expect(classic.groups.first?.errorCode == .groupIDNotFound)
            #expect(classic.groups.first?.errorMessage == "Group g is not a classic group.")
            #expect(
                try await broker.call(DescribeGroupsRequest(groupIDs: ["g"]), version: 5).groups.first?.groupState
                    == "Dead")
            #expect(broker.metric("goulette_consumer_group_members") == 2)
        }
    }

    @Test func bothKindsOfGroupsAreListed() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t", partitions: 1)
            _ = try await broker.call(join("a"), version: 1)
            _ = try await broker.call(
                JoinGroupRequest(
                    groupID: "old", sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 10_000,
                    memberID: "", protocolType: "consumer", protocols: [.init(name: "range", metadata: [])]),
                version: 2)
            func list(_ types: [String] = [], states: [String] = []) async throws -> [String] {
                let request = ListGroupsRequest(statesFilter: states, typesFilter: types)
                return try await broker.call(request, version: 5).groups.map { "\($0.groupID) \($0.groupType)" }
                    .sorted()
            }
            #expect(try await list() == ["g consumer", "old classic"])
            #expect(try await list(["Consumer"]) == ["g consumer"])
            #expect(try await list(["classic"]) == ["old classic"])
            #expect(try await list(["share"]) == [])
            #expect(try await list(states: ["stable"]).contains("g consumer"))
            #expect(try await list(states: ["Empty"]).contains("g consumer") == false)

            let other = try await broker.call(join("a", group: "old"), version: 1)
            #expect(other.errorCode == .groupIDNotFound && other.errorMessage == "Group old is not a consumer group.")
            let wrong = try await broker.call(
                JoinGroupRequest(
                    groupID: "g", sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 10_000,
                    memberID: "", protocolType: "consumer", protocols: [.init(name: "range", metadata: [])]),
                version: 2)
            #expect(wrong.errorCode == .inconsistentGroupProtocol)
            #expect(
                try await broker.call(DeleteGroupsRequest(groupIDs: ["g"]), version: 2).groups.first?.errorCode
                    == .nonEmptyGroup)
            _ = try await broker.call(beat("a", -1), version: 1)
            #expect(try await list(["consumer"], states: ["Empty"]) == ["g consumer"])
            #expect(
                try await broker.call(DeleteGroupsRequest(groupIDs: ["g"]), version: 2).groups.first?.errorCode
                    == KafkaErrorCode.none)
            #expect(try await list(["consumer"]) == [])
        }
    }

    @Test func offsetsAreCommittedAndReadWithTheEpoch() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t", partitions: 1)
            _ = try await broker.call(join("a"), version: 1)
            func commit(_ epoch: Int32, member: String = "a", version: Int16 = 9) async throws -> KafkaErrorCode? {
                let request = OffsetCommitRequest(
                    groupID: "g", generationID: epoch, memberID: member,
                    topics: [.init(name: "t", partitions: [.init(index: 0, committedOffset: 7)])])
                return try await broker.call(request, version: version).topics.first?.partitions.first?.errorCode
            }
            #expect(try await commit(1) == KafkaErrorCode.none)
            #expect(try await commit(0) == .staleMemberEpoch)
            #expect(try await commit(1, member: "b") == .unknownMemberID)
            #expect(try await commit(1, version: 8) == .unsupportedVersion)
            func fetch(_ member: String?, _ epoch: Int32) async throws -> OffsetFetchResponse.Group? {
                let request = OffsetFetchRequest(
                    groups: [
                        .init(
                            groupID: "g", memberID: member, memberEpoch: epoch,
                            topics: [.init(name: "t", partitionIndexes: [0])])
                    ])
                return try await broker.call(request, version: 9).groups.first
            }
            #expect(try await fetch("a", 1)?.topics.first?.partitions.first?.committedOffset == 7)
            #expect(try await fetch(nil, -1)?.topics.first?.partitions.first?.committedOffset == 7)
            #expect(try await fetch("a", 4)?.errorCode == .staleMemberEpoch)
            #expect(try await fetch("b", 1)?.errorCode == .unknownMemberID)
        }
    }

    @Test func aTopicThatComesIsAssigned() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            var request = join("a", names: ["later"])
            request.subscribedTopicRegex = "log-.*"
            #expect(try await broker.call(request, version: 1).assignment?.topicPartitions == [])
            _ = try await broker.createTopic("later", partitions: 2)
            _ = try await broker.createTopic("log-1", partitions: 1)
            var count = 0
            var epoch: Int32 = 1
            for _ in 0..<2_000 where count < 3 {
                let answer = try await broker.call(beat("a", epoch), version: 1)
                epoch = answer.memberEpoch
                count = answer.assignment?.topicPartitions.reduce(0) { $0 + $1.partitions.count } ?? count
                // The look at topics is gathered on the broker's clock, and no event leaves it: it is asked again.
                if count < 3 { try await Task.sleep(for: .milliseconds(5)) }
            }
            #expect(count == 3)
            request.subscribedTopicRegex = "log-("
            #expect(try await broker.call(request, version: 1).errorCode == .invalidRegularExpression)
        }
    }
}
