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

    /// A socket that delivers `stream` by `share` of what each read asks for.
    @Test(arguments: [1.0, 0.7, 0.3, 0.01]) func largeRequestsGetReadsOfTheirOwn(share: Double) throws {
        var stream = ByteBuffer()
        let sizes = [100, 300_000, 65_536, 1_000_000, 10, 3 << 20, 700_000, 0, 200_000]
        for (number, size) in sizes.enumerated() {
            stream.writeInteger(Int32(size))
            stream.writeRepeatingByte(UInt8(number), count: size)
        }
        var decoder = FrameDecoder(bytesMax: 8 << 20, allocator: ByteBufferAllocator())
        let buffers = ReceiveBuffers()
        var frames: [ByteBuffer] = []
        var places = 0
        while stream.readableBytes > 0 {
            var chunk = buffers.buffer(allocator: ByteBufferAllocator())
            let count = min(stream.readableBytes, max(1, Int(Double(chunk.writableBytes) * share)))
            let capacity = chunk.storageCapacity
            if var piece = stream.readSlice(length: count) { chunk.writeBuffer(&piece) }
            #expect(chunk.storageCapacity == capacity)
            while let frame = try decoder.next(from: &chunk) {
                frames.append(frame)
                if frame.readableBytes >= 100_000, frame.storageCapacity <= 2 << 20 { places += 1 }
            }
            #expect(chunk.readableBytes == 0)
            #expect(decoder.lowWater >= 1 && (decoder.lowWater == 1 || decoder.lowWater <= stream.readableBytes))
            buffers.limit(to: decoder.nextReadBytes)
        }
        #expect(frames.map(\.readableBytes) == sizes && places == 4)
        for (number, frame) in frames.enumerated() {
            #expect(frame == ByteBuffer(repeating: UInt8(number), count: sizes[number]))
        }
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
