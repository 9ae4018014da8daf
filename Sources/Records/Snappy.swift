// SPDX-License-Identifier: Apache-2.0
//
// Snappy.swift
// Snappy as Kafka clients write it: the block framing of the xerial library (Java), or one raw block (others).

internal import CCodecs
internal import NIOCore

/// Reads both forms and writes the framed one, which every client reads.
enum Snappy {
    /// What a framed stream begins with, before two 32-bit version numbers.
    static let magic: [UInt8] = [0x82, 0x53, 0x4E, 0x41, 0x50, 0x50, 0x59, 0x00]
    static let frameHeaderBytes = 16
    /// Input bytes in one block that we write; the library's own window is 64 KiB.
    static let blockBytes = 32 << 10
    /// What one byte of a block stands for at most.
    static let expansionMax: Int64 = 22

    // MARK: Writing

    /// Appends `input` as a framed stream.
    static func compress(_ input: RawSpan, into output: inout ByteBuffer) throws(RecordError) {
        output.writeBytes(magic)
        output.writeInteger(Int32(1))
        output.writeInteger(Int32(1))
        var position = 0
        while position < input.byteCount {
            let end = min(position + blockBytes, input.byteCount)
            try compressBlock(input.extracting(position..<end), into: &output)
            position = end
        }
    }

    private static func compressBlock(_ block: RawSpan, into output: inout ByteBuffer) throws(RecordError) {
        let lengthIndex = output.writerIndex
        output.writeInteger(Int32(0))
        let bound = codecs_snappy_bound(block.byteCount)
        var result: Int64 = 0
        block.withUnsafeBytes { source in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { space in
                result = codecs_snappy_compress(space.baseAddress, bound, source.baseAddress, source.count)
                return Int(max(0, result))
            }
        }
        guard result >= 0 else { throw .codecFailure(.snappy) }
        output.setInteger(Int32(truncatingIfNeeded: result), at: lengthIndex)
    }

    // MARK: Reading

    /// Appends what `input` unpacks to, at most `maxBytes` bytes, and returns how many those were.
    static func decompress(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, maxBytes: Int
    ) throws(RecordError) -> Int {
        let start = output.writerIndex
        do {
            if isFramed(input) {
                try decompressFramed(input, into: &output, limit: start + maxBytes, maxBytes: maxBytes)
            } else {
                try decompressBlock(input, into: &output, room: maxBytes, maxBytes: maxBytes)
            }
        } catch {
            output.moveWriterIndex(to: start)
            throw error
        }
        return output.writerIndex - start
    }

    /// Whether the stream is framed.
    ///
    /// A raw block cannot begin with the magic: it would copy from before its start.
    static func isFramed(_ input: UnsafeRawBufferPointer) -> Bool {
        input.count >= frameHeaderBytes && input.starts(with: magic)
    }

    private static func decompressFramed(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, limit: Int, maxBytes: Int
    ) throws(RecordError) {
        var rest = UnsafeRawBufferPointer(rebasing: input[frameHeaderBytes...])
        while !rest.isEmpty {
            // Streams that were joined repeat the header.
            if isFramed(rest) {
                rest = UnsafeRawBufferPointer(rebasing: rest[frameHeaderBytes...])
                continue
            }
            guard rest.count >= 4 else { throw .undecodable(.snappy) }
            let length = Int(Int32(bigEndian: rest.loadUnaligned(as: Int32.self)))
            guard length >= 0, length <= rest.count - 4 else { throw .undecodable(.snappy) }
            let block = UnsafeRawBufferPointer(rebasing: rest[4..<(4 + length)])
            try decompressBlock(block, into: &output, room: limit - output.writerIndex, maxBytes: maxBytes)
            rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
        }
    }

    /// Decodes one raw block.
    ///
    /// Its claim of a size is believed only as far as the format allows: a copy makes 64 bytes of 3 at best.
    private static func decompressBlock(
        _ block: UnsafeRawBufferPointer, into output: inout ByteBuffer, room: Int, maxBytes: Int
    ) throws(RecordError) {
        let claimed = codecs_snappy_length(block.baseAddress, block.count)
        guard claimed >= 0, claimed <= Int64(block.count) * expansionMax else { throw .undecodable(.snappy) }
        guard claimed <= Int64(room) else { throw .decompressedTooLarge(limit: maxBytes) }
        var result: Int64 = 0
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(claimed)) { space in
            result = codecs_snappy_decompress(space.baseAddress, Int(claimed), block.baseAddress, block.count)
            return Int(max(0, result))
        }
        guard result == claimed else { throw .undecodable(.snappy) }
    }
}
