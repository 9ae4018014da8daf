// SPDX-License-Identifier: Apache-2.0
//
// Histogram.swift
// Distributions over fixed buckets: integers in, a cumulative Prometheus histogram out.

/// How many values fell into each of a fixed list of ranges, and their sum.
///
/// Values are integers in a small unit (nanoseconds, bytes, entries); `scale` turns them into the unit that is
/// printed. Cost: a binary search over the bounds and two atomic additions.
public final class Histogram: Sendable {
    /// The upper bounds of the buckets, inclusive and rising; what is above the last falls into a bucket of its own.
    public let bounds: [UInt64]
    /// What a value is multiplied with when it is printed.
    public let scale: Double
    /// One counter per bound and one for what is above all of them; not cumulative.
    private let buckets: [Counter]
    private let total: Counter

    /// Makes an empty histogram that no registry renders.
    public init(bounds: [UInt64], scale: Double = 1) {
        precondition(!bounds.isEmpty, "a histogram needs at least one bound")
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "the bounds rise: \(bounds)")
        self.bounds = bounds
        self.scale = scale
        self.buckets = (0...bounds.count).map { _ in Counter() }
        self.total = Counter()
    }

    /// Counts `value` in its bucket.
    public func record(_ value: UInt64) {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        buckets[low].increment()
        total.increment(by: value)
    }

    /// What has been counted so far.
    ///
    /// Values that arrive meanwhile may be in a bucket and not yet in the sum.
    public func snapshot() -> Snapshot {
        Snapshot(bounds: bounds, counts: buckets.map(\.value), sum: total.value)
    }

    /// The state of a histogram at one moment.
    public struct Snapshot: Sendable, Equatable {
        /// The upper bounds of the buckets.
        public let bounds: [UInt64]
        /// Values per bucket, one more than there are bounds.
        public let counts: [UInt64]
        /// The sum of all values.
        public let sum: UInt64

        /// The number of values.
        public var count: UInt64 { counts.reduce(0, &+) }

        /// The bound below which the share `quantile` (0...1) of the values lies, interpolated within its bucket;
        /// nil without values.
        ///
        /// What lies above the last bound counts as that bound.
        public func estimate(quantile: Double) -> Double? {
            let count = self.count
            guard count > 0, (0...1).contains(quantile) else { return nil }
            let rank = quantile * Double(count)
            var below: UInt64 = 0
            for (index, inBucket) in counts.enumerated() {
                guard Double(below + inBucket) >= rank, inBucket > 0 else {
                    below += inBucket
                    continue
                }
                guard index < bounds.count else { break }
                let lower = index == 0 ? 0 : Double(bounds[index - 1])
                let share = (rank - Double(below)) / Double(inBucket)
                return lower + (Double(bounds[index]) - lower) * max(0, share)
            }
            return bounds.last.map { Double($0) }
        }
    }
}
