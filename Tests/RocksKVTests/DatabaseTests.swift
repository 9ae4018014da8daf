// SPDX-License-Identifier: Apache-2.0
//
// DatabaseTests.swift
// Opening, closing, locking, lifetimes.

import Foundation
import Testing

@testable import RocksKV

@Suite struct DatabaseTests {
    @Test func valuesSurviveReopening() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        try database.put([1], [10], in: first, .synced)
        try database.put([1], [20], in: second)
        #expect(database.close())
        let again = try Database(at: folder.path, families: twoFamilies)
        #expect(try again.value(of: [1], in: first) == [10])
        #expect(try again.value(of: [1], in: second) == [20])
        #expect(try again.value(of: [2], in: first) == nil)
        #expect(try Database.familyNames(at: folder.path).sorted() == ["first", "second"])
    }

    @Test func memoryStorageOutlivesItsDatabase() throws {
        let storage = MemoryStorage()
        let database = try memoryDatabase(storage)
        try database.put([7], [8], in: first, .synced)
        database.close()
        #expect(try memoryDatabase(storage).value(of: [7], in: first) == [8])
        #expect(try memoryDatabase().value(of: [7], in: first) == nil)
    }

    @Test func aSecondWriterIsLockedOut() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        let error = #expect(throws: RocksError.self) { try Database(at: folder.path, families: twoFamilies) }
        guard case .locked = error else {
            Issue.record("expected locked, got \(String(describing: error))")
            return
        }
        database.close()
        _ = try Database(at: folder.path, families: twoFamilies)
    }

    @Test(arguments: [Database.Mode.readWrite(createIfMissing: false), .readOnly])
    func aMissingDatabaseIsAnError(mode: Database.Mode) throws {
        let folder = TemporaryFolder()
        #expect(throws: RocksError.self) {
            try Database(at: folder.path + "/nothing", families: twoFamilies, mode: mode)
        }
    }

    @Test func aMissingDatabaseIsNamedSo() throws {
        let folder = TemporaryFolder()
        let error = #expect(throws: RocksError.self) {
            try Database(at: folder.path, families: twoFamilies, mode: .readWrite(createIfMissing: false))
        }
        guard case .missing = error else {
            Issue.record("expected missing, got \(String(describing: error))")
            return
        }
    }

    @Test func unknownFamiliesAreRefused() throws {
        let folder = TemporaryFolder()
        try Database(at: folder.path, families: twoFamilies).close()
        let error = #expect(throws: RocksError.self) {
            try Database(at: folder.path, families: [ColumnFamilyOptions(name: "second")])
        }
        guard case .invalid = error else {
            Issue.record("expected invalid, got \(String(describing: error))")
            return
        }
    }

    @Test func familiesAreAddedLaterAndKeepTheirOrder() throws {
        let folder = TemporaryFolder()
        let old = try Database(at: folder.path, families: [ColumnFamilyOptions(name: "second")])
        try old.put([1], [2], in: ColumnFamily(position: 0))
        old.close()
        let new = try Database(at: folder.path, families: twoFamilies)
        #expect(try new.value(of: [1], in: second) == [2])
        #expect(try new.value(of: [1], in: first) == nil)
        #expect(new.family(named: "second") == second)
        #expect(new.family(named: "third") == nil)
        try new.put([1], [3], in: first)
        #expect(try new.value(of: [1], in: first) == [3])
    }

    @Test func closedDatabasesRefuse() throws {
        let database = try memoryDatabase()
        database.close()
        #expect(database.close())
        #expect(throws: RocksError.closed) { try database.value(of: [1], in: first) }
        #expect(throws: RocksError.closed) { _ = try database.makeSnapshot() }
        #expect(throws: RocksError.closed) { try database.syncWriteAheadLog() }
        #expect(throws: RocksError.closed) { try database.latestSequence() }
        #expect(throws: RocksError.closed) { try database.keys(in: first) }
    }

    @Test func usesOutliveClosing() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        try database.put([1], [2], in: first)
        do {
            var entries = try database.iterator(in: first, over: .all)
            let snapshot = try database.makeSnapshot()
            var batch = try database.makeBatch()
            #expect(!database.close())
            #expect(try entries.seekToFirst())
            #expect(entries.entry?.value == [2])
            batch.put([3], [4], in: first)
            #expect(throws: RocksError.closed) { try database.value(of: [1], in: first, at: snapshot) }
            _ = consume entries
            #expect(!database.close())
            withExtendedLifetime(snapshot) {}
            _ = consume batch
        }
        #expect(database.close())
        _ = try Database(at: folder.path, families: twoFamilies)
    }

    @Test func iteratorsKeepAnAbandonedDatabaseOpen() throws {
        var database: Database? = try memoryDatabase()
        try database?.put([1], [2], in: first)
        guard var entries = try database?.iterator(in: first, over: .all) else { return }
        database = nil
        #expect(try entries.seekToFirst())
        #expect(entries.entry?.value == [2])
    }

    @Test func closingRacesWithReadersWithoutHarm() throws {
        for _ in 0..<20 {
            let database = try memoryDatabase()
            try database.put([1], [2], in: first)
            DispatchQueue.concurrentPerform(iterations: 4) { worker in
                if worker == 3 { database.close() }
                for _ in 0..<200 {
                    do {
                        let value = try database.value(of: [1], in: first)
                        if value != [2] { Issue.record("a reader saw \(String(describing: value))") }
                    } catch {
                        if error as? RocksError != .closed { Issue.record("a reader failed: \(error)") }
                    }
                }
            }
            #expect(database.close())
        }
    }
}
