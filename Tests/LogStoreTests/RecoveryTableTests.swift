// SPDX-License-Identifier: Apache-2.0
//
// RecoveryTableTests.swift
// The decision table, case by case.

import Testing

@testable import LogStore

@Suite struct RecoveryTableTests {
    /// Every case and what must come of it, written down once more by hand.
    static let cases: [(RecoveryCase, RecoveryVerdict)] = [
        (.init(.next, isProven: true, hasLater: true), .take),
        (.init(.next, isProven: true, hasLater: false), .take),
        (.init(.next, isProven: false, hasLater: true), .take),
        (.init(.next, isProven: false, hasLater: false), .take),
        (.init(.remains, isProven: true, hasLater: true), .corrupt),
        (.init(.remains, isProven: true, hasLater: false), .corrupt),
        (.init(.remains, isProven: false, hasLater: true), .wipe),
        (.init(.remains, isProven: false, hasLater: false), .wipe),
        (.init(.footer, isProven: true, hasLater: true), .corrupt),
        (.init(.footer, isProven: true, hasLater: false), .corrupt),
        (.init(.footer, isProven: false, hasLater: true), .nextSegment),
        (.init(.footer, isProven: false, hasLater: false), .nextSegment),
        (.init(.tornPayload, isProven: true, hasLater: true), .corrupt),
        (.init(.tornPayload, isProven: true, hasLater: false), .corrupt),
        (.init(.tornPayload, isProven: false, hasLater: true), .wipe),
        (.init(.tornPayload, isProven: false, hasLater: false), .wipe),
        (.init(.badPayload, isProven: true, hasLater: true), .corrupt),
        (.init(.badPayload, isProven: true, hasLater: false), .corrupt),
        (.init(.badPayload, isProven: false, hasLater: true), .corrupt),
        (.init(.badPayload, isProven: false, hasLater: false), .wipe),
        (.init(.zeros, isProven: true, hasLater: true), .corrupt),
        (.init(.zeros, isProven: true, hasLater: false), .corrupt),
        (.init(.zeros, isProven: false, hasLater: true), .wipe),
        (.init(.zeros, isProven: false, hasLater: false), .end),
        (.init(.foreign, isProven: true, hasLater: true), .corrupt),
        (.init(.foreign, isProven: true, hasLater: false), .corrupt),
        (.init(.foreign, isProven: false, hasLater: true), .wipe),
        (.init(.foreign, isProven: false, hasLater: false), .wipe),
        (.init(.end, isProven: true, hasLater: true), .corrupt),
        (.init(.end, isProven: true, hasLater: false), .corrupt),
        (.init(.end, isProven: false, hasLater: true), .end),
        (.init(.end, isProven: false, hasLater: false), .end),
    ]

    @Test(arguments: cases) func verdict(item: RecoveryCase, expected: RecoveryVerdict) {
        #expect(RecoveryTable.verdict(item) == expected)
    }

    @Test func everyCaseIsListed() {
        #expect(Set(Self.cases.map(\.0)).count == RecoveryFinding.allCases.count * 4)
        // What a pointer proves is never cut.
        for (item, verdict) in Self.cases where item.isProven { #expect(verdict == .take || verdict == .corrupt) }
    }
}
