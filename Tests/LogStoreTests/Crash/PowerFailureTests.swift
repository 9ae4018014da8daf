// SPDX-License-Identifier: Apache-2.0
//
// PowerFailureTests.swift
// Single stories of what a power failure, or a kill before one, can undo: each lost acknowledged entries once.

import CrashScenario
import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct PowerFailureTests {
    private static let journaled = [StoreSettings.JournalMode.on, .auto]

    /// Runs one life, ends it with `loss`, and returns what it promised.
    private func live(
        _ machine: inout Machine, _ mode: StoreSettings.JournalMode, _ promise: Promise, _ loss: Loss,
        _ body: (StoreLife) throws -> Void
    ) throws -> Promise {
        let life = machine.life(mode, promise)
        try body(life)
        life.crash()
        try machine.crash(loss, seed: 1)
        return life.promise
    }

    private func verify(_ life: StoreLife) throws {
        for problem in try life.verify().problems { Issue.record("\(problem)") }
    }

    /// A log notes its end when it is closed and forgets the note, without a sync, when it is opened.
    ///
    /// The power failure brings
    /// the note back; a store that is then closed without opening the log must not make it true.
    @Test(arguments: journaled) func aCleanEndIsNotBelievedLater(mode: StoreSettings.JournalMode) throws {
        var machine = try Machine()
        var promise = try live(&machine, mode, Promise(), .process) { try $0.youth() }
        promise = try live(&machine, mode, promise, .all) { life in
            _ = try life.open()
            try life.goOn()
        }
        promise = try live(&machine, mode, promise, .all) { life in
            _ = try life.open()
            life.close()
        }
        _ = try live(&machine, mode, promise, .all, verify)
    }

    /// Recovery carries out a truncation that was decided.
    ///
    /// What is appended then must not be cut by the same marker, should the
    /// power fail before the marker's removal is synced.
    @Test(arguments: StoreSettings.JournalMode.allCases) func aCutIsCarriedOutOnce(
        mode: StoreSettings.JournalMode
    ) throws {
        var machine = try Machine()
        machine.disk.arrange { $0.errors["truncate"] = 5 }
        var promise = try live(&machine, mode, Promise(), .process) { life in try? life.youth() }
        machine.disk.arrange { $0.errors = [:] }
        promise = try live(&machine, mode, promise, .all) { life in
            try verify(life)
            try life.goOn()
        }
        _ = try live(&machine, mode, promise, .all, verify)
    }

    /// Files and directories that a killed process made are there for the next one, but their names are not durable yet.
    @Test(arguments: StoreSettings.JournalMode.allCases) func namesOfAKilledProcessAreMadeDurable(
        mode: StoreSettings.JournalMode
    ) throws {
        for crash in 1..<24 {
            var machine = try Machine()
            machine.disk.arrange { $0.crashAt = crash }
            var promise = try live(&machine, mode, Promise(), .process) { life in try? life.youth() }
            promise = try live(&machine, mode, promise, .all) { life in
                try verify(life)
                try life.goOn()
            }
            _ = try live(&machine, mode, promise, .all, verify)
        }
    }

    /// A file that recovery removes is not written to through a descriptor that was open.
    @Test func aRemovedSegmentIsNotWrittenTo() throws {
        let fixture = try LogFixture(journal: .off)
        try fixture.append(1)
        let log = try fixture.log()
        log.roll()
        fixture.crash()
        fixture.store.close()
        let path =
            Segment.directory(of: LogFixture.group, root: fixture.directory.path) + "/" + Segment.fileName(LogIndex(2))
        let file = try PosixFileSystem().open(path, .readWrite)
        try file.write(ByteBuffer(repeating: 7, count: 500).readableBytesSpan, at: 0)
        fixture.store = try LogStore.open(fixture.settings, metrics: nil, logger: LogFixture.logger)
        let segment = Segment(group: LogFixture.group, base: LogIndex(2), salt: 0, root: fixture.directory.path)
        _ = try fixture.store.core.files.reading(segment)
        let recovered = try fixture.log()
        recovered.roll()
        try fixture.append(2)
        try fixture.restart(cleanly: false)
        #expect(try fixture.log().lastIndex == LogIndex(3))
    }

    /// A log that is opened again in the same run finds what it was closed with, although the store's threads lag behind.
    @Test func aLogIsOpenedAgainBehindItsEnd() throws {
        let fixture = try LogFixture(journal: .auto)
        for round in 1...20 {
            try fixture.append(2)
            fixture.closeLog()
            #expect(try fixture.log().lastIndex == LogIndex(UInt64(2 * round)))
        }
        // Dropped without being closed: the store must not believe what was noted before.
        try fixture.append(2)
        fixture.forgetLogs()
        fixture.store.close()
        fixture.store = try LogStore.open(fixture.settings, metrics: nil, logger: LogFixture.logger)
        #expect(try fixture.log().lastIndex == LogIndex(42))
        fixture.crash()
        fixture.store.close()
    }
}
