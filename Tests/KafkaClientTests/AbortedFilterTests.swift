// SPDX-License-Identifier: Apache-2.0
//
// AbortedFilterTests.swift
// Who reads committed records sees none of an aborted transaction, and no marker.

import KafkaProtocol
import Model
import NIOCore
import Records
import Synchronization
import Testing

@testable import KafkaClient

@Suite struct AbortedFilterTests {
    private func data(
        _ value: String, at offset: Int64, producer: Int64, isTransactional: Bool = true
    ) throws -> ByteBuffer {
        var builder = RecordBatchBuilder(
            producer: ProducerFields(id: ProducerID(rawValue: producer), epoch: 0, baseSequence: 0),
            isTransactional: isTransactional)
        builder.append(key: nil, value: ByteBuffer(string: value), timestamp: 1_000)
        var bytes = try builder.build()
        bytes.setInteger(offset, at: bytes.readerIndex)
        return bytes
    }

    private func marker(_ kind: ControlRecord.Kind, at offset: Int64, producer: Int64) throws -> ByteBuffer {
        var bytes = try ControlRecord(kind: kind, coordinatorEpoch: 0).batch(
            producerID: ProducerID(rawValue: producer), producerEpoch: 0, time: WallTime(milliseconds: 1_000))
        bytes.setInteger(offset, at: bytes.readerIndex)
        return bytes
    }

    /// Producer 1 aborts twice with a commit between, producer 2 commits over it, producer 3 has no transactions.
    private func log() throws -> [ByteBuffer] {
        [
            try data("a0", at: 0, producer: 1), try data("b1", at: 1, producer: 2),
            try data("c2", at: 2, producer: 3, isTransactional: false), try marker(.abort, at: 3, producer: 1),
            try data("a4", at: 4, producer: 1), try marker(.commit, at: 5, producer: 1),
            try data("a6", at: 6, producer: 1), try marker(.commit, at: 7, producer: 2),
            try marker(.abort, at: 8, producer: 1), try data("a9", at: 9, producer: 1),
        ]
    }

    @Test func onlyWhatCountsIsKept() throws {
        var filter = AbortedFilter([
            .init(producerID: 1, firstOffset: 6), .init(producerID: 1, firstOffset: 0),
        ])
        let kept = try log().map { try RecordBatch($0) }.filter { filter.keeps($0) }
        #expect(kept.map(\.baseOffset.rawValue) == [1, 2, 4, 9])
    }

    @Test(arguments: [true, false])
    func aConsumerReadsWhatItAskedFor(readsCommitted: Bool) async throws {
        let log = try log()
        let first = TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 0))
        try await withMiniBroker { broker, _, client in
            broker.state.withLock {
                $0.logs[0] = log
                $0.ends[0] = 10
                $0.aborted = [.init(producerID: 1, firstOffset: 0), .init(producerID: 1, firstOffset: 6)]
            }
            var settings = ConsumerSettings()
            settings.readsCommittedOnly = readsCommitted
            let consumer = await Consumer(client, settings: settings)
            await consumer.assign([first: ReadRange(from: .zero, upTo: Offset(10))])
            var values: [String] = []
            var ends: [Offset] = []
            while true {
                let taken = await consumer.take(timeoutMilliseconds: 5_000)
                #expect(taken.errors.isEmpty)
                for chunk in taken.chunks {
                    ends.append(chunk.nextOffset)
                    try chunk.forEachRecord(context: CompressionContext()) { record, _ throws(RecordError) in
                        values.append(record.value.map { String(buffer: $0) } ?? "")
                    }
                }
                if taken.isFinished { break }
            }
            #expect(values == (readsCommitted ? ["b1", "c2", "a4", "a9"] : ["a0", "b1", "c2", "a4", "a6", "a9"]))
            #expect(ends.last == Offset(10))
        }
    }
}
