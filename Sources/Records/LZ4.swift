// SPDX-License-Identifier: Apache-2.0
//
// LZ4.swift
// The lz4 frame format.

internal import CCodecs
internal import NIOCore

/// Writes lz4 frames.
enum LZ4Encoder {
    /// The library's fast mode; levels from 3 use its slower search.
    static let defaultLevel: Int32 = 0

    /// Appends one frame that holds `input`.
    static func compress(_ input: RawSpan, level: Int32, into output: inout ByteBuffer) throws(RecordError) {
        let bound = codecs_lz4_bound(input.byteCount)
        var result: Int64 = 0
        input.withUnsafeBytes { source in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { space in
                result = codecs_lz4_compress(level, space.baseAddress, bound, source.baseAddress, source.count)
                return Int(max(0, result))
            }
        }
        guard result >= 0 else { throw .codecFailure(.lz4) }
    }
}

/// Reads lz4 frames.
///
/// Owned by one thread at a time.
final class LZ4Decoder {
    private let context: OpaquePointer

    init() throws(RecordError) {
        guard let context = codecs_lz4_decoder_create() else { throw .codecFailure(.lz4) }
        self.context = context
    }

    deinit { codecs_lz4_decoder_free(context) }

    /// Appends what the frames of `input` unpack to, at most `maxBytes` bytes.
    func decompress(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, maxBytes: Int
    ) throws(RecordError) -> Int {
        // The stream before may have ended with an error.
        codecs_lz4_decoder_reset(context)
        return try BoundedOutput(codec: .lz4, maxBytes: maxBytes).decode(input, into: &output) { space, rest in
            codecs_lz4_decode(context, space.baseAddress, space.count, rest.baseAddress, rest.count)
        }
    }
}
