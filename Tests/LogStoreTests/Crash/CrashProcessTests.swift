// SPDX-License-Identifier: Apache-2.0
//
// CrashProcessTests.swift
// Processes that kill themselves at each operation on real files, beside a real RocksDB: what they said before is held
// against what is there afterwards, by the inspector and by recovery.

import CrashScenario
import Foundation
import Model
import TestSupport
import Testing

@testable import LogStore

@Suite struct CrashProcessTests {
    /// Every operation when asked for; a sample otherwise.
    private static let visitsAll = ProcessInfo.processInfo.environment["GOULETTE_CRASH_ALL"] != nil

    /// What a child said before it was gone.
    struct Death {
        var promise = Promise()
        var facts = 0
        /// How many operations it did; nil when it was killed.
        var operations: Int?
        var wasKilled = false
    }

    /// Runs one life in a process of its own.
    private static func run(_ directory: String, _ mode: StoreSettings.JournalMode, at point: String?) throws -> Death {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let (ending, said) = try ChildProcess.run(
            tests.appending(path: "crash-child").path, [directory, mode.rawValue],
            environment: point.map { ["GOULETTE_CRASH_AT": $0] } ?? [:])
        var death = Death()
        for line in said.split(separator: "\n") {
            if let fact = Fact(line: line) {
                death.promise.note(fact)
                death.facts += 1
            } else if line.hasPrefix("operations ") {
                death.operations = Int(line.dropFirst(11))
            }
        }
        death.wasKilled = ending == .killed(by: SIGKILL)
        return death
    }

    /// Opens the inspector; nil when the process was killed before there was a store.
    private static func reader(_ directory: String) throws -> StoreReader? {
        guard PosixFileSystem().exists(directory + "/rocksdb/CURRENT") else { return nil }
        do {
            return try StoreReader(directory, scratch: directory)
        } catch {
            if case .formatVersion = error { return nil }
            throw error
        }
    }

    /// What the inspector says of the directory as it is.
    private static func inspect(_ directory: String) throws -> [String] {
        guard let reader = try reader(directory) else { return [] }
        defer { reader.close() }
        var damage = reader.journalFindings
        for id in try reader.groupIDs() {
            guard let group = try reader.group(id), group.isPartition else { continue }
            damage += try reader.walk(group, WalkOptions(depth: .records)).damage
        }
        return damage.map { "\($0)" }
    }

    /// Kills a process at `point`, and looks at what it left.
    private static func visit(_ point: String, _ mode: StoreSettings.JournalMode) throws -> Death {
        let scratch = ScratchDirectory()
        let label = "\(mode), killed at \(point)"
        let death = try run(scratch.path, mode, at: point)
        guard death.wasKilled else { return death }
        #expect(try inspect(scratch.path) == [], "\(label): inspected")
        let settings = StoreLife.settings(scratch.path, journal: mode)
        let life = StoreLife(settings, system: PosixFileSystem(), promise: death.promise)
        let found = try life.verify()
        for problem in found.problems { Issue.record("\(label): \(problem)") }
        // Half of them are killed again, as far as a test can: nothing more is written.
        let isKilled = death.facts % 2 == 0
        try life.goOn(closing: !isKilled)
        if isKilled { life.crash() } else { life.close() }
        #expect(try inspect(scratch.path) == [], "\(label): inspected after recovery")
        let again = StoreLife(settings, system: PosixFileSystem(), promise: life.promise)
        for problem in try again.verify().problems { Issue.record("\(label), second life: \(problem)") }
        again.close()
        return death
    }

    @Test(arguments: StoreSettings.JournalMode.allCases) func everyOperation(mode: StoreSettings.JournalMode) throws {
        let scratch = ScratchDirectory()
        let whole = try Self.run(scratch.path, mode, at: nil)
        let count = try #require(whole.operations)
        #expect(count > 100 && whole.facts > 80 && !whole.wasKilled)
        let step = Self.visitsAll ? 1 : count / 8
        let place = try #require(StoreSettings.JournalMode.allCases.firstIndex(of: mode))
        var killed = 0
        // The threads of the store take turns as they like, so a life may have a few operations more or fewer.
        for number in stride(from: 1 + place * 3 % step, through: count, by: step) {
            if try Self.visit("\(number)", mode).wasKilled { killed += 1 }
        }
        #expect(killed > 0)
        if Self.visitsAll { print("\(mode): \(killed) processes killed, of \(count) operations") }
    }

    @Test(arguments: [
        "segment.create:2", "segment.write:3", "segment.truncate:1", "segment.rename:1", "journal.write:4",
        "directory.sync:6",
    ]) func namedPoints(point: String) throws {
        #expect(try Self.visit(point, .on).wasKilled)
    }
}
