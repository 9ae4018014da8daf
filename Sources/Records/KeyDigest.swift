// SPDX-License-Identifier: Apache-2.0
//
// KeyDigest.swift
// What stands for a record's key where millions of keys have to be remembered: 16 bytes, whatever the key's length.

internal import Model

/// A hash of a key, wide enough to stand for it.
///
/// Two keys with one digest would be one key to compaction, which would lose a value. With 128 bits that does not happen by
/// accident, and nobody can bring it about: the hash is keyed with a secret of the process. So digests mean nothing to
/// another process.
public struct KeyDigest: Hashable, Sendable, BitwiseCopyable {
    /// The one half.
    public let high: UInt64
    /// The other half.
    public let low: UInt64

    /// The digest of `key`.
    ///
    /// - Cost: two passes of SipHash, some 40 ns for a short key.
    public init(_ key: RawSpan) {
        high = Self.half(key, 0x48)
        low = Self.half(key, 0x4C)
    }

    /// A digest that was taken apart.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    private static func half(_ key: RawSpan, _ domain: UInt8) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(domain)
        key.withUnsafeBytes { hasher.combine(bytes: $0) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
