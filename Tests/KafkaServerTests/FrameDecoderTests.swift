// SPDX-License-Identifier: Apache-2.0
//
// FrameDecoderTests.swift
// The stream is cut the same way however it arrives.

import NIOCore
import Testing

@testable import KafkaServer

@Suite struct FrameDecoderTests {
    /// What comes out when `stream` arrives in pieces of `step` bytes.
    private func frames(_ stream: ByteBuffer, step: Int, bytesMax: Int = 4 << 20) throws -> [ByteBuffer] {
        var decoder = FrameDecoder(bytesMax: bytesMax, allocator: ByteBufferAllocator())
        var stream = stream
        var frames: [ByteBuffer] = []
        while var chunk = stream.readSlice(length: min(step, max(1, stream.readableBytes))) {
            while let frame = try decoder.next(from: &chunk) { frames.append(frame) }
            #expect(chunk.readableBytes == 0)
        }
        #expect(!decoder.isPartial)
        return frames
    }

    @Test(arguments: [1, 2, 3, 4, 5, 7, 64, 1000, 1 << 20])
    func wholeJoinedAndInPieces(_ step: Int) throws {
        var stream = ByteBuffer()
        let sizes = [0, 1, 3, 4, 5, 63, 64, 65, 1000, 70_000]
        for (index, size) in sizes.enumerated() {
            stream.writeInteger(Int32(size))
            stream.writeRepeatingByte(UInt8(index + 1), count: size)
        }
        let frames = try frames(stream, step: step)
        #expect(frames.map(\.readableBytes) == sizes)
        for (index, frame) in frames.enumerated() {
            #expect(frame.readableBytesView.allSatisfy { $0 == UInt8(index + 1) })
        }
    }

    @Test func largeRequestGrowsAsItArrives() throws {
        let size = 3 << 20
        var decoder = FrameDecoder(bytesMax: size, allocator: ByteBufferAllocator())
        var chunk = ByteBuffer(integer: Int32(size))
        #expect(try decoder.next(from: &chunk) == nil)
        #expect(decoder.isPartial)
        for part in 0..<3 {
            chunk = ByteBuffer(repeating: UInt8(part), count: 1 << 20)
            let frame = try decoder.next(from: &chunk)
            #expect((frame?.readableBytes == size) == (part == 2))
        }
        #expect(!decoder.isPartial)
    }

    @Test(arguments: [
        (Int32(-1), FrameError.negativeSize(-1)), (.min, .negativeSize(.min)), (1001, .tooLarge(1001, limit: 1000)),
        (0x4745_5420, .foreignProtocol("HTTP")), (0x1603_0102, .foreignProtocol("TLS")),
    ]) func sizesThatCannotBe(_ size: Int32, _ expected: FrameError) {
        for step in [1, 4] {
            #expect(throws: expected) {
                _ = try frames(ByteBuffer(integer: size), step: step, bytesMax: 1000)
            }
        }
    }
}
