// SPDX-License-Identifier: Apache-2.0
//
// IndexDatabaseTests.swift
// Typed reads and writes of the index database: lookups, ends of logs, state machines, life of a group.

import Foundation
import Model
import RocksKV
import Testing

@testable import LogStore

/// An index in memory.
func memoryIndex(_ storage: MemoryStorage = MemoryStorage()) throws -> IndexDatabase {
    var tuning = DatabaseOptions()
    tuning.storage = .memory(storage)
    return try IndexDatabase(at: "/index", tuning: tuning)
}

@Suite struct IndexDatabaseTests {
    static let group = GroupID(rawValue: 1024)
    static let neighbours = [GroupID(rawValue: 1023), GroupID(rawValue: 1025)]

    static func pointer(_ index: UInt64) -> EntryPointer {
        let place = FramePlace(
            at: SegmentPosition(segment: LogIndex(1), position: UInt32(index) * 100), storedLength: 50,
            baseOffset: Offset(Int64(index) * 10), recordCount: 10, payloadCRC: UInt32(index))
        return EntryPointer(term: Term((index + 9) / 10), kind: 1, content: .segment(place))
    }

    /// Entries from 1 to `count` with ten records each, a term for every ten, indices for every second.
    ///
    /// The same in both neighbours.
    static func filled(_ count: UInt64 = 40) throws -> IndexDatabase {
        let index = try memoryIndex()
        var batch = try index.makeBatch()
        for group in [group] + neighbours {
            batch.putGroupMeta(GroupMeta(), of: group)
            batch.putHardState(HardStateRecord(term: Term(4), votedFor: NodeID(rawValue: 1)), of: group)
            for entry in 1...count { put(entry, of: group, into: &batch) }
        }
        try batch.commit(durability: .buffered)
        let isEmpty = batch.isEmpty
        #expect(isEmpty)
        return index
    }

    static func put(_ entry: UInt64, of group: GroupID, into batch: inout IndexBatch) {
        let at = SegmentPosition(segment: LogIndex(1), position: UInt32(entry) * 100)
        let offset = Offset(Int64(entry) * 10)
        batch.putPointer(pointer(entry), at: LogIndex(entry), of: group)
        if entry % 10 == 1 {
            let term = Term((entry + 9) / 10)
            batch.putTermStart(TermStart(term: term, firstIndex: LogIndex(entry), firstOffset: offset), of: group)
        }
        if entry % 2 == 0 {
            batch.putOffsetIndex(OffsetIndexEntry(offset: offset, index: LogIndex(entry), at: at), of: group)
            let time = TimeIndexEntry(
                maxTimestampSoFar: Int64(entry / 4) * 1000, offset: offset, index: LogIndex(entry), at: at)
            batch.putTimeIndex(time, of: group)
        }
        if entry % 10 == 0 {
            batch.putProducerSnapshot(
                ProducerSnapshot(offset: offset + 10, index: LogIndex(entry), bytes: [UInt8(entry)]), of: group)
        }
    }

    /// The entries of the group's offset index.
    static func indexedOffsets(_ index: IndexDatabase) throws -> [UInt64] {
        var indices: [UInt64] = []
        try index.forEachOffsetIndexEntry(of: group) { entry in
            indices.append(entry.index.rawValue)
            return true
        }
        return indices
    }

    /// The entries of the group's time index.
    static func indexedTimes(_ index: IndexDatabase) throws -> [UInt64] {
        var indices: [UInt64] = []
        try index.forEachTimeIndexEntry(of: group) { entry in
            indices.append(entry.index.rawValue)
            return true
        }
        return indices
    }

    @Test func aGroupIsLoadedAsItWasWritten() throws {
        let index = try Self.filled()
        let record = try index.loadGroup(Self.group)
        #expect(record.meta == GroupMeta())
        #expect(record.hardState == HardStateRecord(term: Term(4), votedFor: NodeID(rawValue: 1)))
        #expect(record.last == IndexedPointer(index: LogIndex(40), pointer: Self.pointer(40)))
        #expect(record.termStarts.map(\.term) == [Term(1), Term(2), Term(3), Term(4)])
        #expect(record.termStarts.map(\.firstIndex.rawValue) == [1, 11, 21, 31])
        #expect(try index.groups() == [Self.neighbours[0], Self.group, Self.neighbours[1]])
        #expect(try index.pointer(at: LogIndex(7), of: Self.group) == Self.pointer(7))
        #expect(try index.pointer(at: LogIndex(41), of: Self.group) == nil)
    }

    @Test func anUnknownGroupIsEmpty() throws {
        let record = try Self.filled().loadGroup(GroupID(rawValue: 9999))
        #expect(record.meta == nil && record.hardState == nil && record.last == nil && record.termStarts.isEmpty)
    }

    @Test func pointersAreIteratedInsideTheirBounds() throws {
        let index = try Self.filled()
        var seen: [UInt64] = []
        try index.forEachPointer(of: Self.group, from: LogIndex(5), upTo: LogIndex(9)) { entry in
            seen.append(entry.index.rawValue)
            return true
        }
        #expect(seen == [5, 6, 7, 8])
        seen = []
        try index.forEachPointer(of: Self.group, from: LogIndex(38)) { entry in
            seen.append(entry.index.rawValue)
            return entry.index < LogIndex(39)
        }
        #expect(seen == [38, 39])
    }

    @Test func offsetsAreFoundByTheirFloor() throws {
        let index = try Self.filled()
        for offset in Int64(0)...450 {
            let expected = (1...40).filter { $0 % 2 == 0 && $0 * 10 <= offset }.max()
            let found = try index.offsetIndexFloor(of: Self.group, offset: Offset(offset))
            #expect(found?.index.rawValue == expected.map { UInt64($0) }, "offset \(offset)")
        }
        #expect(try index.offsetIndexFloor(of: Self.group, offset: Offset(.max))?.offset == Offset(400))
    }

    @Test func timesAreFoundByWhatLiesStrictlyBefore() throws {
        let index = try Self.filled()
        for timestamp in stride(from: Int64(-500), through: 11_000, by: 500) {
            let expected = (1...40).filter { $0 % 2 == 0 && Int64($0 / 4) * 1000 < timestamp }.max()
            let found = try index.timeIndexFloor(of: Self.group, before: timestamp)
            #expect(found?.index.rawValue == expected.map { UInt64($0) }, "timestamp \(timestamp)")
        }
        #expect(try index.timeIndexFloor(of: Self.group, before: .min) == nil)
    }

    @Test(arguments: [UInt64(1), 2, 11, 20, 21, 35, 40, 41])
    func aSuffixGoesWithEverythingThatRefersToIt(cut: UInt64) throws {
        let index = try Self.filled()
        var batch = try index.makeBatch()
        try batch.deleteSuffix(from: LogIndex(cut), offset: Offset(Int64(cut) * 10), of: Self.group)
        try batch.commit(durability: .synced)
        let record = try index.loadGroup(Self.group)
        #expect(record.last?.index.rawValue == (cut == 1 ? nil : cut - 1))
        #expect(record.termStarts.allSatisfy { $0.firstIndex < LogIndex(cut) })
        #expect(record.termStarts.count == Int(cut + 8) / 10)
        let expected = (1...40).filter { $0 % 2 == 0 && $0 < cut }
        #expect(try Self.indexedOffsets(index) == expected)
        #expect(try Self.indexedTimes(index) == expected)
        let snapshot = try index.producerSnapshot(of: Self.group)
        #expect(snapshot?.index.rawValue == (1...40).filter { $0 % 10 == 0 && $0 < cut }.max())
        for neighbour in Self.neighbours { #expect(try index.lastPointer(of: neighbour)?.index == LogIndex(40)) }
    }

    @Test(arguments: [UInt64(1), 2, 11, 15, 21, 40])
    func aPrefixGoesAndWhatReplayNeedsStays(first: UInt64) throws {
        let index = try Self.filled()
        var batch = try index.makeBatch()
        let offset = Offset(Int64(first) * 10)
        #expect(batch.deletePointers(from: LogIndex(1), upTo: LogIndex(first), of: Self.group) == LogIndex(first))
        #expect(try batch.deletePrefix(before: LogIndex(first), offset: offset, of: Self.group))
        try batch.commit(durability: .synced)
        var pointers: [UInt64] = []
        try index.forEachPointer(of: Self.group, from: .zero) { entry in
            pointers.append(entry.index.rawValue)
            return true
        }
        #expect(pointers == Array(first...40))
        let starts = try index.termStarts(of: Self.group)
        #expect(starts.first?.term == Term((first + 9) / 10))
        #expect(starts.last?.term == Term(4))
        let expected = (first...40).filter { $0 % 2 == 0 }
        #expect(try Self.indexedOffsets(index) == expected)
        #expect(try Self.indexedTimes(index) == expected)
        #expect(try index.offsetIndexFloor(of: Self.group, offset: Offset(.max))?.index == LogIndex(40))
        let kept = try index.producerSnapshot(of: Self.group, notAfter: offset)
        #expect(kept?.index.rawValue == (1...40).filter { $0 % 10 == 0 && $0 * 10 + 10 <= first * 10 }.max())
        for neighbour in Self.neighbours { #expect(try index.termStarts(of: neighbour).count == 4) }
    }

    @Test func pointerDeletionIsBoundedAndResumes() throws {
        let index = try memoryIndex()
        var batch = try index.makeBatch()
        let limit = IndexBatch.deletesPerCallMax
        let upper = LogIndex(1) + limit + 5
        let reached = batch.deletePointers(from: LogIndex(1), upTo: upper, of: Self.group)
        #expect(reached == LogIndex(1) + limit)
        var count = batch.count
        #expect(count == limit)
        #expect(batch.deletePointers(from: reached, upTo: upper, of: Self.group) == upper)
        #expect(batch.deletePointers(from: upper, upTo: LogIndex(1), of: Self.group) == LogIndex(1))
        count = batch.count
        #expect(count == limit + 5)
    }

    @Test func aDeletedGroupLeavesNothingAndItsNeighboursStay() throws {
        let index = try Self.filled()
        var batch = try index.makeBatch()
        batch.put([1], [1], in: .controller, of: Self.group)
        batch.putApplied(AppliedPosition(index: LogIndex(1), term: Term(1)), in: .controller, of: Self.group)
        batch.putSnapshotManifest(SnapshotManifest(index: LogIndex(3), term: Term(1), bytes: [5]), of: Self.group)
        try batch.commit(durability: .buffered)
        #expect(try index.snapshotManifest(of: Self.group)?.bytes == [5])
        try index.deleteGroup(Self.group)
        for family in IndexFamily.allCases where family != .store {
            var count = 0
            try index.forEach(in: family, over: KeySpace.range(of: Self.group)) { _, _ in
                count += 1
                return true
            }
            #expect(count == 0, "\(family)")
        }
        #expect(try index.groups() == Self.neighbours)
        for neighbour in Self.neighbours { #expect(try index.lastPointer(of: neighbour)?.index == LogIndex(40)) }
        try index.deleteGroup(Self.group)
    }

    @Test func nothingOfABatchShowsBeforeItIsCommitted() throws {
        let index = try memoryIndex()
        var batch = try index.makeBatch()
        Self.put(10, of: Self.group, into: &batch)
        batch.putJournalApplied(JournalPosition(rawValue: 5))
        #expect(try index.lastPointer(of: Self.group) == nil)
        batch.clear()
        try batch.commit(durability: .synced)
        #expect(try index.lastPointer(of: Self.group) == nil)
        Self.put(10, of: Self.group, into: &batch)
        try batch.commit(durability: .buffered)
        #expect(try index.lastPointer(of: Self.group)?.index == LogIndex(10))
        #expect(try index.producerSnapshot(of: Self.group)?.bytes == [10])
    }

    @Test func aSyncedCommitOfNothingSyncsWhatWasBuffered() throws {
        let index = try memoryIndex()
        var batch = try index.makeBatch()
        batch.putJournalApplied(JournalPosition(rawValue: 5))
        try batch.commit(durability: .buffered)
        let before = try index.database.counter(.walSyncs)
        try batch.commit(durability: .buffered)
        #expect(try index.database.counter(.walSyncs) == before)
        try batch.commit(durability: .synced)
        #expect(try index.database.counter(.walSyncs) == before + 1)
        try index.syncWAL()
        #expect(try index.database.counter(.walSyncs) == before + 2)
    }
}
