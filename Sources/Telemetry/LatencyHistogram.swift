// SPDX-License-Identifier: Apache-2.0
//
// LatencyHistogram.swift
// Durations: recorded in nanoseconds, printed in seconds.

public import Model

/// A histogram of durations with buckets from 10 microseconds to one minute.
public struct LatencyHistogram: Sendable {
    /// The counts behind it.
    public let histogram: Histogram

    /// Upper bounds in nanoseconds, at 1, 2.5 and 5 of each power of ten.
    public static let defaultBounds: [UInt64] = {
        var bounds: [UInt64] = []
        var decade: UInt64 = 10_000
        while decade <= 10_000_000_000 {
            bounds += [decade, decade * 5 / 2, decade * 5]
            decade *= 10
        }
        return bounds + [60_000_000_000].filter { $0 > (bounds.last ?? 0) }
    }()

    /// Makes an empty histogram that no registry renders.
    public init(bounds: [UInt64] = LatencyHistogram.defaultBounds) {
        self.init(histogram: Histogram(bounds: bounds, scale: 1e-9))
    }

    init(histogram: Histogram) { self.histogram = histogram }

    /// Counts a duration.
    public func record(nanoseconds: UInt64) { histogram.record(nanoseconds) }

    /// Counts the time from `start` to `now`.
    public func record(from start: Instant, to now: Instant) { histogram.record(now.nanoseconds(since: start)) }
}
