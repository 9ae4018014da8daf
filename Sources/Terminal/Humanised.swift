// SPDX-License-Identifier: Apache-2.0
//
// Humanised.swift
// Numbers as people say them, for text output only; every other format has exact numbers.

import Model

/// Short forms of sizes, counts, rates and durations.
public enum Humanised {
    /// A size: `1.5 MiB`.
    public static func size(_ bytes: Int) -> String { ByteCount(max(0, bytes)).description }

    /// A count with thousands separated by commas: `1,234,567`.
    public static func count(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        var text = value < 0 ? "-" : ""
        for (position, digit) in digits.enumerated() {
            if position > 0, (digits.count - position) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// A rate in decimal megabytes, as network and disk figures are given: `104.2 MB/s`.
    public static func megabytes(perSecond bytes: Double) -> String { "\(decimal(bytes / 1_000_000, places: 1)) MB/s" }

    /// A duration with the unit that gives one to three digits before the point: `850 us`, `1.25 ms`, `2 min 5 s`.
    public static func duration(nanoseconds: UInt64) -> String {
        let value = Double(nanoseconds)
        if nanoseconds < 1_000 { return "\(nanoseconds) ns" }
        if value < 999_500 { return "\(threeDigits(value / 1e3)) us" }
        if value < 999_500_000 { return "\(threeDigits(value / 1e6)) ms" }
        if value < 59_950_000_000 { return "\(threeDigits(value / 1e9)) s" }
        let seconds = (nanoseconds + 500_000_000) / 1_000_000_000
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        if seconds < 86_400 { return "\(seconds / 3600) h \(seconds % 3600 / 60) min" }
        return "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
    }

    /// A number with a fixed count of decimals.
    public static func decimal(_ value: Double, places: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        var scale = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let (whole, part) = scaled.magnitude.quotientAndRemainder(dividingBy: UInt(scale))
        let sign = scaled < 0 ? "-" : ""
        guard places > 0 else { return sign + String(whole) }
        let digits = String(part)
        return sign + String(whole) + "." + String(repeating: "0", count: places - digits.count) + digits
    }

    private static func threeDigits(_ value: Double) -> String {
        if value < 9.995 { return trimmed(decimal(value, places: 2)) }
        if value < 99.95 { return trimmed(decimal(value, places: 1)) }
        return decimal(value, places: 0)
    }

    private static func trimmed(_ text: String) -> String {
        var text = text
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }

    /// Reads `250ms`, `30s`, `5m`, `2h`, `1d` or `0` into milliseconds; nil for anything else.
    public static func milliseconds(parsing text: String) -> Int64? {
        if text == "0" { return 0 }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let value = Int64(digits) else { return nil }
        let factor: Int64
        switch text.dropFirst(digits.count) {
        case "ms": factor = 1
        case "s": factor = 1_000
        case "m", "min": factor = 60_000
        case "h": factor = 3_600_000
        case "d": factor = 86_400_000
        default: return nil
        }
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}
