// SPDX-License-Identifier: Apache-2.0
//
// ViewTests.swift
// Read-only and secondary views, checkpoints.

import Foundation
import RocksKV
import Testing

@Suite struct ViewTests {
    @Test func aSecondaryFollowsTheWriter() throws {
        let folder = TemporaryFolder()
        let scratch = TemporaryFolder()
        let writer = try Database(at: folder.path, families: twoFamilies)
        try writer.put([1], [1], in: first)
        let view = try Database(at: folder.path, families: twoFamilies, mode: .secondary(folder: scratch.path))
        #expect(try view.value(of: [1], in: first) == [1])
        for round in UInt8(2)...20 {
            try writer.put([round], [round], in: first)
            try writer.put([round], [round], in: second)
            if round % 5 == 0 { try writer.flush([first]) }
            if round == 12 { try writer.compact(first) }
            try view.tryCatchUp()
            #expect(try view.value(of: [round], in: first) == [round])
            #expect(try view.keys(in: first).count == Int(round))
            #expect(try view.value(of: [round], in: second) == [round])
        }
    }

    @Test func viewsMayLeaveFamiliesOut() throws {
        let folder = TemporaryFolder()
        let scratch = TemporaryFolder()
        let writer = try Database(at: folder.path, families: twoFamilies)
        try writer.put([1], [1], in: second)
        let options = [ColumnFamilyOptions(name: "second")]
        for mode in [Database.Mode.readOnly, .secondary(folder: scratch.path)] {
            let view = try Database(at: folder.path, families: options, mode: mode)
            #expect(try view.value(of: [1], in: ColumnFamily(position: 0)) == [1])
        }
    }

    @Test func viewsDoNotWrite() throws {
        let folder = TemporaryFolder()
        let scratch = TemporaryFolder()
        let writer = try Database(at: folder.path, families: twoFamilies)
        try writer.put([1], [1], in: first)
        for mode in [Database.Mode.readOnly, .secondary(folder: scratch.path)] {
            let view = try Database(at: folder.path, families: twoFamilies, mode: mode)
            var batch = try view.makeBatch()
            batch.put([2], [2], in: first)
            do {
                try view.write(batch, durability: .buffered)
                Issue.record("\(mode) wrote")
            } catch {
                #expect(error == .readOnly)
            }
            #expect(throws: RocksError.readOnly) { try view.flush([first]) }
            #expect(throws: RocksError.readOnly) { try view.syncWriteAheadLog() }
        }
        #expect(throws: RocksError.self) { try writer.tryCatchUp() }
    }

    @Test func aReadOnlyViewIsFrozen() throws {
        let folder = TemporaryFolder()
        let writer = try Database(at: folder.path, families: twoFamilies)
        try writer.put([1], [1], in: first)
        let view = try Database(at: folder.path, families: twoFamilies, mode: .readOnly)
        try writer.put([2], [2], in: first)
        #expect(try view.keys(in: first) == [[1]])
    }

    @Test func aCheckpointIsADatabaseOfItsOwn() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path + "/a", families: twoFamilies)
        try database.put([1], [1], in: first)
        try database.checkpoint(to: folder.path + "/b")
        try database.put([2], [2], in: first)
        let copy = try Database(at: folder.path + "/b", families: twoFamilies)
        #expect(try copy.keys(in: first) == [[1]])
        #expect(throws: RocksError.self) { try database.checkpoint(to: folder.path + "/b") }
    }
}
