// SPDX-License-Identifier: Apache-2.0
//
// IndexStateTests.swift
// State machines and store records in the index database; locks, views, damage.

import Foundation
import Model
import RocksKV
import Testing

@testable import LogStore

@Suite struct IndexStateTests {
    static let group = GroupID.controller

    @Test(arguments: StateFamily.allCases)
    func stateAndItsAppliedPositionMoveTogether(family: StateFamily) throws {
        let index = try memoryIndex()
        #expect(try index.applied(in: family, of: Self.group) == nil)
        var batch = try index.makeBatch()
        for name in ["topic/a", "topic/b", "topic0", "broker/1", ""] {
            batch.put(Array(name.utf8), Array("value of \(name)".utf8), in: family, of: Self.group)
        }
        batch.put(Array("topic/a".utf8), [1], in: family, of: GroupID(rawValue: 2))
        batch.putApplied(AppliedPosition(index: LogIndex(9), term: Term(2)), in: family, of: Self.group)
        try batch.commit(durability: .buffered)
        #expect(try index.applied(in: family, of: Self.group) == AppliedPosition(index: LogIndex(9), term: Term(2)))
        let value = try index.value(of: Array("topic/b".utf8), in: family, of: Self.group)
        #expect(value == Array("value of topic/b".utf8))
        #expect(try index.value(of: Array("topic/c".utf8), in: family, of: Self.group) == nil)
        var names: [String] = []
        try index.scan(Array("topic/".utf8), in: family, of: Self.group) { key, _ in
            names.append(String(decoding: key, as: UTF8.self))
            return true
        }
        #expect(names == ["topic/a", "topic/b"])
        names = []
        try index.scan(in: family, of: Self.group) { key, _ in
            names.append(String(decoding: key, as: UTF8.self))
            return names.count < 3
        }
        #expect(names == ["", "broker/1", "topic/a"])
        batch.delete(Array("topic/a".utf8), in: family, of: Self.group)
        try batch.commit(durability: .buffered)
        #expect(try index.value(of: Array("topic/a".utf8), in: family, of: Self.group) == nil)
        #expect(try batch.deleteState(in: family, of: Self.group))
        try batch.commit(durability: .buffered)
        #expect(try index.applied(in: family, of: Self.group) == nil)
        #expect(try index.value(of: Array("topic/a".utf8), in: family, of: GroupID(rawValue: 2)) == [1])
    }

    @Test func inlineEntriesHoldTheirCommand() throws {
        let index = try memoryIndex()
        var batch = try index.makeBatch()
        let command = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        let entry = EntryPointer(term: Term(2), kind: 4, content: .inline(command))
        batch.putPointer(entry, at: LogIndex(3), of: Self.group)
        try batch.commit(durability: .synced)
        #expect(try index.pointer(at: LogIndex(3), of: Self.group) == entry)
        #expect(entry.place == nil)
    }

    @Test func storeRecordsSurviveReopening() throws {
        let storage = MemoryStorage()
        let identity = StoreIdentity(
            formatVersion: 1, nodeID: NodeID(rawValue: 1), clusterID: "abc", createdAt: WallTime(milliseconds: 5))
        do {
            let index = try memoryIndex(storage)
            #expect(try index.storeMeta() == nil)
            var batch = try index.makeBatch()
            batch.putIdentity(identity)
            try batch.commit(durability: .synced)
            #expect(try index.storeMeta()?.journalApplied == .zero)
            batch.putJournalApplied(JournalPosition(rawValue: 77))
            let mark = CleanShutdown(
                closedAt: WallTime(milliseconds: 9), journal: JournalPosition(rawValue: 77),
                sequence: try index.latestSequence())
            batch.putCleanShutdown(mark)
            try batch.commit(durability: .synced)
            try index.flush()
        }
        let index = try memoryIndex(storage)
        let meta = try #require(try index.storeMeta())
        #expect(meta.identity == identity)
        #expect(meta.journalApplied == JournalPosition(rawValue: 77))
        #expect(meta.cleanShutdown?.sequence == 1)
        #expect(try index.latestSequence() >= 1)
        var batch = try index.makeBatch()
        batch.deleteCleanShutdown()
        try batch.commit(durability: .synced)
        #expect(try index.storeMeta()?.cleanShutdown == nil)
    }

    @Test func aSecondBrokerIsLockedOutAndToolsAreNot() throws {
        let folder = NSTemporaryDirectory() + "index-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let index = try IndexDatabase(at: folder + "/index")
        let error = #expect(throws: IndexError.self) { try IndexDatabase(at: folder + "/index") }
        guard case .database(.locked) = error else {
            Issue.record("expected locked, got \(String(describing: error))")
            return
        }
        let tool = try IndexDatabase(at: folder + "/index", for: .following(scratch: folder + "/scratch"))
        #expect(try tool.groups() == [])
        var batch = try index.makeBatch()
        batch.putGroupMeta(GroupMeta(), of: Self.group)
        try batch.commit(durability: .buffered)
        try tool.tryCatchUp()
        #expect(try tool.groups() == [Self.group])
        let frozen = try IndexDatabase(at: folder + "/index", for: .readOnly)
        #expect(try frozen.groupMeta(of: Self.group) == GroupMeta())
        var refused = try frozen.makeBatch()
        refused.putGroupMeta(GroupMeta(), of: Self.group)
        do {
            try refused.commit(durability: .buffered)
            Issue.record("a read-only index took a commit")
        } catch {
            #expect(error == .database(.readOnly))
        }
    }

    @Test func damagedRecordsAreNamed() throws {
        let index = try memoryIndex()
        var raw = try index.database.makeBatch()
        let key = KeySpace.prefix(Self.group)
        raw.put(key, [9], in: IndexFamily.hardState.family)
        raw.put(key + [0, 0, 0, 0, 0, 0, 0, 1], [1, 0], in: IndexFamily.raftLog.family)
        raw.put(key + [1], GroupMeta().encoded, in: IndexFamily.termStart.family)
        try index.database.write(raw, durability: .buffered)
        let newer = #expect(throws: IndexError.self) { try index.hardState(of: Self.group) }
        #expect(newer == .damaged(family: "hard_state", key: "0000000000000001", .unknownVersion(9)))
        #expect(newer?.description.contains("newer release") == true)
        let short = #expect(throws: IndexError.self) { try index.lastPointer(of: Self.group) }
        #expect(short == .damaged(family: "raft_log", key: "00000000000000010000000000000001", .truncated))
        #expect(throws: IndexError.self) { try index.forEachPointer(of: Self.group, from: .zero) { _ in true } }
        let malformed = #expect(throws: IndexError.self) { try index.termStarts(of: Self.group) }
        #expect(malformed == .damaged(family: "term_start", key: "000000000000000101", .malformedKey))
    }

    @Test func aClosedIndexRefuses() throws {
        let index = try memoryIndex()
        index.close()
        #expect(throws: IndexError.database(.closed)) { try index.groups() }
        #expect(throws: IndexError.database(.closed)) { try index.syncWAL() }
        #expect(throws: IndexError.database(.closed)) { try index.storeMeta() }
    }
}
