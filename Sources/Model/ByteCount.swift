// SPDX-License-Identifier: Apache-2.0
//
// ByteCount.swift
// Sizes with their unit in the type; parsed from and printed as people write them.

/// A number of bytes, not negative.
public struct ByteCount: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let bytes: Int
    /// Makes a value of its parts.
    @inlinable public init(_ bytes: Int) {
        precondition(bytes >= 0, "a byte count is not negative: \(bytes)")
        self.bytes = bytes
    }
    /// That many of the unit.
    public static func kibibytes(_ count: Int) -> ByteCount { ByteCount(count << 10) }
    /// That many of the unit.
    public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }
    /// That many of the unit.
    public static func gibibytes(_ count: Int) -> ByteCount { ByteCount(count << 30) }
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.bytes < b.bytes }

    private static let units: [(name: String, shift: Int)] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]

    /// Reads `64 MiB`, `64MiB`, `10 GB`, `512` (bytes) or `512 B`; nil for anything else, and for what overflows.
    public init?(parsing text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int(digits) else { return nil }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        let factor: Int
        switch unit {
        case "", "B": factor = 1
        case "KiB", "K": factor = 1 << 10
        case "MiB", "M": factor = 1 << 20
        case "GiB", "G": factor = 1 << 30
        case "TiB", "T": factor = 1 << 40
        case "kB", "KB": factor = 1_000
        case "MB": factor = 1_000_000
        case "GB": factor = 1_000_000_000
        case "TB": factor = 1_000_000_000_000
        default: return nil
        }
        let (product, overflow) = count.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        self.init(product)
    }

    /// The value as people read it.
    public var description: String {
        for unit in Self.units where bytes >= 1 << unit.shift {
            let tenths = ((bytes >> (unit.shift - 10)) * 10) >> 10
            return tenths % 10 == 0 ? "\(tenths / 10) \(unit.name)" : "\(tenths / 10).\(tenths % 10) \(unit.name)"
        }
        return "\(bytes) B"
    }
}
