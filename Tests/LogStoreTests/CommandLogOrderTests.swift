// SPDX-License-Identifier: Apache-2.0
//
// CommandLogOrderTests.swift
// What the threads do to the facts of a command log in one order or another comes to the same.

import CrashScenario
import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct CommandLogOrderTests {
    private static func open(_ machine: SteppedStore) throws -> CommandLog {
        machine.store.commandLog(
            try machine.store.recoverCommandLog(.controller), owner: CompletionOwner(eventLoop: machine.loop))
    }

    private static func append(_ log: CommandLog, _ kind: FrameKind = .command) throws {
        try log.append(
            FrameDraft(
                kind: kind, term: Term(1), index: log.lastIndex.next, baseOffset: .zero, recordCount: 0,
                maxTimestamp: -1, payload: ByteBuffer(bytes: [7, 8, 9])))
    }

    private static func setApplied(_ index: LogIndex, _ machine: SteppedStore) throws {
        var batch = try machine.store.metadata.makeBatch()
        batch.putApplied(AppliedPosition(index: index, term: Term(1)), in: .controller, of: .controller)
        try batch.commitBuffered()
    }

    /// A compaction that came before a change of members was stored behind it, with the facts of before.
    @Test(arguments: StoreSettings.JournalMode.allCases)
    func aChangeOfMembersOvertakesACompaction(_ journal: StoreSettings.JournalMode) throws {
        let machine = try SteppedStore(journal: journal)
        let log = try Self.open(machine)
        for _ in 0..<4 { try Self.append(log) }
        machine.settle()
        try log.compact(upTo: LogIndex(2))
        machine.steps.run(.flush)
        try Self.append(log, .configuration)
        machine.steps.run(.flush)
        machine.settle()
        machine.store.abandon()
        let next = try SteppedStore(
            journal: journal, disk: machine.disk.afterCrash(.process, seed: 1), medium: machine.medium)
        let again = try Self.open(next)
        #expect(again.configurations.map(\.index) == [LogIndex(5)] && again.firstIndex == LogIndex(3))
        next.store.abandon()
    }

    /// The state of a snapshot may be later than the call, and so may the members.
    @Test func aSnapshotHasTheMembersOfItsState() throws {
        let machine = try SteppedStore(journal: .on)
        let log = try Self.open(machine)
        log.stateFamily = .controller
        for _ in 0..<2 { try Self.append(log) }
        machine.settle()
        try Self.setApplied(LogIndex(2), machine)
        var snapshot: Result<LogSnapshot, StoreError>?
        log.makeSnapshot(
            through: LogIndex(2), configurations: [ConfigurationRecord(index: .zero, bytes: [1])]
        ) { snapshot = $0 }
        try Self.append(log, .configuration)
        machine.steps.run(.flush)
        machine.steps.run(.apply)
        try Self.setApplied(LogIndex(3), machine)
        machine.settle()
        let made = try #require(try snapshot?.get())
        #expect(made.index == LogIndex(3) && made.configurations.map(\.index) == [.zero, LogIndex(3)])
        machine.store.abandon()
    }
}
