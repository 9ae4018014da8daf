// SPDX-License-Identifier: Apache-2.0
//
// WallTime+RFC3339.swift
// RFC 3339 times in UTC, printed and read without a calendar library and its locks.

/// The conversions between days and dates, in the proleptic Gregorian calendar, count years from March, so that the leap
/// day is the last day of a year; an era is the 400 years, 146097 days, after which the calendar repeats.
extension WallTime {
    /// Reads `2026-01-31` or `2026-01-31T12:00:00Z`, with optional fraction and offset (`.250+01:00`); nil otherwise.
    public init?(rfc3339 text: String) {
        var scanner = DigitScanner(text)
        guard let year = scanner.number(4), scanner.skip("-"), let month = scanner.number(2), scanner.skip("-"),
            let day = scanner.number(2), (1...12).contains(month), (1...Self.days(in: month, of: year)).contains(day)
        else { return nil }
        var time = Self.days(year: year, month: month, day: day) * 86_400_000
        if !scanner.isAtEnd {
            guard scanner.skip("T") || scanner.skip(" "), let clock = Self.timeOfDay(&scanner) else { return nil }
            time += clock
        }
        guard scanner.isAtEnd else { return nil }
        self.init(milliseconds: Int64(time))
    }

    /// The time with milliseconds, in UTC: `2026-01-31T12:00:00.250Z`.
    public var rfc3339: String {
        let (days, rest) = Self.floorDivide(Int(milliseconds), by: 86_400_000)
        let (year, month, day) = Self.date(days: days)
        let seconds = rest / 1000
        let date = "\(Self.pad(year, 4))-\(Self.pad(month, 2))-\(Self.pad(day, 2))"
        let clock = "\(Self.pad(seconds / 3600, 2)):\(Self.pad(seconds / 60 % 60, 2)):\(Self.pad(seconds % 60, 2))"
        return "\(date)T\(clock).\(Self.pad(rest % 1000, 3))Z"
    }

    private static func timeOfDay(_ scanner: inout DigitScanner) -> Int? {
        guard let hour = scanner.number(2), scanner.skip(":"), let minute = scanner.number(2), hour < 24, minute < 60
        else { return nil }
        var result = (hour * 60 + minute) * 60_000
        if scanner.skip(":") {
            guard let second = scanner.number(2), second < 60 else { return nil }
            result += second * 1000
            if scanner.skip(".") {
                guard let fraction = scanner.fraction() else { return nil }
                result += fraction
            }
        }
        if scanner.isAtEnd || scanner.skip("Z") { return result }
        let east = scanner.skip("+")
        guard east || scanner.skip("-"), let hours = scanner.number(2), scanner.skip(":"),
            let minutes = scanner.number(2)
        else { return nil }
        let shift = (hours * 60 + minutes) * 60_000
        return result + (east ? -shift : shift)
    }

    private static func days(in month: Int, of year: Int) -> Int {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    /// Days from 1970-01-01 to the given date.
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivide(shifted, by: 400)
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func date(days: Int) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = floorDivide(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floorDivide(_ value: Int, by divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// Reads fixed-width numbers from ASCII text.
private struct DigitScanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        guard bytes.count - position >= width else { return nil }
        var value = 0
        for byte in bytes[position..<position + width] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        position += width
        return value
    }

    /// Digits after a decimal point, as milliseconds; digits past the third are dropped.
    mutating func fraction() -> Int? {
        let digits = bytes[position...].prefix { (0x30...0x39).contains($0) }
        guard (1...9).contains(digits.count) else { return nil }
        position += digits.count
        var value = 0
        for place in 0..<3 {
            let digit = place < digits.count ? Int(digits[digits.startIndex + place] - 0x30) : 0
            value = value * 10 + digit
        }
        return value
    }
}
