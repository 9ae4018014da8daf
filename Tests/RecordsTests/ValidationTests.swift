// SPDX-License-Identifier: Apache-2.0
//
// ValidationTests.swift
// Each rule of produced batches, its error and the error's Kafka class.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct ValidationTests {
    let plain: RecordBatch
    let context = CompressionContext()

    init() throws { plain = try Fixture.batch(Fixture.contents(count: 6)) }

    private func validate(_ bytes: ByteBuffer, _ rules: ProduceRules = ProduceRules()) throws -> RecordBatchSummary {
        try RecordBatch.produced(in: bytes).validate(rules, context: context)
    }

    private func error(
        rules: ProduceRules = ProduceRules(), _ change: (inout RecordBatchHeader) -> Void
    ) throws -> RecordError? {
        let bytes = try Fixture.resealing(plain.bytes, change)
        return #expect(throws: RecordError.self) { try validate(bytes, rules) }
    }

    // MARK: Header

    @Test func headerRules() throws {
        #expect(try error { $0.baseOffset = Offset(1) } == .invalidHeader(.baseOffset(1)))
        #expect(try error { $0.attributes.rawValue |= 0x20 } == .invalidHeader(.controlBatch))
        #expect(try error { $0.attributes.rawValue |= 0x40 } == .invalidHeader(.deleteHorizon))
        #expect(try error { $0.attributes.rawValue |= 0x80 } == .invalidHeader(.unknownAttributes(0x80)))
        #expect(
            try error { $0.attributes.rawValue |= 0x08 }
                == .invalidTimestamp(index: nil, .logAppendTimeByClient))
        #expect(try error { $0.attributes.rawValue |= 0x07 } == .unknownCodec(7))
        #expect(try error { $0.magic = 1 } == .unsupportedMagic(1))
        #expect(try error { $0.magic = 3 } == .unsupportedMagic(3))
    }

    @Test(arguments: [
        (0, -1), (0, 0), (-1, -2), (5, 5), (7, 5), (6, 6), (Int32.max, Int32.max), (Int32.min, Int32.max),
    ])
    func countsThatDoNotMatchTheOffsets(count: Int32, delta: Int32) throws {
        let found = try error {
            $0.recordCount = count
            $0.lastOffsetDelta = delta
        }
        #expect(found == .invalidHeader(.recordCount(count, lastOffsetDelta: delta)))
    }

    @Test(
        arguments: [
            (5, 0, -1, false), (5, -1, 0, false), (5, -1, -1, true), (-1, -1, -1, true), (-2, -1, -1, false),
        ] as [(Int64, Int16, Int32, Bool)])
    func producerFieldsThatDoNotBelongTogether(id: Int64, epoch: Int16, sequence: Int32, transactional: Bool) throws {
        let found = try error {
            $0.producerID = ProducerID(rawValue: id)
            $0.producerEpoch = epoch
            $0.baseSequence = sequence
            if transactional { $0.attributes.rawValue |= 0x10 }
        }
        #expect(found == .invalidHeader(.producer(id: id, epoch: epoch, sequence: sequence)))
    }

    @Test func withoutProducerIDSequenceIsIgnored() throws {
        // Some clients leave sequence and epoch at 0 when they are not idempotent.
        let bytes = try Fixture.resealing(plain.bytes) {
            $0.producerEpoch = 0
            $0.baseSequence = 0
        }
        #expect(try validate(bytes).recordCount == 6)
    }

    @Test func countsThatLieConsistently() throws {
        #expect(
            try error {
                $0.recordCount = 7
                $0.lastOffsetDelta = 6
            } == .malformedRecord(index: 6, .missing))
        let found = try error {
            $0.recordCount = 5
            $0.lastOffsetDelta = 4
        }
        guard case .malformedRecord(5, .trailingBytes) = found else {
            Issue.record("unexpected \(String(describing: found))")
            return
        }
    }

    @Test func sizeLimitCountsTheWholeBatch() throws {
        var rules = ProduceRules()
        rules.batchBytesMax = plain.totalBytes
        #expect(try validate(plain.bytes, rules).recordCount == 6)
        rules.batchBytesMax -= 1
        #expect(
            try error(rules: rules) { _ in }
                == .batchTooLarge(bytes: plain.totalBytes, limit: plain.totalBytes - 1))
    }

    @Test func zstdNeedsANewEnoughRequest() throws {
        let batch = try Fixture.batch(Fixture.contents(count: 2), codec: .zstd)
        var rules = ProduceRules()
        #expect(try validate(batch.bytes, rules).recordCount == 2)
        rules.allowsZstd = false
        #expect(throws: RecordError.codecNotAllowed(.zstd)) { try validate(batch.bytes, rules) }
    }

    /// Messages of versions 0 and 1 may be shorter than a header of ours; their version stands at the same place.
    @Test(arguments: [Int8(0), 1, 2])
    func shortMessagesOfOldVersions(magic: Int8) {
        var message = ByteBuffer(repeating: 0, count: 16)
        message.writeInteger(magic)
        message.writeString("old message")
        let expected =
            magic == 2
            ? RecordError.truncated(needed: 61, available: message.readableBytes) : .unsupportedMagic(magic)
        #expect(throws: expected) { try RecordBatch.produced(in: message) }
    }

    @Test func anImpossibleLengthIsCorrupt() throws {
        for length in [Int32.min, -1, 0, 48] {
            var bytes = plain.bytes
            bytes.setInteger(length, at: bytes.readerIndex + 8)
            #expect(throws: RecordError.invalidLength(length)) { try RecordBatch.produced(in: bytes) }
        }
        var bytes = plain.bytes
        bytes.setInteger(Int32.max, at: bytes.readerIndex + 8)
        let needed = Int(Int32.max) + RecordBatchHeader.uncountedBytes
        #expect(throws: RecordError.truncated(needed: needed, available: plain.totalBytes)) {
            try RecordBatch.produced(in: bytes)
        }
    }

    // MARK: Records

    /// Payloads of one record; the header says one record.
    @Test(
        arguments: [
            ("", RecordError.RecordFault.missing),
            ("80", .varint),
            ("8080808080", .varint),
            ("00", .length),
            ("01", .length),
            ("0e 00 00 00 01 01 00", .length),
            ("0c 00 00 00 01 01", .length),
            ("0a 00 00 00 01 01 00", .fields),
            ("0e 00 00 00 01 01 00 00", .fields),
            ("0c 00 00 02 01 01 00", .offsetDelta(1)),
            ("0c 00 00 01 01 01 00", .offsetDelta(-1)),
            ("0c 00 00 00 03 01 00", .fields),
            ("0c 00 00 00 10 01 00", .fields),
            ("0c 00 00 00 01 10 00", .fields),
            ("0c 00 00 00 01 01 01", .header),
            ("0c 00 00 00 01 01 02", .header),
            ("14 00 00 00 01 01 feffffff0f", .header),
            ("10 00 00 00 01 01 02 01 01", .header),
            ("10 00 00 00 01 01 02 02 01", .varint),
            ("10 00 00 00 01 01 02 08 01", .fields),
            ("0c 00 00 00 01 01 00 ff", .trailingBytes(1)),
            ("02 00", .varint),
        ] as [(String, RecordError.RecordFault)])
    func brokenRecords(payload: String, fault: RecordError.RecordFault) throws {
        let bytes = try Fixture.batch(payload: Fixture.hex(payload)) {
            $0.recordCount = 1
            $0.lastOffsetDelta = 0
        }
        let error = #expect(throws: RecordError.self) { try validate(bytes) }
        guard case .malformedRecord(let index, let found) = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
        #expect(found == fault)
        if case .trailingBytes = fault { #expect(index == 1) } else { #expect(index == 0) }
        // Reading agrees with judging.
        #expect(throws: RecordError.self) { try RecordBatch(bytes).allRecords() }
    }

    @Test func producedOffsetsHaveNoGapsButStoredOnesMay() throws {
        var builder = RecordBatchBuilder()
        builder.append(key: nil, value: nil, timestamp: 1)
        builder.append(key: nil, value: nil, timestamp: 1, offsetDelta: 2)
        let gap = try RecordBatch(try builder.build())
        #expect(try gap.verify(context: context).recordCount == 2)
        let lying = try Fixture.resealing(gap.bytes) { $0.lastOffsetDelta = 1 }
        #expect(throws: RecordError.malformedRecord(index: 1, .offsetDelta(2))) { try validate(lying) }
        let wider = try Fixture.resealing(gap.bytes) {
            $0.recordCount = 3
            $0.lastOffsetDelta = 2
        }
        #expect(throws: RecordError.malformedRecord(index: 1, .offsetDelta(2))) { try validate(wider) }
    }

    @Test(arguments: CompressionCodec.allCases)
    func compactedTopicsNeedKeys(codec: CompressionCodec) throws {
        var rules = ProduceRules()
        rules.depth = .header
        rules.requiresKeys = true
        let batch = try Fixture.batch(Fixture.contents(count: 4), codec: codec)
        let error = #expect(throws: RecordError.missingKey(index: 0)) { try validate(batch.bytes, rules) }
        #expect(error?.recordIndex == 0)
        let keyed = (0..<3).map { Fixture.Content(key: "k\($0)", value: nil, timestamp: 1) }
        let fine = try Fixture.batch(keyed, codec: codec)
        #expect(try validate(fine.bytes, rules).checkedRecords)
    }

    @Test func depthsLookAsFarAsTheyPromise() throws {
        let rubbish = Fixture.bytes("this is no compressed stream")
        for codec in [CompressionCodec.gzip, .snappy, .lz4, .zstd] {
            let bytes = try Fixture.batch(payload: rubbish) {
                $0.attributes = .init(codec: codec)
                $0.recordCount = 1
                $0.lastOffsetDelta = 0
            }
            var rules = ProduceRules()
            #expect(try !validate(bytes, rules).checkedRecords)
            rules.depth = .deep
            let error = #expect(throws: RecordError.self) { try validate(bytes, rules) }
            #expect(error == .undecodable(codec) || error == .decompressedTooLarge(limit: rules.decompressedBytesMax))
        }
        let broken = try Fixture.batch(payload: rubbish) {
            $0.recordCount = 1
            $0.lastOffsetDelta = 0
        }
        var rules = ProduceRules()
        rules.depth = .header
        #expect(try !validate(broken, rules).checkedRecords)
    }

    @Test func deepValidationIsBounded() throws {
        var builder = RecordBatchBuilder(codec: .zstd)
        builder.append(key: nil, value: ByteBuffer(repeating: 0, count: 8 << 20), timestamp: 1)
        let bytes = try builder.build()
        var rules = ProduceRules()
        rules.depth = .deep
        rules.decompressedBytesMax = 1 << 20
        let error = #expect(throws: RecordError.decompressedTooLarge(limit: 1 << 20)) { try validate(bytes, rules) }
        #expect(error?.category == .tooLarge)
        rules.decompressedBytesMax = 9 << 20
        #expect(try validate(bytes, rules).recordBytes > 8 << 20)
    }

    // MARK: Times

    @Test func timestampBounds() throws {
        var rules = ProduceRules()
        let now = WallTime(milliseconds: 1_700_000_000_003)
        rules.timestampBounds = TimestampBounds(now: now, beforeMaxMilliseconds: .max, afterMaxMilliseconds: 10)
        #expect(try validate(plain.bytes, rules).recordCount == 6)
        rules.timestampBounds = TimestampBounds(now: now, beforeMaxMilliseconds: .max, afterMaxMilliseconds: 1)
        #expect(
            try error(rules: rules) { _ in }
                == .invalidTimestamp(
                    index: 1, .tooFarAhead(timestamp: 1_700_000_000_005, latest: 1_700_000_000_004)))
        rules.timestampBounds = TimestampBounds(now: now, beforeMaxMilliseconds: 2, afterMaxMilliseconds: 10)
        #expect(
            try error(rules: rules) { _ in }
                == .invalidTimestamp(
                    index: 0, .tooFarBehind(timestamp: 1_700_000_000_000, earliest: 1_700_000_000_001)))
    }

    @Test func claimedTimesCountWhereRecordsAreNotLookedAt() throws {
        let batch = try Fixture.batch(Fixture.contents(count: 6), codec: .lz4)
        var rules = ProduceRules()
        let now = WallTime(milliseconds: 1_700_000_000_003)
        rules.timestampBounds = TimestampBounds(now: now, beforeMaxMilliseconds: .max, afterMaxMilliseconds: 1)
        let error = #expect(throws: RecordError.self) { try validate(batch.bytes, rules) }
        #expect(error?.category == .invalidTimestamp)
        #expect(error?.recordIndex == nil)
    }

    @Test func noTimestampIsAlwaysFine() throws {
        let batch = try Fixture.batch([.init(key: nil, value: "v", timestamp: -1)])
        var rules = ProduceRules()
        rules.timestampBounds = TimestampBounds(
            now: WallTime(milliseconds: 1_700_000_000_000), beforeMaxMilliseconds: 5, afterMaxMilliseconds: 5)
        #expect(try validate(batch.bytes, rules).maxTimestamp == -1)
    }

    @Test func timestampsThatOverflow() throws {
        let found = try error { $0.baseTimestamp = Int64.max - 2 }
        #expect(found == .invalidTimestamp(index: 1, .overflow))
        #expect(
            TimestampBounds(now: .init(milliseconds: -5), beforeMaxMilliseconds: .max, afterMaxMilliseconds: 0).earliest
                == .min)
        #expect(
            TimestampBounds(now: .init(milliseconds: 5), beforeMaxMilliseconds: 0, afterMaxMilliseconds: .max).latest
                == .max)
    }

    // MARK: Errors

    @Test(arguments: [
        (RecordError.truncated(needed: 2, available: 1), RecordError.Category.corrupt),
        (.invalidLength(3), .corrupt), (.checksumMismatch(stored: 1, computed: 2), .corrupt),
        (.sizeMismatch(expected: 1, actual: 2), .corrupt), (.unsupportedMagic(0), .invalidRecord),
        (.unsupportedMagic(1), .invalidRecord), (.unsupportedMagic(7), .corrupt),
        (.notOneBatch(trailingBytes: 0), .invalidRecord), (.notOneBatch(trailingBytes: 9), .invalidRecord),
        (.invalidHeader(.controlBatch), .invalidRecord), (.undecodable(.lz4), .invalidRecord),
        (.malformedRecord(index: 3, .varint), .invalidRecord), (.missingKey(index: 3), .invalidRecord),
        (.unknownCodec(6), .unsupportedCompression), (.codecNotAllowed(.zstd), .unsupportedCompression),
        (.batchTooLarge(bytes: 2, limit: 1), .tooLarge), (.decompressedTooLarge(limit: 1), .tooLarge),
        (.invalidTimestamp(index: 3, .overflow), .invalidTimestamp), (.codecFailure(.gzip), .failure),
    ])
    func classesAndSentences(error: RecordError, category: RecordError.Category) {
        #expect(error.category == category)
        #expect(error.description.contains(" "))
        switch error {
        case .malformedRecord, .missingKey, .invalidTimestamp: #expect(error.recordIndex == 3)
        default: #expect(error.recordIndex == nil)
        }
    }
}
