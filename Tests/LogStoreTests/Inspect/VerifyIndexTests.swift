// SPDX-License-Identifier: Apache-2.0
//
// VerifyIndexTests.swift
// Records of the index that contradict the log are found, each as what it is.

import Foundation
import Model
import NIOCore
import RocksKV
import Testing

@testable import LogStore

@Suite struct VerifyIndexTests {
    private let group = InspectFixture.group

    private func expect(
        _ kinds: [Damage.Kind], index: UInt64? = nil, after change: (InspectFixture, inout IndexBatch) throws -> Void
    ) throws {
        let store = try InspectFixture()
        try store.change { try change(store, &$0) }
        let found = try store.verify()
        #expect(found.kinds == kinds, "\(found.damage)")
        if let index { #expect(found.damage.first?.index == LogIndex(index)) }
        #expect(found.damage.allSatisfy { $0.file == "rocksdb" && $0.position == nil && !$0.reason.isEmpty })
        // Headers are enough to see it.
        #expect(try store.verify(.headers).kinds == kinds)
    }

    private func lastFrame(_ store: InspectFixture) throws -> (position: Int, header: FrameHeader) {
        let path = try #require(store.segments.last)
        return try #require(try store.headers(path).last)
    }

    @Test func pointers() throws {
        try expect([.pointer], index: 30) { store, batch in
            let (position, header) = try lastFrame(store)
            let base = try #require(Segment.name(ofFileName: String(store.segments.last?.suffix(24) ?? "")))
            let place = FramePlace(
                at: SegmentPosition(segment: base, position: UInt32(position + 8)), storedLength: header.storedLength,
                baseOffset: header.baseOffset, recordCount: 1, payloadCRC: header.payloadCRC)
            batch.putPointer(
                EntryPointer(term: Term(2), kind: 1, content: .segment(place)), at: LogIndex(30), of: group)
        }
        try expect([.pointer], index: 30) { _, batch in
            batch.putPointer(EntryPointer(term: Term(2), kind: 4, content: .inline([1])), at: LogIndex(30), of: group)
        }
    }

    @Test func offsetIndex() throws {
        let wrong = SegmentPosition(segment: LogIndex(1), position: 8)
        try expect([.offsetIndex], index: 4) { _, batch in
            batch.putOffsetIndex(OffsetIndexEntry(offset: Offset(2), index: LogIndex(4), at: wrong), of: group)
        }
        try expect([.offsetIndex]) { _, batch in
            batch.putOffsetIndex(OffsetIndexEntry(offset: Offset(500), index: LogIndex(501), at: wrong), of: group)
        }
    }

    @Test func aGapInTheOffsetIndexIsAWarning() throws {
        let store = try InspectFixture()
        let frame = try #require(try store.headers(store.segments[1]).first).header
        try store.change { batch in
            try batch.delete(
                in: .offsetIndex,
                over: KeySpace.range(
                    of: group, from: KeySpace.number(frame.baseOffset), upTo: KeySpace.number(frame.baseOffset) + 1))
        }
        let found = try store.verify()
        #expect(found.isClean && found.warned == [.sparseGap])
    }

    @Test func timeIndex() throws {
        try expect([.timeIndex], index: 2) { store, batch in
            // Older than the record it stands for.
            let at = SegmentPosition(
                segment: LogIndex(1), position: UInt32(try store.headers(store.segments[0])[1].position))
            batch.putTimeIndex(
                TimeIndexEntry(maxTimestampSoFar: 1, offset: .zero, index: LogIndex(2), at: at), of: group)
        }
        try expect([.timeIndex]) { _, batch in
            batch.putTimeIndex(
                TimeIndexEntry(
                    maxTimestampSoFar: 9_000, offset: Offset(900), index: LogIndex(900),
                    at: SegmentPosition(segment: LogIndex(1), position: 0)), of: group)
        }
    }

    @Test func termStarts() throws {
        try expect([.termStart, .termStart], index: 4) { _, batch in
            batch.putTermStart(TermStart(term: Term(2), firstIndex: LogIndex(4), firstOffset: Offset(2)), of: group)
        }
        try expect([.termStart]) { _, batch in
            batch.putTermStart(TermStart(term: Term(9), firstIndex: LogIndex(90), firstOffset: Offset(80)), of: group)
        }
    }

    @Test func producerSnapshots() throws {
        try expect([.producerSnapshot]) { _, batch in
            batch.putProducerSnapshot(
                ProducerSnapshot(offset: Offset(100), index: LogIndex(100), bytes: [1]), of: group)
        }
    }

    @Test func factsOfTheGroup() throws {
        let meta = try InspectFixture().meta()
        try expect([.group]) { _, batch in
            var changed = meta
            changed.logStartOffset = Offset(1_000)
            batch.putGroupMeta(changed, of: group)
        }
        try expect([.group]) { _, batch in
            var changed = meta
            changed.closed?.nextOffset = Offset(7)
            batch.putGroupMeta(changed, of: group)
        }
        try expect([.group]) { _, batch in
            var changed = meta
            changed.firstIndex = .zero
            batch.putGroupMeta(changed, of: group)
        }
        try expect([.group]) { _, batch in
            var changed = meta
            changed.configurations = [1, 2, 3]
            batch.putGroupMeta(changed, of: group)
        }
    }

    @Test func marksAreWarnings() throws {
        let store = try InspectFixture()
        var meta = try store.meta()
        meta.isDamaged = true
        meta.isAmnesiac = true
        meta.cut = CutMarker(from: LogIndex(30), at: SegmentPosition(segment: LogIndex(1), position: 0), number: 1)
        try store.change {
            $0.putGroupMeta(meta, of: group)
            $0.putHardState(HardStateRecord(term: Term(1), votedFor: nil), of: group)
        }
        let found = try store.verify()
        #expect(Set(found.warned) == [.markedDamaged, .markedAmnesiac, .cutPending, .hardStateBehind])
    }

    @Test func commands() throws {
        try expect([.command], index: 3) { _, batch in
            _ = batch.deletePointers(from: LogIndex(3), upTo: LogIndex(4), of: .controller)
        }
        try expect([.command], index: 3) { _, batch in
            batch.putPointer(
                EntryPointer(term: Term(1), kind: 77, content: .inline([1])), at: LogIndex(3), of: .controller)
        }
        try expect([.termStart], index: 3) { _, batch in
            batch.putTermStart(TermStart(term: Term(7), firstIndex: LogIndex(3), firstOffset: .zero), of: .controller)
        }
        try expect([.state]) { _, batch in
            batch.putApplied(AppliedPosition(index: LogIndex(6), term: Term(1)), in: .controller, of: .controller)
        }
        try expect([.state]) { store, batch in
            var meta = GroupMeta()
            meta.firstIndex = LogIndex(3)
            batch.putGroupMeta(meta, of: .controller)
        }
    }

    @Test func aDamagedTableDoesNotHideTheSegments() throws {
        let store = try InspectFixture()
        let index = try IndexDatabase(at: store.root + "/rocksdb")
        try index.flush()
        index.close()
        let folder = store.root + "/rocksdb"
        for name in try PosixFileSystem().list(folder) where name.hasSuffix(".sst") {
            try InspectFixture.flip(folder + "/" + name, 10)
        }
        do {
            let found = try store.verify()
            #expect(!found.isClean && found.kinds.allSatisfy { $0 == .database })
        } catch StoreError.index {
            // Not even the identity can be read.
        }
    }

    @Test func aRecordOfAnotherLayoutIsReported() throws {
        try expect([.database]) { store, batch in
            let key = KeySpace.key(group, LogIndex(30))
            batch.batch.put(key.span, [9, 9].span, in: IndexFamily.raftLog.family)
        }
    }

    @Test(arguments: [StoreSettings.JournalMode.on, .off]) func aRestartAfterAKillLeavesTheIndicesWhole(
        journal: StoreSettings.JournalMode
    ) throws {
        let store = try InspectFixture(journal: journal, closes: false) { $0.checkpointMilliseconds = 1_000_000 }
        func times() throws -> [TimeIndexEntry] {
            let reader = try store.reader()
            defer { reader.close() }
            var entries: [TimeIndexEntry] = []
            try reader.timeIndex(of: try #require(try reader.group(group))) {
                entries.append($0)
                return true
            }
            return entries
        }
        let before = try times()
        #expect(before.count >= 4 && before.map(\.offset) == before.map(\.offset).sorted())
        for _ in 0..<2 {
            let again = try LogStore.open(store.fixture.settings, metrics: nil, logger: LogFixture.logger)
            _ = try again.recoverPartition(group, settings: store.fixture.groupSettings)
            again.close()
            #expect(try times() == before)
            let found = try store.verify()
            #expect(found.damage == [] && found.warned == [])
        }
    }
}
