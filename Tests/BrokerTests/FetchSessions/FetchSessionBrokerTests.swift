// SPDX-License-Identifier: Apache-2.0
//
// FetchSessionBrokerTests.swift
// Fetch sessions and topic ids through a whole broker: made, gone on with on its loop and on another, ended.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct FetchSessionBrokerTests {
    private func request(
        session: Int32, epoch: Int32, _ topics: [FetchRequest.Topic] = []
    ) -> FetchRequest {
        FetchRequest(
            maxWaitMilliseconds: 0, minBytes: 0, isolationLevel: 0, sessionID: session, sessionEpoch: epoch,
            topics: topics)
    }

    private func partition(_ index: Int32, at offset: Int64 = 0) -> FetchRequest.Partition {
        FetchRequest.Partition(index: index, fetchOffset: offset, partitionMaxBytes: 1 << 20)
    }

    private func id(of topic: String, at broker: BrokerHarness) async throws -> TopicID {
        let asked = MetadataRequest(topics: [.init(name: topic)], allowAutoTopicCreation: false)
        return try await broker.call(asked, version: 12).topics[0].topicID
    }

    @Test(arguments: [Int16(7), 12, 13, 16])
    func onlyNewsIsAnswered(version: Int16) async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a", partitions: 3)
            let byID = version >= 13
            let topicID = byID ? try await id(of: "a", at: broker) : .zero
            let name = byID ? "" : "a"
            let all = FetchRequest.Topic(name: name, topicID: topicID, partitions: (0..<3).map { partition($0) })
            let full = try await broker.call(request(session: 0, epoch: 0, [all]), version: version)
            #expect(full.errorCode == .none && full.sessionID > 0)
            #expect(full.topics.map(\.partitions.count) == [3])
            #expect(full.topics[0].topicID == topicID && full.topics[0].name == name)
            #expect(broker.metric("goulette_fetch_sessions") == 1)
            #expect(broker.metric("goulette_fetch_session_partitions") == 3)

            let nothing = try await broker.call(request(session: full.sessionID, epoch: 1), version: version)
            #expect(nothing.errorCode == .none && nothing.topics.isEmpty && nothing.sessionID == full.sessionID)
            #expect(try await broker.produce(["x"], to: "a", partition: 1).errorCode == .none)
            let one = try await broker.call(request(session: full.sessionID, epoch: 2), version: version)
            #expect(one.topics.map { $0.partitions.map(\.index) } == [[1]])
            #expect(try broker.values(one.topics[0].partitions[0]) == ["x"])
            #expect(one.topics[0].topicID == topicID && one.topics[0].name == name)
            let next = FetchRequest.Topic(name: name, topicID: topicID, partitions: [partition(1, at: 1)])
            let told = try await broker.call(request(session: full.sessionID, epoch: 3, [next]), version: version)
            #expect(told.topics.isEmpty)
            let sessions = "goulette_fetch_session_requests_total{kind="
            #expect(broker.metric(sessions + "\"full\"}") == 1)
            #expect(broker.metric(sessions + "\"incremental\"}") == 3)

            let stale = try await broker.call(request(session: full.sessionID, epoch: 3), version: version)
            #expect(stale.errorCode == .invalidFetchSessionEpoch && stale.topics.isEmpty)
            let other = try await broker.call(
                request(session: full.sessionID, epoch: 4), version: byID ? 12 : 13)
            #expect(other.errorCode == .fetchSessionTopicIDError)
            let last = try await broker.call(request(session: full.sessionID, epoch: -1), version: version)
            #expect(last.errorCode == .none && last.sessionID == 0)
            #expect(broker.metric("goulette_fetch_sessions") == 0)
            let gone = try await broker.call(request(session: full.sessionID, epoch: 4), version: version)
            #expect(gone.errorCode == .fetchSessionIDNotFound)
        }
    }

    @Test func aSessionBelongsToItsLoop() async throws {
        try await BrokerHarness.withBroker(loops: 2) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            let topics = [FetchRequest.Topic(name: "a", partitions: [partition(0)])]
            let full = try await broker.call(request(session: 0, epoch: 0, topics), version: 11, loop: 1)
            #expect(full.sessionID > 0)
            let elsewhere = try await broker.call(request(session: full.sessionID, epoch: 1), version: 11, loop: 0)
            #expect(elsewhere.errorCode == .fetchSessionIDNotFound)
            let here = try await broker.call(request(session: full.sessionID, epoch: 1), version: 11, loop: 1)
            #expect(here.errorCode == .none)
        }
    }

    @Test func aRecreatedTopicIsAnotherOne() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            let first = try await id(of: "a", at: broker)
            let topics = [FetchRequest.Topic(topicID: first, partitions: [partition(0), partition(9)])]
            let full = try await broker.call(request(session: 0, epoch: 0, topics), version: 16)
            #expect(full.topics[0].partitions.map(\.errorCode) == [.none, .unknownTopicOrPartition])
            let deletion = DeleteTopicsRequest(topics: [.init(topicID: first)], timeoutMilliseconds: 1000)
            let deleted = try await broker.call(deletion, version: 6).topics
            #expect(deleted == [.init(name: "a", topicID: first)])
            _ = try await broker.createTopic("a")
            let second = try await id(of: "a", at: broker)
            #expect(first != .zero && second != .zero && first != second)
            let incremental = try await broker.call(request(session: full.sessionID, epoch: 1), version: 16)
            #expect(incremental.topics[0].partitions.map(\.errorCode) == [.unknownTopicID, .unknownTopicID])
            let named = [FetchRequest.Topic(topicID: second, partitions: [partition(0)])]
            let again = try await broker.call(request(session: 0, epoch: -1, named), version: 16)
            #expect(again.topics[0].partitions.map(\.errorCode) == [.none])
        }
    }
}
