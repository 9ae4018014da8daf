// SPDX-License-Identifier: Apache-2.0
//
// SnapshotRaceTests.swift
// What is under way while a snapshot takes the place of a log does not get into the new one.

import CrashScenario
import Model
import NIOCore
import Synchronization
import Testing

@testable import LogStore

@Suite struct SnapshotRaceTests {
    /// A snapshot of entries 4 to 6, in term 2, of a log that has let go of its first three.
    private static func giver() throws -> (SteppedStore, PartitionLog, LogSnapshot) {
        let giver = try SteppedStore(journal: .on)
        let log = try giver.log()
        for _ in 0..<3 { try log.append(LogFixture.draft(log, term: Term(2))) }
        log.roll()
        for _ in 0..<4 { try log.append(LogFixture.draft(log, term: Term(2))) }
        giver.settle()
        try log.trim(to: Offset(3))
        giver.settle()
        var snapshot: Result<LogSnapshot, StoreError>?
        log.makeSnapshot(
            through: LogIndex(6), configurations: [ConfigurationRecord(index: .zero, bytes: [1])]
        ) { snapshot = $0 }
        giver.settle()
        return (giver, log, try #require(try snapshot?.get()))
    }

    /// A log of two entries of term 1 that has all of the snapshot, and will begin to install it.
    private static func taker(
        _ snapshot: LogSnapshot, from giver: (store: SteppedStore, log: PartitionLog)
    ) throws -> (SteppedStore, PartitionLog) {
        let taker = try SteppedStore(journal: .on)
        let log = try taker.log()
        for _ in 0..<2 { try log.append(LogFixture.draft(log)) }
        taker.settle()
        log.stage(snapshot) { _ in }
        for file in 0..<snapshot.fileCount {
            giver.log.readSnapshot(snapshot, file: file, from: 0, count: snapshot.byteCount(ofFile: file)) { piece in
                guard case .success(let bytes) = piece else { return }
                log.addStaged(bytes, file: file, at: 0) { _ in }
            }
            giver.store.settle()
        }
        taker.settle()
        var isRight: Result<Bool, StoreError>?
        log.checkStaged { isRight = $0 }
        taker.settle()
        #expect(try isRight?.get() == true)
        return (taker, log)
    }

    private static func expectSnapshot(_ log: PartitionLog, _ snapshot: LogSnapshot) {
        #expect(log.damage == nil && log.failure == nil)
        #expect(log.firstIndex == LogIndex(4) && log.lastIndex == snapshot.index && log.lastTerm == Term(2))
    }

    /// Entries that were with the codec got a place in the log that went, in files of the new one's names.
    @Test(arguments: [true, false]) func entriesWithTheCodec(comesFirst: Bool) throws {
        let (giver, source, snapshot) = try Self.giver()
        let (taker, log) = try Self.taker(snapshot, from: (giver, source))
        try log.append(LogFixture.draft(log, bytes: 8_000))
        #expect(log.sealedIndex < log.lastIndex)
        var isDone = false
        log.installStaged { _ in isDone = true }
        if comesFirst { taker.steps.run(.codec) }
        taker.steps.run(.stage)
        taker.loop.turn()
        #expect(isDone && !taker.steps.hasWork(.flush))
        taker.settle()
        Self.expectSnapshot(log, snapshot)
        #expect(taker.store.core.pending.load(ordering: .relaxed) == 0)
        taker.store.checkpoint()
        taker.store.abandon()
        let next = try SteppedStore(
            journal: .on, disk: taker.disk.afterCrash(.process, seed: 1), medium: taker.medium)
        Self.expectSnapshot(try next.log(), snapshot)
        next.store.abandon()
        giver.store.abandon()
    }

    /// A log that was closed before it heard of the installation noted the end of the log that was gone.
    @Test func aStopBeforeTheAnswer() throws {
        let (giver, source, snapshot) = try Self.giver()
        let (taker, log) = try Self.taker(snapshot, from: (giver, source))
        log.installStaged { _ in }
        taker.steps.run(.stage)
        log.close()
        taker.settle()
        taker.store.close()
        let next = try SteppedStore(journal: .on, disk: taker.disk, medium: taker.medium)
        Self.expectSnapshot(try next.log(), snapshot)
        next.store.abandon()
        giver.store.abandon()
    }
}
