// SPDX-License-Identifier: Apache-2.0
//
// MeasurementTests.swift
// The histogram against sorted values, and when progress is drawn.

import Model
import Testing

@testable import Terminal

@Suite struct MeasurementTests {
    @Test func bucketsAreContiguousAndKeepTheirValues() {
        var last = -1
        for bucket in 0..<4_000 {
            let upper = LatencyHistogram.upperBound(of: bucket)
            #expect(LatencyHistogram.bucket(of: upper) == bucket)
            #expect(LatencyHistogram.bucket(of: upper + 1) == bucket + 1)
            last = bucket
        }
        #expect(last == 3_999)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func percentilesAreWithinOnePercentOfSortedValues(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<20_000 {
            let value = random.next() >> UInt64.random(in: 24...60, using: &random)
            values.append(value)
            histogram.record(value)
        }
        values.sort()
        for percent in [50, 90, 99, 99.9] {
            let exact = values[Int((percent / 100 * 20_000).rounded(.up)) - 1]
            let found = histogram.percentile(percent)
            #expect(found >= exact && Double(found) <= Double(exact) * 1.009)
        }
        #expect(histogram.maximum == values.last)
        #expect(histogram.minimum == values.first)
        #expect(histogram.percentile(100) == values.last)
    }

    @Test func mergingIsTheSameAsRecordingTogether() {
        var (first, second, both) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for value in 1...500 as ClosedRange<UInt64> {
            if value % 3 == 0 { first.record(value * 1000) } else { second.record(value * 1000) }
            both.record(value * 1000)
        }
        first.merge(second)
        first.merge(LatencyHistogram())
        #expect(first.count == both.count && first.mean == both.mean)
        #expect(first.percentile(75) == both.percentile(75))
    }

    @Test func anEmptyHistogramIsAllZero() {
        let histogram = LatencyHistogram()
        #expect(histogram.percentile(99) == 0 && histogram.mean == 0 && histogram.maximum == 0)
        #expect(histogram.sparkline() == "")
    }

    @Test func valuesPastTheRangeCountAsTheLargest() {
        var histogram = LatencyHistogram()
        histogram.record(.max)
        #expect(histogram.maximum == 1 << 42 - 1)
    }

    @Test func aSparklineIsAsWideAsItsValuesNeed() {
        var histogram = LatencyHistogram()
        for value in 1...1000 as ClosedRange<UInt64> { histogram.record(value * value) }
        #expect((2...20).contains(histogram.sparkline(columns: 20).count))
    }

    @Test func aLiveLineIsRedrawnInPlaceAndCleared() {
        let start = Instant(nanoseconds: 1)
        var progress = ProgressLine(isTerminal: true, columns: 24, startedAt: start)
        #expect(progress.clear() == "")
        #expect(progress.update(now: start) { "one" } == "\r\u{1B}[Kone")
        #expect(progress.update(now: start.advanced(byMilliseconds: 100)) { "two" } == nil)
        let long = String(repeating: "x", count: 40)
        #expect(
            progress.update(now: start.advanced(byMilliseconds: 200)) { long }?.hasSuffix("\u{1B}[K" + long.prefix(23))
                == true)
        #expect(progress.clear() == "\r\u{1B}[K")
        #expect(progress.clear() == "")
    }

    @Test func aPlainLineIsPrintedEveryTenSeconds() {
        let start = Instant(nanoseconds: 1)
        var progress = ProgressLine(isTerminal: false, startedAt: start)
        #expect(progress.update(now: start.advanced(byMilliseconds: 9_999)) { "early" } == nil)
        #expect(progress.update(now: start.advanced(byMilliseconds: 10_000)) { "now" } == "now\n")
        #expect(progress.clear() == "")
    }

    @Test func theEstimateIsLinear() {
        #expect(ProgressLine.estimate(done: 25, total: 100, elapsed: 10_000_000_000) == "25%, 30 s left")
        #expect(ProgressLine.estimate(done: 100, total: 100, elapsed: 1) == "100%")
        #expect(ProgressLine.estimate(done: 0, total: 100, elapsed: 1) == "0%")
    }
}
