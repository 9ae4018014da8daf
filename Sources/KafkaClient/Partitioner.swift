// SPDX-License-Identifier: Apache-2.0
//
// Partitioner.swift
// Which partition a record goes to, so that our tools agree with other clients about keys.

public import NIOCore

/// Chooses partitions as Kafka's own producer does.
public enum Partitioner {
    /// The partition of `key` among `count`: its Murmur2 hash without the sign, modulo `count`.
    public static func partition(ofKey key: ByteBuffer, count: Int) -> Int {
        precondition(count > 0, "a topic without partitions")
        return Int(murmur2(key) & 0x7FFF_FFFF) % count
    }

    /// MurmurHash2, 32 bit (Austin Appleby, public domain), with the seed that Kafka uses.
    static func murmur2(_ key: ByteBuffer) -> UInt32 {
        let bytes = key.readableBytesUInt8Span
        let multiplier: UInt32 = 0x5BD1_E995
        var hash: UInt32 = 0x9747_B28C ^ UInt32(truncatingIfNeeded: bytes.count)
        let whole = bytes.count & ~3
        for start in stride(from: 0, to: whole, by: 4) {
            var word: UInt32 = 0
            for place in 0..<4 { word |= UInt32(bytes[start + place]) << UInt32(8 * place) }
            word = word &* multiplier
            word ^= word >> 24
            hash = hash &* multiplier ^ (word &* multiplier)
        }
        if whole < bytes.count {
            for place in whole..<bytes.count { hash ^= UInt32(bytes[place]) << UInt32(8 * (place - whole)) }
            hash = hash &* multiplier
        }
        hash ^= hash >> 13
        hash = hash &* multiplier
        return hash ^ hash >> 15
    }
}
