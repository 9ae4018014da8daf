// SPDX-License-Identifier: Apache-2.0
//
// ShareFetchBrokerTests.swift
// Share fetches and acknowledgements through a whole broker: who gets what, who is woken by what, sessions and bounds.

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import Broker

/// A client of a share group, as its requests look.
private final class ShareClient {
    let broker: BrokerHarness
    let topicID: TopicID
    let connection = ConnectionEnd()
    let member: String
    let group: String
    let loop: Int
    /// What is said next of the session.
    var epoch: Int32 = 0

    /// A client that has entered the group.
    init(_ broker: BrokerHarness, _ topic: String, member: String, group: String = "g", loop: Int = 0) async throws {
        self.broker = broker
        self.group = group
        self.member = member
        self.loop = loop
        let asked = MetadataRequest(topics: [.init(name: topic)], allowAutoTopicCreation: false)
        topicID = try await broker.call(asked, version: 12).topics[0].topicID
        let heartbeat = ShareGroupHeartbeatRequest(
            groupID: group, memberID: member, memberEpoch: 0, subscribedTopicNames: [topic])
        let answer = try await broker.call(heartbeat, version: 1)
        #expect(answer.errorCode == .none, "\(answer.errorMessage ?? "")")
    }

    func request(
        _ words: [AcknowledgementBatch] = [], wait: Int32 = 0, minBytes: Int32 = 1
    ) -> ShareFetchRequest {
        let partition = SharePartition(index: 0, acknowledgementBatches: words)
        return ShareFetchRequest(
            groupID: group, memberID: member, shareSessionEpoch: epoch, maxWaitMilliseconds: wait, minBytes: minBytes,
            maxBytes: 1 << 20, maxRecords: 100, batchSize: 100,
            topics: [.init(topicID: topicID, partitions: [partition])])
    }

    func send(_ request: ShareFetchRequest) async throws -> ShareFetchResponse {
        var request = request
        request.shareSessionEpoch = epoch
        epoch += 1
        return try await broker.call(request, version: 2, loop: loop, on: connection)
    }

    /// The partition's part of an answer; what is not told is as if nothing happened.
    func fetch(
        _ words: [AcknowledgementBatch] = [], wait: Int32 = 0
    ) async throws -> ShareFetchResponse.Partition {
        let answer = try await send(request(words, wait: wait))
        #expect(answer.errorCode == .none)
        return answer.topics.first?.partitions.first ?? ShareFetchResponse.Partition(index: 0)
    }

    func acknowledge(_ words: [AcknowledgementBatch]) async throws -> KafkaErrorCode {
        let partition = SharePartition(index: 0, acknowledgementBatches: words)
        let request = ShareAcknowledgeRequest(
            groupID: group, memberID: member, shareSessionEpoch: epoch,
            topics: [.init(topicID: topicID, partitions: [partition])])
        epoch += 1
        let answer = try await broker.call(request, version: 2, loop: loop, on: connection)
        guard answer.errorCode == .none else { return answer.errorCode }
        return answer.topics.first?.partitions.first?.errorCode ?? .none
    }
}

@Suite struct ShareFetchBrokerTests {
    private static let options: [(key: String, value: String)] = [
        ("share_groups.auto_offset_reset", "earliest")
    ]

    private func word(_ first: Int64, _ last: Int64, _ types: Int8...) -> AcknowledgementBatch {
        AcknowledgementBatch(firstOffset: first, lastOffset: last, acknowledgeTypes: types)
    }

    private func ranges(_ answer: ShareFetchResponse.Partition) -> [[Int64]] {
        answer.acquiredRecords.map { [$0.firstOffset, $0.lastOffset, Int64($0.deliveryCount)] }
    }

    private func values(_ answer: ShareFetchResponse.Partition) throws -> [String] {
        try RecordBatch.batches(in: answer.records.contiguous()).flatMap { batch in
            try batch.allRecords().map { $0.value.map { String(buffer: $0) } ?? "" }
        }
    }

    /// Where a group begins, its locks and its isolation may be its own.
    @Test func aGroupMayHaveItsOwnSettings() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            _ = try await broker.produce(["a", "b"], to: "jobs")
            let values = [
                "share.auto.offset.reset": "earliest", "share.record.lock.duration.ms": "400",
                "share.isolation.level": "read_committed",
            ]
            let request = IncrementalAlterConfigsRequest(resources: [
                .init(
                    resourceType: 32, resourceName: "g",
                    configs: values.map { .init(name: $0.key, operation: 0, value: $0.value) })
            ])
            #expect(try await broker.call(request, version: 1).resources[0].errorCode == .none)
            let one = try await ShareClient(broker, "jobs", member: "one")
            let answer = try await one.send(one.request())
            #expect(answer.acquisitionLockTimeoutMilliseconds == 400)
            #expect(answer.topics.first?.partitions.first.map(ranges) == [[0, 1, 1]])
            // Nobody else has a lock on them for longer than that.
            let two = try await ShareClient(broker, "jobs", member: "two", loop: 1)
            #expect(ranges(try await two.fetch(wait: 20_000)).first?.last == 2)
            let other = try await ShareClient(broker, "jobs", member: "one", group: "other")
            #expect(ranges(try await other.fetch()) == [], "at the end, as the broker says")
            #expect(try await other.send(other.request()).acquisitionLockTimeoutMilliseconds == 30_000)
        }
    }

    @Test func recordsGoToOneMemberEach() async throws {
        try await BrokerHarness.withBroker(options: Self.options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            _ = try await broker.produce(["a", "b"], to: "jobs")
            _ = try await broker.produce(["c"], to: "jobs")
            let one = try await ShareClient(broker, "jobs", member: "one")
            let two = try await ShareClient(broker, "jobs", member: "two", loop: 1)
            let first = try await one.fetch()
            #expect(ranges(first) == [[0, 2, 1]])
            #expect(try values(first) == ["a", "b", "c"])
            #expect(ranges(try await two.fetch()) == [])
            // What a member says of others' records is refused.
            #expect(try await two.acknowledge([word(0, 0, 1)]) == .invalidRecordState)
            let second = try await one.fetch([word(0, 2, 1, 2, 3)])
            #expect(second.acknowledgeErrorCode == .none)
            // The released one comes again, with its batch.
            #expect(ranges(second) == [[1, 1, 2]])
            #expect(try values(second) == ["a", "b"])
            #expect(try await one.acknowledge([word(0, 0, 1)]) == .invalidRecordState)
            #expect(try await one.acknowledge([word(1, 1, 1)]) == .none)
            #expect(broker.metric("goulette_share_records_in_flight") == 0)
            #expect(broker.metric("goulette_share_records_total{outcome=\"accepted\"}") == 2)
            #expect(broker.metric("goulette_share_records_total{outcome=\"rejected\"}") == 1)
        }
    }

    @Test func whoWaitsIsWokenByRecordsAndByWhatIsGivenBack() async throws {
        try await BrokerHarness.withBroker(options: Self.options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            let one = try await ShareClient(broker, "jobs", member: "one")
            let two = try await ShareClient(broker, "jobs", member: "two", loop: 1)
            let wanted = two.request(wait: 30_000)
            async let waiting = broker.call(wanted, version: 2, loop: 1)
            _ = try await broker.produce(["a"], to: "jobs")
            #expect(try await waiting.topics.first.map { ranges($0.partitions[0]) } == [[0, 0, 1]])
            _ = try await one.fetch()
            let asked = one.request(wait: 30_000)
            async let released = broker.call(asked, version: 2, loop: 0)
            two.epoch = 1
            #expect(try await two.acknowledge([word(0, 0, 2)]) == .none)
            #expect(try await released.topics.first.map { ranges($0.partitions[0]) } == [[0, 0, 2]])
        }
    }

    @Test func enoughBytesAreWaitedFor() async throws {
        try await BrokerHarness.withBroker(options: Self.options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            let one = try await ShareClient(broker, "jobs", member: "one")
            _ = try await broker.produce(["a"], to: "jobs")
            let asked = one.request(wait: 30_000, minBytes: 100)
            async let waiting = broker.call(asked, version: 2)
            _ = try await broker.produce([String(repeating: "b", count: 100)], to: "jobs")
            // Both are given at once: nothing was locked while there was too little.
            #expect(try await waiting.topics.first.map { ranges($0.partitions[0]) } == [[0, 1, 1]])
            let late = try await ShareClient(broker, "jobs", member: "late")
            #expect(try await late.send(late.request(wait: 50, minBytes: 100)).topics.isEmpty)
        }
    }

    @Test func aStrictMemberGetsNoMoreThanItAskedFor() async throws {
        try await BrokerHarness.withBroker(options: Self.options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            _ = try await broker.produce(["a", "b", "c", "d"], to: "jobs")
            let one = try await ShareClient(broker, "jobs", member: "one")
            let two = try await ShareClient(broker, "jobs", member: "two")
            var strict = one.request()
            (strict.maxRecords, strict.shareAcquireMode) = (3, 1)
            #expect(try await one.send(strict).topics.first.map { ranges($0.partitions[0]) } == [[0, 2, 1]])
            var whole = two.request()
            whole.maxRecords = 1
            #expect(try await two.send(whole).topics.first.map { ranges($0.partitions[0]) } == [[3, 3, 1]])
        }
    }

    @Test func aConnectionThatClosesGivesItsRecordsBack() async throws {
        try await BrokerHarness.withBroker(options: Self.options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            _ = try await broker.produce(["a", "b"], to: "jobs")
            let one = try await ShareClient(broker, "jobs", member: "one")
            let two = try await ShareClient(broker, "jobs", member: "two", loop: 1)
            #expect(ranges(try await one.fetch()) == [[0, 1, 1]])
            #expect(broker.metric("goulette_share_sessions") == 1)
            one.connection.come()
            // That nobody processed them does not count.
            #expect(ranges(try await two.fetch(wait: 30_000)) == [[0, 1, 1]])
            #expect(broker.metric("goulette_share_sessions") == 1)
            // A session that is closed gives back what was not acknowledged with it.
            two.epoch = -1
            #expect(try await two.fetch([word(0, 0, 1)]).acknowledgeErrorCode == .none)
            #expect(broker.metric("goulette_share_sessions") == 0)
            #expect(broker.metric("goulette_share_session_partitions") == 0)
            one.epoch = 1
            #expect(try await one.send(one.request()).errorCode == .shareSessionNotFound)
            one.epoch = 0
            #expect(ranges(try await one.fetch(wait: 30_000)) == [[1, 1, 1]])
        }
    }

    @Test func requestsThatMakeNoSenseAreRefused() async throws {
        let options = Self.options + [("share_groups.max_sessions", "1")]
        try await BrokerHarness.withBroker(options: options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            let one = try await ShareClient(broker, "jobs", member: "one")
            #expect(try await one.send(one.request([word(0, 0, 1)])).errorCode == .invalidRequest)
            one.epoch = 0
            _ = try await one.fetch()
            one.epoch = 7
            #expect(try await one.send(one.request()).errorCode == .invalidShareSessionEpoch)
            one.epoch = 0
            #expect(try await one.acknowledge([word(0, 0, 1)]) == .invalidShareSessionEpoch)
            one.epoch = 1
            #expect(try await one.acknowledge([word(0, 0, 4)]) == .invalidRequest)
            let two = try await ShareClient(broker, "jobs", member: "two")
            #expect(try await two.send(two.request()).errorCode == .shareSessionLimitReached)
            var nameless = one.request()
            nameless.memberID = ""
            #expect(try await one.send(nameless).errorCode == .invalidRequest)
            one.epoch = 2
            var unknown = one.request()
            unknown.topics = [.init(topicID: TopicID(high: 1, low: 1), partitions: [SharePartition(index: 0)])]
            let answer = try await one.send(unknown)
            #expect(answer.topics.first?.partitions.first?.errorCode == .unknownTopicID)
        }
    }

    @Test func lockedRecordsAreBounded() async throws {
        let options = Self.options + [("share_groups.max_record_locks", "100"), ("share_groups.max_partitions", "2")]
        try await BrokerHarness.withBroker(options: options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("jobs")
            for number in 0..<12 {
                _ = try await broker.produce((0..<10).map { "\(number)-\($0)" }, to: "jobs")
            }
            let one = try await ShareClient(broker, "jobs", member: "one")
            let two = try await ShareClient(broker, "jobs", member: "two")
            #expect(ranges(try await one.fetch()) == [[0, 99, 1]])
            #expect(broker.metric("goulette_share_records_locked") == 100)
            #expect(ranges(try await two.fetch()) == [])
            #expect(broker.metric("goulette_share_window_full_total") >= 1)
            #expect(try await one.acknowledge([word(0, 9, 1)]) == .none)
            #expect(ranges(try await two.fetch()) == [[100, 109, 1]])
        }
    }
}
