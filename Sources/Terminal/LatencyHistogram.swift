// SPDX-License-Identifier: Apache-2.0
//
// LatencyHistogram.swift
// Counts of durations in buckets whose width grows with the value, so that percentiles cost little and stay exact
// to 0.8 percent over the whole range.

/// A histogram of durations from 1 ns to 73 minutes; longer ones count as 73 minutes.
///
/// Below 256 ns every value has its own bucket. Above, every doubling is cut into 128 buckets of equal width.
///
/// - Cost: `record` is one bucket increment and no allocation; 38 KiB a histogram.
public struct LatencyHistogram: Sendable {
    private static let valueMax: UInt64 = 1 << 42 - 1
    private static let bucketCount = bucket(of: valueMax) + 1

    private var counts = [UInt64](repeating: 0, count: bucketCount)
    /// How many values were recorded.
    public private(set) var count: UInt64 = 0
    /// The largest value, exact.
    public private(set) var maximum: UInt64 = 0
    /// The smallest value, exact; 0 when nothing was recorded.
    public private(set) var minimum: UInt64 = 0
    private var sum: Double = 0

    /// Creates a histogram without values.
    public init() {}

    /// Counts `value` `times` times.
    public mutating func record(_ value: UInt64, times: Int = 1) {
        guard times > 0 else { return }
        let value = min(value, Self.valueMax)
        counts[Self.bucket(of: value)] += UInt64(times)
        minimum = count == 0 ? value : min(minimum, value)
        maximum = max(maximum, value)
        count += UInt64(times)
        sum += Double(value) * Double(times)
    }

    /// The arithmetic mean; 0 when nothing was recorded.
    public var mean: UInt64 { count == 0 ? 0 : UInt64(sum / Double(count)) }

    /// The value that `percent` of the recorded values do not exceed; 0 when nothing was recorded.
    public func percentile(_ percent: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let rank = max(1, UInt64((percent / 100 * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, occurrences) in counts.enumerated() where occurrences > 0 {
            seen += occurrences
            if seen >= rank { return max(minimum, min(Self.upperBound(of: bucket), maximum)) }
        }
        return maximum
    }

    /// Adds every value of `other`.
    public mutating func merge(_ other: LatencyHistogram) {
        guard other.count > 0 else { return }
        for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
        minimum = count == 0 ? other.minimum : min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
        count += other.count
        sum += other.sum
    }

    /// Forgets every value.
    public mutating func reset() { self = LatencyHistogram() }

    /// The bucket of `value`: the value itself below 256, then its eight leading bits and how far they were shifted.
    static func bucket(of value: UInt64) -> Int {
        guard value >= 256 else { return Int(value) }
        let shift = 56 - value.leadingZeroBitCount
        return shift * 128 + Int(value >> UInt64(shift))
    }

    /// The largest value that falls into `bucket`.
    static func upperBound(of bucket: Int) -> UInt64 {
        guard bucket >= 256 else { return UInt64(bucket) }
        let shift = bucket / 128 - 1
        return (UInt64(bucket - shift * 128 + 1) << UInt64(shift)) - 1
    }

    /// The shape between the smallest and the 99.9th percentile as one line of `columns` bars on a logarithmic scale.
    public func sparkline(columns: Int = 40) -> String {
        guard count > 0, columns > 0 else { return "" }
        let low = Self.bucket(of: minimum)
        let high = max(low, Self.bucket(of: percentile(99.9)))
        let width = max(1, (high - low + columns) / columns)
        let sums = stride(from: low, through: high, by: width).map { start in
            counts[start..<min(start + width, counts.count)].reduce(0, +)
        }
        let bars = Array(" ▁▂▃▄▅▆▇█")
        let tallest = Double(sums.max() ?? 1)
        return String(sums.map { $0 == 0 ? " " : bars[max(1, Int((Double($0) / tallest * 8).rounded()))] })
    }
}
