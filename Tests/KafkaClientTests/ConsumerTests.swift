// SPDX-License-Identifier: Apache-2.0
//
// ConsumerTests.swift
// What a consumer hands out, where it ends, and what stops it.

import KafkaProtocol
import Model
import NIOCore
import Records
import Synchronization
import Testing

@testable import KafkaClient

@Suite struct ConsumerTests {
    private let first = TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 0))

    /// Fills a partition with batches of ten records whose values count up from 0.
    private func fill(_ broker: MiniBroker, _ partition: Int, batches: Int, codec: CompressionCodec = .none) throws {
        for batch in 0..<batches {
            var builder = RecordBatchBuilder(codec: codec)
            for record in 0..<10 {
                builder.append(key: nil, value: ByteBuffer(string: "\(batch * 10 + record)"), timestamp: 1_000)
            }
            var bytes = try builder.build()
            bytes.setInteger(Int64(batch * 10), at: bytes.readerIndex)
            broker.state.withLock {
                $0.logs[partition].append(bytes)
                $0.ends[partition] += 10
            }
        }
    }

    /// Takes chunks until the ranges are read.
    private func readAll(_ consumer: Consumer) async throws -> (values: [TopicPartition: [Int]], errors: [ClientError])
    {
        var values: [TopicPartition: [Int]] = [:]
        var errors: [ClientError] = []
        while true {
            let taken = await consumer.take(timeoutMilliseconds: 5_000)
            for chunk in taken.chunks {
                try chunk.forEachRecord(context: CompressionContext()) { record, _ throws(RecordError) in
                    values[chunk.partition, default: []].append(Int(String(buffer: record.value ?? ByteBuffer())) ?? -1)
                }
            }
            errors += taken.errors
            if taken.isFinished { return (values, errors) }
        }
    }

    @Test(arguments: [CompressionCodec.none, .lz4, .zstd])
    func readsExactlyTheRange(_ codec: CompressionCodec) async throws {
        try await withMiniBroker { broker, _, client in
            try fill(broker, 0, batches: 10, codec: codec)
            _ = try await client.readyMetadata(topics: ["t"])
            let consumer = await Consumer(client)
            await consumer.assign([first: ReadRange(from: Offset(13), upTo: Offset(57))])
            #expect(try await readAll(consumer).values == [first: Array(13..<57)])
        }
    }

    @Test func anEmptyRangeIsFinishedAtOnce() async throws {
        try await withMiniBroker { _, _, client in
            let consumer = await Consumer(client)
            await consumer.assign([first: ReadRange(from: .zero, upTo: .zero)])
            #expect(await consumer.take(timeoutMilliseconds: 60_000).isFinished)
        }
    }

    @Test func readsSeveralPartitionsEachInOrder() async throws {
        try await withMiniBroker(partitions: 3) { broker, _, client in
            var ranges: [TopicPartition: ReadRange] = [:]
            for partition in 0..<3 {
                try fill(broker, partition, batches: 4)
                let key = TopicPartition(topic: "t", partition: PartitionIndex(rawValue: Int32(partition)))
                ranges[key] = ReadRange(from: .zero, upTo: Offset(40))
            }
            let consumer = await Consumer(client)
            await consumer.assign(ranges)
            let values = try await readAll(consumer).values
            #expect(values.count == 3 && values.values.allSatisfy { $0 == Array(0..<40) })
        }
    }

    @Test func errorsThatPassAreRetried() async throws {
        try await withMiniBroker { broker, server, client in
            try fill(broker, 0, batches: 2)
            broker.state.withLock {
                $0.fetchErrors = [.notLeaderOrFollower, .unknownTopicOrPartition, .leaderNotAvailable]
            }
            let consumer = await Consumer(client)
            await consumer.assign([first: ReadRange(from: .zero, upTo: Offset(20))])
            let found = try await readAll(consumer)
            #expect(found.values == [first: Array(0..<20)] && found.errors.isEmpty)
            #expect(server.count(.metadata) > 1)
        }
    }

    @Test func aDamagedBatchStopsThePartition() async throws {
        try await withMiniBroker { broker, _, client in
            try fill(broker, 0, batches: 2)
            broker.state.withLock { state in
                let last = state.logs[0][1].writerIndex - 2
                state.logs[0][1].setInteger(UInt8(0xEE), at: last)
            }
            let consumer = await Consumer(client)
            await consumer.assign([first: ReadRange(from: .zero, upTo: Offset(20))])
            #expect(try await readAll(consumer).errors.map(\.code) == [.corruptData])
        }
    }

    @Test func aPositionOutsideTheLogIsAnErrorOrMoves() async throws {
        try await withMiniBroker { broker, _, client in
            try fill(broker, 0, batches: 4)
            broker.state.withLock {
                $0.logs[0].removeFirst(2)
                $0.starts[0] = 20
            }
            let strict = await Consumer(client)
            await strict.assign([first: ReadRange(from: Offset(5), upTo: Offset(40))])
            #expect(try await readAll(strict).errors.map(\.kafka) == [.offsetOutOfRange])
            var settings = ConsumerSettings()
            settings.outOfRange = .start
            let lenient = await Consumer(client, settings: settings)
            await lenient.assign([first: ReadRange(from: Offset(5), upTo: Offset(40))])
            #expect(try await readAll(lenient).values == [first: Array(20..<40)])
        }
    }

    @Test func aFullBufferStopsFetchingUntilChunksAreTaken() async throws {
        try await withMiniBroker { broker, server, client in
            try fill(broker, 0, batches: 50)
            var settings = ConsumerSettings()
            settings.bufferBytesMax = 1
            // One batch an answer.
            settings.partitionBytesMax = 1
            let consumer = await Consumer(client, settings: settings)
            await consumer.assign([first: ReadRange(from: .zero, upTo: Offset(500))])
            while server.count(.fetch) == 0 { await client.pause(milliseconds: 1) }
            await client.pause(milliseconds: 20)
            #expect(server.count(.fetch) == 1)
            #expect(try await readAll(consumer).values == [first: Array(0..<500)])
            #expect(server.count(.fetch) == 50)
        }
    }

    @Test func newRecordsArriveWithoutAskingAgain() async throws {
        try await withMiniBroker { broker, server, client in
            try fill(broker, 0, batches: 1)
            let consumer = await Consumer(client)
            await consumer.assign([first: ReadRange(from: .zero)])
            #expect(await consumer.take(timeoutMilliseconds: 5_000).chunks.map(\.nextOffset) == [Offset(10)])
            #expect(await consumer.take(timeoutMilliseconds: 5).chunks.isEmpty)
            while server.count(.fetch) < 2 { await client.pause(milliseconds: 1) }
            broker.state.withLock { state in
                var next = state.logs[0][0]
                next.setInteger(Int64(10), at: next.readerIndex)
                state.logs[0].append(next)
                state.ends[0] = 20
            }
            server.release()
            #expect(await consumer.take(timeoutMilliseconds: 5_000).chunks.map(\.nextOffset) == [Offset(20)])
        }
    }

    @Test func offsetsAreLookedUpAtTheLeader() async throws {
        try await withMiniBroker(partitions: 2) { broker, _, client in
            try fill(broker, 1, batches: 3)
            let second = TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 1))
            #expect(try await client.offsets(.latest, of: [first, second]) == [first: .zero, second: Offset(30)])
            #expect(try await client.offsets(.earliest, of: [second]) == [second: .zero])
        }
    }
}
