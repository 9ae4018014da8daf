// SPDX-License-Identifier: Apache-2.0
//
// WriteBatchTests.swift
// Batches are atomic, count what they hold, and can be used again.

import RocksKV
import Testing

@Suite struct WriteBatchTests {
    @Test func changesAppearTogetherOrNotAtAll() throws {
        let database = try memoryDatabase()
        var batch = try database.makeBatch()
        batch.put([1], [10], in: first)
        batch.put([2], [20], in: second)
        #expect(try database.value(of: [1], in: first) == nil)
        #expect(try database.value(of: [2], in: second) == nil)
        try database.write(batch, durability: .buffered)
        #expect(try database.value(of: [1], in: first) == [10])
        #expect(try database.value(of: [2], in: second) == [20])
        #expect(try database.value(of: [2], in: first) == nil)
    }

    @Test func laterChangesOfABatchWin() throws {
        let database = try memoryDatabase()
        var batch = try database.makeBatch()
        batch.put([1], [10], in: first)
        batch.delete([1], in: first)
        batch.put([2], [20], in: first)
        batch.put([2], [21], in: first)
        try database.write(batch, durability: .synced)
        #expect(try database.keys(in: first) == [[2]])
        #expect(try database.value(of: [2], in: first) == [21])
    }

    @Test func aClearedBatchIsEmptyAndUsable() throws {
        let database = try memoryDatabase()
        var batch = try database.makeBatch()
        let emptyBytes = batch.byteCount
        batch.put([1], [10], in: first)
        batch.delete([5], in: second)
        #expect(batch.count == 2)
        #expect(batch.byteCount > emptyBytes)
        batch.clear()
        #expect(batch.isEmpty && batch.byteCount == emptyBytes)
        batch.put([3], [30], in: first)
        try database.write(batch, durability: .buffered)
        #expect(try database.keys(in: first) == [[3]])
    }

    @Test func emptyKeysAndValuesAreOrdinary() throws {
        let database = try memoryDatabase()
        try database.put([], [], in: first)
        try database.put([0], [], in: first)
        #expect(try database.value(of: [], in: first) == [])
        #expect(try database.value(of: [0], in: first) == [])
        #expect(try database.keys(in: first) == [[], [0]])
        #expect(try database.withValue(of: [0].span, in: first) { $0.byteCount } == 0)
    }

    @Test func logsAreSyncedWhereverTheyAre() throws {
        let folder = TemporaryFolder()
        for database in [try memoryDatabase(), try Database(at: folder.path, families: twoFamilies)] {
            try database.put([1], [1], in: first)
            let before = try database.counter(.walSyncs)
            try database.syncWriteAheadLog()
            #expect(try database.counter(.walSyncs) == before + 1)
            try database.write(try database.makeBatch(), durability: .synced)
            #expect(try database.counter(.walSyncs) == before + 2)
        }
    }

    @Test func rangesAreDeletedWithTheirLowerAndWithoutTheirUpperBound() throws {
        let database = try memoryDatabase()
        for key in UInt8(1)...5 { try database.put([key], [key], in: first) }
        var batch = try database.makeBatch()
        batch.deleteRange(from: [2], upTo: [4], in: first)
        try database.write(batch, durability: .buffered)
        #expect(try database.keys(in: first) == [[1], [4], [5]])
    }

    @Test func largeValuesSurviveAFlush() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try database.put([1], large, in: first)
        try database.flush([first, second])
        #expect(try database.value(of: [1], in: first) == large)
        #expect(try database.tableFiles().map(\.family) == ["first"])
    }

    @Test func whatWasBufferedSurvivesTheProcess() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        for number in UInt8(0)..<100 {
            var batch = try database.makeBatch()
            batch.put([number], [number], in: first)
            batch.put([number], [number], in: second)
            try database.write(batch, durability: .buffered)
            if number == 50 { try database.flush([second]) }
        }
        // A copy of the files is what a killed process leaves behind.
        let copy = try folder.copy()
        let recovered = try Database(at: copy.path, families: twoFamilies)
        #expect(try recovered.keys(in: first).count == 100)
        #expect(try recovered.keys(in: second).count == 100)
        #expect(try recovered.latestSequence() == database.latestSequence())
    }
}
