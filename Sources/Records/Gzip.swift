// SPDX-License-Identifier: Apache-2.0
//
// Gzip.swift
// The gzip format, one or more members.

internal import CCodecs
internal import NIOCore

/// Writes gzip members at one level.
///
/// Owned by one thread at a time.
final class GzipEncoder {
    /// zlib's own choice, which is 6.
    static let defaultLevel: Int32 = -1

    let level: Int32
    private let context: OpaquePointer

    init(level: Int32) throws(RecordError) {
        guard let context = codecs_gzip_encoder_create(level) else { throw .codecFailure(.gzip) }
        self.context = context
        self.level = level
    }

    deinit { codecs_gzip_encoder_free(context) }

    /// Appends one member that holds `input`.
    func compress(_ input: RawSpan, into output: inout ByteBuffer) throws(RecordError) {
        let bound = codecs_gzip_bound(context, input.byteCount)
        var result: Int64 = 0
        input.withUnsafeBytes { source in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { space in
                result = codecs_gzip_compress(context, space.baseAddress, bound, source.baseAddress, source.count)
                return Int(max(0, result))
            }
        }
        guard result >= 0 else { throw .codecFailure(.gzip) }
    }
}

/// Reads gzip members.
///
/// Owned by one thread at a time.
final class GzipDecoder {
    private let context: OpaquePointer

    init() throws(RecordError) {
        guard let context = codecs_gzip_decoder_create() else { throw .codecFailure(.gzip) }
        self.context = context
    }

    deinit { codecs_gzip_decoder_free(context) }

    /// Appends what the members of `input` unpack to, at most `maxBytes` bytes.
    func decompress(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, maxBytes: Int
    ) throws(RecordError) -> Int {
        // The stream before may have ended with an error.
        codecs_gzip_decoder_reset(context)
        return try BoundedOutput(codec: .gzip, maxBytes: maxBytes).decode(input, into: &output) { space, rest in
            codecs_gzip_decode(context, space.baseAddress, space.count, rest.baseAddress, rest.count)
        }
    }
}
