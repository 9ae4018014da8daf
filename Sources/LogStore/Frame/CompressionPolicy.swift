// SPDX-License-Identifier: Apache-2.0
//
// CompressionPolicy.swift
// Decides for one partition whether a frame is worth compressing, from what earlier frames gained. No clock, no I/O.

/// Measures what compression gains and stops trying where it gains nothing.
///
/// State: `ratio` is the running mean of stored / raw. While it is poor, frames are stored as they are, except for a probe
/// after `pause` frames; each poor probe doubles the pause up to ``pauseMax``, each good one ends it.
package struct CompressionPolicy: Sendable, Hashable {
    /// Above this ratio compressing does not pay: readers spend more than the disk saves.
    package static let ratioMax = 0.9
    /// How much one frame changes the mean.
    static let weight = 0.2
    /// Frames between probes of data that does not compress.
    static let pauseMin = 8
    /// At most as many.
    package static let pauseMax = 1024
    /// From this many waiting frames on a faster level is used.
    package static let queuePressure = 64
    /// From this many waiting frames on compression is left out.
    package static let queueMax = 256
    /// The zstd level under pressure: about twice as fast as level 1.
    package static let pressureLevel: Int32 = -5

    private let level: Int32
    private let bytesMin: Int
    /// The running mean of stored / raw.
    package private(set) var ratio = 0.5
    private var pause = 0
    private var skipped = 0

    /// A policy that uses `level`, 0 for never, for payloads of at least `bytesMin` bytes.
    package init(level: Int32, bytesMin: Int) {
        self.level = level
        self.bytesMin = bytesMin
    }

    /// The level to compress a payload of `byteCount` bytes with while `queueDepth` frames wait; nil to store it as it is.
    package mutating func decide(byteCount: Int, queueDepth: Int) -> Int32? {
        guard level != 0, byteCount >= bytesMin, queueDepth < Self.queueMax else { return nil }
        if pause > 0 {
            skipped += 1
            guard skipped >= pause else { return nil }
            skipped = 0
        }
        return queueDepth >= Self.queuePressure ? min(level, Self.pressureLevel) : level
    }

    /// Learns from a frame of `raw` bytes that took `stored`.
    package mutating func observed(raw: Int, stored: Int) {
        guard raw > 0 else { return }
        let sample = Double(stored) / Double(raw)
        ratio += (sample - ratio) * Self.weight
        if sample <= Self.ratioMax {
            pause = 0
            skipped = 0
            ratio = min(ratio, Self.ratioMax)
        } else if ratio > Self.ratioMax || pause > 0 {
            pause = min(Self.pauseMax, max(Self.pauseMin, pause * 2))
            skipped = 0
        }
    }
}
