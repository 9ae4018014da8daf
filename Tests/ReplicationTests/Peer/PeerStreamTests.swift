// SPDX-License-Identifier: Apache-2.0
//
// PeerStreamTests.swift
// The stream is cut into the frames that were sent, however it arrives.

import Model
import NIOCore
import Testing

@testable import Replication

@Suite struct PeerStreamTests {
    private static let frames: [PeerFrame] =
        PeerSamples.frames + [.response(id: 1, status: 0, body: PeerSamples.bytes(90_000)), .ping]

    private static let bytes: ByteBuffer = {
        var output = PeerOutput()
        for frame in frames { output.write(frame) }
        var all = ByteBuffer()
        for piece in output.take() { all.writeImmutableBuffer(piece) }
        return all
    }()

    @Test(arguments: [1, 2, 3, 5, 17, 1000, 65_536, 70_001, 1 << 20])
    func anyPieces(_ size: Int) throws {
        var stream = PeerStream(bytesMax: 1 << 20)
        var rest = Self.bytes
        var texts: [String] = []
        var isBounded = true
        while rest.readableBytes > 0 {
            // In memory of its own, as a socket delivers it.
            let length = min(size, rest.readableBytes)
            var chunk = ByteBufferAllocator().buffer(capacity: size)
            if let part = rest.readSlice(length: length) { chunk.writeImmutableBuffer(part) }
            while let frame = try stream.next(from: &chunk) {
                texts.append(PeerSamples.text(try PeerFrameDecoder.decode(frame)))
            }
            isBounded = isBounded && stream.lowWater >= 1 && stream.nextReadBytes <= PeerStream.allocationMax + 4
        }
        #expect(isBounded)
        #expect(texts == Self.frames.map(PeerSamples.text).filter { !$0.isEmpty })
    }

    @Test func aLengthAloneClaimsNoMemory() throws {
        var stream = PeerStream(bytesMax: 128 << 20)
        var chunk = ByteBuffer()
        chunk.writeInteger(UInt32(120 << 20), endianness: .little)
        chunk.writeBytes([1, 2, 3])
        #expect(try stream.next(from: &chunk) == nil)
        #expect(stream.nextReadBytes == PeerStream.allocationMax && stream.lowWater == PeerStream.allocationMax)
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", PeerFrameError.foreign("HTTP")),
        ("\u{16}\u{3}\u{1}\u{0}", .foreign("TLS")),
        ("\u{0}\u{0}\u{0}\u{20}....", .foreign("Kafka")),
        ("zzzzzzzz", .tooLarge(0x7A7A_7A7A, limit: 8192)),
        ("\u{5}\u{0}\u{0}\u{0}12345", .truncated),
    ])
    func foreignBytes(_ text: String, _ error: PeerFrameError) {
        var stream = PeerStream(bytesMax: PeerSession.introductionBytesMax)
        var chunk = ByteBuffer(string: text)
        #expect(throws: error) { try stream.next(from: &chunk) }
    }

    @Test func readsOfTheirOwnEndWhereTheFrameEnds() throws {
        let buffers = PeerReceiveBuffers()
        buffers.limit(to: 100_000)
        var buffer = buffers.buffer(allocator: ByteBufferAllocator())
        #expect(buffer.writableBytes == 100_000 && buffer.readableBytes == 0)
        #expect(buffers.nextBufferSize() == nil)
        buffer.writeRepeatingByte(1, count: 100_000)
        #expect(buffers.record(actualReadBytes: 100_000))
        buffers.limit(to: 0)
        #expect(buffers.nextBufferSize() != nil)
    }
}
