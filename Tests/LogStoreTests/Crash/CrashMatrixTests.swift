// SPDX-License-Identifier: Apache-2.0
//
// CrashMatrixTests.swift
// A short life of a store, cut off at every operation on the disk, with every way of losing what was not durable, in the files
// and in RocksDB: what was acknowledged is there, what was cut stays away, recovering twice changes nothing, and what
// recovery left carries what comes after it (S1-S6, S8, S9).

import CrashScenario
import Foundation
import Model
import RocksKV
import Testing

@testable import LogStore

@Suite struct CrashMatrixTests {
    /// Every operation when asked for; a sample otherwise.
    private static let visitsAll = ProcessInfo.processInfo.environment["GOULETTE_CRASH_ALL"] != nil

    /// One case, such as `off:nothing:74`, in `GOULETTE_CRASH_ONLY`.
    private static func isWanted(_ mode: StoreSettings.JournalMode, _ loss: Loss, _ crash: Int) -> Bool {
        guard let only = ProcessInfo.processInfo.environment["GOULETTE_CRASH_ONLY"] else { return true }
        return only == "\(mode):\(loss):\(crash)"
    }

    /// How many operations the whole life has.
    private static func operations(_ mode: StoreSettings.JournalMode) throws -> Int {
        let machine = try Machine()
        let life = machine.life(mode)
        try life.run()
        life.crash()
        return machine.disk.operations
    }

    @Test(arguments: StoreSettings.JournalMode.allCases, Loss.allCases)
    func everyOperation(mode: StoreSettings.JournalMode, loss: Loss) throws {
        let count = try Self.operations(mode)
        #expect(count > 100)
        // Each of the twelve cases begins elsewhere, so that together they visit all operations.
        let modes = StoreSettings.JournalMode.allCases
        let place = modes.firstIndex(of: mode)! + modes.count * Loss.allCases.firstIndex(of: loss)!
        let step = Self.visitsAll ? 1 : 11
        for crash in stride(from: 1 + place % step, through: count + 1, by: step)
        where Self.isWanted(mode, loss, crash) {
            let label = "\(mode), crash at \(crash) of \(count), loss \(loss)"
            do {
                try visit(crash, mode, loss, label)
            } catch {
                Issue.record("\(label): \(error)")
            }
        }
    }

    private func visit(_ crash: Int, _ mode: StoreSettings.JournalMode, _ loss: Loss, _ label: String) throws {
        var machine = try Machine()
        let seed = UInt64(crash)
        machine.disk.arrange {
            $0.crashAt = crash
            $0.tearsDirectWrites = loss == .torn
            $0.random = SeededRandom(seed: seed)
        }
        let first = machine.life(mode)
        try? first.run()
        first.crash()
        try machine.crash(loss, seed: seed)
        if crash & 2 == 0 {
            // A start that comes to nothing: the store is opened and closed, and no log in it.
            let between = machine.life(mode)
            _ = try between.open()
            between.close()
        }
        // What recovery found carries what comes after it, and none of it hangs on anything that is lost now.
        let second = machine.life(mode, first.promise)
        let found = try second.verify()
        report(found, label)
        try second.goOn()
        second.crash()
        try machine.crash(crash % 2 == 0 ? .all : .torn, seed: seed + 1)
        let third = machine.life(mode, second.promise)
        let again = try third.verify()
        report(again, label + ", second life")
        third.crash()
        // Recovering what recovery left, after losing all that it did not make durable, finds the same (S5).
        try machine.crash(.all, seed: seed + 2)
        let fourth = machine.life(mode, third.promise)
        let same = try fourth.verify()
        report(same, label + ", second life again")
        #expect(same.ends == again.ends, "S5: \(label): recovery is not idempotent")
        fourth.crash()
    }

    private func report(_ findings: Findings, _ label: String) {
        for problem in findings.problems { Issue.record("\(label): \(problem)") }
    }
}
