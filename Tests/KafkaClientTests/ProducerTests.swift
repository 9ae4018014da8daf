// SPDX-License-Identifier: Apache-2.0
//
// ProducerTests.swift
// What a producer writes, in which order, and what it reports when things go wrong.

import KafkaProtocol
import Model
import NIOCore
import Records
import Synchronization
import Testing

@testable import KafkaClient

@Suite struct ProducerTests {
    /// Collects deliveries.
    private final class Reports: Sendable {
        let deliveries = Mutex<[Delivery]>([])
        var written: Int { deliveries.withLock { $0.reduce(0) { $0 + ($1.error == nil ? $1.recordCount : 0) } } }
        var failed: Int { deliveries.withLock { $0.reduce(0) { $0 + ($1.error == nil ? 0 : $1.recordCount) } } }
        var firstError: ClientError? { deliveries.withLock { $0.compactMap(\.error).first } }
    }

    private func records(_ range: Range<Int>, partition: Int32? = nil, keyed: Bool = false) -> [ProducerRecord] {
        range.map {
            ProducerRecord(
                topic: "t", partition: partition.map { PartitionIndex(rawValue: $0) },
                key: keyed ? ByteBuffer(string: "k\($0 % 5)") : nil, value: ByteBuffer(string: "\($0)"),
                timestamp: 1_000)
        }
    }

    private func producer(
        _ client: KafkaClient, _ reports: Reports, _ change: (inout ProducerSettings) -> Void = { _ in }
    ) async throws -> Producer {
        var settings = ProducerSettings()
        settings.lingerMilliseconds = 0
        settings.batchBytesMax = 200
        change(&settings)
        return try await Producer(client, topics: ["t"], settings: settings) { delivery in
            reports.deliveries.withLock { $0.append(delivery) }
        }
    }

    @Test(arguments: CompressionCodec.allCases)
    func everyRecordArrivesOnceAndInOrder(_ codec: CompressionCodec) async throws {
        try await withMiniBroker { broker, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.codec = codec }
            for start in stride(from: 0, to: 500, by: 50) { try await producer.send(records(start..<start + 50)) }
            await producer.flush()
            #expect(try broker.values(0) == (0..<500).map { "\($0)" })
            #expect(reports.written == 500)
            let offsets = reports.deliveries.withLock { $0.map { $0.baseOffset?.rawValue ?? -1 } }
            #expect(offsets == offsets.sorted() && offsets.first == 0)
        }
    }

    @Test func keysStayInTheirPartitionAndPartitionsKeepTheirOrder() async throws {
        try await withMiniBroker(partitions: 3) { broker, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports)
            try await producer.send(records(0..<300, keyed: true))
            await producer.flush()
            var homes: [Int: Set<Int>] = [:]
            for partition in 0..<3 {
                let values = try broker.values(partition).compactMap { Int($0) }
                #expect(values == values.sorted())
                for value in values { homes[value % 5, default: []].insert(partition) }
            }
            #expect(homes.count == 5 && homes.values.allSatisfy { $0.count == 1 })
            #expect(reports.written == 300)
        }
    }

    @Test func recordsWithoutKeysGoToEveryPartition() async throws {
        try await withMiniBroker(partitions: 3) { broker, _, client in
            let producer = try await producer(client, Reports())
            try await producer.send(records(0..<300))
            await producer.flush()
            for partition in 0..<3 { #expect(try !broker.values(partition).isEmpty) }
        }
    }

    @Test func anIdempotentProducerKeepsOrderThroughFailures() async throws {
        try await withMiniBroker { broker, _, client in
            broker.state.withLock {
                $0.produceErrors = [
                    .none, .notLeaderOrFollower, .none, .none, .requestTimedOut, .none, .notEnoughReplicas,
                ]
            }
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.isIdempotent = true }
            for start in stride(from: 0, to: 1_000, by: 10) { try await producer.send(records(start..<start + 10)) }
            await producer.flush()
            #expect(try broker.values(0) == (0..<1_000).map { "\($0)" })
            #expect(reports.written == 1_000 && reports.failed == 0)
        }
    }

    /// The first batch is refused while a record waits behind it, and nothing is sent afterwards that would wake the producer.
    @Test func theLastBatchIsRepeatedThoughNothingFollows() async throws {
        try await withMiniBroker { broker, _, client in
            broker.state.withLock { $0.produceErrors = [.notEnoughReplicas, .notEnoughReplicas] }
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.inFlightMax = 1 }
            for number in 0..<2 { try await producer.send(records(number..<number + 1)) }
            await producer.flush()
            #expect(try broker.values(0) == ["0", "1"])
            #expect(reports.written == 2)
        }
    }

    @Test func aLostConnectionLosesNothing() async throws {
        let produced = Mutex(0)
        try await withMiniBroker(
            override: { request in
                guard case .produce = request else { return nil }
                let number = produced.withLock { count in
                    count += 1
                    return count
                }
                return number % 4 == 2 ? .close : nil
            }
        ) { broker, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.isIdempotent = true }
            for start in stride(from: 0, to: 200, by: 20) { try await producer.send(records(start..<start + 20)) }
            await producer.flush()
            #expect(try broker.values(0) == (0..<200).map { "\($0)" })
            #expect(reports.failed == 0)
        }
    }

    @Test func anErrorThatCannotPassIsReportedWithItsBatch() async throws {
        try await withMiniBroker { broker, _, client in
            broker.state.withLock { $0.produceErrors = [.messageTooLarge] }
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.inFlightMax = 1 }
            try await producer.send(records(0..<100))
            await producer.flush()
            #expect(reports.firstError?.kafka == .messageTooLarge)
            #expect(reports.failed > 0 && reports.written + reports.failed == 100)
        }
    }

    @Test func anIdempotentProducerStopsWhenItLosesABatch() async throws {
        try await withMiniBroker { broker, _, client in
            broker.state.withLock { $0.produceErrors = [.messageTooLarge] }
            let reports = Reports()
            let producer = try await producer(client, reports) {
                $0.isIdempotent = true
                $0.inFlightMax = 1
            }
            try await producer.send(records(0..<100))
            await producer.flush()
            try await producer.send(records(100..<110))
            await producer.flush()
            #expect(reports.failed == 110)
            #expect(try broker.values(0).isEmpty)
        }
    }

    @Test func whatIsNotDeliveredInTimeIsGivenUp() async throws {
        try await withMiniBroker(override: { request in
            guard case .produce(let request) = request else { return nil }
            return .answer(
                ProduceResponse(
                    topics: request.topics.map { topic in
                        .init(
                            name: topic.name,
                            partitions: topic.partitions.map {
                                .init(index: $0.index, errorCode: .notLeaderOrFollower, baseOffset: -1)
                            })
                    }))
        }) { _, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.deliveryTimeoutMilliseconds = 100 }
            try await producer.send(records(0..<10))
            await producer.flush()
            #expect(reports.failed == 10)
            #expect(reports.firstError?.code == .timedOut)
        }
    }

    @Test func withoutAcknowledgementNobodyAnswers() async throws {
        try await withMiniBroker { broker, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.acknowledgement = .none }
            try await producer.send(records(0..<100))
            await producer.flush()
            #expect(reports.written == 100)
            while try broker.values(0).count < 100 { await client.pause(milliseconds: 1) }
            #expect(try broker.values(0) == (0..<100).map { "\($0)" })
        }
    }

    @Test func lingeringGathersRecordsInOneBatch() async throws {
        try await withMiniBroker { broker, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports) {
                $0.lingerMilliseconds = 60_000
                $0.batchBytesMax = 1 << 20
            }
            for number in 0..<20 { try await producer.send(records(number..<number + 1)) }
            #expect(broker.state.withLock { $0.produceRequests } == 0)
            await producer.flush()
            #expect(reports.deliveries.withLock { $0.map(\.recordCount) } == [20])
        }
    }

    @Test func theBufferIsBoundedAndGivesItsRoomBack() async throws {
        let parts = Mutex<[Int]>([])
        try await withMiniBroker { _, _, client in
            let reports = Reports()
            let producer = try await producer(client, reports) { $0.bufferBytesMax = 1_000 }
            for start in stride(from: 0, to: 2_000, by: 20) { try await producer.send(records(start..<start + 20)) }
            producer.onLoop { core in parts.withLock { $0.append(core.waitingBytes) } }
            await producer.flush()
            let rest: Int = await withCheckedContinuation { continuation in
                producer.onLoop { core in continuation.resume(returning: core.waitingBytes) }
            }
            #expect(rest == 0)
            #expect(parts.withLock { $0.allSatisfy { $0 < 1_500 } })
            #expect(reports.written == 2_000)
        }
    }

    @Test func partitionsThatDoNotExistAreRefused() async throws {
        try await withMiniBroker { _, _, client in
            let producer = try await producer(client, Reports())
            await #expect(throws: ClientError.self) { try await producer.send(records(0..<1, partition: 9)) }
        }
    }
}
