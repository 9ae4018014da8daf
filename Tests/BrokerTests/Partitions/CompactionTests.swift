// SPDX-License-Identifier: Apache-2.0
//
// CompactionTests.swift
// Compacted topics through requests: what they refuse, and that old values go while offsets stay.

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import Broker

@Suite struct CompactionTests {
    private static let compacted = [
        "cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.1",
    ]

    private static func produce(
        _ key: String, _ value: String?, to topic: String, _ broker: BrokerHarness
    ) async throws -> ProduceResponse.Partition {
        var builder = RecordBatchBuilder()
        builder.append(
            key: ByteBuffer(string: key), value: value.map { ByteBuffer(string: $0) },
            timestamp: Clock.system.wallTime().milliseconds)
        let request = ProduceRequest(
            acks: -1, timeoutMilliseconds: 10_000,
            topics: [.init(name: topic, partitions: [.init(index: 0, records: try builder.build())])])
        return try await broker.call(request, version: 8).topics[0].partitions[0]
    }

    private static func delete(
        _ topic: String, before offset: Int64, _ broker: BrokerHarness
    ) async throws
        -> KafkaErrorCode
    {
        let request = DeleteRecordsRequest(
            topics: [.init(name: topic, partitions: [.init(index: 0, offset: offset)])], timeoutMilliseconds: 1_000)
        return try await broker.call(request, version: 1).topics[0].partitions[0].errorCode
    }

    @Test func whatCompactedTopicsRefuse() async throws {
        try await BrokerHarness.withBroker { broker in
            #expect(try await broker.createTopic("table", configs: Self.compacted) == .none)
            let refused = try await broker.produce(["no key"], to: "table")
            #expect(refused.errorCode == .invalidRecord && refused.recordErrors.map(\.batchIndex) == [0])
            #expect(try await Self.produce("k", "v", to: "table", broker).errorCode == .none)
            #expect(try await Self.delete("table", before: 1, broker) == .policyViolation)
            var both = Self.compacted
            both["cleanup.policy"] = "compact,delete"
            #expect(try await broker.createTopic("both", configs: both) == .none)
            #expect(try await Self.produce("k", "v", to: "both", broker).errorCode == .none)
            #expect(try await Self.delete("both", before: 1, broker) == .none)
        }
    }

    @Test func oldValuesGoAndOffsetsStay() async throws {
        let options = [(key: "storage.retention_check_interval", value: "50ms")]
        try await BrokerHarness.withBroker(options: options) { broker in
            #expect(try await broker.createTopic("table", configs: Self.compacted) == .none)
            var number = 0
            while broker.metric("goulette_store_compactions_total") < 2, number < 2_000 {
                // Nothing that compresses well: segments are to fill.
                var random = SeededRandom(seed: UInt64(number))
                let text = String((0..<20_000).map { _ in "0123456789abcdef".randomElement(using: &random) ?? "x" })
                let answer = try await Self.produce("key \(number % 3)", "\(number) \(text)", to: "table", broker)
                #expect(answer.errorCode == .none && answer.baseOffset == Int64(number))
                number += 1
            }
            #expect(broker.metric("goulette_store_compacted_records_total") > 0)
            var found: [String: Int] = [:]
            var next: Int64 = 0
            var records = 0
            while next < Int64(number) {
                let answer = try await broker.fetch("table", from: next, maxBytes: 1 << 20)
                #expect(answer.errorCode == .none && answer.highWatermark == Int64(number))
                var cursor = RecordBatchCursor(answer.records.contiguous())
                let before = next
                while let batch = try cursor.next() {
                    for record in try batch.allRecords() where record.offset.rawValue >= next {
                        let written = record.value.flatMap { Int(String(buffer: $0).prefix { $0 != " " }) }
                        #expect(written.map(Int64.init) == record.offset.rawValue, "a record is under its offset")
                        found[record.key.map { String(buffer: $0) } ?? ""] = written
                        records += 1
                    }
                    next = max(next, batch.nextOffset.rawValue)
                }
                guard next > before else { break }
            }
            #expect(next == Int64(number) && records < number)
            for key in 0..<3 {
                let newest = (0..<number).last { $0 % 3 == key }
                #expect(found["key \(key)"] == newest)
            }
        }
    }

    /// What was aborted is no newer value of a key, and is not seen; what is committed behind it is.
    @Test func abortedRecordsReplaceNothing() async throws {
        let options = [(key: "storage.retention_check_interval", value: "50ms")]
        try await BrokerHarness.withBroker(options: options) { broker in
            #expect(try await broker.createTopic("table", configs: Self.compacted) == .none)
            let verifier = TransactionVerifier { _, then in then(.none) }
            for number in 0..<broker.broker.shards.count {
                broker.broker.shards.execute(on: number) { $0.transactionVerifier = verifier }
            }
            var number: Int32 = 0
            #expect(try await Self.produce("kept", "committed", to: "table", broker).errorCode == .none)
            while broker.metric("goulette_store_compactions_total") < 2, number < 2_000 {
                var random = SeededRandom(seed: UInt64(number))
                let text = String((0..<20_000).map { _ in "0123456789abcdef".randomElement(using: &random) ?? "x" })
                let isAborted = number % 4 == 0
                try await Self.transact(
                    number, isAborted ? "kept" : "other", (isAborted ? "aborted " : "good ") + text,
                    isAborted: isAborted,
                    broker)
                number += 1
            }
            #expect(broker.metric("goulette_store_compacted_records_total") > 0)
            let found = try await Self.committed("table", broker)
            #expect(found["kept"] == "committed")
            #expect(found["other"]?.hasPrefix("good") == true)
        }
    }

    /// One batch in a transaction of its own.
    private static func transact(
        _ sequence: Int32, _ key: String, _ value: String, isAborted: Bool, _ broker: BrokerHarness
    ) async throws {
        let producer = ProducerFields(id: ProducerID(rawValue: 500), epoch: 0, baseSequence: sequence)
        var builder = RecordBatchBuilder(producer: producer, isTransactional: true)
        builder.append(
            key: ByteBuffer(string: key), value: ByteBuffer(string: value),
            timestamp: Clock.system.wallTime().milliseconds)
        let request = ProduceRequest(
            transactionalID: "x", acks: -1, timeoutMilliseconds: 10_000,
            topics: [.init(name: "table", partitions: [.init(index: 0, records: try builder.build())])])
        #expect(try await broker.call(request, version: 8).topics[0].partitions[0].errorCode == .none)
        let marker = TransactionMarker(
            producerID: producer.id, producerEpoch: 0, outcome: isAborted ? .abort : .commit, coordinatorEpoch: 0,
            transactionVersion: 1)
        let shards = broker.broker.shards
        let ended = await withCheckedContinuation { (done: CheckedContinuation<KafkaErrorCode, Never>) in
            shards.execute(on: 0) { shard in
                guard let handle = shard.image.topics["table"]?.partition(0) else {
                    return done.resume(returning: KafkaErrorCode.unknownTopicOrPartition)
                }
                shards.endTransaction(marker, in: handle) { done.resume(returning: $0) }
            }
        }
        #expect(ended == .none)
    }

    /// The last value of each key, as a client that reads committed records makes it out.
    private static func committed(_ topic: String, _ broker: BrokerHarness) async throws -> [String: String] {
        var found: [String: String] = [:]
        var next: Int64 = 0
        while true {
            let partition = FetchRequest.Partition(
                index: 0, currentLeaderEpoch: -1, fetchOffset: next, lastFetchedEpoch: -1, logStartOffset: -1,
                partitionMaxBytes: 1 << 20)
            var request = FetchRequest(
                maxWaitMilliseconds: 0, minBytes: 1, isolationLevel: IsolationLevel.readCommitted.rawValue)
            request.topics = [FetchRequest.Topic(name: topic, partitions: [partition])]
            let answer = try await broker.call(request, version: 11).topics[0].partitions[0]
            #expect(answer.errorCode == .none)
            var coming = (answer.abortedTransactions ?? [])[...]
            var isAborting = false
            var cursor = RecordBatchCursor(answer.records.contiguous())
            let before = next
            while let batch = try cursor.next() {
                while let first = coming.first, first.firstOffset < batch.nextOffset.rawValue {
                    isAborting = true
                    coming.removeFirst()
                }
                if batch.isControl {
                    if try ControlRecord(of: batch)?.kind == .abort { isAborting = false }
                } else if !batch.isTransactional || !isAborting {
                    for record in try batch.allRecords() {
                        found[record.key.map { String(buffer: $0) } ?? ""] = record.value.map { String(buffer: $0) }
                    }
                }
                next = max(next, batch.nextOffset.rawValue)
            }
            if next == before { return found }
        }
    }
}
