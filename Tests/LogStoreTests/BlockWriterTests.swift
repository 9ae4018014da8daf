// SPDX-License-Identifier: Apache-2.0
//
// BlockWriterTests.swift
// Runs of frames around the page cache: the file has the bytes that the plain writer would have written, in whole blocks.

import CrashScenario
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct BlockWriterTests {
    /// A payload of `count` bytes whose memory begins `shift` bytes behind a block boundary of memory.
    private static func payload(_ count: Int, shift: Int, seed: UInt8) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(count + 2 * 4096)
        let start = (shift - buffer.lead(at: 0) + 4096) % 4096
        buffer.writeRepeatingByte(0, count: start)
        // Every stretch of 1,000 bytes differs from its neighbours.
        for step in 0..<((count + 999) / 1000) {
            let byte = seed ^ UInt8(truncatingIfNeeded: step &* 31)
            buffer.writeRepeatingByte(byte, count: min(1000, count - step * 1000))
        }
        buffer.moveReaderIndex(forwardBy: start)
        return buffer
    }

    private static func frames(_ sizes: [Int], from position: Int, _ segment: Segment, leads: Bool) -> [SealedFrame] {
        var position = position
        return sizes.enumerated().map { number, size in
            let payload = payload(size, shift: number * 777 % 4096, seed: UInt8(number))
            var header = FrameHeader(
                kind: .data, codec: .none, flags: [], group: segment.group, salt: segment.salt, term: Term(1),
                index: LogIndex(UInt64(number + 1)), baseOffset: Offset(Int64(number)), maxTimestamp: 1, recordCount: 1,
                storedLength: UInt32(size), rawLength: UInt32(size), previous: 0,
                payloadCRC: CRC32C.checksum(payload))
            if leads, size >= 8192 { header.lead = UInt16(payload.lead(at: position + FrameHeader.byteCount)) }
            header.seal()
            defer { position += header.frameBytes }
            return SealedFrame(
                handle: nil, generation: 0, segment: segment, position: UInt32(position), header: header,
                payload: payload, isIndexed: false, maxTimestampSoFar: 1, startsTerm: false, meta: nil)
        }
    }

    private static let runs: [[Int]] = [
        [5000], [4096 * 3], [20_000, 300, 9000, 8192], [100, 30_000, 40_000, 1, 70_000], [5 << 20, 100, 1 << 20],
        Array(repeating: 9000, count: 50),
    ]

    @Test(arguments: [true, false], [0, 104, 8000]) func writesWhatThePlainWriterWrites(
        leads: Bool, position: Int
    ) throws {
        for sizes in Self.runs {
            let segment = Segment(group: LogFixture.group, base: LogIndex(1), salt: 5, root: "/store")
            let system = FaultyFileSystem()
            let before = ByteBuffer(repeating: 0xEE, count: position)
            let plain = try system.open("/plain", .readWrite)
            let blocks = try system.open("/blocks", .readWrite)
            let unbuffered = try system.open("/blocks", .unbuffered)
            for file in [plain, blocks] { try file.write(before.readableBytesSpan, at: 0) }
            var writer = FrameWriter()
            var blockWriter = BlockWriter()
            // Three runs: the first finds unknown bytes before it, the others what the writer remembers.
            var next = position
            for _ in 0..<3 {
                let frames = Self.frames(sizes, from: next, segment, leads: leads)
                _ = try writer.write(frames, to: plain)
                _ = try blockWriter.write(frames, to: segment, blocks, unbuffered: unbuffered)
                next = frames.last?.endPosition ?? next
            }
            try blocks.truncate(to: next)
            var one = ByteBuffer()
            var other = ByteBuffer()
            #expect(try plain.read(next, at: 0, into: &one) == next)
            #expect(try blocks.read(next, at: 0, into: &other) == next)
            #expect(one == other, "\(sizes) at \(position)")
        }
    }

    @Test func leadsSurviveTheHeader() throws {
        let segment = Segment(group: LogFixture.group, base: LogIndex(1), salt: 5, root: "/store")
        let frame = Self.frames([20_000], from: 8, segment, leads: true)[0]
        let words = frame.header.words
        let bytes = ByteBuffer(bytes: (0..<96).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> (UInt64($0 % 8) * 8)) })
        #expect(FrameHeader.probe(bytes.readableBytesSpan, at: 0) == .header(frame.header))
        #expect((Int(frame.position) + frame.header.payloadStart + 4096 - frame.payload.lead(at: 0)) % 4096 == 0)
        #expect(frame.header.frameBytes == (96 + Int(frame.header.lead) + 20_000 + 7) / 8 * 8)
    }
}
