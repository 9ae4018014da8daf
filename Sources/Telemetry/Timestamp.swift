// SPDX-License-Identifier: Apache-2.0
//
// Timestamp.swift
// Civil time as text, in UTC, without Foundation and its locks.

public import Model

/// Renders moments as `2026-01-31T23:59:59.123Z` (RFC 3339).
public enum Timestamp {
    /// The moment `time` in UTC with milliseconds.
    public static func text(_ time: WallTime) -> String {
        let (days, inDay) = floorDivide(time.milliseconds, by: 86_400_000)
        let date = civil(daysSinceEpoch: days)
        let second = inDay / 1000
        return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T"
            + padded(second / 3600, 2) + ":" + padded(second / 60 % 60, 2) + ":" + padded(second % 60, 2) + "."
            + padded(inDay % 1000, 3) + "Z"
    }

    /// The Gregorian date of a day.
    ///
    /// Counts years from March, so that the leap day is the last of its year; an era is
    /// the 400 years, 146097 days, after which the calendar repeats.
    private static func civil(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // 719468 days lie between 0000-03-01 and 1970-01-01.
        let (era, dayOfEra) = floorDivide(daysSinceEpoch + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floorDivide(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
