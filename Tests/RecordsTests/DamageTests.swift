// SPDX-License-Identifier: Apache-2.0
//
// DamageTests.swift
// Every truncation and every turned bit of a batch, and random mutations that must never trap.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct DamageTests {
    @Test(arguments: CompressionCodec.allCases)
    func everyTruncationIsRefused(codec: CompressionCodec) throws {
        let batch = try Fixture.batch(Fixture.contents(count: 5), codec: codec)
        let context = CompressionContext()
        for length in 0..<batch.totalBytes {
            let cut = try #require(batch.bytes.getSlice(at: batch.bytes.readerIndex, length: length))
            #expect(throws: RecordError.self, "\(length) bytes") {
                try RecordBatch.produced(in: cut).validate(ProduceRules(), context: context)
            }
        }
    }

    /// The leader epoch is the only field that is neither under the checksum nor prescribed to producers.
    @Test(arguments: CompressionCodec.allCases)
    func everyTurnedBitIsRefused(codec: CompressionCodec) throws {
        let batch = try Fixture.batch(Fixture.contents(count: 5), codec: codec)
        let context = CompressionContext()
        for bit in 0..<(batch.totalBytes * 8) {
            let damaged = Fixture.flipping(bit: bit, of: batch.bytes)
            if (12..<16).contains(bit / 8) {
                let passed = try RecordBatch.produced(in: damaged)
                _ = try passed.validate(ProduceRules(), context: context)
                #expect(passed.header.leaderEpoch != -1)
                continue
            }
            #expect(throws: RecordError.self, "bit \(bit)") {
                try RecordBatch.produced(in: damaged).validate(ProduceRules(), context: context)
            }
        }
    }

    /// Mutated batches whose checksum and length are made right again, so that the deeper checks see them.
    @Test(arguments: CompressionCodec.allCases)
    func mutationsNeverTrap(codec: CompressionCodec) throws {
        var random = SeededRandom(seed: 1000 + UInt64(codec.rawValue))
        let context = CompressionContext()
        let producer = ProducerFields(id: .init(rawValue: 5), epoch: 0, baseSequence: 0)
        let seeds = try [1, 4, 30].map {
            try Fixture.batch(Fixture.contents(count: $0), codec: codec, producer: producer).bytes
        }
        var outcomes: [Bool: Int] = [:]
        for _ in 0..<2_500 {
            var bytes = seeds[random.below(seeds.count)]
            mutate(&bytes, with: &random)
            let accepted = exercise(bytes, context: context)
            outcomes[accepted, default: 0] += 1
        }
        // Both ends of the judgement are reached, so the mutations are neither too mild nor too wild.
        #expect((outcomes[true] ?? 0) > 0)
        #expect((outcomes[false] ?? 0) > 500)
    }

    @Test func rubbishNeverTraps() {
        var random = SeededRandom(seed: 77)
        let context = CompressionContext()
        for _ in 0..<2_500 {
            var bytes = ByteBuffer()
            for _ in 0..<random.below(200) { bytes.writeInteger(UInt8(truncatingIfNeeded: random.next())) }
            if bytes.readableBytes > 16 { bytes.setInteger(Int8(2), at: 16) }
            #expect(!exercise(bytes, context: context))
        }
    }

    /// Decoders on their own: mutated streams of every codec stay within their limit.
    @Test(arguments: [CompressionCodec.gzip, .snappy, .lz4, .zstd])
    func mutatedStreamsStayBounded(codec: CompressionCodec) throws {
        var random = SeededRandom(seed: 2000 + UInt64(codec.rawValue))
        let context = CompressionContext()
        let stream = try Compression.compress(random.compressibleBytes(3000), codec: codec)
        for _ in 0..<2_500 {
            var bytes = stream
            for _ in 0...random.below(4) {
                let index = bytes.readerIndex + random.below(bytes.readableBytes)
                bytes.setInteger(UInt8(truncatingIfNeeded: random.next()), at: index)
            }
            var output = ByteBuffer()
            let length = try? context.decompress(
                bytes.readableBytesSpan, codec: codec, maxBytes: 4000, into: &output)
            #expect(output.readableBytes == length ?? 0)
            #expect(output.readableBytes <= 4000)
        }
    }

    // MARK: Steps

    private func mutate(_ bytes: inout ByteBuffer, with random: inout SeededRandom) {
        for _ in 0...random.below(3) {
            let index = bytes.readerIndex + random.below(bytes.readableBytes)
            switch random.below(6) {
            case 0: bytes = Fixture.flipping(bit: (index - bytes.readerIndex) * 8 + random.below(8), of: bytes)
            case 1: bytes.setInteger(UInt8(truncatingIfNeeded: random.next()), at: index)
            case 2: bytes.setInteger(random.below(2) == 0 ? UInt8.max : 0x80, at: index)
            case 3: bytes.moveWriterIndex(to: max(bytes.readerIndex + 1, index))
            case 4: bytes.writeInteger(random.next())
            default: bytes.setInteger(UInt32(truncatingIfNeeded: random.next()), at: min(index, bytes.writerIndex - 1))
            }
        }
        // Three times of four the frame is made right, so that more than the checksum is tested.
        guard random.below(4) > 0, bytes.readableBytes >= RecordBatchHeader.byteCount else { return }
        guard var header = try? RecordBatchHeader.parse(bytes.readableBytesSpan) else { return }
        if random.below(2) == 0 {
            header.baseOffset = .zero
            header.magic = 2
            header.attributes.rawValue &= 0x17
        }
        header.seal(&bytes)
    }

    /// Runs everything that reads a batch; true when it was accepted as produced.
    private func exercise(_ bytes: ByteBuffer, context: CompressionContext) -> Bool {
        var rules = ProduceRules()
        rules.depth = .deep
        rules.decompressedBytesMax = 1 << 20
        rules.timestampBounds = TimestampBounds(
            now: WallTime(milliseconds: 1_700_000_000_000), beforeMaxMilliseconds: .max, afterMaxMilliseconds: 3_600_000
        )
        guard let batch = try? RecordBatch.produced(in: bytes) else { return false }
        let summary = try? batch.validate(rules, context: context)
        let stored = try? batch.verify(depth: .deep, context: context, maxBytes: 1 << 20)
        let read = readAll(batch, context: context)
        _ = try? batch.firstRecord(atOrAfter: 1_700_000_000_003, context: context, maxBytes: 1 << 20)
        let largest = try? batch.recordWithMaxTimestamp(context: context, maxBytes: 1 << 20)
        if let summary {
            // What validation accepts, every reader reads, with the same facts.
            #expect(stored == summary)
            #expect(read == summary.recordCount)
            #expect(largest?.timestamp == summary.maxTimestamp)
            #expect(largest?.offset == Offset(Int64(summary.maxTimestampOffsetDelta)))
            let again = try? batch.recompressed(to: batch.codec == .lz4 ? .none : .lz4, context: context)
            #expect(again?.recordCount == summary.recordCount)
        }
        return summary != nil
    }

    /// Counts the records after touching every part of each; nil when one is malformed.
    private func readAll(_ batch: RecordBatch, context: CompressionContext) -> Int? {
        do {
            var iterator = try batch.records(context: context, maxBytes: 1 << 20)
            var count = 0
            while let record = try iterator.next() {
                let keyBytes = record.key?.readableBytes
                let valueBytes = record.value?.readableBytes
                #expect(keyBytes == record.keyByteCount)
                #expect(valueBytes == record.valueByteCount)
                #expect(record.headers.count == record.headerCount)
                _ = try? ControlRecord(record)
                count += 1
            }
            return count
        } catch {
            return nil
        }
    }
}
