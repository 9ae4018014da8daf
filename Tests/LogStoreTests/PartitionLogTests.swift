// SPDX-License-Identifier: Apache-2.0
//
// PartitionLogTests.swift
// Appending, reading, restarting, truncating, trimming and retaining, by both ways to durability.

import CrashScenario
import Model
import NIOCore
import Records
import Telemetry
import Testing

@testable import LogStore

@Suite struct PartitionLogTests {
    static let modes = StoreSettings.JournalMode.allCases

    /// Reads everything and expects the batches that were appended.
    private func expectWhole(_ fixture: LogFixture, _ log: PartitionLog, fromDisk: Bool = false) throws {
        let batches = try fixture.readAll(log, fromDisk: fromDisk)
        let problem = LogFixture.problem(with: batches, from: log.logStartOffset, to: log.logEndOffset)
        #expect(problem == nil, "\(problem ?? "")")
    }

    @Test(arguments: modes) func appendsAndReads(mode: StoreSettings.JournalMode) throws {
        let fixture = try LogFixture(journal: mode)
        let log = try fixture.log()
        #expect(log.lastIndex == .zero && log.segmentCount == 0)
        try fixture.append(1)
        try fixture.append(20, records: 3, bytes: 900)
        try fixture.append(5, records: 10, bytes: 20_000)
        #expect(log.lastIndex == LogIndex(26) && log.logEndOffset == Offset(111))
        try expectWhole(fixture, log)
        try expectWhole(fixture, log, fromDisk: true)
        try fixture.closeLogs()
        fixture.store.close()
        #expect(fixture.store.bufferBalance == 0)
    }

    @Test(arguments: modes, [true, false]) func survivesRestarts(mode: StoreSettings.JournalMode, clean: Bool) throws {
        let fixture = try LogFixture(journal: mode)
        var log = try fixture.log()
        try log.persist(hardState: HardStateRecord(term: Term(1), votedFor: NodeID(rawValue: 7))) {}
        for round in 1...4 {
            try fixture.append(10, term: Term(UInt64(round)), records: 2, bytes: 3000, timestamp: Int64(round) * 1000)
            let (lastIndex, lastTerm, end) = (log.lastIndex, log.lastTerm, log.logEndOffset)
            let terms = log.termStarts
            try fixture.restart(cleanly: clean)
            #expect(fixture.store.wasClean == clean)
            log = try fixture.log()
            #expect(log.lastIndex == lastIndex && log.lastTerm == lastTerm && log.logEndOffset == end)
            #expect(log.flushedIndex == lastIndex && log.termStarts == terms && log.damage == nil)
            #expect(log.maxTimestamp == Int64(round) * 1000)
            if round == 1 { #expect(log.hardState == HardStateRecord(term: Term(1), votedFor: NodeID(rawValue: 7))) }
            try expectWhole(fixture, log)
        }
    }

    @Test(arguments: modes, [true, false]) func rollsBySize(mode: StoreSettings.JournalMode, clean: Bool) throws {
        let fixture = try LogFixture(journal: mode)
        fixture.groupSettings = GroupLogSettings(segmentBytes: 20_000, compressesFrames: false)
        var log = try fixture.log()
        for _ in 0..<6 { try fixture.append(5, records: 2, bytes: 1500) }
        #expect(log.segmentCount > 4)
        let count = log.segmentCount
        try expectWhole(fixture, log, fromDisk: true)
        try fixture.restart(cleanly: clean)
        log = try fixture.log()
        #expect(log.segmentCount == count && log.lastIndex == LogIndex(30))
        try expectWhole(fixture, log, fromDisk: true)
        try fixture.append(10, records: 2, bytes: 1500)
        log.roll()
        try fixture.append(1)
        #expect(log.segments.last?.segment.base == log.lastIndex)
        try expectWhole(fixture, log, fromDisk: true)
    }

    @Test(arguments: modes, [true, false]) func truncates(mode: StoreSettings.JournalMode, clean: Bool) throws {
        let fixture = try LogFixture(journal: mode)
        fixture.groupSettings = GroupLogSettings(segmentBytes: 20_000, compressesFrames: false)
        var log = try fixture.log()
        try fixture.append(40, records: 2, bytes: 1500)
        var term = Term(1)
        // Inside the active segment, inside a sealed one, at a segment's base, and down to nothing.
        for cut in [39, 17, Int(log.segments[1].segment.base.rawValue), 3, 1] {
            term = term.next
            try log.truncate(from: LogIndex(UInt64(cut)))
            #expect(log.lastIndex == LogIndex(UInt64(cut - 1)) && log.logEndOffset == Offset(Int64(cut - 1) * 2))
            try fixture.append(2, term: term, records: 2, bytes: 1500)
            try expectWhole(fixture, log, fromDisk: true)
            let (lastIndex, end, terms) = (log.lastIndex, log.logEndOffset, log.termStarts)
            try fixture.restart(cleanly: clean)
            log = try fixture.log()
            #expect(log.lastIndex == lastIndex && log.logEndOffset == end && log.lastTerm == term)
            #expect(log.termStarts == terms && log.damage == nil)
            try expectWhole(fixture, log, fromDisk: true)
        }
    }

    /// A leader whose log goes on in one segment follows one that had rolled: the segments become what the new one's
    /// are.
    @Test(arguments: modes, [true, false])
    func followsItsLeadersSegments(mode: StoreSettings.JournalMode, clean: Bool) throws {
        let fixture = try LogFixture(journal: mode)
        var log = try fixture.log()
        try fixture.append(3)
        log.roll()
        try fixture.append(2)
        #expect(log.segmentCount == 2)
        try log.truncate(from: LogIndex(4))
        for _ in 0..<2 {
            var draft = LogFixture.draft(log, term: Term(2))
            draft.segmentStart = .decided(false)
            try log.append(draft)
        }
        try fixture.loop.turn { log.flushedIndex == LogIndex(5) }
        #expect(log.segmentCount == 1 && log.segments[0].lastIndex == LogIndex(5))
        try expectWhole(fixture, log, fromDisk: true)
        try fixture.restart(cleanly: clean)
        log = try fixture.log()
        #expect(log.damage == nil && log.lastIndex == LogIndex(5) && log.segmentCount == 1)
        try expectWhole(fixture, log, fromDisk: true)
    }

    /// What follows a cut at the beginning of what is kept is chained to what was there before, as on every replica.
    @Test(arguments: modes) func chainsBehindWhatWasTrimmed(mode: StoreSettings.JournalMode) throws {
        let fixture = try LogFixture(journal: mode)
        let log = try fixture.log()
        try fixture.append(3)
        let last = log.lastChecksum
        log.roll()
        try fixture.append(2)
        try fixture.settle(log)
        try log.trim(to: Offset(3))
        #expect(log.firstIndex == LogIndex(4) && log.segmentCount == 1)
        try log.truncate(from: LogIndex(4))
        #expect(log.lastChecksum == last && log.segmentCount == 0)
        try fixture.append(1, term: Term(2))
        try expectWhole(fixture, log, fromDisk: true)
    }

    @Test(arguments: modes) func keepsWhatIsNotCommitted(mode: StoreSettings.JournalMode) throws {
        let fixture = try LogFixture(journal: mode)
        let log = try fixture.log()
        try fixture.append(3)
        // It has the offset of what follows: as far as offsets tell, it could go.
        try log.append(LogFixture.draft(log, kind: .noop))
        log.roll()
        try fixture.append(1)
        try fixture.settle(log)
        try log.trim(to: Offset(3), committed: LogIndex(3))
        #expect(log.firstIndex == LogIndex(1) && log.logStartOffset == Offset(3))
        try log.trim(to: Offset(4), committed: LogIndex(5))
        #expect(log.firstIndex == LogIndex(5))
    }

    /// Where there are other replicas, another leader's next entry may belong into the last segment.
    @Test(arguments: modes) func keepsASegmentUntilTheEntryBehindItIsCommitted(mode: StoreSettings.JournalMode) throws {
        for isReplicated in [false, true] {
            let fixture = try LogFixture(journal: mode)
            let log = try fixture.log()
            log.isReplicated = isReplicated
            for _ in 0..<2 {
                try fixture.append(3)
                log.roll()
            }
            try fixture.append(1)
            try fixture.settle(log)
            let bases = log.segments.map(\.segment.base.rawValue)
            #expect(bases == [1, 4, 7])
            try log.trim(to: Offset(3), committed: LogIndex(3))
            #expect(log.firstIndex == LogIndex(isReplicated ? 1 : 4) && log.logStartOffset == Offset(3))
            try retainNothing(log, committed: LogIndex(4))
            #expect(log.firstIndex == LogIndex(4))
            try retainNothing(log, committed: LogIndex(6))
            #expect(log.firstIndex == LogIndex(isReplicated ? 4 : 7))
            try retainNothing(log, committed: LogIndex(7))
            #expect(log.firstIndex == LogIndex(7))
            try expectWhole(fixture, log, fromDisk: true)
        }
    }

    private func retainNothing(_ log: PartitionLog, committed: LogIndex) throws {
        try log.applyRetention(
            now: WallTime(milliseconds: 0), retentionMilliseconds: nil, retentionBytes: 0, upTo: Offset(6),
            committed: committed)
    }

    /// The floor of a replica that joined is what it was when the group was made, whoever asks for another later.
    @Test(arguments: [true, false]) func keepsItsFloor(clean: Bool) throws {
        let fixture = try LogFixture()
        let (partition, commands) = (GroupID(rawValue: 5000), GroupID(rawValue: 5001))
        let floor = JoinFloor(term: Term(3), index: LogIndex(70))
        var asked: JoinFloor? = floor
        for _ in 0..<3 {
            let recovered = try fixture.store.recoverPartition(partition, floor: asked)
            let log = fixture.store.partitionLog(recovered, owner: fixture.owner)
            let others = fixture.store.commandLog(
                try fixture.store.recoverCommandLog(commands, floor: asked), owner: fixture.owner)
            #expect(log.floor == floor && others.floor == floor && log.hardState.term == .zero)
            if clean {
                log.close()
                others.close()
            }
            try fixture.restart(cleanly: clean)
            asked = asked == floor ? nil : JoinFloor(term: Term(9), index: LogIndex(9))
        }
        #expect(try fixture.log().floor == nil)
    }

    @Test(arguments: modes) func trims(mode: StoreSettings.JournalMode) throws {
        let fixture = try LogFixture(journal: mode)
        fixture.groupSettings = GroupLogSettings(segmentBytes: 20_000, compressesFrames: false)
        var log = try fixture.log()
        try fixture.append(40, records: 2, bytes: 1500)
        try fixture.settle(log)
        let count = log.segmentCount
        try log.trim(to: Offset(33))
        #expect(log.logStartOffset == Offset(33) && log.segmentCount < count)
        #expect(log.firstIndex == log.segments[0].segment.base)
        try fixture.restart()
        log = try fixture.log()
        #expect(log.logStartOffset == Offset(33) && log.lastIndex == LogIndex(40))
        let first = try fixture.read(log, from: Offset(33))
        #expect(try RecordBatch(first.slices[0]).baseOffset == Offset(32))
        try log.trim(to: log.logEndOffset)
        try fixture.append(1)
        #expect(log.logEndOffset == Offset(81))
        #expect(try fixture.read(log, from: Offset(80)).nextOffset == Offset(81))
    }

    @Test(arguments: modes) func retainsByTimeAndBytes(mode: StoreSettings.JournalMode) throws {
        let fixture = try LogFixture(journal: mode)
        fixture.groupSettings = GroupLogSettings(
            segmentBytes: 20_000, segmentMilliseconds: nil, compressesFrames: false)
        var log = try fixture.log()
        for second in 1...40 { try fixture.append(1, records: 2, bytes: 1500, timestamp: Int64(second) * 1000) }
        try fixture.settle(log)
        let size = log.sizeBytes
        try log.applyRetention(
            now: WallTime(milliseconds: 40_000), retentionMilliseconds: nil, retentionBytes: size / 2,
            upTo: log.logEndOffset)
        #expect(log.sizeBytes >= size / 2 && log.sizeBytes < size)
        try log.applyRetention(
            now: WallTime(milliseconds: 1_000_000), retentionMilliseconds: 100, retentionBytes: nil, upTo: Offset(60))
        #expect(log.logStartOffset <= Offset(60) && log.logStartOffset > Offset(40))
        try log.applyRetention(
            now: WallTime(milliseconds: 1_000_000), retentionMilliseconds: 100, retentionBytes: nil,
            upTo: log.logEndOffset)
        #expect(log.segmentCount == 0 && log.logStartOffset == log.logEndOffset && log.lastIndex == LogIndex(40))
        for clean in [true, false] {
            try fixture.restart(cleanly: clean)
            log = try fixture.log()
            #expect(log.lastIndex == LogIndex(40) && log.lastTerm == Term(1) && log.logEndOffset == Offset(80))
            #expect(log.term(at: LogIndex(40)) == Term(1) && log.damage == nil)
        }
        try fixture.append(2)
        try expectWhole(fixture, log)
    }

    @Test(arguments: modes) func findsTimestampsAndEpochs(mode: StoreSettings.JournalMode) throws {
        let fixture = try LogFixture(journal: mode)
        fixture.groupSettings = GroupLogSettings(segmentBytes: 200_000)
        let log = try fixture.log()
        for number in 1...60 {
            try fixture.append(
                1, term: Term(UInt64(number / 20 + 1)), records: 2, bytes: 5000, timestamp: Int64(number) * 10)
        }
        for (timestamp, offset) in [(0, 0), (10, 0), (11, 2), (305, 60), (600, 118)] as [(Int64, Int64)] {
            for inMemory in [true, false] {
                if !inMemory {
                    try fixture.settle(log)
                    _ = log.evictTail(through: log.lastIndex)
                }
                var answer: Result<TimestampMatch?, StoreError>?
                log.offset(forTimestamp: timestamp, upTo: log.logEndOffset) { answer = $0 }
                try fixture.loop.turn { answer != nil }
                #expect(try answer!.get()?.offset == Offset(offset), "at \(timestamp)")
            }
        }
        var none: Result<TimestampMatch?, StoreError>?
        log.offset(forTimestamp: 601, upTo: log.logEndOffset) { none = $0 }
        try fixture.loop.turn { none != nil }
        #expect(try none!.get() == nil)
        #expect(log.epoch(containing: Offset(0)) == Term(1) && log.epoch(containing: Offset(38)) == Term(2))
        #expect(log.endOffset(ofEpoch: Term(1)) == (Term(1), Offset(38)))
        #expect(log.endOffset(ofEpoch: Term(9)) == (Term(4), Offset(120)))
        #expect(log.term(at: LogIndex(20)) == Term(2) && log.term(at: LogIndex(61)) == nil)
    }

    @Test(arguments: modes) func readsEntriesAsStored(mode: StoreSettings.JournalMode) throws {
        let leader = try LogFixture(journal: mode)
        let follower = try LogFixture(journal: mode)
        let source = try leader.log()
        try source.append(LogFixture.draft(source, kind: .noop))
        try leader.append(30, records: 4, bytes: 2000)
        source.roll()
        try leader.append(10, records: 1, bytes: 50)
        let copy = try follower.log()
        while copy.lastIndex < source.lastIndex {
            var answer: Result<[StoredEntry], StoreError>?
            source.readEntries(from: copy.lastIndex.next, through: source.lastIndex, maxBytes: 9000) { answer = $0 }
            try leader.loop.turn { answer != nil }
            for entry in try answer!.get() { try copy.append(entry.draft) }
        }
        try follower.loop.turn { copy.flushedIndex == copy.lastIndex }
        try expectWhole(follower, copy)
        try expectWhole(follower, copy, fromDisk: true)
        // Replicas are alike to the byte.
        #expect(copy.segments.map(\.end) == source.segments.map(\.end))
        #expect(copy.lastChecksum == source.lastChecksum)
    }

    /// However far into a sealed segment a follower or a replay is, reading on costs what is read.
    @Test(arguments: [32, 3000]) func readingEntriesOfASealedSegmentSeeks(bytes: Int) throws {
        let fixture = try LogFixture { $0.compressionLevel = 0 }
        let log = try fixture.log()
        try log.append(LogFixture.draft(log, kind: .noop))
        try fixture.append(1_000_000 / bytes / 10, records: 10, bytes: bytes)
        log.roll()
        try fixture.append(1)
        try fixture.settle(log)
        _ = log.evictTail(through: log.lastIndex)
        fixture.checkpoint()
        let before = fixture.store.metrics.readBytes.value
        var next = log.firstIndex
        while next <= log.lastIndex {
            var answer: Result<[StoredEntry], StoreError>?
            log.readEntries(from: next, through: log.lastIndex, maxBytes: 64 << 10) { answer = $0 }
            try fixture.loop.turn { answer != nil }
            let entries = try answer!.get()
            #expect(entries.first?.index == next)
            next = try #require(entries.last).index.next
        }
        #expect(fixture.store.metrics.readBytes.value - before < 3 * UInt64(log.sizeBytes))
        let half = fixture.store.metrics.readBytes.value
        var replayed: [Offset] = []
        var done: Result<Void, StoreError>?
        let start = Offset(log.logEndOffset.rawValue * 9 / 10)
        log.replay(from: start, each: { entry, _ in replayed.append(entry.baseOffset) }) { done = $0 }
        try fixture.loop.turn { done != nil }
        try done!.get()
        #expect(replayed.first.map { $0 <= start && start - $0 < 10 } == true)
        #expect(fixture.store.metrics.readBytes.value - half < UInt64(log.sizeBytes) / 2)
    }

    @Test func compressesWhatCompresses() throws {
        let fixture = try LogFixture()
        let log = try fixture.log()
        try fixture.append(50, records: 10, bytes: 2000)
        #expect(log.sizeBytes < 50 * 10 * 2000 * 3 / 4)
        try expectWhole(fixture, log, fromDisk: true)
        #expect(fixture.store.metrics.codecBytesOut.value < fixture.store.metrics.codecBytesIn.value)
    }

    @Test func readsPartOfAFrame() throws {
        let fixture = try LogFixture()
        let log = try fixture.log()
        var draft = LogFixture.draft(log)
        draft.payload = ByteBuffer()
        for number in 0..<5 {
            var batch = LogFixture.batch(
                base: Offset(Int64(number) * 2), term: Term(1), records: 2, bytes: 100, timestamp: 5)
            draft.payload.writeBuffer(&batch)
        }
        draft.recordCount = 10
        try log.append(draft)
        try fixture.loop.turn { log.flushedIndex == log.lastIndex }
        for disk in [false, true] {
            if disk {
                try fixture.settle(log)
                _ = log.evictTail(through: log.lastIndex)
            }
            let middle = try fixture.read(log, from: Offset(5))
            #expect(try RecordBatch.batches(in: middle.slices[0]).map(\.baseOffset.rawValue) == [4, 6, 8])
            let bounded = try fixture.read(log, from: Offset(5), upTo: Offset(6))
            #expect(bounded.nextOffset == Offset(6) && bounded.byteCount == middle.byteCount / 3)
            let small = try fixture.read(log, from: Offset(1), maxBytes: 1)
            #expect(small.nextOffset == Offset(2))
        }
    }

    @Test func thousandIdlePartitionsHaveNoFiles() throws {
        let fixture = try LogFixture()
        for number in 0..<200 {
            _ = try fixture.log(GroupID(rawValue: 2000 + UInt64(number)))
        }
        #expect(try PosixFileSystem().list(fixture.directory.path + "/groups").isEmpty)
        #expect(try fixture.store.groups().count == 200)
    }

    @Test func deletesGroups() throws {
        let fixture = try LogFixture()
        try fixture.append(5)
        try fixture.closeLogs()
        try fixture.store.deleteGroup(LogFixture.group)
        try fixture.restart()
        #expect(try fixture.store.groups().isEmpty)
        #expect(try PosixFileSystem().list(fixture.directory.path + "/groups").isEmpty)
    }

    @Test func tailIsBounded() throws {
        let fixture = try LogFixture { $0.tailCache = .kibibytes(256) }
        let log = try fixture.log()
        try fixture.append(200, records: 1, bytes: 8000)
        try fixture.settle(log)
        fixture.loop.turn()
        #expect(fixture.store.bufferBalance <= 256 << 10)
        try expectWhole(fixture, log)
    }

    /// Without readers little is kept; what a reader came from lately is.
    @Test func tailFollowsItsReaders() throws {
        let fixture = try LogFixture()
        let log = try fixture.log()
        try fixture.append(20, records: 1, bytes: 1_000_000)
        try fixture.settle(log)
        fixture.loop.turn()
        #expect(fixture.store.bufferBalance <= TailWindow.floorBytes + 2_000_000)
        try expectWhole(fixture, log)
        try fixture.append(12, records: 1, bytes: 1_000_000)
        try fixture.settle(log)
        fixture.loop.turn()
        #expect(fixture.store.bufferBalance > TailWindow.floorBytes + 8_000_000)
    }

    /// What a follower lacks stays in memory, however far the leader is ahead of it.
    @Test func tailFollowsFollowersThatLag() throws {
        let fixture = try LogFixture { $0.compressionLevel = 0 }
        let log = try fixture.log()
        var sent = LogIndex.zero
        for _ in 0..<10 {
            try fixture.append(4, records: 1, bytes: 1_000_000)
            try fixture.settle(log)
            fixture.loop.turn()
            for index in [sent.next, sent.next.next] {
                #expect(log.sealedEntries(from: index, through: index)?.count == 1, "\(index) of \(log.lastIndex)")
            }
            sent = sent.next.next
        }
        #expect(fixture.store.bufferBalance > 18_000_000)
    }

    @Test func refusesBelowTheReserve() throws {
        let disk = FaultyFileSystem()
        disk.arrange { $0.free = 1 << 20 }
        let fixture = try LogFixture(system: disk) { $0.diskReserve = .gibibytes(1) }
        let log = try fixture.log()
        guard case .diskFull = log.refusal(for: 100) else {
            Issue.record("data is not refused")
            return
        }
        // Raft's own entries and reads go on.
        try log.append(LogFixture.draft(log, kind: .noop))
        try fixture.loop.turn { log.flushedIndex == log.lastIndex }
        disk.arrange { $0.free = 1 << 40 }
        fixture.store.core.sampledFreeBytes(1 << 40)
        #expect(log.refusal(for: 100) == nil)
    }

    @Test func anotherStoreIsLockedOut() throws {
        let fixture = try LogFixture()
        #expect(throws: StoreError.locked(path: fixture.directory.path + "/LOCK")) {
            _ = try LogStore.open(fixture.settings, metrics: nil, logger: LogFixture.logger)
        }
    }
}
