// SPDX-License-Identifier: Apache-2.0
//
// BoundedOutput.swift
// The growing loop that streaming decoders share. What it protects against: a few kilobytes that unpack to gigabytes.

internal import CCodecs
internal import NIOCore

/// Runs a streaming decoder over one input into a buffer that grows up to a limit.
struct BoundedOutput {
    /// The first guess of what compressed records unpack to.
    static let expectedRatio = 4
    static let chunkBytesMin = 16 << 10

    let codec: CompressionCodec
    let maxBytes: Int

    /// Appends all that `step` decodes from `input`, and returns how many bytes that was.
    ///
    /// One byte more than the limit may be written: its presence tells "exactly full" from "too much". On failure the
    /// output is left as it was, apart from its capacity.
    func decode(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer,
        step: (_ output: UnsafeMutableRawBufferPointer, _ input: UnsafeRawBufferPointer) -> codecs_step
    ) throws(RecordError) -> Int {
        let start = output.writerIndex
        do {
            try run(input, into: &output, step: step)
        } catch {
            output.moveWriterIndex(to: start)
            throw error
        }
        return output.writerIndex - start
    }

    private func run(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer,
        step: (_ output: UnsafeMutableRawBufferPointer, _ input: UnsafeRawBufferPointer) -> codecs_step
    ) throws(RecordError) {
        var consumed = 0
        var produced = 0
        while true {
            let room = roomForNextStep(produced: produced, inputBytes: input.count)
            var result = codecs_step()
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
                let usable = min(space.count, maxBytes + 1 - produced)
                result = step(
                    UnsafeMutableRawBufferPointer(rebasing: space[..<usable]),
                    UnsafeRawBufferPointer(rebasing: input[consumed...]))
                return result.produced
            }
            if result.status < 0 { throw Self.error(for: Int64(result.status), codec: codec, maxBytes: maxBytes) }
            consumed += result.consumed
            produced += result.produced
            if produced > maxBytes { throw .decompressedTooLarge(limit: maxBytes) }
            if consumed == input.count, result.status == 1 { return }
            // No progress although there was room: the input ends inside a stream.
            if result.consumed == 0, result.produced == 0 { throw .undecodable(codec) }
        }
    }

    private func roomForNextStep(produced: Int, inputBytes: Int) -> Int {
        let wanted = produced == 0 ? max(inputBytes * Self.expectedRatio, Self.chunkBytesMin) : produced
        return max(1, min(wanted, maxBytes + 1 - produced))
    }

    /// The error for a negative result of a codec.
    static func error(for result: Int64, codec: CompressionCodec, maxBytes: Int) -> RecordError {
        switch result {
        case Int64(CODECS_ERROR_CORRUPT): .undecodable(codec)
        case Int64(CODECS_ERROR_SPACE): .decompressedTooLarge(limit: maxBytes)
        default: .codecFailure(codec)
        }
    }
}
