// SPDX-License-Identifier: Apache-2.0
//
// DurationText.swift
// Times as people write them.

/// Reads and prints `250us`, `30s`, `7d`.
public enum DurationText {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
    ]

    /// The nanoseconds of a number and a unit, with or without a space between; nil for anything else.
    ///
    /// 0 needs no unit.
    public static func nanoseconds(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits) else { return nil }
        let name = text.dropFirst(digits.count).drop { $0 == " " }
        if name.isEmpty { return count == 0 ? 0 : nil }
        guard let unit = units.first(where: { $0.name == name }) else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: unit.nanoseconds)
        return overflow ? nil : product
    }

    /// The time in the largest unit that leaves no rest.
    public static func text(nanoseconds: Int64) -> String {
        guard nanoseconds != 0, let unit = units.first(where: { nanoseconds % $0.nanoseconds == 0 }) else { return "0" }
        return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
    }
}

extension Duration {
    /// The duration in nanoseconds, cut to what fits.
    public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product + attoseconds / 1_000_000_000
    }

    /// The duration in milliseconds, rounded down.
    public var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
}
