// SPDX-License-Identifier: Apache-2.0
//
// LimitTests.swift
// The limits of docs/LIMITS.md that only a whole broker has: each is reached, answers as documented and shows.

import KafkaProtocol
import Model
import NIOCore
import Records
import Settings
import Testing

@testable import Broker

@Suite struct LimitTests {
    private static func withBroker(
        _ options: [(key: String, value: String)] = [], _ body: (BrokerHarness) async throws -> Void
    ) async throws {
        try await BrokerHarness.withBroker(loops: 1, options: options, body)
    }

    // MARK: Topics

    @Test func topicsAndPartitions() async throws {
        let options = [
            ("limits.max_topics", "3"), ("limits.max_partitions", "6"), ("limits.max_partitions_per_topic", "4"),
        ]
        try await Self.withBroker(options.map { (key: $0.0, value: $0.1) }) { (broker: BrokerHarness) async throws in
            #expect(try await broker.createTopic("many", partitions: 5) == .invalidPartitions)
            #expect(try await broker.createTopic("a", partitions: 4) == .none)
            #expect(try await broker.createTopic("b", partitions: 3) == .policyViolation)
            #expect(try await broker.createTopic("b", partitions: 1) == .none)
            #expect(try await broker.createTopic("c", partitions: 1) == .none)
            #expect(broker.metric("goulette_partitions") == 6)
            #expect(try await broker.createTopic("d", partitions: 1) == .policyViolation)
        }
    }

    @Test(arguments: [
        (String(repeating: "x", count: 249), KafkaErrorCode.none),
        (String(repeating: "x", count: 250), .invalidTopicException),
        ("", .invalidTopicException), ("a b", .invalidTopicException), ("..", .invalidTopicException),
        ("__consumer_offsets", .invalidTopicException), ("__transaction_state", .invalidTopicException),
    ])
    func namesOfTopics(name: String, code: KafkaErrorCode) async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            #expect(try await broker.createTopic(name) == code)
            // Asking for metadata makes topics as well.
            let asked = try await broker.call(MetadataRequest(topics: [.init(name: name)]), version: 5)
            #expect(asked.topics.map(\.errorCode) == [code])
            let listed = try await broker.call(MetadataRequest(topics: nil), version: 5)
            #expect(listed.topics.map(\.name) == (code == .none ? [name] : []))
        }
    }

    @Test func replicas() async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            let topic = CreateTopicsRequest.Topic(
                name: "a", partitionCount: 1, replicationFactor: 2, assignments: [], configs: [])
            let request = CreateTopicsRequest(topics: [topic], timeoutMilliseconds: 1000, validateOnly: false)
            #expect(try await broker.call(request, version: 5).topics[0].errorCode == .invalidReplicationFactor)
        }
    }

    // MARK: Produce and fetch

    @Test func sizeOfABatch() async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a", configs: ["max.message.bytes": "1000"])
            #expect(try await broker.produce([String(repeating: "x", count: 900)], to: "a").errorCode == .none)
            #expect(
                try await broker.produce([String(repeating: "x", count: 1000)], to: "a").errorCode == .messageTooLarge)
            #expect(broker.metric("goulette_batches_rejected_total") == 1)
        }
    }

    @Test func sizeOfABatchUnpacked() async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            var builder = RecordBatchBuilder(codec: .zstd)
            var zeros = ByteBuffer()
            zeros.writeRepeatingByte(0, count: 65 << 20)
            builder.append(key: nil, value: zeros, timestamp: Clock.system.wallTime().milliseconds)
            let records = try builder.build()
            #expect(records.readableBytes < 1 << 20, "it is small until it is unpacked")
            let request = ProduceRequest(
                acks: -1, timeoutMilliseconds: 10_000,
                topics: [.init(name: "a", partitions: [.init(index: 0, records: records)])])
            let answer = try await broker.call(request, version: 8).topics[0].partitions[0]
            #expect(answer.errorCode == .messageTooLarge || answer.errorCode == .invalidRecord, "\(answer)")
            #expect(broker.metric("goulette_batches_rejected_total") == 1)
        }
    }

    @Test func bytesOfAFetch() async throws {
        try await Self.withBroker([(key: "limits.max_fetch_bytes", value: "2048")]) {
            (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            for _ in 0..<3 { _ = try await broker.produce([String(repeating: "x", count: 1500)], to: "a") }
            let first = try await broker.fetch("a", from: 0)
            #expect(try broker.values(first).count == 1, "the second batch would be past the limit")
            _ = try await broker.produce([String(repeating: "y", count: 5000)], to: "a")
            #expect(try broker.values(try await broker.fetch("a", from: 3)).count == 1, "the first one always fits")
        }
    }

    private static func fetch(_ partitions: Int32, session: Int32 = 0, epoch: Int32 = 0) -> FetchRequest {
        let all = (0..<partitions).map { FetchRequest.Partition(index: $0, fetchOffset: 0, partitionMaxBytes: 1) }
        return FetchRequest(
            maxWaitMilliseconds: 0, minBytes: 0, isolationLevel: 0, sessionID: session, sessionEpoch: epoch,
            topics: [.init(name: "a", partitions: all)])
    }

    @Test func fetchSessions() async throws {
        try await Self.withBroker([(key: "limits.max_fetch_sessions", value: "2")]) {
            (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            for session in [true, true, false] {
                #expect((try await broker.call(Self.fetch(1), version: 11).sessionID > 0) == session)
            }
            #expect(broker.metric("goulette_fetch_sessions") == 2)
            #expect(broker.metric("goulette_fetch_session_evictions_total") == 0)
        }
    }

    @Test func partitionsOfAFetchSession() async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            let many = Int32(FetchSessionTable.Limits.partitionsPerSessionMax)
            let full = try await broker.call(Self.fetch(many), version: 11)
            #expect(full.sessionID > 0 && full.topics[0].partitions.count == Int(many))
            let more = try await broker.call(Self.fetch(many + 1, session: full.sessionID, epoch: 1), version: 11)
            #expect(more.errorCode == .fetchSessionIDNotFound)
            let again = try await broker.call(Self.fetch(many + 1), version: 11)
            #expect(again.sessionID == 0 && again.topics[0].partitions.count == Int(many) + 1)
            #expect(broker.metric("goulette_fetch_session_partitions") == 0)
        }
    }

    @Test func partitionsOfAPage() {
        let page = PartitionPage([("a", 5000)], from: nil, limit: .max)
        #expect(page.topics.map(\.partitions) == [0..<2000])
        #expect(page.next == .init(topicName: "a", partitionIndex: 2000))
    }

    @Test func elementsOfAnArray() async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            var body = ByteBuffer()
            body.writeInteger(Int32(1_048_577))
            body.writeRepeatingByte(0, count: 3 << 20)
            let answer = await broker.raw(apiKey: APIKey.metadata.rawValue, version: 1, body)
            if case .success = answer { Issue.record("answered") }
            #expect(broker.metric("goulette_requests_malformed_total") == 1)
        }
    }

    // MARK: Groups

    private static func join(
        _ broker: BrokerHarness, _ group: String = "g", session: Int32 = 10_000, metadata: Int = 10, member: String = ""
    ) async throws -> JoinGroupResponse {
        let metadata = [UInt8](repeating: 0, count: metadata)
        return try await broker.call(
            JoinGroupRequest(
                groupID: group, sessionTimeoutMilliseconds: session, rebalanceTimeoutMilliseconds: 10_000,
                memberID: member, protocolType: "consumer", protocols: [.init(name: "range", metadata: metadata)]),
            version: 3)
    }

    private static func commit(
        _ broker: BrokerHarness, _ group: String, partitions: Range<Int32> = 0..<1, note: String = ""
    ) async throws -> KafkaErrorCode {
        let asked = partitions.map {
            OffsetCommitRequest.Partition(index: $0, committedOffset: 1, committedMetadata: note)
        }
        let request = OffsetCommitRequest(
            groupID: group, generationID: -1, memberID: "", topics: [.init(name: "a", partitions: asked)])
        return try await broker.call(request, version: 7).topics[0].partitions[0].errorCode
    }

    @Test func groupsAndNotes() async throws {
        let options = [(key: "groups.max_groups", value: "2"), (key: "groups.offset_metadata_max_bytes", value: "10")]
        try await Self.withBroker(options) { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            #expect(try await Self.commit(broker, "one", note: "0123456789") == .none)
            #expect(try await Self.commit(broker, "one", note: "0123456789a") == .offsetMetadataTooLarge)
            #expect(try await Self.commit(broker, "two") == .none)
            #expect(try await Self.commit(broker, "three") == .groupMaxSizeReached)
            #expect(try await Self.join(broker, "three").errorCode == .groupMaxSizeReached)
        }
    }

    @Test(arguments: [
        (Int32(5_999), KafkaErrorCode.invalidSessionTimeout), (6_000, .none), (1_800_001, .invalidSessionTimeout),
    ])
    func sessionTimeouts(milliseconds: Int32, code: KafkaErrorCode) async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            #expect(try await Self.join(broker, session: milliseconds).errorCode == code)
        }
    }

    @Test func membersOfAGroup() async throws {
        try await Self.withBroker([(key: "groups.max_size", value: "1")]) { (broker: BrokerHarness) async throws in
            #expect(try await Self.join(broker).errorCode == .none)
            #expect(try await Self.join(broker).errorCode == .groupMaxSizeReached)
        }
    }

    /// What does not fit into one command is refused: a client's size must not stop the broker.
    @Test func commandsOfTheCoordinator() async throws {
        try await Self.withBroker([(key: "groups.offset_metadata_max_bytes", value: "40000")]) {
            (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a", partitions: 100)
            let note = String(repeating: "n", count: 30_000)
            #expect(try await Self.commit(broker, "g", partitions: 0..<60, note: note) == .none)
            #expect(try await Self.commit(broker, "g", partitions: 0..<100, note: note) == .invalidCommitOffsetSize)
            let joined = try await Self.join(broker, "large", metadata: 3 << 20)
            let synced = try await broker.call(
                SyncGroupRequest(
                    groupID: "large", generationID: joined.generationID, memberID: joined.memberID,
                    assignments: [.init(memberID: joined.memberID, assignment: [])]), version: 2)
            #expect(joined.errorCode == .unknownServerError || synced.errorCode == .unknownServerError)
            #expect(try await Self.commit(broker, "after") == .none)
        }
    }

    /// The members of a coordinator that is gone have the session timeout to show up at the next one.
    @Test func aSessionThatEndsWhileTheBrokerIsDown() async throws {
        let options = [(key: "groups.min_session_timeout", value: "1ms")]
        let first = try await BrokerHarness.start(loops: 1, options: options)
        let joined = try await Self.join(first, session: 10_000)
        let synced = try await first.call(
            SyncGroupRequest(
                groupID: "g", generationID: joined.generationID, memberID: joined.memberID,
                assignments: [.init(memberID: joined.memberID, assignment: [1])]), version: 2)
        #expect(synced.errorCode == .none, "\(synced)")
        try await first.stop()
        let second = try await BrokerHarness.start(in: first.scratch, loops: 1, options: options)
        var state = ""
        for _ in 0..<1000 where state != "Empty" {
            let request = DescribeGroupsRequest(groupIDs: ["g"])
            state = try await second.call(request, version: 4).groups[0].groupState
            // The member's time runs out on the coordinator's own clock, and no client is told: it can only be asked again.
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(state == "Empty")
        try await second.stop()
    }

    // MARK: Reload

    @Test func otherSettingsAreTakenOver() async throws {
        try await Self.withBroker { broker in
            #expect(try await broker.createTopic("a") == .none)
            let long = String(repeating: "x", count: 1000)
            #expect(try await broker.produce([long], to: "a").errorCode == .none)
            let changed = try SettingsLoader.load(
                path: nil,
                commandLine: [
                    ("topics.auto_create", "false"), ("topics.max_message_bytes", "500"), ("groups.max_size", "1"),
                    ("groups.initial_rebalance_delay", "0s"), ("limits.max_topics", "1"),
                ])
            broker.broker.adopt(changed)
            // What the controller does about it is on its way to the shards when it answers.
            await withCheckedContinuation { done in broker.broker.withController { _ in done.resume() } }
            #expect(try await broker.produce([long], to: "a").errorCode == .messageTooLarge)
            #expect(try await broker.createTopic("b") == .policyViolation)
            let metadata = try await broker.call(MetadataRequest(topics: [.init(name: "c")]), version: 9)
            #expect(metadata.topics[0].errorCode == .unknownTopicOrPartition)
            #expect(try await Self.join(broker).errorCode == .none)
            #expect(try await Self.join(broker).errorCode == .groupMaxSizeReached)
            let asked = DescribeConfigsRequest(resources: [
                .init(resourceType: 4, resourceName: "1", keys: ["auto.create.topics.enable"]),
                .init(resourceType: 2, resourceName: "a", keys: ["max.message.bytes"]),
            ])
            let described = try await broker.call(asked, version: 4)
            #expect(described.resources.flatMap(\.configs).map(\.value) == ["false", "500"])
        }
    }

    // MARK: Special timestamps

    @Test func offsetsAtSpecialTimestamps() async throws {
        try await Self.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            func ask(_ timestamp: Int64, version: Int16 = 5) async throws -> ListOffsetsResponse.Partition {
                let asked = ListOffsetsRequest.Partition(index: 0, timestamp: timestamp)
                let request = ListOffsetsRequest(replicaID: -1, topics: [.init(name: "a", partitions: [asked])])
                return try await broker.call(request, version: version).topics[0].partitions[0]
            }
            for special in Int64(-2)...(-1) {
                let empty = try await ask(special)
                #expect(empty.errorCode == .none && empty.offset == 0 && empty.timestamp == -1)
            }
            let unknown = try await ask(0)
            #expect(unknown.errorCode == .none && unknown.offset == -1 && unknown.leaderEpoch == -1)
            _ = try await broker.produce(["x", "y"], to: "a", timestamp: 1_700_000_000_000)
            #expect(try await ask(-2).offset == 0)
            #expect(try await ask(-1).offset == 2)
            let found = try await ask(0)
            #expect(found.offset == 0 && found.timestamp == 1_700_000_000_000 && found.leaderEpoch >= 1)
            #expect(try await ask(1_700_000_000_001).offset == -1)
            // Version 5 knows neither the newest timestamp nor tiers, no version what nobody has defined yet.
            for later in [Int64(-3), -4, -5, .min] {
                let answer = try await ask(later)
                #expect(answer.errorCode == .unsupportedVersion && answer.offset == -1)
            }
            let twice = ListOffsetsRequest.Partition(index: 0, timestamp: -1)
            let request = ListOffsetsRequest(replicaID: -1, topics: [.init(name: "a", partitions: [twice, twice])])
            let codes = try await broker.call(request, version: 5).topics[0].partitions.map(\.errorCode)
            #expect(codes == [.none, .invalidRequest])
        }
    }
}
