// SPDX-License-Identifier: Apache-2.0
//
// RecordBatchTests.swift
// Building, walking, patching, recompressing and searching batches.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct RecordBatchTests {
    @Test(arguments: CompressionCodec.allCases)
    func recordsSurviveEveryCodec(codec: CompressionCodec) throws {
        for count in [1, 2, 7, 200] {
            let contents = Fixture.contents(count: count)
            let batch = try Fixture.batch(contents, codec: codec)
            #expect(batch.codec == codec)
            #expect(try Fixture.contents(of: batch) == contents)
            #expect(try batch.allRecords().map(\.offset.rawValue) == Array(0..<Int64(count)))
            let summary = try batch.verify(depth: .deep, context: CompressionContext())
            #expect(summary.maxTimestamp == contents.map(\.timestamp).max())
            #expect(!summary.needsMaxTimestampCorrection)
        }
    }

    @Test func aBuilderIsUsedAgain() throws {
        let context = CompressionContext()
        for codec in [CompressionCodec.none, .zstd] {
            var builder = RecordBatchBuilder(codec: codec)
            for round in 0..<3 {
                #expect(builder.isEmpty)
                builder.append(key: nil, value: Fixture.bytes("round \(round)"), timestamp: Int64(100 - round))
                #expect(builder.count == 1)
                let batch = try RecordBatch(try builder.build(context: context))
                #expect(batch.maxTimestamp == Int64(100 - round))
                #expect(try Fixture.contents(of: batch).map(\.value) == ["round \(round)"])
            }
        }
    }

    @Test func bytesMaxIsAnUpperBound() {
        for content in Fixture.contents(count: 50) {
            let key = content.key.map(Fixture.bytes)
            let value = content.value.map(Fixture.bytes)
            var builder = RecordBatchBuilder()
            let before = builder.uncompressedBytes
            builder.append(key: key, value: value, timestamp: 5, headers: content.headers)
            let bound = RecordBatchBuilder.bytesMax(key: key, value: value, headers: content.headers)
            #expect(builder.uncompressedBytes - before <= bound)
        }
    }

    @Test func gapsAndEmptyBatchesOfCompaction() throws {
        var header = RecordBatchHeader(attributes: .init(codec: .lz4))
        header.baseOffset = Offset(1000)
        var builder = RecordBatchBuilder(header: header)
        builder.append(key: Fixture.bytes("a"), value: nil, timestamp: 10, offsetDelta: 3)
        builder.append(key: Fixture.bytes("b"), value: nil, timestamp: 9, offsetDelta: 7)
        let batch = try RecordBatch(try builder.build(context: CompressionContext(), lastOffsetDelta: 9))
        #expect(batch.nextOffset == Offset(1010))
        #expect(batch.recordCount == 2)
        #expect(try batch.allRecords().map(\.offset) == [Offset(1003), Offset(1007)])
        #expect(try batch.verify(depth: .deep, context: CompressionContext()).maxTimestampOffsetDelta == 3)

        let empty = try RecordBatch(try builder.build(context: CompressionContext(), lastOffsetDelta: 4))
        #expect(empty.recordCount == 0)
        #expect(empty.codec == .none)
        #expect(empty.totalBytes == RecordBatchHeader.byteCount)
        #expect(empty.nextOffset == Offset(1005))
        #expect(try empty.allRecords().isEmpty)
        #expect(try empty.verify(depth: .deep, context: CompressionContext()).recordCount == 0)
        #expect(try empty.recompressed(to: .gzip, context: CompressionContext()).recordCount == 0)
    }

    // MARK: Walking

    @Test func consecutiveBatches() throws {
        var joined = ByteBuffer(string: "skipped")
        joined.moveReaderIndex(to: joined.writerIndex)
        for count in 1...4 { joined.writeImmutableBuffer(try Fixture.batch(Fixture.contents(count: count)).bytes) }
        #expect(try RecordBatch.batches(in: joined).map(\.recordCount) == [1, 2, 3, 4])

        let cut = try #require(joined.getSlice(at: joined.readerIndex, length: joined.readableBytes - 1))
        var cursor = RecordBatchCursor(cut)
        var counts: [Int] = []
        while let batch = try cursor.nextWhole() { counts.append(batch.recordCount) }
        #expect(counts == [1, 2, 3])
        #expect(cursor.remainingBytes > 0)
        #expect(throws: RecordError.self) { try RecordBatch.batches(in: cut) }
        #expect(try RecordBatch.batches(in: ByteBuffer()).isEmpty)
    }

    @Test func producedTakesExactlyOneBatch() throws {
        let batch = try Fixture.batch(Fixture.contents(count: 2))
        var twice = batch.bytes
        twice.writeImmutableBuffer(batch.bytes)
        #expect(throws: RecordError.notOneBatch(trailingBytes: batch.totalBytes)) {
            try RecordBatch.produced(in: twice)
        }
        #expect(throws: RecordError.notOneBatch(trailingBytes: 0)) { try RecordBatch.produced(in: ByteBuffer()) }
        #expect(try RecordBatch.produced(in: batch.bytes).recordCount == 2)
    }

    // MARK: Patching

    @Test func patchingNeedsNoChecksum() throws {
        let batch = try Fixture.batch(Fixture.contents(count: 3), codec: .snappy)
        var log = ByteBuffer(string: "frame header")
        let index = log.writerIndex
        log.writeImmutableBuffer(batch.bytes)
        RecordBatch.patch(baseOffset: Offset(Int64.max - 10), leaderEpoch: 12, in: &log, at: index)
        let patched = try RecordBatch(log, at: index)
        try patched.verifyChecksum()
        #expect(patched.baseOffset == Offset(Int64.max - 10))
        #expect(patched.lastOffset == Offset(Int64.max - 8))
        #expect(patched.header.leaderEpoch == 12)
        #expect(patched.header.crc == batch.header.crc)
        #expect(batch.baseOffset == .zero)
        #expect(log.getString(at: 0, length: index) == "frame header")
    }

    @Test(arguments: CompressionCodec.allCases)
    func logAppendTimeHoldsForAllRecords(codec: CompressionCodec) throws {
        let batch = try Fixture.batch(Fixture.contents(count: 4), codec: codec)
        let time = WallTime(milliseconds: 1_800_000_000_000)
        let stamped = try batch.settingLogAppendTime(time)
        let summary = try stamped.verify(depth: .deep, context: CompressionContext())
        #expect(summary.maxTimestamp == time.milliseconds)
        #expect(!summary.needsMaxTimestampCorrection)
        #expect(stamped.timestampType == .logAppendTime)
        #expect(stamped.codec == codec)
        #expect(try stamped.allRecords().allSatisfy { $0.timestamp == time.milliseconds })
        #expect(batch.timestampType == .createTime)

        var log = ByteBuffer(string: "x")
        log.writeImmutableBuffer(batch.bytes)
        log.writeString("y")
        RecordBatch.setLogAppendTime(time, in: &log, at: 1)
        #expect(log.getSlice(at: 1, length: batch.totalBytes) == stamped.bytes)
        #expect(log.getString(at: log.writerIndex - 1, length: 1) == "y")
    }

    @Test func aWrongMaxTimestampIsReportedAndCorrected() throws {
        let batch = try Fixture.batch(Fixture.contents(count: 6))
        var wrong = try Fixture.resealing(batch.bytes) { $0.maxTimestamp = 5 }
        let summary = try RecordBatch(wrong).validate(ProduceRules(), context: CompressionContext())
        #expect(summary.needsMaxTimestampCorrection)
        #expect(summary.maxTimestamp == batch.maxTimestamp)
        RecordBatch.setMaxTimestamp(summary.maxTimestamp, in: &wrong, at: wrong.readerIndex)
        #expect(wrong == batch.bytes)
    }

    // MARK: Recompressing

    @Test(arguments: CompressionCodec.allCases)
    func recompressionKeepsEverythingElse(codec: CompressionCodec) throws {
        let context = CompressionContext()
        let producer = ProducerFields(id: .init(rawValue: 9), epoch: 1, baseSequence: 5)
        let contents = Fixture.contents(count: 50)
        let batch = try Fixture.batch(contents, codec: codec, producer: producer)
        for other in CompressionCodec.allCases {
            let made = try batch.recompressed(to: other, context: context)
            _ = try made.verify(depth: .deep, context: context)
            #expect(made.codec == other)
            #expect(try Fixture.contents(of: made) == contents)
            var header = made.header
            header.batchLength = batch.header.batchLength
            header.crc = batch.header.crc
            header.attributes = batch.header.attributes
            #expect(header == batch.header)
        }
    }

    // MARK: Searching

    @Test(arguments: CompressionCodec.allCases)
    func searchByTime(codec: CompressionCodec) throws {
        let context = CompressionContext()
        let times: [Int64] = [10, 30, 20, 30, 40]
        let contents = times.map { Fixture.Content(key: nil, value: "v", timestamp: $0) }
        var bytes = try Fixture.batch(contents, codec: codec).bytes
        RecordBatch.patch(baseOffset: Offset(100), leaderEpoch: 1, in: &bytes, at: bytes.readerIndex)
        let batch = try RecordBatch(bytes)
        for target in Int64(0)...45 {
            for minimum in Int64(95)...106 {
                let expected = times.indices.first { times[$0] >= target && 100 + Int64($0) >= minimum }
                let found = try batch.firstRecord(atOrAfter: target, from: Offset(minimum), context: context)
                #expect(found?.offset.rawValue == expected.map { 100 + Int64($0) })
                #expect(found?.timestamp == expected.map { times[$0] })
            }
        }
        let largest = try batch.recordWithMaxTimestamp(context: context)
        #expect(largest == TimestampedOffset(offset: Offset(104), timestamp: 40))

        let stamped = try batch.settingLogAppendTime(WallTime(milliseconds: 50))
        let first = TimestampedOffset(offset: Offset(100), timestamp: 50)
        #expect(try stamped.firstRecord(atOrAfter: 50, context: context) == first)
        #expect(try stamped.firstRecord(atOrAfter: 51, context: context) == nil)
        #expect(try stamped.recordWithMaxTimestamp(context: context) == first)
    }

    // MARK: Control batches and attributes

    @Test(arguments: [ControlRecord.Kind.abort, .commit])
    func controlBatches(kind: ControlRecord.Kind) throws {
        let marker = ControlRecord(kind: kind, coordinatorEpoch: 31)
        let bytes = try marker.batch(
            producerID: ProducerID(rawValue: 8), producerEpoch: 3, time: WallTime(milliseconds: 77))
        let batch = try RecordBatch(bytes)
        #expect(batch.isControl)
        #expect(batch.isTransactional)
        #expect(batch.header.baseSequence == -1)
        #expect(batch.header.attributes.rawValue == 0x30)
        let record = try #require(try batch.allRecords().first)
        #expect(try ControlRecord(record) == marker)
        #expect(record.key == Fixture.hex(kind == .abort ? "00000000" : "00000001"))
        #expect(record.value == Fixture.hex("00000000001f"))
        #expect(throws: RecordError.invalidHeader(.controlBatch)) {
            try batch.validate(ProduceRules(), context: CompressionContext())
        }
        #expect(try batch.verify(context: CompressionContext()).recordCount == 1)
    }

    @Test func controlRecordsOfOtherKindsAndForms() throws {
        func record(key: String?, value: String?) throws -> Record {
            var builder = RecordBatchBuilder()
            builder.append(key: key.map(Fixture.hex), value: value.map(Fixture.hex), timestamp: 1)
            return try #require(try RecordBatch(try builder.build()).allRecords().first)
        }
        #expect(try ControlRecord(record(key: "00000002", value: "0000")) == nil)
        for (key, value) in [
            (nil, "000000000000"), ("000000", "000000000000"), ("00000001", "0000"), ("00000001", nil),
        ] {
            #expect(throws: RecordError.malformedRecord(index: 0, .control)) {
                try ControlRecord(record(key: key, value: value))
            }
        }
    }

    @Test func attributeBits() {
        let all = RecordBatchAttributes(
            codec: .zstd, timestampType: .logAppendTime, isTransactional: true, isControl: true)
        #expect(all.rawValue == 0x3C)
        #expect(all.with(codec: .gzip).rawValue == 0x39)
        #expect(all.with(timestampType: .createTime).rawValue == 0x34)
        #expect(RecordBatchAttributes(rawValue: 0x47).hasDeleteHorizon)
        #expect(RecordBatchAttributes(rawValue: 0x47).codec == nil)
        #expect(RecordBatchAttributes(rawValue: 0xFFFF).unknownBits == 0xFF80)
    }

    @Test func sequencesWrapToZero() {
        #expect(ProducerFields.sequence(0, advancedBy: 5) == 5)
        #expect(ProducerFields.sequence(Int32.max, advancedBy: 1) == 0)
        #expect(ProducerFields.sequence(Int32.max - 1, advancedBy: 4) == 2)
    }
}
