// SPDX-License-Identifier: Apache-2.0
//
// WallTimeTextTests.swift
// RFC 3339 in both directions.

import Model
import Testing

@Suite struct WallTimeTextTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (1_767_225_600_250, "2026-01-01T00:00:00.250Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func timesRoundTrip(_ milliseconds: Int64, _ text: String) {
        #expect(WallTime(milliseconds: milliseconds).rfc3339 == text)
        #expect(WallTime(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test func everyDayOfFourCenturiesRoundTrips() {
        for day in stride(from: -150_000, through: 150_000, by: 1) {
            let time = WallTime(milliseconds: Int64(day) * 86_400_000 + 43_200_000)
            guard WallTime(rfc3339: time.rfc3339)?.milliseconds != time.milliseconds else { continue }
            Issue.record("day \(day) does not round trip")
            return
        }
    }

    @Test(
        arguments: [
            ("2026-01-31", 1_769_817_600_000), ("2026-01-31T01:00:00+01:00", 1_769_817_600_000),
            ("2026-01-30T23:30-00:30", 1_769_817_600_000), ("2026-01-31 00:00:00.5", 1_769_817_600_500),
        ] as [(String, Int64)])
    func otherFormsOfTimesAreRead(_ text: String, _ milliseconds: Int64) {
        #expect(WallTime(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: ["", "2026", "2026-02-29", "2026-13-01", "2026-01-31T24:00", "2026-01-31T", "2026-01-31Z", "x"])
    func nonsenseIsNotATime(_ text: String) {
        #expect(WallTime(rfc3339: text) == nil)
    }
}
