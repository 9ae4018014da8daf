// SPDX-License-Identifier: Apache-2.0
//
// CompactionTests.swift
// Compaction keeps the newest of each key under its offset, whatever happens meanwhile, and wherever the machine stops.

import CrashScenario
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct CompactionTests {
    private static func life() throws -> (FaultyFileSystem, LossyIndex, CompactionLife) {
        let (disk, index) = (FaultyFileSystem(), try LossyIndex())
        return (disk, index, try CompactionLife(disk, index))
    }

    @Test(arguments: 1...6) func passesKeepTheNewestOfEachKey(seed: UInt64) throws {
        let (disk, index, first) = try Self.life()
        var life = first
        var random = SeededRandom(seed: seed)
        for round in 0..<4 {
            try life.appendNoop(Term(UInt64(round + 1)))
            try life.appendRandom(60, keys: 25, random: &random, term: Term(UInt64(round + 1)))
            let before = life.log.sizeBytes
            let done = try #require(try life.compact())
            #expect(done.recordsRemoved > 0 && life.log.sizeBytes < before, "seed \(seed), round \(round)")
            try life.check("seed \(seed), round \(round)")
            #expect(life.log.firstIndex > life.log.segments[0].segment.base)
            let written = life.written
            life.end(crashing: round % 2 == 0)
            life = try CompactionLife(disk, index)
            #expect(life.log.damage == nil)
            life.written = written
            try life.check("seed \(seed), round \(round), opened again")
        }
        life.end(crashing: false)
    }

    @Test func everyOffsetLeadsToTheNextRecord() throws {
        let (_, _, life) = try Self.life()
        defer { life.end(crashing: false) }
        var random = SeededRandom(seed: 9)
        try life.appendRandom(120, keys: 4, random: &random)
        try life.compact()
        let left = try life.records()
        for offset in 0..<life.log.logEndOffset.rawValue {
            let found = try life.records(from: Offset(offset))
            #expect(found.first { $0.offset >= offset } == left.first { $0.offset >= offset }, "from \(offset)")
        }
    }

    @Test func entriesOfACompactedRangeAreNotGivenOneByOne() throws {
        let (_, _, life) = try Self.life()
        defer { life.end(crashing: false) }
        var random = SeededRandom(seed: 3)
        try life.appendRandom(100, keys: 5, random: &random)
        try life.compact()
        let first = life.log.firstIndex
        #expect(first > LogIndex(10) && life.log.termBeforeFirst == Term(1))
        for (index, isThere) in [(LogIndex(1), false), (first.previous, false), (first, true)] {
            var answer: Result<[StoredEntry], StoreError>?
            life.log.readEntries(from: index, through: life.log.lastIndex, maxBytes: 1 << 20) { answer = $0 }
            try life.loop.turn { answer != nil }
            #expect((try? answer?.get().first?.index == index) ?? false == isThere, "\(index)")
        }
        // What builds its state from the log still passes over everything.
        var offsets: [Offset] = []
        var isDone = false
        life.log.replay(from: .zero, each: { entry, _ in offsets.append(entry.endOffset) }) { _ in isDone = true }
        try life.loop.turn { isDone }
        #expect(offsets.last == life.log.logEndOffset && offsets == offsets.sorted())
    }

    @Test func nothingIsTouchedThatIsNotCommittedOrAllowed() throws {
        let (_, _, life) = try Self.life()
        defer { life.end(crashing: false) }
        var random = SeededRandom(seed: 4)
        try life.appendRandom(100, keys: 5, random: &random)
        let limit = life.log.segments[2]
        try life.compact { $0.committed = limit.lastIndex }
        #expect(life.log.firstIndex <= limit.segment.base)
        try life.compact { $0.end = limit.endOffset }
        #expect(life.log.firstIndex == limit.lastIndex.next)
        try life.check()
    }

    @Test func deletionsStayForTheirTimeAndThenGo() throws {
        let (_, _, life) = try Self.life()
        defer { life.end(crashing: false) }
        try life.append([("a", "1"), ("b", "1")])
        try life.append([("a", nil)])
        var random = SeededRandom(seed: 5)
        try life.appendRandom(40, keys: 5, random: &random)
        let settings = CompactionSettings(dirtyRatioMin: 0, deleteRetentionMilliseconds: 1_000)
        let deletion = try #require(life.written.first { $0.key == "a" && $0.value == nil })
        try life.compact(settings, now: 10_000)
        #expect(try life.records().contains(deletion))
        #expect(life.log.segments[0].compacted?.horizon == 11_000)
        #expect(try life.compact(settings, now: 10_900) == nil, "nothing is due before the horizon")
        #expect(try life.compact(settings, now: 11_000) != nil)
        #expect(try !life.records().contains(deletion))
        #expect(try life.records().contains { $0.key == "b" })
    }

    @Test func theLastBatchOfAProducerStaysAsAHeader() throws {
        let (_, _, life) = try Self.life()
        defer { life.end(crashing: false) }
        let producer = ProducerFields(id: ProducerID(rawValue: 77), epoch: 3, baseSequence: 12)
        try life.append([("a", "1")], producer: ProducerFields(id: producer.id, epoch: 3, baseSequence: 11))
        try life.append([("a", "2"), ("b", "2")], producer: producer)
        try life.append([("a", "3"), ("b", "3")])
        var random = SeededRandom(seed: 6)
        try life.appendRandom(40, keys: 5, random: &random)
        try life.compact { $0.lastBatches = [producer.id: Offset(2)] }
        let left = try life.batches().filter { $0.header.producerID == producer.id }
        #expect(left.count == 1 && left[0].recordCount == 0 && left[0].header.baseSequence == 12)
        #expect(left[0].baseOffset == Offset(1) && left[0].lastOffset == Offset(2) && left[0].header.producerEpoch == 3)
    }

    @Test func markersGoAfterTheirTransactions() throws {
        let (_, _, life) = try Self.life()
        defer { life.end(crashing: false) }
        let producer = ProducerFields(id: ProducerID(rawValue: 5), epoch: 0, baseSequence: 0)
        try life.append([("kept", "old")])
        try life.append([("kept", "aborted"), ("x", "aborted")], producer: producer, isTransactional: true)
        try life.end(producer.id, .abort)
        try life.append([("y", "1")], producer: producer, isTransactional: true)
        try life.end(producer.id, .commit)
        var random = SeededRandom(seed: 6)
        try life.appendRandom(40, keys: 5, random: &random)
        let aborted = [AbortedRange(producer: producer.id, first: Offset(1), marker: Offset(3))]
        let settings = CompactionSettings(dirtyRatioMin: 0, deleteRetentionMilliseconds: 1_000)
        try life.compact(settings, now: 10_000) { $0.aborted = aborted }
        let table = CompactionLife.table(try life.records())
        #expect(table["kept"] == "old" && table["x"] == nil && table["y"] == "1")
        #expect(try life.batches().filter(\.isControl).map(\.baseOffset) == [Offset(3), Offset(5)])
        #expect(life.markers.isEmpty)
        try life.compact(settings, now: 20_000) { $0.aborted = aborted }
        // The data of the committed transaction is there, so its marker is.
        #expect(life.markers == [RemovedMarker(producer: producer.id, offset: Offset(3), isAbort: true)])
        #expect(try life.batches().filter(\.isControl).map(\.baseOffset) == [Offset(5)])
    }

    @Test func aMapThatIsFullTakesSeveralPasses() throws {
        let (disk, index) = (FaultyFileSystem(), try LossyIndex())
        let life = try CompactionLife(disk, index) { $0.compactionMemory = ByteCount(1) }
        defer { life.end(crashing: false) }
        for round in 0..<3 {
            for number in 0..<60 {
                try life.append((0..<20).map { ("key \(number * 20 + $0)", "\(round)") })
            }
        }
        var passes = 0
        while let done = try life.compact(), done.segments > 0, passes < 20 { passes += 1 }
        #expect(passes > 1 && passes < 20)
        let left = try life.records()
        #expect(CompactionLife.table(left) == CompactionLife.table(life.written))
        #expect(left.count < 1_500)
    }

    @Test func aSnapshotOfACompactedLogIsTheLog() throws {
        let (_, _, giver) = try Self.life()
        defer { giver.end(crashing: false) }
        var random = SeededRandom(seed: 8)
        try giver.appendRandom(80, keys: 9, random: &random)
        try giver.compact()
        try giver.appendRandom(20, keys: 9, random: &random, term: Term(2))
        var made: Result<LogSnapshot, StoreError>?
        // What is asked for ends inside of what is compacted.
        giver.log.makeSnapshot(through: LogIndex(5), configurations: []) { made = $0 }
        try giver.loop.turn { made != nil }
        let snapshot = try #require(try made?.get())
        #expect(snapshot.index >= giver.log.firstIndex && LogSnapshot(snapshot.bytes) == snapshot)
        #expect(try giver.compact() == nil, "what is read stays")
        let (disk, index, first) = try Self.life()
        var taker = first
        for file in try taker.stage(snapshot).indices { try taker.add(snapshot, file: file, from: giver) }
        try taker.install()
        #expect(taker.log.lastIndex == snapshot.index && taker.log.firstIndex == giver.log.firstIndex)
        taker.written = giver.written.filter { $0.offset < taker.log.logEndOffset.rawValue }
        try taker.check("installed")
        let written = taker.written
        taker.end(crashing: true)
        taker = try CompactionLife(disk, index)
        taker.written = written
        #expect(taker.log.damage == nil && taker.log.firstIndex == giver.log.firstIndex)
        try taker.check("installed and opened again")
        taker.end(crashing: false)
    }

    /// Records that newer ones have displaced never go without these, also from a log that knows little after a start.
    @Test func aSnapshotReachesAsFarAsThePassesKnew() throws {
        let (disk, index, first) = try Self.life()
        var life = first
        var random = SeededRandom(seed: 10)
        try life.appendRandom(60, keys: 6, random: &random)
        let end = life.log.segments[1].endOffset
        try life.compact { $0.end = end }
        let known = life.log.lastIndex
        #expect(life.log.firstIndex < known && life.log.committedAtLeast == known)
        // What is known later counts for what is made later.
        try life.appendRandom(60, keys: 6, random: &random, term: Term(2))
        let later = LogIndex(100)
        let middle = life.log.segments[3].endOffset
        try life.compact { ($0.committed, $0.end) = (later, middle) }
        #expect(life.log.committedAtLeast == later && life.log.firstIndex < later.previous)
        try life.compact(now: 2_000_000) { ($0.committed, $0.end) = (LogIndex(90), life.log.segments[2].endOffset) }
        #expect(life.log.committedAtLeast == later)
        let written = life.written
        life.end(crashing: true)
        life = try CompactionLife(disk, index)
        defer { life.end(crashing: false) }
        #expect(life.log.committedAtLeast == later && life.log.firstIndex < later)
        var made: Result<LogSnapshot, StoreError>?
        life.log.makeSnapshot(through: .zero, configurations: []) { made = $0 }
        try life.loop.turn { made != nil }
        #expect(try #require(try made?.get()).index == later)
        life.log.releaseSnapshot()
        // A log that may have forgotten what it had does not count on it.
        life.log.meta.isAmnesiac = true
        #expect(life.log.committedAtLeast == life.log.firstIndex)
        life.log.meta.isAmnesiac = false
        life.written = written
        try life.check("opened again")
    }

    /// Footers of earlier versions do not say how far the pass knew.
    @Test func anOlderFooterIsRead() throws {
        let (disk, index, first) = try Self.life()
        var life = first
        var random = SeededRandom(seed: 11)
        try life.appendRandom(60, keys: 6, random: &random)
        try life.compact()
        let known = life.log.lastIndex
        #expect(life.log.committedAtLeast == known)
        let compacted = life.log.segments.filter { $0.compacted != nil }
        let written = life.written
        life.end(crashing: false)
        for info in compacted {
            let file = try disk.open(info.segment.path, .update)
            var bytes = ByteBuffer()
            _ = try file.read(FrameHeader.byteCount, at: info.end, into: &bytes)
            guard case .header(var footer) = FrameHeader.probe(bytes.readableBytesSpan, at: 0) else {
                Issue.record("no footer")
                continue
            }
            #expect(footer.kind == .footer && footer.committed == known)
            footer.recordCount = 0
            footer.seal()
            try file.writeFooter(footer, at: info.end)
            try file.flush()
        }
        life = try CompactionLife(disk, index)
        defer { life.end(crashing: false) }
        #expect(!compacted.isEmpty && life.log.damage == nil)
        #expect(life.log.committedAtLeast == life.log.firstIndex && life.log.firstIndex < known)
        life.written = written
        try life.check("opened again")
    }

    /// Each replica compacts for itself: files of one are not gone on with from another.
    @Test(arguments: [5, 30]) func aFetchGoesOnFromAnotherReplica(isThere: Int) throws {
        var givers: [CompactionLife] = []
        var snapshots: [LogSnapshot] = []
        defer { for giver in givers { giver.end(crashing: false) } }
        for through in [LogIndex(30), LogIndex(80)] {
            let (_, _, giver) = try Self.life()
            givers.append(giver)
            var random = SeededRandom(seed: 9)
            try giver.appendRandom(90, keys: 4, random: &random)
            // The one has compared its keys with little, the other with much.
            try giver.compact { $0.committed = through }
            var made: Result<LogSnapshot, StoreError>?
            giver.log.makeSnapshot(through: giver.log.lastIndex, configurations: []) { made = $0 }
            try giver.loop.turn { made != nil }
            snapshots.append(try #require(try made?.get()))
        }
        let (_, _, taker) = try Self.life()
        defer { taker.end(crashing: false) }
        let sizes = try taker.stage(snapshots[0])
        for file in sizes.indices.prefix(isThere) { try taker.add(snapshots[0], file: file, from: givers[0]) }
        let found = try taker.stage(snapshots[1])
        guard case .segments(let segments) = snapshots[1].content else { return #expect(Bool(false), "no segments") }
        #expect(zip(found, segments).allSatisfy { $0 == 0 || !$1.isCompacted })
        for file in found.indices where found[file] < snapshots[1].byteCount(ofFile: file) {
            try taker.add(snapshots[1], file: file, from: givers[1], at: found[file])
        }
        try taker.install()
        taker.written = givers[1].written
        try taker.check("installed")
    }

    /// The machine stops at each operation of a pass; then every key has its newest value, and the log goes on.
    @Test(arguments: Loss.allCases) func theMachineStopsAtEachStepOfAPass(loss: Loss) throws {
        var outcomes: Set<String> = []
        var step = 0
        var isDone = false
        while !isDone {
            var disk = FaultyFileSystem()
            let index = try LossyIndex()
            var life = try CompactionLife(disk, index)
            var random = SeededRandom(seed: 77)
            try life.appendRandom(30, keys: 6, random: &random)
            try life.compact()
            try life.appendRandom(30, keys: 6, random: &random, term: Term(2))
            life.store.checkpoint()
            let (end, segments) = (life.log.logEndOffset, life.log.segmentCount)
            let operations = disk.operations
            disk.arrange { $0.crashAt = operations + 1 + step }
            isDone = (try? life.compact()) ?? nil != nil
            let written = life.written
            life.end(crashing: true)
            try index.crash(loss, seed: UInt64(step))
            disk = disk.afterCrash(loss, seed: UInt64(step))
            life = try CompactionLife(disk, index)
            #expect(life.log.damage == nil && life.log.logEndOffset == end, "step \(step)")
            life.written = written
            try life.check("step \(step)")
            outcomes.insert(life.log.segmentCount < segments ? "new" : "old")
            // It goes on from there.
            try life.appendRandom(20, keys: 6, random: &random, term: Term(3))
            _ = try life.compact()
            try life.check("step \(step), later")
            life.end(crashing: false)
            step += 1
            #expect(step < 300)
        }
        #expect(outcomes == ["old", "new"] && step > 8, "\(step) steps: \(outcomes)")
    }
}
