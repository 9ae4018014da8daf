// SPDX-License-Identifier: Apache-2.0
//
// SnapshotTests.swift
// A snapshot takes the place of a log at once or not at all, wherever the machine stops.

import CrashScenario
import Logging
import Model
import NIOCore
import RocksKV
import Testing

@testable import LogStore

@Suite struct SnapshotTests {
    private static let group = GroupID(rawValue: 1024)
    private static let configuration = [ConfigurationRecord(index: .zero, bytes: [1, 2, 3])]

    /// A store on a disk that forgets, and the log of one partition.
    private final class Life {
        let loop = TestLoop()
        let store: LogStore
        let log: PartitionLog

        init(_ disk: FaultyFileSystem, _ index: LossyIndex) throws {
            let settings = StoreLife.settings(index.directory.path, journal: .auto)
            store = try LogStore.open(
                settings, system: disk, metrics: nil,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, tuning: index.tuning)
            let recovered: RecoveredGroup
            do {
                recovered = try store.recoverPartition(
                    SnapshotTests.group, settings: GroupLogSettings(segmentBytes: 8 << 10, segmentMilliseconds: nil))
            } catch {
                store.close()
                throw error
            }
            log = store.partitionLog(recovered, owner: CompletionOwner(eventLoop: loop))
        }

        deinit {
            store.core.fail(.closed, during: "the end of the test")
            store.close()
        }

        func append(_ count: Int, term: Term) throws {
            for _ in 0..<count { try log.append(LogFixture.draft(log, term: term, records: 2, bytes: 300)) }
            try loop.turn { [log] in log.progress.applied == log.lastIndex }
        }

        func wait<Value>(_ start: (@escaping (Result<Value, StoreError>) -> Void) -> Void) throws -> Value {
            var answer: Result<Value, StoreError>?
            start { answer = $0 }
            try loop.turn { answer != nil }
            return try answer!.get()
        }

        /// Fetches everything that is missing from another log.
        func fetch(_ snapshot: LogSnapshot, from other: Life) throws {
            let sizes = try wait { log.stage(snapshot, completion: $0) }
            for file in sizes.indices {
                var position = sizes[file]
                while position < snapshot.byteCount(ofFile: file) {
                    let count = min(3000, snapshot.byteCount(ofFile: file) - position)
                    let bytes = try other.wait {
                        other.log.readSnapshot(snapshot, file: file, from: position, count: count, completion: $0)
                    }
                    _ = try wait { log.addStaged(bytes, file: file, at: position, completion: $0) }
                    position += count
                }
            }
            #expect(try wait { log.checkStaged(completion: $0) })
        }

        func end(crashing: Bool) {
            if crashing, store.core.failure == nil { store.core.fail(.closed, during: "the end of the scenario") }
            log.close()
            loop.turn()
            store.close()
        }
    }

    /// A log of 60 entries in two terms that has let go of its first ones, and a snapshot of all but the last three.
    private static func leader() throws -> (FaultyFileSystem, LossyIndex, Life, LogSnapshot) {
        let (disk, index) = (FaultyFileSystem(), try LossyIndex())
        let life = try Life(disk, index)
        try life.append(30, term: Term(1))
        try life.append(30, term: Term(3))
        try life.log.trim(to: Offset(40))
        let last = LogIndex(57)
        let snapshot: LogSnapshot = try life.wait {
            life.log.makeSnapshot(through: last, configurations: configuration, completion: $0)
        }
        return (disk, index, life, snapshot)
    }

    @Test func aDescriptionSurvivesItsEncodingAndNothingElseIsOne() throws {
        let (_, _, life, snapshot) = try Self.leader()
        defer { life.end(crashing: false) }
        #expect(LogSnapshot(snapshot.bytes) == snapshot)
        #expect(snapshot.index == LogIndex(57) && snapshot.term == Term(3) && snapshot.fileCount > 2)
        for count in 0..<snapshot.bytes.count { #expect(LogSnapshot(Array(snapshot.bytes.prefix(count))) == nil) }
        #expect(LogSnapshot(snapshot.bytes + [0]) == nil)
    }

    /// A snapshot of what came before the first frame says which checksum that frame continues, also after a restart.
    @Test(arguments: [true, false]) func aSnapshotWithoutSegmentsKeepsTheChain(isGone: Bool) throws {
        let (_, _, giver, _) = try Self.leader()
        defer { giver.end(crashing: false) }
        giver.log.releaseSnapshot()
        giver.log.roll()
        try giver.append(1, term: Term(4))
        try giver.log.trim(to: Offset(120))
        #expect(giver.log.firstIndex == LogIndex(61) && giver.log.segmentCount == 1)
        if isGone { try giver.log.truncate(from: LogIndex(61)) }
        let base = LogIndex(60)
        let snapshot: LogSnapshot = try giver.wait {
            giver.log.makeSnapshot(through: base, configurations: Self.configuration, completion: $0)
        }
        #expect(snapshot.index == base && snapshot.fileCount == 0 && LogSnapshot(snapshot.bytes) == snapshot)
        giver.log.releaseSnapshot()
        let (disk, index) = (FaultyFileSystem(), try LossyIndex())
        var life = try Life(disk, index)
        try life.fetch(snapshot, from: giver)
        _ = try life.wait { life.log.installStaged(completion: $0) }
        life.end(crashing: false)
        life = try Life(disk, index)
        defer { life.end(crashing: false) }
        #expect(life.log.lastIndex == base)
        try life.append(1, term: Term(5))
        if !isGone { try giver.log.truncate(from: LogIndex(61)) }
        try giver.append(1, term: Term(5))
        #expect(life.log.lastChecksum == giver.log.lastChecksum)
    }

    @Test func retentionLeavesWhatIsFetched() throws {
        let (_, _, life, snapshot) = try Self.leader()
        defer { life.end(crashing: false) }
        let first = life.log.firstIndex
        try life.log.trim(to: Offset(100))
        #expect(life.log.firstIndex == first && life.log.logStartOffset == Offset(100))
        life.log.releaseSnapshot()
        try life.log.trim(to: Offset(102))
        #expect(life.log.firstIndex > first)
        withExtendedLifetime(snapshot) {}
    }

    @Test func aForeignPieceIsRefused() throws {
        let (_, _, life, snapshot) = try Self.leader()
        defer { life.end(crashing: false) }
        let (disk, index) = (FaultyFileSystem(), try LossyIndex())
        let other = try Life(disk, index)
        defer { other.end(crashing: false) }
        _ = try other.wait { other.log.stage(snapshot, completion: $0) }
        var bytes = try life.wait { life.log.readSnapshot(snapshot, file: 0, from: 0, count: 2000, completion: $0) }
        bytes.setInteger(bytes.getInteger(at: 200, as: UInt8.self)! ^ 4, at: 200)
        #expect(throws: StoreError.self) {
            _ = try other.wait { other.log.addStaged(bytes, file: 0, at: 0, completion: $0) }
        }
        // What came is gone: the next fetch begins anew.
        #expect(try other.wait { other.log.stage(snapshot, completion: $0) } == snapshot.fileSizesOfNothing)
        try other.fetch(snapshot, from: life)
    }

    /// A file that is all there and ends inside of a frame, as the mixture of two may: asking for more would have no end.
    @Test func aFileThatEndsInsideOfAFrameIsFetchedAnew() throws {
        let (_, _, life, snapshot) = try Self.leader()
        defer { life.end(crashing: false) }
        guard case .segments(let segments) = snapshot.content, let last = segments.last else {
            return #expect(Bool(false), "no segments")
        }
        let short = SnapshotSegment(
            name: last.name, term: last.term, lastIndex: last.lastIndex, byteCount: last.byteCount - 8,
            isSealed: last.isSealed, checksum: last.checksum)
        let claimed = LogSnapshot(
            group: snapshot.group, index: snapshot.index, term: snapshot.term, configurations: snapshot.configurations,
            firstIndex: snapshot.firstIndex, previousTerm: snapshot.previousTerm, firstOffset: snapshot.firstOffset,
            logStartOffset: snapshot.logStartOffset, chain: snapshot.chain, termStarts: snapshot.termStarts,
            producers: snapshot.producers, content: .segments(segments.dropLast() + [short]))
        let (disk, index) = (FaultyFileSystem(), try LossyIndex())
        let other = try Life(disk, index)
        defer { other.end(crashing: false) }
        #expect(throws: StoreError.self) { try other.fetch(claimed, from: life) }
        // Nothing of it is left, and what is right is taken.
        #expect(try other.wait { other.log.stage(snapshot, completion: $0) } == snapshot.fileSizesOfNothing)
        try other.fetch(snapshot, from: life)
        _ = try other.wait { other.log.installStaged(completion: $0) }
        #expect(other.log.lastIndex == snapshot.index)
    }

    /// The machine stops at each operation of an installation; then the log is the old one or the new one, whole.
    @Test(arguments: Loss.allCases) func theMachineStopsAtEachStepOfAnInstallation(loss: Loss) throws {
        let (_, _, leader, snapshot) = try Self.leader()
        defer { leader.end(crashing: false) }
        var outcomes: Set<String> = []
        var step = 0
        var isDone = false
        while !isDone {
            var disk = FaultyFileSystem()
            let index = try LossyIndex()
            var life = try Life(disk, index)
            try life.append(12, term: Term(2))
            try life.fetch(snapshot, from: leader)
            let operations = disk.operations
            disk.arrange { $0.crashAt = operations + 1 + step }
            isDone = (try? life.wait { life.log.installStaged(completion: $0) } as Void) != nil
            life.end(crashing: true)
            try index.crash(loss, seed: UInt64(step))
            disk = disk.afterCrash(loss, seed: UInt64(step))
            life = try Life(disk, index)
            let log = life.log
            #expect(log.damage == nil)
            if log.lastIndex == snapshot.index {
                outcomes.insert("new")
                #expect(log.lastTerm == snapshot.term && log.firstIndex == leader.log.firstIndex)
                #expect(log.logEndOffset == Offset(114) && log.configurations == Self.configuration)
                #expect(log.endOffset(ofEpoch: Term(1)) == leader.log.endOffset(ofEpoch: Term(1)))
                let read: ReadResult = try life.wait {
                    log.read(from: log.logStartOffset, upTo: log.logEndOffset, maxBytes: 1 << 20, completion: $0)
                }
                #expect(!read.slices.isEmpty)
            } else {
                outcomes.insert("old")
                #expect(!isDone && log.lastIndex == LogIndex(12) && log.lastTerm == Term(2), "\(log.lastIndex)")
            }
            // It goes on from there.
            try life.append(3, term: Term(4))
            life.end(crashing: false)
            step += 1
            #expect(step < 300)
        }
        #expect(outcomes == ["old", "new"] && step > 8, "\(step) steps")
    }
}

extension LogSnapshot {
    fileprivate var fileSizesOfNothing: [Int] { [Int](repeating: 0, count: fileCount) }
}
