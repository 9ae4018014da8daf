// SPDX-License-Identifier: Apache-2.0
//
// AmnesiaTests.swift
// An index database that lost what it had synced is recognised, its groups are marked, and the mark stays.

import CrashScenario
import Model
import NIOCore
import RocksKV
import Testing

@testable import LogStore

@Suite struct AmnesiaTests {
    /// A store with one log and a vote, checkpointed; and the state of its write-ahead log before the second half.
    private func store(_ mode: StoreSettings.JournalMode) throws -> (LogFixture, [String: Int]) {
        let fixture = try LogFixture(journal: mode)
        try fixture.append(5)
        fixture.checkpoint()
        let before = try sizes(fixture)
        try fixture.append(5)
        fixture.checkpoint()
        return (fixture, before)
    }

    private func folder(_ fixture: LogFixture) -> String { fixture.directory.path + "/rocksdb/" }

    private func sizes(_ fixture: LogFixture) throws -> [String: Int] {
        let system = PosixFileSystem()
        let names = try system.list(folder(fixture)).filter { $0.hasSuffix(".log") }
        return try names.reduce(into: [:]) { $0[$1] = try system.open(folder(fixture) + $1, .read).size() }
    }

    /// A disk that said it had synced, and had not.
    private func forget(_ fixture: LogFixture, _ sizes: [String: Int]) throws {
        for (name, size) in sizes {
            try PosixFileSystem().open(folder(fixture) + name, .update).truncate(to: size)
        }
    }

    private func reopen(_ fixture: LogFixture) throws {
        fixture.store = try LogStore.open(fixture.settings, metrics: nil, logger: LogFixture.logger)
    }

    @Test(arguments: StoreSettings.JournalMode.allCases) func aLostSyncIsRecognised(
        mode: StoreSettings.JournalMode
    ) throws {
        let (fixture, before) = try store(mode)
        fixture.crash()
        fixture.store.close()
        try forget(fixture, before)
        try reopen(fixture)
        #expect(fixture.store.isAmnesiac && !fixture.store.wasClean)
        let log = try fixture.log()
        // The frames are where they were; that nothing else is missing nobody knows.
        #expect(log.isAmnesiac && log.lastIndex == LogIndex(10) && log.damage == nil)
        try fixture.append(1)
        // The store knows where it stands from now on; the group keeps its mark, whatever is written of it.
        try fixture.restart()
        #expect(!fixture.store.isAmnesiac && fixture.store.wasClean)
        #expect(try fixture.log().isAmnesiac && fixture.log().lastIndex == LogIndex(11))
        fixture.crash()
        fixture.store.close()
    }

    /// Made anew without a mark, it would be taken for a replica that never promised anything.
    @Test(arguments: StoreSettings.JournalMode.allCases) func aGroupThatIsForgottenAltogetherIsMarked(
        mode: StoreSettings.JournalMode
    ) throws {
        let (fixture, before) = try store(mode)
        let late = GroupID(rawValue: 2000)
        let log = try fixture.log(late)
        try log.persist(hardState: HardStateRecord(term: Term(7), votedFor: NodeID(rawValue: 3))) {}
        try fixture.append(2, to: log)
        fixture.checkpoint()
        fixture.crash()
        fixture.store.close()
        try forget(fixture, before)
        try reopen(fixture)
        #expect(fixture.store.isAmnesiac)
        #expect(try fixture.store.groups() == [LogFixture.group, late])
        // The next start knows it by the group alone, and leaves its files where they are.
        fixture.crash()
        fixture.store.close()
        try reopen(fixture)
        #expect(!fixture.store.isAmnesiac)
        let found = try fixture.log(late)
        #expect(found.isAmnesiac && found.lastIndex == LogIndex(2))
        // Whoever removes the replica and adds it again makes it a new one; so is a group that was never there.
        try fixture.restart()
        try fixture.store.deleteGroup(late)
        #expect(try !fixture.log(late).isAmnesiac)
        #expect(try !fixture.log(GroupID(rawValue: 2001)).isAmnesiac)
        fixture.crash()
        fixture.store.close()
    }

    /// Its vote is only in the journal, which keeps it until a checkpoint.
    @Test func aGroupThatOnlyTheJournalKnowsIsMarked() throws {
        let fixture = try LogFixture(journal: .on)
        try fixture.append(5)
        fixture.checkpoint()
        let before = try sizes(fixture)
        try fixture.append(1)
        fixture.checkpoint()
        let late = GroupID(rawValue: 2000)
        let log = try fixture.log(late)
        var isStored = false
        try log.persist(hardState: HardStateRecord(term: Term(7), votedFor: NodeID(rawValue: 3))) { isStored = true }
        try fixture.loop.turn { isStored }
        fixture.crash()
        fixture.store.close()
        try forget(fixture, before)
        #expect(!PosixFileSystem().exists(fixture.directory.path + "/groups/2000"))
        try reopen(fixture)
        let found = try fixture.log(late)
        #expect(found.isAmnesiac && found.hardState.term == Term(7))
        fixture.crash()
        fixture.store.close()
    }

    @Test func nothingLostIsNoAmnesia() throws {
        let fixture = try LogFixture()
        for isClean in [true, false, true, false] {
            try fixture.append(3)
            fixture.checkpoint()
            try fixture.append(1)
            try fixture.restart(cleanly: isClean)
            #expect(!fixture.store.isAmnesiac)
            #expect(try !fixture.log().isAmnesiac)
        }
        fixture.crash()
        fixture.store.close()
    }

    @Test func aTornMarkLeavesTheOneBefore() throws {
        let system = FaultyFileSystem()
        var mark = try SyncedMark(system: system, root: "/store", journalID: 7)
        for sequence in [5, 9, 12] { try mark.note(UInt64(sequence)) }
        #expect(try SyncedMark(system: system, root: "/store", journalID: 7).sequence == 12)
        // Another store's mark says nothing.
        #expect(try SyncedMark(system: system, root: "/store", journalID: 8).sequence == 0)
        for bit in 0..<(SyncedMark.byteCount * 8) {
            system.flip("/store/index.synced", byte: SyncedMark.slotBytes + bit / 8, bit: bit % 8)
            #expect(try SyncedMark(system: system, root: "/store", journalID: 7).sequence == 9, "bit \(bit)")
            system.flip("/store/index.synced", byte: SyncedMark.slotBytes + bit / 8, bit: bit % 8)
        }
    }
}
