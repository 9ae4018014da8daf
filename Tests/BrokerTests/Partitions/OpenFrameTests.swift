// SPDX-License-Identifier: Apache-2.0
//
// OpenFrameTests.swift
// The frame that gathers: the same bytes whether batches are copied or kept where they are, and nobody else's bytes change.

import Model
import NIOCore
import Records
import Testing

@testable import Broker

@Suite struct OpenFrameTests {
    private static func batch(valueBytes: Int, records: Int = 3) throws -> ByteBuffer {
        var builder = RecordBatchBuilder()
        for number in 0..<records {
            let value = ByteBuffer(repeating: UInt8(truncatingIfNeeded: number &* 37), count: valueBytes)
            builder.append(key: nil, value: value, timestamp: 1_700_000_000_000 + Int64(number), headers: [])
        }
        return try builder.build()
    }

    private static func add(
        _ bytes: ByteBuffer, to frame: inout OpenFrame, correction: OpenFrame.Correction = .none
    ) throws {
        let batch = try RecordBatch(bytes)
        frame.add(batch, timestamp: batch.maxTimestamp, leaderEpoch: 7, correction: correction)
    }

    /// The batches with offset and epoch written into them, one after the other.
    private static func expected(_ batches: [ByteBuffer], base: Int64) throws -> ByteBuffer {
        var all = ByteBuffer()
        var offset = Offset(base)
        for bytes in batches {
            let start = all.writerIndex
            all.writeImmutableBuffer(bytes)
            RecordBatch.patch(baseOffset: offset, leaderEpoch: 7, in: &all, at: start)
            offset = offset + Int(try RecordBatch(bytes).header.lastOffsetDelta + 1)
        }
        return all
    }

    @Test(arguments: [[10], [200_000], [10, 10], [200_000, 10], [10, 200_000], [200_000, 200_000, 30_000]])
    func holdsTheBatches(sizes: [Int]) throws {
        let batches = try sizes.map { try Self.batch(valueBytes: $0) }
        var frame = OpenFrame(baseOffset: Offset(42), openedAt: Instant(nanoseconds: 0))
        for bytes in batches { try Self.add(bytes, to: &frame) }
        #expect(frame.batches == sizes.count && frame.recordCount == Int32(3 * sizes.count))
        #expect(frame.endOffset == Offset(42 + Int64(3 * sizes.count)))
        let (payload, checksum) = frame.finish()
        #expect(try payload == Self.expected(batches, base: 42))
        #expect(checksum == CRC32C.checksum(payload))
        // The bytes of the requests are what they were.
        for (bytes, size) in zip(batches, sizes) { #expect(try bytes == Self.batch(valueBytes: size)) }
    }

    @Test func keepsALargeBatchWhereItIs() throws {
        var frame = OpenFrame(baseOffset: Offset(9), openedAt: Instant(nanoseconds: 0))
        let place: UnsafeRawPointer?
        do {
            let bytes = try Self.batch(valueBytes: 200_000)
            place = bytes.withUnsafeReadableBytes { $0.baseAddress }
            try Self.add(bytes, to: &frame)
        }
        let payload = frame.finish().payload
        #expect(payload.withUnsafeReadableBytes { $0.baseAddress } == place)
        #expect(try RecordBatch(payload).baseOffset == Offset(9))
    }

    @Test func doesNotKeepLargeMemoryForASmallBatch() throws {
        var frame = OpenFrame(baseOffset: Offset(0), openedAt: Instant(nanoseconds: 0))
        var request = ByteBuffer()
        request.reserveCapacity(4 << 20)
        request.writeImmutableBuffer(try Self.batch(valueBytes: 30_000))
        try Self.add(request, to: &frame)
        #expect(frame.finish().payload.storageCapacity < 1 << 20)
    }

    @Test(arguments: [10, 200_000]) func corrects(valueBytes: Int) throws {
        var frame = OpenFrame(baseOffset: Offset(0), openedAt: Instant(nanoseconds: 0))
        let time = WallTime(milliseconds: 1_800_000_000_000)
        try Self.add(Self.batch(valueBytes: valueBytes), to: &frame, correction: .logAppendTime(time))
        let (payload, checksum) = frame.finish()
        let batch = try RecordBatch(payload)
        #expect(batch.maxTimestamp == time.milliseconds && batch.header.attributes.timestampType == .logAppendTime)
        #expect(checksum == CRC32C.checksum(payload))
    }
}
