// SPDX-License-Identifier: Apache-2.0
//
// CompressionTests.swift
// Every codec: round trips, streams of other libraries, damage, and bounds.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct CompressionTests {
    static let compressing: [CompressionCodec] = [.gzip, .snappy, .lz4, .zstd]

    @Test(arguments: CompressionCodec.allCases)
    func roundTripsAtManySizes(codec: CompressionCodec) throws {
        var random = SeededRandom(seed: 21)
        let context = CompressionContext()
        let sizes = [1, 2, 63, 64, 1000, 32 << 10, (32 << 10) + 1, 70_000, 300_000]
        for size in codec == .none ? [0] + sizes : sizes {
            for input in [random.compressibleBytes(size), ByteBuffer(repeating: 7, count: size)] {
                var output = ByteBuffer(string: "kept")
                var packed = ByteBuffer()
                try context.compress(input.readableBytesSpan, codec: codec, into: &packed)
                let length = try context.decompress(
                    packed.readableBytesSpan, codec: codec, maxBytes: size, into: &output)
                #expect(length == size)
                #expect(output.readString(length: 4) == "kept")
                #expect(output == input, "\(codec), \(size) bytes")
            }
        }
    }

    @Test(arguments: [(CompressionCodec.gzip, [-1, 1, 9, 99]), (.lz4, [0, 3, 12, 99]), (.zstd, [-7, 1, 19, 99])])
    func levelsRoundTripAndAreClamped(codec: CompressionCodec, levels: [Int32]) throws {
        var random = SeededRandom(seed: 22)
        let input = random.compressibleBytes(20_000)
        for level in levels {
            let packed = try Compression.compress(input, codec: codec, level: level)
            #expect(packed.readableBytes < input.readableBytes)
            #expect(try Compression.decompress(packed, codec: codec, maxBytes: 20_000) == input)
        }
    }

    @Test(arguments: compressing)
    func outputIsBoundedToTheByte(codec: CompressionCodec) throws {
        let size = 100_000
        let packed = try Compression.compress(ByteBuffer(repeating: 1, count: size), codec: codec)
        #expect(throws: RecordError.decompressedTooLarge(limit: size - 1)) {
            try Compression.decompress(packed, codec: codec, maxBytes: size - 1)
        }
        #expect(try Compression.decompress(packed, codec: codec, maxBytes: size).readableBytes == size)
        #expect(throws: RecordError.decompressedTooLarge(limit: 0)) {
            try Compression.decompress(packed, codec: codec, maxBytes: 0)
        }
    }

    /// 64 MiB of zeros, packed into a few kilobytes; the limit holds and no memory beyond it is taken.
    @Test(arguments: compressing)
    func bombsAreStopped(codec: CompressionCodec) throws {
        let bomb = try Compression.compress(ByteBuffer(repeating: 0, count: 64 << 20), codec: codec)
        let context = CompressionContext()
        var output = ByteBuffer()
        #expect(throws: RecordError.decompressedTooLarge(limit: 1 << 20)) {
            try context.decompress(bomb.readableBytesSpan, codec: codec, maxBytes: 1 << 20, into: &output)
        }
        #expect(output.readableBytes == 0)
        #expect(output.capacity <= 4 << 20)
    }

    @Test(arguments: compressing)
    func everyTruncationIsRefusedAndLeavesTheOutput(codec: CompressionCodec) throws {
        var random = SeededRandom(seed: 23)
        let input = random.compressibleBytes(700)
        let context = CompressionContext()
        var packed = ByteBuffer()
        try context.compress(input.readableBytesSpan, codec: codec, into: &packed)
        let span = packed.readableBytesSpan
        for length in 0..<span.byteCount {
            var output = ByteBuffer(string: "kept")
            // The header alone of a framed snappy stream is a stream of nothing.
            if codec == .snappy, length == Snappy.frameHeaderBytes { continue }
            #expect(throws: RecordError.undecodable(codec), "\(length) of \(span.byteCount)") {
                try context.decompress(
                    packed.readableBytesSpan.extracting(0..<length), codec: codec, maxBytes: 10_000, into: &output)
            }
            #expect(output == ByteBuffer(string: "kept"))
        }
    }

    @Test(arguments: compressing)
    func aContextWorksAfterAnError(codec: CompressionCodec) throws {
        let context = CompressionContext()
        let input = ByteBuffer(string: String(repeating: "again ", count: 500))
        var packed = ByteBuffer()
        try context.compress(input.readableBytesSpan, codec: codec, into: &packed)
        for _ in 0..<3 {
            var output = ByteBuffer()
            _ = try? context.decompress(
                packed.readableBytesSpan.extracting(0..<(packed.readableBytes / 2)), codec: codec, maxBytes: 10_000,
                into: &output)
            output.clear()
            try context.decompress(packed.readableBytesSpan, codec: codec, maxBytes: 10_000, into: &output)
            #expect(output == input)
        }
    }

    @Test(arguments: [CompressionCodec.gzip, .lz4, .zstd])
    func joinedStreamsAreReadInOrder(codec: CompressionCodec) throws {
        var packed = try Compression.compress(ByteBuffer(string: "first "), codec: codec)
        packed.writeImmutableBuffer(try Compression.compress(ByteBuffer(string: "second"), codec: codec))
        #expect(try Compression.decompress(packed, codec: codec, maxBytes: 100) == ByteBuffer(string: "first second"))
        packed.writeString("trailing rubbish")
        #expect(throws: RecordError.undecodable(codec)) {
            try Compression.decompress(packed, codec: codec, maxBytes: 100)
        }
    }

    /// Streams of other implementations: cut into linked blocks, with checksums, without a content size.
    @Test(arguments: [
        (CompressionCodec.gzip, "1f8b08000000000002034bcf2fcd492d29495548a73d030033bf48356c000000"),
        (.snappy, "6c20676f756c6574746520fe09008a0900"),
        (
            .lz4,
            """
            04224d186c406c0000000000000046130000009f676f756c657474652009004b5065747465200000000049e45ce9
            """
        ),
        (.zstd, "28b52ffd005885000048676f756c6574746520010080693902"),
    ])
    func foreignStreams(codec: CompressionCodec, form: String) throws {
        let unpacked = try Compression.decompress(Fixture.hex(form), codec: codec, maxBytes: 108)
        #expect(String(buffer: unpacked) == String(repeating: "goulette ", count: 12))
    }

    @Test func codecNames() {
        for codec in CompressionCodec.allCases { #expect(CompressionCodec(name: codec.name) == codec) }
        #expect(CompressionCodec(name: "uncompressed") == CompressionCodec.none)
        #expect(CompressionCodec(name: "producer") == nil)
        #expect(CompressionCodec(rawValue: 5) == nil)
    }
}

@Suite struct SnappyTests {
    @Test func writesTheFramingOfJavaClients() throws {
        let packed = try Compression.compress(ByteBuffer(string: "hi"), codec: .snappy)
        // magic, version 1, compatible with 1, block length 4, block: 2 bytes, literal of 2
        #expect(packed == Fixture.hex("82534e4150505900 00000001 00000001 00000004 02 04 6869"))
    }

    @Test func readsFramesThatWereJoinedWithTheirHeaders() throws {
        var joined = try Compression.compress(ByteBuffer(string: "one "), codec: .snappy)
        joined.writeImmutableBuffer(try Compression.compress(ByteBuffer(string: "two"), codec: .snappy))
        #expect(try Compression.decompress(joined, codec: .snappy, maxBytes: 7) == ByteBuffer(string: "one two"))
        #expect(throws: RecordError.decompressedTooLarge(limit: 6)) {
            try Compression.decompress(joined, codec: .snappy, maxBytes: 6)
        }
    }

    @Test(arguments: [
        "82534e4150505900 00000001 00000001 00000005 02 04 6869",  // block longer than the stream
        "82534e4150505900 00000001 00000001 ffffffff 02 04 6869",  // negative length
        "82534e4150505900 00000001 00000001 0000",  // half a length
        "82534e4150505900 00000001 00000001 00000004 03 04 6869",  // claims 3 bytes, has 2
        "82534e4150505900 00000001",  // half a header, which is no raw block either
        "ffffffff0f",  // raw block that claims 4 GiB and has nothing
    ])
    func lyingStreams(form: String) {
        let error = #expect(throws: RecordError.self) {
            try Compression.decompress(Fixture.hex(form), codec: .snappy, maxBytes: 1000)
        }
        #expect(error == .undecodable(.snappy) || error == .decompressedTooLarge(limit: 1000))
    }
}

@Suite struct ZstdTests {
    @Test(arguments: [-5, 1, 3, 9])
    func framesOfKnownSize(level: Int32) throws {
        var random = SeededRandom(seed: 24)
        let compressor = try ZstdCompressor(level: level)
        let decompressor = try ZstdDecompressor()
        for size in [0, 1, 4096, 200_000] {
            let input = random.compressibleBytes(size)
            var packed = ByteBuffer(string: "head")
            let length = try compressor.compress(input.readableBytesSpan, into: &packed)
            #expect(packed.readString(length: 4) == "head")
            #expect(packed.readableBytes == length)
            var output = ByteBuffer(string: "head")
            try decompressor.decompress(packed.readableBytesSpan, into: &output, rawLength: size)
            #expect(output.readString(length: 4) == "head")
            #expect(output == input)
        }
    }

    @Test func aWrongRawLengthIsAnError() throws {
        let compressor = try ZstdCompressor()
        let decompressor = try ZstdDecompressor()
        var packed = ByteBuffer()
        try compressor.compress(ByteBuffer(repeating: 3, count: 1000).readableBytesSpan, into: &packed)
        var output = ByteBuffer()
        #expect(throws: RecordError.sizeMismatch(expected: 1001, actual: 1000)) {
            try decompressor.decompress(packed.readableBytesSpan, into: &output, rawLength: 1001)
        }
        #expect(throws: RecordError.sizeMismatch(expected: 999, actual: 1000)) {
            try decompressor.decompress(packed.readableBytesSpan, into: &output, rawLength: 999)
        }
        #expect(throws: RecordError.undecodable(.zstd)) {
            try decompressor.decompress(ByteBuffer(string: "rubbish").readableBytesSpan, into: &output, rawLength: 9)
        }
        #expect(output.readableBytes == 0)
    }

    @Test func incompressibleDataIsGivenUpWithinALimit() throws {
        var random = SeededRandom(seed: 25)
        var noise = ByteBuffer()
        for _ in 0..<1000 { noise.writeInteger(random.next()) }
        let compressor = try ZstdCompressor(level: 1)
        var output = ByteBuffer(string: "kept")
        #expect(try compressor.compress(noise.readableBytesSpan, into: &output, ifWithin: 7000) == nil)
        #expect(try compressor.compress(noise.readableBytesSpan, into: &output, ifWithin: 0) == nil)
        #expect(output == ByteBuffer(string: "kept"))
        let zeros = ByteBuffer(repeating: 0, count: 8000)
        let length = try #require(try compressor.compress(zeros.readableBytesSpan, into: &output, ifWithin: 7000))
        #expect(length < 100)
        #expect(output.readableBytes == 4 + length)
    }

    /// The frame claims 2^40 bytes; nothing of that is allocated.
    @Test func aFrameThatClaimsTooMuchIsRefused() throws {
        let frame = Fixture.hex("28b52ffd e0 0000000000010000 010000")
        var output = ByteBuffer()
        #expect(throws: RecordError.self) {
            try CompressionContext().decompress(
                frame.readableBytesSpan, codec: .zstd, maxBytes: 1000, into: &output)
        }
        #expect(output.capacity <= 1024)
    }
}
