// SPDX-License-Identifier: Apache-2.0
//
// LostIndexTests.swift
// What the index lost of frames that are in their segment, while it has later ones from the journal, is found again.

import CrashScenario
import Model
import Synchronization
import Testing

@testable import LogStore

@Suite struct LostIndexTests {
    /// One segment of six entries, of which the fourth begins the second term; ended by a kill.
    private func store() throws -> InspectFixture {
        try InspectFixture(frames: 6, closes: false) { $0.checkpointMilliseconds = 1_000_000 }
    }

    /// Starts the store again and stops it; returns where the partition's terms begin.
    private func restart(_ store: InspectFixture) throws -> [TermStart] {
        let again = try LogStore.open(store.fixture.settings, metrics: nil, logger: LogFixture.logger)
        let recovered = try again.recoverPartition(
            InspectFixture.group, settings: store.fixture.groupSettings, label: InspectFixture.label)
        #expect(recovered.lastIndex == LogIndex(6) && recovered.damage == nil)
        again.close()
        return recovered.termStarts
    }

    /// The batch of a frame that was flushed to its segment was lost; the frame behind it was replayed, and taken for the
    /// first of its term.
    @Test func theFirstFrameOfATerm() throws {
        let store = try store()
        let right = TermStart(term: Term(2), firstIndex: LogIndex(4), firstOffset: Offset(2))
        try store.change { batch in
            _ = batch.deletePointers(from: LogIndex(4), upTo: LogIndex(5), of: InspectFixture.group)
            batch.putTermStart(
                TermStart(term: Term(2), firstIndex: LogIndex(5), firstOffset: Offset(3)), of: InspectFixture.group)
        }
        #expect(try !store.verify().isClean)
        #expect(try restart(store).last == right)
        #expect(try store.verify().damage == [])
        #expect(try restart(store).last == right)
    }

    @Test func frames() throws {
        let store = try store()
        try store.change { _ = $0.deletePointers(from: LogIndex(2), upTo: LogIndex(5), of: InspectFixture.group) }
        #expect(try pointers(store) == [1, 5, 6])
        #expect(try restart(store).count == 2)
        #expect(try pointers(store) == [1, 2, 3, 4, 5, 6])
        #expect(try store.verify().damage == [])
    }

    private func pointers(_ store: InspectFixture) throws -> [UInt64] {
        let reader = try store.reader()
        defer { reader.close() }
        var found: [UInt64] = []
        let group = try #require(try reader.group(InspectFixture.group))
        try reader.pointers(of: group) {
            found.append($0.index.rawValue)
            return true
        }
        return found
    }

    /// The frame that the index lost is in a segment that has its footer, and the one that was replayed in the next.
    @Test(arguments: [false, true]) func aFrameInASealedSegment(isInterrupted: Bool) throws {
        let way = Mutex(FlushPath.direct)
        let pick: @Sendable (Int) -> Int = { count in
            count == 2 ? way.withLock { FlushPath.allCases.firstIndex(of: $0) ?? 0 } : count - 1
        }
        let store = try SteppedStore(journal: .auto, pick: pick)
        let log = try store.log()
        for _ in 0..<2 { try log.append(LogFixture.draft(log)) }
        store.settle()
        store.store.checkpoint()
        try log.append(LogFixture.draft(log, term: Term(2)))
        store.settle()
        way.withLock { $0 = .journal }
        log.roll()
        try log.append(LogFixture.draft(log, term: Term(2)))
        store.settle()
        store.store.abandon()
        store.medium.losePower(keeping: 0)
        let disk = store.disk.afterCrash(.nothing, seed: 1)
        if isInterrupted { try SteppedStore(journal: .auto, disk: disk, medium: store.medium).store.abandon() }
        let again = try SteppedStore(journal: .auto, disk: disk.afterCrash(.process, seed: 2), medium: store.medium)
        let found = try again.log()
        #expect(found.lastIndex == LogIndex(4) && found.damage == nil && found.segmentCount == 2)
        #expect(found.termStarts.last == TermStart(term: Term(2), firstIndex: LogIndex(3), firstOffset: Offset(2)))
        let metadata = again.store.metadata
        #expect(try metadata.pointer(at: LogIndex(3), of: LogFixture.group) != nil)
        #expect(try metadata.groupMeta(of: LogFixture.group)?.unindexedFrom == nil)
        again.store.abandon()
    }

    // MARK: Terms

    private func header(_ index: UInt64, term: UInt64) -> FrameHeader {
        var header = FrameHeader(
            kind: .data, codec: .none, flags: [], group: InspectFixture.group, salt: 1, term: Term(term),
            index: LogIndex(index), baseOffset: Offset(Int64(index)), maxTimestamp: -1, recordCount: 1, storedLength: 0,
            rawLength: 0, previous: 0, payloadCRC: 0)
        header.seal()
        return header
    }

    private func start(_ term: UInt64, _ index: UInt64) -> TermStart {
        TermStart(term: Term(term), firstIndex: LogIndex(index), firstOffset: Offset(Int64(index)))
    }

    /// A scan from the middle of a term believes what the index says of it, and mends the terms that follow.
    @Test func aScanMendsWhatItSees() {
        var scan = TermScan(starts: [start(1, 1), start(4, 12), start(5, 14)])
        scan.before = Term(1)
        let frames: [(UInt64, UInt64)] = [(9, 1), (10, 3), (11, 4), (12, 4), (13, 5), (14, 5), (15, 6)]
        let found = frames.map { scan.note(header($0.0, term: $0.1)) }
        #expect(found == [false, true, true, false, true, false, true])
        #expect(scan.starts == [start(1, 1), start(3, 10), start(4, 11), start(5, 13), start(6, 15)])
    }
}
