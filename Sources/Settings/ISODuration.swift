// SPDX-License-Identifier: Apache-2.0
//
// ISODuration.swift
// Times as ISO 8601 writes them, which is how Kafka's clients name one: `P7D`, `PT1H30M`, `PT0.5S`.

/// Reads and prints the part of ISO 8601's durations that has a fixed length: days, hours, minutes, seconds.
enum ISODuration {
    private typealias Unit = (name: Character, milliseconds: Int64)

    private static let dayUnits: [Unit] = [("D", 86_400_000)]
    private static let timeUnits: [Unit] = [("H", 3_600_000), ("M", 60_000), ("S", 1_000)]

    /// The whole milliseconds of a duration; nil for anything else, and for what is negative or does not fit.
    static func milliseconds(_ text: String) -> Int64? {
        let upper = text.uppercased()
        guard upper.first == "P" else { return nil }
        let halves = upper.dropFirst().split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        guard let days = halves.first, !days.isEmpty || halves.count == 2 else { return nil }
        guard var total = sum(days, dayUnits) else { return nil }
        if halves.count == 2 {
            guard !halves[1].isEmpty, let time = sum(halves[1], timeUnits) else { return nil }
            let (both, overflow) = total.addingReportingOverflow(time)
            guard !overflow else { return nil }
            total = both
        }
        return total
    }

    /// The milliseconds of numbers with their units, each at most once and in the order of `units`.
    private static func sum(_ text: Substring, _ units: [Unit]) -> Int64? {
        var rest = text
        var units = units[...]
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = takeDigits(&rest)
            var fraction: Substring?
            if rest.first == "." || rest.first == "," {
                rest.removeFirst()
                fraction = takeDigits(&rest)
            }
            guard let count = Int64(digits), let name = rest.popFirst(),
                let position = units.firstIndex(where: { $0.name == name }), fraction == nil || name == "S"
            else { return nil }
            let (product, isTooLong) = count.multipliedReportingOverflow(by: units[position].milliseconds)
            let part = Int64(((fraction ?? "") + "000").prefix(3)) ?? 0
            let (all, overflow) = total.addingReportingOverflow(product)
            let (exact, isOver) = all.addingReportingOverflow(part)
            guard !isTooLong, !overflow, !isOver else { return nil }
            total = exact
            units = units[(position + 1)...]
        }
        return total
    }

    private static func takeDigits(_ text: inout Substring) -> Substring {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        text = text.dropFirst(digits.count)
        return digits
    }

    /// The duration in seconds.
    static func text(milliseconds: Int64) -> String {
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        return rest == 0 ? "PT\(seconds)S" : "PT\(seconds).\("\(1_000 + rest)".dropFirst())S"
    }
}
