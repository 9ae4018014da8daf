// SPDX-License-Identifier: Apache-2.0
//
// TopicIDTests.swift
// Topics by their ids in Metadata, CreateTopics and DeleteTopics; ids survive a restart.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct TopicIDTests {
    private func create(_ name: String, validateOnly: Bool = false) -> CreateTopicsRequest {
        CreateTopicsRequest(
            topics: [.init(name: name, partitionCount: 1, replicationFactor: 1)], timeoutMilliseconds: 10_000,
            validateOnly: validateOnly)
    }

    @Test func metadataKnowsTopicsByID() async throws {
        let harness = try await BrokerHarness.start()
        let made = try await harness.call(create("a"), version: 7).topics[0]
        #expect(made.errorCode == .none && made.topicID != .zero)
        #expect(try await harness.call(create("b", validateOnly: true), version: 7).topics[0].topicID == .zero)
        #expect(try await harness.call(create("a"), version: 7).topics[0].topicID == .zero, "it was there before")
        let other = TopicID(high: 1, low: 2)
        let asked = MetadataRequest(topics: [
            .init(topicID: made.topicID), .init(topicID: other), .init(name: "a", topicID: made.topicID),
            .init(name: "b", topicID: made.topicID), .init(name: "a"),
        ])
        for version in Int16(12)...13 {
            let answer = try await harness.call(asked, version: version)
            #expect(answer.topics.map(\.name) == ["a", nil, "a", "b", "a"])
            #expect(
                answer.topics.map(\.errorCode) == [.none, .unknownTopicID, .none, .inconsistentTopicID, .none])
            #expect(answer.topics[0].topicID == made.topicID && answer.topics[1].topicID == other)
            #expect(answer.errorCode == .none)
        }
        // Versions 10 and 11 have room for an id in the request, and only answer with it.
        let early = try await harness.call(MetadataRequest(topics: [.init(name: "a")]), version: 10)
        #expect(early.topics[0].topicID == made.topicID)
        let refused = try await harness.call(MetadataRequest(topics: [.init(topicID: made.topicID)]), version: 11)
        #expect(refused.topics.map(\.errorCode) == [.invalidRequest])
        try await harness.stop()

        let restarted = try await BrokerHarness.start(in: harness.scratch)
        let found = try await restarted.call(MetadataRequest(topics: [.init(topicID: made.topicID)]), version: 12)
        #expect(found.topics.map(\.name) == ["a"])
        try await restarted.stop()
    }

    @Test func topicsAreDeletedByNameOrByID() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let first = try await broker.call(create("a"), version: 7).topics[0].topicID
            let second = try await broker.call(create("b"), version: 7).topics[0].topicID
            let other = TopicID(high: 1, low: 2)
            let request = DeleteTopicsRequest(
                topics: [
                    .init(topicID: first), .init(name: "b"), .init(topicID: other), .init(name: "c"),
                    .init(name: "a", topicID: first), .init(),
                ], timeoutMilliseconds: 1000)
            let answers = try await broker.call(request, version: 6).topics
            #expect(answers.map(\.name) == ["a", "b", nil, "c", "a", nil])
            #expect(answers.prefix(3).map(\.topicID) == [first, second, other])
            #expect(
                answers.map(\.errorCode) == [
                    .none, .none, .unknownTopicID, .unknownTopicOrPartition, .invalidRequest, .invalidRequest,
                ])
            #expect(answers[0].errorMessage == nil && answers[2].errorMessage?.isEmpty == false)
            #expect(try await broker.call(MetadataRequest(), version: 12).topics.isEmpty)
        }
    }

    @Test func positionsAreStoredAndAskedForByID() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let known = try await broker.call(create("a"), version: 7).topics[0].topicID
            let unknown = TopicID(high: 1, low: 2)
            func partition(_ index: Int32) -> OffsetCommitRequest.Partition {
                .init(index: index, committedOffset: 7, committedMetadata: "note")
            }
            let commit = OffsetCommitRequest(
                groupID: "g", memberID: "",
                topics: [
                    .init(topicID: known, partitions: [partition(0), partition(1)]),
                    .init(topicID: unknown, partitions: [partition(0)]),
                ])
            let committed = try await broker.call(commit, version: 10).topics
            #expect(committed.map(\.topicID) == [known, unknown])
            #expect(
                committed.map { $0.partitions.map(\.errorCode) } == [
                    [.none, .unknownTopicOrPartition], [.unknownTopicID],
                ])
            let asked = OffsetFetchRequest(groups: [
                .init(
                    groupID: "g",
                    topics: [
                        .init(topicID: known, partitionIndexes: [0, 1]), .init(topicID: unknown, partitionIndexes: [0]),
                    ]),
                .init(groupID: "g"),
            ])
            let found = try await broker.call(asked, version: 10).groups
            #expect(found.map { $0.topics.map(\.topicID) } == [[known, unknown], [known]])
            #expect(found[0].topics[0].partitions.map(\.committedOffset) == [7, -1])
            #expect(found[0].topics[0].partitions.map(\.metadata) == ["note", ""])
            #expect(found[0].topics[1].partitions.map(\.errorCode) == [.unknownTopicID])
            #expect(found[1].topics[0].partitions.map(\.committedOffset) == [7])
            // What was stored by id is found by name.
            let named = try await broker.call(
                OffsetFetchRequest(groups: [.init(groupID: "g", topics: [.init(name: "a", partitionIndexes: [0])])]),
                version: 9)
            #expect(named.groups[0].topics.map(\.name) == ["a"])
            #expect(named.groups[0].topics[0].partitions.map(\.committedOffset) == [7])
        }
    }
}
