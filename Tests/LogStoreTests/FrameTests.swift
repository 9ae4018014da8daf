// SPDX-License-Identifier: Apache-2.0
//
// FrameTests.swift
// The frame: what is written is read, and nothing else passes for it.

import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct FrameTests {
    private static func header(payload: ByteBuffer) -> FrameHeader {
        var header = FrameHeader(
            kind: .data, codec: .zstd, flags: .startsSegment, group: GroupID(rawValue: 77), salt: 0x1234_5678_9abc_def1,
            term: Term(9), index: LogIndex(1 << 40), baseOffset: Offset(1 << 41), maxTimestamp: -1,
            recordCount: 5, storedLength: UInt32(payload.readableBytes), rawLength: 9999, previous: 0xdead_beef,
            payloadCRC: 0x0102_0304)
        header.seal()
        return header
    }

    private static func bytes(_ header: FrameHeader) -> ByteBuffer {
        var buffer = ByteBuffer()
        let words = header.words
        for position in words.indices { buffer.writeInteger(words[position].bigEndian) }
        return buffer
    }

    @Test func roundTrips() {
        let header = Self.header(payload: ByteBuffer(string: "hello"))
        let bytes = Self.bytes(header)
        #expect(bytes.readableBytes == FrameHeader.byteCount)
        #expect(FrameHeader.probe(bytes.readableBytesSpan, at: 0) == .header(header))
        #expect(header.frameBytes == 104 && header.paddingBytes == 3 && header.endOffset == header.baseOffset + 5)
    }

    @Test func everyLength() {
        let bytes = Self.bytes(Self.header(payload: ByteBuffer()))
        for count in 0..<FrameHeader.byteCount {
            let cut = bytes.getSlice(at: 0, length: count) ?? ByteBuffer()
            #expect(FrameHeader.probe(cut.readableBytesSpan, at: 0) == .short)
        }
    }

    @Test func everyBit() {
        let bytes = Self.bytes(Self.header(payload: ByteBuffer()))
        for bit in 0..<(FrameHeader.byteCount * 8) {
            var flipped = bytes
            let byte = flipped.getInteger(at: bit / 8, as: UInt8.self) ?? 0
            flipped.setInteger(byte ^ (1 << UInt8(bit % 8)), at: bit / 8)
            #expect(FrameHeader.probe(flipped.readableBytesSpan, at: 0) == .foreign, "bit \(bit)")
        }
    }

    @Test func zerosAreNoFrame() {
        #expect(FrameHeader.probe(ByteBuffer(repeating: 0, count: 96).readableBytesSpan, at: 0) == .zeros)
        #expect(FrameHeader.probe(ByteBuffer(repeating: 7, count: 96).readableBytesSpan, at: 0) == .foreign)
    }

    @Test func saltsDiffer() {
        var seen: Set<UInt64> = []
        for group in 1...8 {
            for base in 1...8 {
                for term in 1...8 {
                    seen.insert(
                        FrameHeader.salt(
                            group: GroupID(rawValue: UInt64(group)), base: LogIndex(UInt64(base)),
                            term: Term(UInt64(term))))
                }
            }
        }
        #expect(seen.count == 512)
    }
}
