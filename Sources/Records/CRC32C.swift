// SPDX-License-Identifier: Apache-2.0
//
// CRC32C.swift
// The checksum of record batches and of the store's frames.

internal import CCodecs
public import NIOCore

/// CRC-32C (Castagnoli), by the best instructions of the machine: about 15 GB/s with SSE4.2, 1.3 GB/s from tables.
public enum CRC32C {
    /// Which instructions are used here, for the log line at start.
    public static var implementation: String { String(cString: codecs_crc32c_implementation()) }

    /// The checksum of `bytes`, or of what `seed` is the checksum of followed by `bytes`.
    public static func checksum(_ bytes: RawSpan, seed: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { codecs_crc32c(seed, $0.baseAddress, $0.count) }
    }

    /// The checksum of `bytes`, for callers that already hold a pointer.
    public static func checksum(of bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        codecs_crc32c(seed, bytes.baseAddress, bytes.count)
    }

    /// The checksum of the readable bytes of `buffer`.
    public static func checksum(_ buffer: ByteBuffer, seed: UInt32 = 0) -> UInt32 {
        checksum(buffer.readableBytesSpan, seed: seed)
    }

    /// The checksum from tables alone, which the tests compare the fast one with.
    static func portableChecksum(of bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        codecs_crc32c_portable(seed, bytes.baseAddress, bytes.count)
    }
}
