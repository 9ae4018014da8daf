// SPDX-License-Identifier: Apache-2.0
//
// CompressionContext.swift
// The states of all codecs, made when first needed and kept, and one scratch buffer.

public import NIOCore

/// What compresses and decompresses records.
///
/// Keep one per thread that does so.
///
/// Not Sendable: owned by one thread (or event loop) at a time.
public final class CompressionContext {
    /// A scratch buffer above this size is given back after use.
    public static let scratchBytesKept = 4 << 20

    private var zstdCompressor: ZstdCompressor?
    private var zstdDecompressor: ZstdDecompressor?
    private var lz4Decoder: LZ4Decoder?
    private var gzipEncoder: GzipEncoder?
    private var gzipDecoder: GzipDecoder?
    private var scratch = ByteBuffer()

    /// Makes an empty context; it allocates when a codec is used for the first time.
    public init() {}

    /// Appends `input` compressed by `codec`; `.none` copies it.
    ///
    /// - Parameter level: the codec's own scale (gzip 1...9, lz4 3...12, zstd also negative); nil is its default, and
    ///   snappy has none.
    public func compress(
        _ input: RawSpan, codec: CompressionCodec, level: Int32? = nil, into output: inout ByteBuffer
    ) throws(RecordError) {
        switch codec {
        case .none: output.writeBytes(input)
        case .gzip: try encoderOfGzip(level: level ?? GzipEncoder.defaultLevel).compress(input, into: &output)
        case .snappy: try Snappy.compress(input, into: &output)
        case .lz4: try LZ4Encoder.compress(input, level: level ?? LZ4Encoder.defaultLevel, into: &output)
        case .zstd:
            let compressor = try compressorOfZstd()
            compressor.level = level ?? ZstdCompressor.defaultLevel
            try compressor.compress(input, into: &output)
        }
    }

    /// Appends what `input` unpacks to and returns how many bytes those were.
    ///
    /// - Throws: ``RecordError/decompressedTooLarge(limit:)`` above `maxBytes`, ``RecordError/undecodable(_:)`` for
    ///   damaged, cut-off or empty input; the output is left as it was.
    @discardableResult
    public func decompress(
        _ input: RawSpan, codec: CompressionCodec, maxBytes: Int, into output: inout ByteBuffer
    ) throws(RecordError) -> Int {
        precondition(maxBytes >= 0 && maxBytes < Int.max >> 2, "\(maxBytes) is no limit for decompressed bytes")
        guard codec != .none else {
            guard input.byteCount <= maxBytes else { throw .decompressedTooLarge(limit: maxBytes) }
            return output.writeBytes(input)
        }
        guard input.byteCount > 0 else { throw .undecodable(codec) }
        switch codec {
        case .none: return 0
        case .gzip:
            let decoder = try decoderOfGzip()
            return try input.withUnsafeBytes { bytes throws(RecordError) in
                try decoder.decompress(bytes, into: &output, maxBytes: maxBytes)
            }
        case .snappy:
            return try input.withUnsafeBytes { bytes throws(RecordError) in
                try Snappy.decompress(bytes, into: &output, maxBytes: maxBytes)
            }
        case .lz4:
            let decoder = try decoderOfLZ4()
            return try input.withUnsafeBytes { bytes throws(RecordError) in
                try decoder.decompress(bytes, into: &output, maxBytes: maxBytes)
            }
        case .zstd:
            return try decompressorOfZstd().decompress(input, into: &output, maxBytes: maxBytes)
        }
    }

    /// Decompresses into the scratch buffer and passes it to `body`.
    ///
    /// Whoever keeps slices of the buffer keeps them: the next use then takes fresh memory.
    func withDecompressed<Result>(
        _ input: RawSpan, codec: CompressionCodec, maxBytes: Int,
        _ body: (ByteBuffer) throws(RecordError) -> Result
    ) throws(RecordError) -> Result {
        // Taken out so that the buffer is unique while it is filled.
        var buffer = scratch
        scratch = ByteBuffer()
        buffer.clear()
        defer { if buffer.capacity <= Self.scratchBytesKept { scratch = buffer } }
        try decompress(input, codec: codec, maxBytes: maxBytes, into: &buffer)
        return try body(buffer)
    }

    // MARK: States, made when first needed

    private func encoderOfGzip(level: Int32) throws(RecordError) -> GzipEncoder {
        if let gzipEncoder, gzipEncoder.level == level { return gzipEncoder }
        let made = try GzipEncoder(level: level)
        gzipEncoder = made
        return made
    }

    private func decoderOfGzip() throws(RecordError) -> GzipDecoder {
        if let gzipDecoder { return gzipDecoder }
        let made = try GzipDecoder()
        gzipDecoder = made
        return made
    }

    private func decoderOfLZ4() throws(RecordError) -> LZ4Decoder {
        if let lz4Decoder { return lz4Decoder }
        let made = try LZ4Decoder()
        lz4Decoder = made
        return made
    }

    private func compressorOfZstd() throws(RecordError) -> ZstdCompressor {
        if let zstdCompressor { return zstdCompressor }
        let made = try ZstdCompressor()
        zstdCompressor = made
        return made
    }

    private func decompressorOfZstd() throws(RecordError) -> ZstdDecompressor {
        if let zstdDecompressor { return zstdDecompressor }
        let made = try ZstdDecompressor()
        zstdDecompressor = made
        return made
    }
}

/// One-shot compression, for callers that do it seldom.
public enum Compression {
    /// `bytes` compressed by `codec`.
    public static func compress(
        _ bytes: ByteBuffer, codec: CompressionCodec, level: Int32? = nil
    ) throws(RecordError) -> ByteBuffer {
        var output = ByteBuffer()
        try CompressionContext().compress(bytes.readableBytesSpan, codec: codec, level: level, into: &output)
        return output
    }

    /// What `bytes` unpacks to, at most `maxBytes` bytes.
    public static func decompress(
        _ bytes: ByteBuffer, codec: CompressionCodec, maxBytes: Int
    ) throws(RecordError) -> ByteBuffer {
        var output = ByteBuffer()
        try CompressionContext().decompress(bytes.readableBytesSpan, codec: codec, maxBytes: maxBytes, into: &output)
        return output
    }
}
