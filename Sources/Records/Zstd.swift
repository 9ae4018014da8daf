// SPDX-License-Identifier: Apache-2.0
//
// Zstd.swift
// Reusable zstd contexts: for the store's frames, whose raw size is known, and for batches, whose size is not.

internal import CCodecs
public import NIOCore

/// A zstd compressor that keeps its tables between calls; making one costs more than a small frame.
///
/// Owned by one thread at a time.
public final class ZstdCompressor {
    /// What zstd itself takes when nobody says otherwise.
    public static let defaultLevel: Int32 = 3

    private let context: OpaquePointer
    private var appliedLevel: Int32

    /// The compression level: negative is faster, higher is smaller; clamped to what the library supports.
    public var level: Int32

    /// Makes a compressor.
    ///
    /// - Throws: ``RecordError/codecFailure(_:)`` when there is no memory.
    public init(level: Int32 = ZstdCompressor.defaultLevel) throws(RecordError) {
        guard let context = codecs_zstd_compressor_create() else { throw .codecFailure(.zstd) }
        self.context = context
        self.level = level
        self.appliedLevel = Self.defaultLevel
    }

    deinit { codecs_zstd_compressor_free(context) }

    /// The capacity that holds the result for any input of `byteCount` bytes.
    public static func bound(_ byteCount: Int) -> Int { Int(codecs_zstd_bound(byteCount)) }

    /// Appends one zstd frame that holds `input`, and returns its length.
    @discardableResult
    public func compress(_ input: RawSpan, into output: inout ByteBuffer) throws(RecordError) -> Int {
        guard let length = try compress(input, into: &output, capacity: Self.bound(input.byteCount)) else {
            throw .codecFailure(.zstd)
        }
        return length
    }

    /// Appends one zstd frame of at most `maxBytes` bytes, or appends nothing and returns nil: then compressing is not
    /// worth it.
    ///
    /// A tight limit also stops the work early.
    public func compress(
        _ input: RawSpan, into output: inout ByteBuffer, ifWithin maxBytes: Int
    ) throws(RecordError) -> Int? {
        try compress(input, into: &output, capacity: min(maxBytes, Self.bound(input.byteCount)))
    }

    private func compress(
        _ input: RawSpan, into output: inout ByteBuffer, capacity: Int
    ) throws(RecordError) -> Int? {
        if level != appliedLevel {
            guard codecs_zstd_set_level(context, level) >= 0 else { throw .codecFailure(.zstd) }
            appliedLevel = level
        }
        guard capacity > 0 else { return nil }
        var result: Int64 = 0
        input.withUnsafeBytes { source in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { space in
                // The limit is the caller's capacity even if the buffer has more room.
                result = codecs_zstd_compress(context, space.baseAddress, capacity, source.baseAddress, source.count)
                return Int(max(0, result))
            }
        }
        if result == Int64(CODECS_ERROR_SPACE) { return nil }
        guard result >= 0 else { throw .codecFailure(.zstd) }
        return Int(result)
    }
}

/// A zstd decompressor that keeps its tables between calls.
///
/// Owned by one thread at a time.
public final class ZstdDecompressor {
    private let context: OpaquePointer

    /// Makes a decompressor.
    ///
    /// - Throws: ``RecordError/codecFailure(_:)`` when there is no memory.
    public init() throws(RecordError) {
        guard let context = codecs_zstd_decompressor_create() else { throw .codecFailure(.zstd) }
        self.context = context
    }

    deinit { codecs_zstd_decompressor_free(context) }

    /// Appends what `input` unpacks to, which must be exactly `rawLength` bytes.
    ///
    /// - Throws: ``RecordError/sizeMismatch(expected:actual:)`` or ``RecordError/undecodable(_:)``; the output is left
    ///   as it was.
    public func decompress(
        _ input: RawSpan, into output: inout ByteBuffer, rawLength: Int
    ) throws(RecordError) {
        precondition(rawLength >= 0, "a raw length is not negative: \(rawLength)")
        let result = run(input, into: &output, capacity: rawLength)
        if result == Int64(rawLength) { return }
        if result >= 0 {
            output.moveWriterIndex(to: output.writerIndex - Int(result))
            throw .sizeMismatch(expected: rawLength, actual: Int(result))
        }
        if result == Int64(CODECS_ERROR_SPACE) { throw .sizeMismatch(expected: rawLength, actual: rawLength + 1) }
        throw BoundedOutput.error(for: result, codec: .zstd, maxBytes: rawLength)
    }

    /// Appends what `input` unpacks to, at most `maxBytes` bytes, and returns how many those were.
    ///
    /// All frames of the input count. The output serves as the window, so the memory used is the output's capacity.
    @discardableResult
    public func decompress(
        _ input: RawSpan, into output: inout ByteBuffer, maxBytes: Int
    ) throws(RecordError) -> Int {
        precondition(maxBytes >= 0, "a limit is not negative: \(maxBytes)")
        guard input.byteCount > 0 else { throw .undecodable(.zstd) }
        let bound = input.withUnsafeBytes { codecs_zstd_output_bound($0.baseAddress, $0.count) }
        guard bound >= 0 else { throw .undecodable(.zstd) }
        let result = run(input, into: &output, capacity: Int(min(bound, Int64(maxBytes))))
        guard result >= 0 else { throw BoundedOutput.error(for: result, codec: .zstd, maxBytes: maxBytes) }
        return Int(result)
    }

    private func run(_ input: RawSpan, into output: inout ByteBuffer, capacity: Int) -> Int64 {
        var result: Int64 = 0
        input.withUnsafeBytes { source in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { space in
                result = codecs_zstd_decompress(context, space.baseAddress, capacity, source.baseAddress, source.count)
                return Int(max(0, result))
            }
        }
        return result
    }
}
