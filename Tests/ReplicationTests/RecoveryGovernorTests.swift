// SPDX-License-Identifier: Apache-2.0
//
// RecoveryGovernorTests.swift
// Recoveries are bounded in number and in bytes, and nothing is too large to pass.

import Testing

@testable import Replication

@Suite struct RecoveryGovernorTests {
    private static func budget(groups: Int = 2, bytes: Int = 1000) -> RecoveryBudget {
        var settings = RecoverySettings()
        settings.groupsMax = groups
        settings.bytesPerSecond = bytes
        return RecoveryBudget(settings, ticksPerSecond: 10)
    }

    @Test func onlySoManyGroupsRecoverAtOnce() {
        var budget = Self.budget()
        let granted = [budget.begin(), budget.begin(), budget.begin()]
        #expect(granted == [true, true, false])
        budget.finish()
        let again = budget.begin()
        #expect(again && budget.active == 2)
    }

    @Test func aSecondsBytesAreTheMostThatGathers() {
        var budget = Self.budget()
        for _ in 0..<100 { budget.refill() }
        #expect(budget.left == 1000)
        // The last piece may go below zero, and what was taken too much is paid back first.
        var taken = [budget.take(600), budget.take(600), budget.take(1)]
        #expect(taken == [true, true, false])
        budget.refill()
        budget.refill()
        taken = [budget.take(1)]
        budget.refill()
        taken.append(budget.take(1))
        #expect(taken == [false, true])
    }

    @Test func aPieceLargerThanTheBudgetPasses() {
        var budget = Self.budget(bytes: 10)
        let taken = [budget.take(1 << 20), budget.take(1)]
        #expect(taken == [true, false])
    }
}
