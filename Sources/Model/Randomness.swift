// SPDX-License-Identifier: Apache-2.0
//
// Randomness.swift
// The randomness seam: everything that draws numbers takes a generator, so that a seed replays a run.

/// SplitMix64: small, fast and good enough for jitter, salts and test data; never for secrets.
///
/// Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64
    /// Makes a value of its parts.
    public init(seed: UInt64) { state = seed }
    /// The one that follows.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
