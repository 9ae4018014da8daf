// SPDX-License-Identifier: Apache-2.0
//
// BrokerTests.swift
// A broker end to end without sockets: topics, produce, fetch, duplicates, groups, and all of it again after a restart.

import KafkaProtocol
import LogStore
import Model
import NIOCore
import Records
import Telemetry
import Testing

@testable import Broker

@Suite struct BrokerTests {
    @Test(arguments: [1, 2]) func producedRecordsAreFetched(loops: Int) async throws {
        try await BrokerHarness.withBroker(loops: loops) { broker in
            #expect(try await broker.createTopic("a", partitions: 3) == .none)
            for partition in Int32(0)..<3 {
                let first = try await broker.produce(["x", "y"], to: "a", partition: partition)
                #expect(first.errorCode == .none && first.baseOffset == 0 && first.logStartOffset == 0)
                let second = try await broker.produce(["z"], to: "a", partition: partition)
                #expect(second.baseOffset == 2)
                let answer = try await broker.fetch("a", partition: partition, from: 0)
                #expect(answer.errorCode == .none && answer.highWatermark == 3)
                #expect(try broker.values(answer) == ["x", "y", "z"])
            }
        }
    }

    /// A start after a clean stop reads nothing of the logs, with idempotent producers or without.
    @Test func aCleanStartReadsNoRecords() async throws {
        let first = try await BrokerHarness.start()
        _ = try await first.createTopic("a")
        for _ in 0..<10 { _ = try await first.produce(["x"], to: "a") }
        try await first.stop()
        let second = try await BrokerHarness.start(in: first.scratch)
        #expect(second.store.metrics.readBytes.value == 0)
        let answer = try await second.fetch("a", from: 0)
        #expect(try second.values(answer).count == 10)
        #expect(second.store.metrics.readBytes.value > 0)
        try await second.stop()
    }

    @Test func fetchReturnsTheBatchThatHoldsTheOffset() async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a")
            _ = try await broker.produce(["0", "1", "2"], to: "a")
            let answer = try await broker.fetch("a", from: 1, maxBytes: 1)
            #expect(try broker.values(answer, from: 1) == ["1", "2"], "one whole batch whatever the limit")
            #expect(try await broker.fetch("a", from: 3).records.isEmpty)
            #expect(try await broker.fetch("a", from: 4).errorCode == .offsetOutOfRange)
            #expect(try await broker.fetch("a", from: -1).errorCode == .offsetOutOfRange)
            #expect(try await broker.fetch("nothing", from: 0).errorCode == .unknownTopicOrPartition)
        }
    }

    @Test(arguments: [0, 1]) func aParkedFetchIsWokenByTheCommit(loop: Int) async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a", partitions: 2)
            for partition in Int32(0)..<2 {
                async let parked = broker.fetch("a", partition: partition, from: 0, wait: 60_000, loop: loop)
                _ = try await broker.produce(["late"], to: "a", partition: partition)
                #expect(try broker.values(try await parked) == ["late"])
            }
        }
    }

    @Test func aParkedFetchGivesUpInTime() async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a")
            let answer = try await broker.fetch("a", from: 0, wait: 50)
            #expect(answer.errorCode == .none && answer.records.isEmpty && answer.highWatermark == 0)
        }
    }

    @Test func badBatchesAreRefusedOneByOne() async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a", configs: ["max.message.bytes": "200"])
            #expect(
                try await broker.produce([String(repeating: "x", count: 300)], to: "a").errorCode == .messageTooLarge)
            #expect(try await broker.produce(["old"], to: "a", acks: 5).errorCode == .invalidRequiredAcks)
            let future = Clock.system.wallTime().milliseconds + 7_200_000
            let answer = try await broker.produce(["x"], to: "a", timestamp: future)
            #expect(answer.errorCode == .invalidTimestamp && answer.recordErrors.first?.batchIndex == 0)
            let empty = ProduceRequest(
                acks: -1, timeoutMilliseconds: 1000, topics: [.init(name: "a", partitions: [.init(index: 0)])])
            #expect(try await broker.call(empty, version: 8).topics[0].partitions[0].errorCode == .invalidRecord)
            #expect(try await broker.produce(["fine"], to: "a").errorCode == .none)
            #expect(try await broker.produce(["no"], to: "a", partition: 9).errorCode == .unknownTopicOrPartition)
        }
    }

    @Test func duplicatesKeepTheirOffsetAndGapsAreRefused() async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a")
            let id = try await broker.call(
                InitProducerIDRequest(transactionalID: nil, transactionTimeoutMilliseconds: 1000), version: 2)
            #expect(id.errorCode == .none && id.producerEpoch == 0)
            func send(_ sequence: Int32, _ values: [String]) async throws -> ProduceResponse.Partition {
                let producer = ProducerFields(id: ProducerID(rawValue: id.producerID), epoch: 0, baseSequence: sequence)
                return try await broker.produce(values, to: "a", producer: producer)
            }
            #expect(try await send(0, ["0", "1"]).baseOffset == 0)
            #expect(try await send(2, ["2"]).baseOffset == 2)
            let again = try await send(0, ["0", "1"])
            #expect(again.errorCode == .none && again.baseOffset == 0)
            #expect(try await send(9, ["?"]).errorCode == .outOfOrderSequenceNumber)
            #expect(try broker.values(try await broker.fetch("a", from: 0)) == ["0", "1", "2"])
        }
    }

    @Test func everythingIsThereAfterARestart() async throws {
        let first = try await BrokerHarness.start()
        _ = try await first.createTopic("a", partitions: 2, configs: ["retention.ms": "12345678"])
        _ = try await first.produce(["x", "y"], to: "a", partition: 1)
        let id = try await first.call(
            InitProducerIDRequest(transactionalID: nil, transactionTimeoutMilliseconds: 1000), version: 2)
        let producer = ProducerFields(id: ProducerID(rawValue: id.producerID), epoch: 0, baseSequence: 0)
        _ = try await first.produce(["z"], to: "a", partition: 1, producer: producer)
        #expect(try await commit(first, group: "g", offset: 2) == .none)
        try await first.stop()

        let second = try await BrokerHarness.start(in: first.scratch)
        let answer = try await second.fetch("a", partition: 1, from: 0)
        #expect(try second.values(answer) == ["x", "y", "z"])
        let again = try await second.produce(["z"], to: "a", partition: 1, producer: producer)
        #expect(again.errorCode == .none && again.baseOffset == 2, "the producer's state survived")
        let committed = try await second.call(
            OffsetFetchRequest(groupID: "g", topics: [.init(name: "a", partitionIndexes: [1])]), version: 5)
        #expect(committed.topics[0].partitions[0].committedOffset == 2)
        #expect(committed.topics[0].partitions[0].metadata == "note")
        let next = try await second.call(
            InitProducerIDRequest(transactionalID: nil, transactionTimeoutMilliseconds: 1000), version: 2)
        #expect(next.producerID > id.producerID)
        let configs = try await second.call(
            DescribeConfigsRequest(resources: [.init(resourceType: 2, resourceName: "a", keys: ["retention.ms"])]),
            version: 4)
        #expect(configs.resources[0].configs.map(\.value) == ["12345678"])
        let metadata = try await second.call(MetadataRequest(topics: nil), version: 9)
        #expect(metadata.topics.map(\.name) == ["a"] && metadata.topics[0].partitions.count == 2)
        #expect(metadata.topics[0].partitions.allSatisfy { $0.leaderEpoch >= 2 && $0.leaderID == 1 })
        try await second.stop()
    }

    private func commit(_ broker: BrokerHarness, group: String, offset: Int64) async throws -> KafkaErrorCode {
        let partition = OffsetCommitRequest.Partition(index: 1, committedOffset: offset, committedMetadata: "note")
        let request = OffsetCommitRequest(
            groupID: group, generationID: -1, memberID: "", topics: [.init(name: "a", partitions: [partition])])
        return try await broker.call(request, version: 7).topics[0].partitions[0].errorCode
    }

    @Test func metadataCreatesWhatIsMissing() async throws {
        try await BrokerHarness.withBroker { broker in
            let asked = try await broker.call(
                MetadataRequest(topics: [.init(name: "fresh"), .init(name: "bad/name")]), version: 5)
            #expect(asked.topics.map(\.errorCode) == [.none, .invalidTopicException])
            var quiet = MetadataRequest(topics: [.init(name: "other")])
            quiet.allowAutoTopicCreation = false
            #expect(try await broker.call(quiet, version: 5).topics[0].errorCode == .unknownTopicOrPartition)
            #expect(try await broker.produce(["x"], to: "fresh").errorCode == .none)
        }
    }

    @Test func topicsAreAdministered() async throws {
        try await BrokerHarness.withBroker { broker in
            #expect(try await broker.createTopic("a", partitions: 2) == .none)
            #expect(try await broker.createTopic("a") == .topicAlreadyExists)
            #expect(try await broker.createTopic("b", partitions: 0) == .invalidPartitions)
            #expect(try await broker.createTopic("a.b") == .none)
            #expect(try await broker.createTopic("a_b") == .invalidTopicException)
            #expect(try await broker.createTopic("c", configs: ["cleanup.policy": "squash"]) == .invalidConfig)
            #expect(try await broker.createTopic("c", configs: ["no.such": "1"]) == .invalidConfig)
            let grown = try await broker.call(
                CreatePartitionsRequest(
                    topics: [.init(name: "a", count: 4), .init(name: "a.b", count: 1)], timeoutMilliseconds: 1000,
                    validateOnly: false), version: 1)
            #expect(grown.topics.map(\.errorCode) == [.none, .invalidPartitions])
            #expect(try await broker.produce(["x"], to: "a", partition: 3).errorCode == .none)
            let deleted = try await broker.call(
                DeleteTopicsRequest(topicNames: ["a", "nothing"], timeoutMilliseconds: 1000), version: 3)
            #expect(deleted.topics.map(\.errorCode) == [.none, .unknownTopicOrPartition])
            #expect(try await broker.produce(["x"], to: "a").errorCode == .unknownTopicOrPartition)
            #expect(try await broker.createTopic("a") == .none)
            #expect(try await broker.fetch("a", from: 0).highWatermark == 0, "a new topic of the same name is empty")
        }
    }

    @Test func recordsAreFoundByTimeAndDeletedByOffset() async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a")
            let base = Clock.system.wallTime().milliseconds - 10_000
            for step in Int64(0)..<10 {
                _ = try await broker.produce(["\(step)"], to: "a", timestamp: base + step * 10)
            }
            func offset(_ timestamp: Int64) async throws -> Int64 {
                let asked = ListOffsetsRequest.Partition(index: 0, timestamp: timestamp)
                let request = ListOffsetsRequest(replicaID: -1, topics: [.init(name: "a", partitions: [asked])])
                return try await broker.call(request, version: 5).topics[0].partitions[0].offset
            }
            #expect(try await offset(base) == 0)
            #expect(try await offset(base + 41) == 5)
            #expect(try await offset(base + 91) == -1)
            #expect(try await offset(-2) == 0)
            #expect(try await offset(-1) == 10)
            let request = DeleteRecordsRequest(
                topics: [.init(name: "a", partitions: [.init(index: 0, offset: 4)])], timeoutMilliseconds: 1000)
            #expect(try await broker.call(request, version: 1).topics[0].partitions[0].lowWatermark == 4)
            #expect(try await offset(-2) == 4)
            #expect(try await broker.fetch("a", from: 3).errorCode == .offsetOutOfRange)
            #expect(try broker.values(try await broker.fetch("a", from: 4), from: 4) == ["4", "5", "6", "7", "8", "9"])
        }
    }

    /// What has no answer closes the connection with a reason, is counted, and disturbs nobody else.
    @Test(arguments: [
        (key: Int16(999), version: Int16(0), "unknown API key 999", "unsupported"),
        (key: -1, version: 0, "unknown API key -1", "unsupported"),
        (key: APIKey.produce.rawValue, version: 2, "Produce v2 is not served", "unsupported"),
        (key: APIKey.produce.rawValue, version: 99, "Produce v99 is not served", "unsupported"),
        (key: APIKey.metadata.rawValue, version: -1, "Metadata v-1 is not served", "unsupported"),
        (key: APIKey.metadata.rawValue, version: 5, "malformed Metadata v5", "malformed"),
        (key: APIKey.joinGroup.rawValue, version: 5, "malformed JoinGroup v5", "malformed"),
    ])
    func requestsThatAreNotServedCloseTheConnection(
        key: Int16, version: Int16, reason: String, counted: String
    ) async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let before = broker.metric("goulette_requests_\(counted)_total")
            switch await broker.raw(apiKey: key, version: version, ByteBuffer(bytes: [0xff, 0xff])) {
            case .success: Issue.record("answered")
            case .failure(let closed): #expect(closed.description.contains(reason), "\(closed)")
            }
            #expect(broker.metric("goulette_requests_\(counted)_total") == before + 1)
            let after = try await broker.createTopic("after")
            #expect(after == .none)
        }
    }

    /// A client that is too new learns the versions instead, in version 0 (KIP-511).
    @Test func apiVersionsIsAnsweredWhateverTheVersion() async throws {
        try await BrokerHarness.withBroker { broker in
            let answer = await broker.raw(
                apiKey: APIKey.apiVersions.rawValue, version: 99, ByteBuffer(bytes: [1, 2, 3]))
            let body = try #require(try answer.get())
            let decoded = try ResponseDecoder.decode(ApiVersionsResponse.self, from: body.contiguous(), version: 0)
            #expect(decoded.errorCode == .unsupportedVersion)
            #expect(decoded.apiKeys.contains { $0.apiKey == APIKey.apiVersions.rawValue && $0.maxVersion == 4 })
        }
    }
}
