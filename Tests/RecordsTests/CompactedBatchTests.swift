// SPDX-License-Identifier: Apache-2.0
//
// CompactedBatchTests.swift
// What compaction leaves of a batch: offsets, times and producer are those of before.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct CompactedBatchTests {
    private static func batch(_ codec: CompressionCodec, keys: [String?], values: [String?]) throws -> RecordBatch {
        let producer = ProducerFields(id: ProducerID(rawValue: 7), epoch: 2, baseSequence: 40)
        var builder = RecordBatchBuilder(codec: codec, producer: producer)
        for (place, key) in keys.enumerated() {
            builder.append(
                key: key.map(Fixture.bytes), value: values[place].map(Fixture.bytes),
                timestamp: Int64(1000 + 10 * ((place * 7) % keys.count)),
                headers: [RecordHeader(key: "h", value: Fixture.bytes("\(place)"))])
        }
        var bytes = try builder.build()
        RecordBatch.patch(baseOffset: Offset(500), leaderEpoch: 3, in: &bytes, at: bytes.readerIndex)
        return try RecordBatch(bytes)
    }

    @Test(arguments: CompressionCodec.allCases)
    func whatStaysIsWhatItWas(codec: CompressionCodec) throws {
        let keys = (0..<40).map { "key \($0 % 9)" }
        let batch = try Self.batch(codec, keys: keys, values: (0..<40).map { "value \($0)" })
        let before = try batch.allRecords()
        let context = CompressionContext()
        for (horizon, step) in [(nil, 3), (Int64(99_999), 3), (Int64(1), 7), (nil, 1), (Int64(5_000_000_000_000), 1)] {
            let made = try batch.compacted(horizon: horizon, context: context) { $0.offset.rawValue % Int64(step) == 0 }
            let left = try #require(made.batch)
            let expected = before.filter { $0.offset.rawValue % Int64(step) == 0 }
            let after = try left.allRecords()
            #expect(after.map(\.offset) == expected.map(\.offset))
            #expect(after.map(\.timestamp) == expected.map(\.timestamp))
            #expect(after.map(\.key) == expected.map(\.key) && after.map(\.value) == expected.map(\.value))
            #expect(made.removed == before.count - expected.count)
            #expect(left.maxTimestamp == expected.map(\.timestamp).max())
            #expect(left.baseOffset == batch.baseOffset && left.lastOffset == batch.lastOffset)
            #expect(left.header.producerID == batch.header.producerID && left.header.baseSequence == 40)
            #expect(left.header.leaderEpoch == 3 && left.codec == codec)
            #expect(left.deleteHorizon == horizon)
            _ = try left.verify(depth: .deep, context: context)
        }
    }

    @Test func aBatchThatKeepsEverythingIsNotTouched() throws {
        let batch = try Self.batch(.lz4, keys: ["a", "b"], values: ["1", nil])
        let made = try batch.compacted(context: CompressionContext()) { _ in true }
        #expect(made.batch?.bytes == batch.bytes && made.removed == 0)
        let none = try batch.compacted(context: CompressionContext()) { _ in false }
        #expect(none.batch == nil && none.removed == 2)
    }

    @Test func recordsAreSeenWithKeyAndValue() throws {
        let batch = try Self.batch(.zstd, keys: ["a", nil, "a", ""], values: ["1", "2", nil, ""])
        var seen: [CompactionRecord] = []
        try batch.forEachCompactionRecord(context: CompressionContext()) { seen.append($0) }
        #expect(seen.map(\.offset.rawValue) == [500, 501, 502, 503])
        #expect(seen.map(\.hasValue) == [true, true, false, true])
        #expect(seen[0].key == seen[2].key && seen[0].key != seen[3].key)
        #expect(seen[1].key == nil && seen[3].key != nil)
    }

    @Test func anEmptiedBatchSaysWhereItReached() throws {
        let batch = try Self.batch(.gzip, keys: ["a", "b", "c"], values: ["1", "2", "3"]).emptied()
        #expect(batch.recordCount == 0 && batch.codec == .none)
        #expect(batch.lastOffset == Offset(502) && batch.header.baseSequence == 40)
        _ = try batch.verify(depth: .deep, context: CompressionContext())
        #expect(try batch.allRecords().isEmpty)
        #expect(try batch.compacted(context: CompressionContext()) { _ in true }.batch == nil)
    }
}
