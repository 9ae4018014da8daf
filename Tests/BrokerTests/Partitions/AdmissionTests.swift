// SPDX-License-Identifier: Apache-2.0
//
// AdmissionTests.swift
// Batches that are checked elsewhere, and those behind them, are taken in the order they came.

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import Broker

@Suite struct AdmissionTests {
    private func call(_ slot: Int, _ finish: @escaping @Sendable (Int, KafkaErrorCode) -> Void) -> ProduceCall {
        let pending = PendingProduce(count: 1) { finish(slot, $0[0].error) }
        return ProduceCall(
            records: nil, acks: -1, version: 8, receivedAt: Instant(nanoseconds: 0),
            wallTime: WallTime(milliseconds: 0),
            deadline: Instant(nanoseconds: 0), request: pending, slot: 0)
    }

    private let verdict: Result<CheckedBatch, RecordError> = .failure(.notOneBatch(trailingBytes: 0))

    @Test func nothingOvertakes() {
        var queue = AdmissionQueue()
        let numbers = (0..<4).map { number in
            queue.append(Admission(call: call(number) { _, _ in }, verdict: number == 1 ? verdict : nil))
        }
        #expect(numbers == [0, 1, 2, 3])
        #expect(queue.next() == nil)
        queue.set(verdict, of: 2)
        #expect(queue.next() == nil)
        queue.set(verdict, of: 0)
        for _ in 0..<3 { #expect(queue.next() != nil) }
        #expect(queue.next() == nil && !queue.isEmpty)
        queue.set(verdict, of: 3)
        #expect(queue.next() != nil && queue.isEmpty)
    }

    @Test func verdictsAboutDroppedCallsAreIgnored() {
        var queue = AdmissionQueue()
        let old = queue.append(Admission(call: call(0) { _, _ in }))
        #expect(queue.removeAll().count == 1)
        let new = queue.append(Admission(call: call(1) { _, _ in }))
        queue.set(verdict, of: old)
        #expect(queue.next() == nil)
        queue.set(verdict, of: new)
        #expect(queue.next() != nil)
    }

    /// One producer's batches, large compressed ones among small ones, all sent before the first is answered.
    @Test(arguments: [CompressionCodec.zstd, .gzip, .lz4, .snappy])
    func aPartitionKeepsTheOrderOfItsBatches(codec: CompressionCodec) async throws {
        let broker = try await BrokerHarness.start()
        _ = try await broker.createTopic("a")
        let producer = try await broker.call(
            InitProducerIDRequest(transactionalID: nil, transactionTimeoutMilliseconds: 1000), version: 2)
        var random = SeededRandom(seed: 7)
        var requests: [ProduceRequest] = []
        for number in 0..<40 {
            let fields = ProducerFields(
                id: ProducerID(rawValue: producer.producerID), epoch: producer.producerEpoch,
                baseSequence: Int32(number))
            var builder = RecordBatchBuilder(codec: number % 3 == 0 ? codec : .none, producer: fields)
            let length = number % 3 == 0 ? 60_000 : 10
            let value = ByteBuffer(bytes: (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            builder.append(key: nil, value: value, timestamp: Clock.system.wallTime().milliseconds)
            let records = try builder.build()
            #expect(records.readableBytes >= BatchValidator.bytesMin || number % 3 != 0)
            requests.append(
                ProduceRequest(
                    acks: -1, timeoutMilliseconds: 10_000,
                    topics: [.init(name: "a", partitions: [.init(index: 0, records: records)])]))
        }
        let answers = try await broker.callAll(requests, version: 8)
        #expect(answers.map { $0.topics[0].partitions[0].errorCode } == Array(repeating: .none, count: 40))
        #expect(answers.map { $0.topics[0].partitions[0].baseOffset } == Array(0..<40))
        #expect(broker.metric("goulette_batches_validating") == 0)
        try await broker.stop()
    }

    /// A broken batch is refused in its turn, and nobody waits for ever behind it.
    @Test func aBrokenBatchLetsOthersPass() async throws {
        let broker = try await BrokerHarness.start()
        _ = try await broker.createTopic("a")
        var builder = RecordBatchBuilder(codec: .zstd)
        var random = SeededRandom(seed: 8)
        builder.append(
            key: nil, value: ByteBuffer(bytes: (0..<30_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }),
            timestamp: Clock.system.wallTime().milliseconds)
        let whole = try builder.build()
        var broken = whole
        broken.setInteger(UInt8(0xFF), at: broken.readerIndex + 20_000)
        broken.setInteger(UInt8(0x7E), at: broken.readerIndex + 20_001)
        let answers = try await broker.callAll(
            [broken, whole, broken, whole].map { records in
                ProduceRequest(
                    acks: -1, timeoutMilliseconds: 10_000,
                    topics: [.init(name: "a", partitions: [.init(index: 0, records: records)])])
            }, version: 8)
        #expect(
            answers.map { $0.topics[0].partitions[0].errorCode } == [.corruptMessage, .none, .corruptMessage, .none])
        #expect(answers[1].topics[0].partitions[0].baseOffset == 0)
        #expect(answers[3].topics[0].partitions[0].baseOffset == 1)
        try await broker.stop()
    }
}
