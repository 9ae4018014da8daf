// SPDX-License-Identifier: Apache-2.0
//
// StoreStepsTests.swift
// The store without threads: nothing happens before its step, waiting runs the other workers, and two runs of the same steps
// leave the same bytes.

import CrashScenario
import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct StoreStepsTests {
    @Test(arguments: StoreSettings.JournalMode.allCases)
    func nothingHappensBeforeItsStep(_ journal: StoreSettings.JournalMode) throws {
        let machine = try SteppedStore(journal: journal)
        let log = try machine.log()
        try log.append(LogFixture.draft(log))
        machine.loop.turn()
        #expect(log.flushedIndex == .zero && machine.steps.hasWork(.flush))
        machine.steps.run(.flush)
        #expect(log.flushedIndex == .zero)
        machine.loop.turn()
        #expect(log.flushedIndex == LogIndex(1) && log.progress.applied == .zero)
        machine.steps.run(.apply)
        machine.loop.turn()
        #expect(log.progress.applied == LogIndex(1))
        #expect(!machine.steps.hasWork(.flush) && !machine.steps.hasWork(.apply))
    }

    @Test func waitingRunsTheOthers() throws {
        let machine = try SteppedStore(journal: .on)
        let log = try machine.log()
        // More than the ring holds: the flush waits for checkpoints.
        for _ in 0..<40 {
            try log.append(LogFixture.draft(log, bytes: 8_000))
            machine.steps.run(.flush)
        }
        try log.truncate(from: LogIndex(20))
        machine.settle()
        #expect(log.flushedIndex == LogIndex(19) && log.failure == nil)
        log.close()
        machine.settle()
        machine.store.close()
    }

    /// What a reader finds where a cut was made since it was asked, or is being made, is no damage.
    @Test(arguments: [10, 3] as [UInt64]) func aReadThatACutOvertakes(_ cut: UInt64) throws {
        let machine = try SteppedStore(journal: .on)
        let log = try machine.log()
        for _ in 0..<20 { try log.append(LogFixture.draft(log)) }
        machine.settle()
        machine.store.checkpoint()
        machine.loop.turn()
        _ = log.evictTail(through: log.lastIndex)
        var entries: Result<[StoredEntry], StoreError>?
        log.readEntries(from: LogIndex(5), through: LogIndex(20), maxBytes: 1 << 20) { entries = $0 }
        var batches: Result<ReadResult, StoreError>?
        log.read(from: Offset(4), upTo: Offset(20), maxBytes: 1 << 20) { batches = $0 }
        try log.truncate(from: LogIndex(cut))
        while machine.steps.hasWork(.flush) { machine.steps.run(.flush) }
        while entries == nil || batches == nil {
            machine.steps.run(.read)
            machine.loop.turn()
        }
        switch entries {
        case .success(let found): #expect(cut == 10 && found.map(\.index.rawValue) == [5, 6, 7, 8, 9])
        case .failure(.outOfRange): #expect(cut == 3)
        default: Issue.record("\(String(describing: entries))")
        }
        switch batches {
        case .success(let found): #expect(found.nextOffset == Offset(cut == 10 ? 9 : 4))
        default: Issue.record("\(String(describing: batches))")
        }
    }

    /// A replica that comes back has the same files: those of its former life stay away, also when the power fails.
    @Test(arguments: [Loss.process, .all, .nothing], StoreSettings.JournalMode.allCases)
    func aGroupMadeAnewIsEmpty(_ loss: Loss, _ journal: StoreSettings.JournalMode) throws {
        let machine = try SteppedStore(journal: journal)
        var log = try machine.log()
        for number in 0..<40 {
            try log.append(LogFixture.draft(log))
            if number % 8 == 7 { log.roll() }
        }
        machine.settle()
        machine.store.checkpoint()
        log.close()
        machine.settle()
        try machine.store.deleteGroup(LogFixture.group)
        log = try machine.log()
        #expect(log.lastIndex == .zero)
        for _ in 0..<3 { try log.append(LogFixture.draft(log, term: Term(2))) }
        while log.flushedIndex < LogIndex(3) {
            machine.steps.run(.codec)
            machine.steps.run(.flush)
            machine.loop.turn()
        }
        machine.store.abandon()
        if loss != .process { machine.medium.losePower(keeping: 0) }
        let next = try SteppedStore(
            journal: journal, disk: machine.disk.afterCrash(loss, seed: 1), medium: machine.medium)
        log = try next.log()
        #expect(log.lastIndex == LogIndex(3) && log.lastTerm == Term(2))
        next.settle()
        next.store.abandon()
        // Also when nobody has opened it since the start.
        let last = try SteppedStore(
            journal: journal, disk: next.disk.afterCrash(.process, seed: 2), medium: next.medium)
        try last.store.deleteGroup(LogFixture.group)
        #expect(try last.log().lastIndex == .zero)
        last.store.abandon()
    }

    /// What a failing disk did not delete is not served as if it were new.
    @Test func aGroupThatCouldNotBeDeletedIsNotOpened() throws {
        let machine = try SteppedStore(journal: .on)
        let log = try machine.log()
        for _ in 0..<5 { try log.append(LogFixture.draft(log)) }
        machine.settle()
        machine.store.checkpoint()
        log.close()
        machine.settle()
        machine.disk.arrange { $0.errors["remove"] = 5 }
        try machine.store.deleteGroup(LogFixture.group)
        #expect(throws: StoreError.self) { try machine.log() }
        machine.store.abandon()
    }

    /// The producers' state reflected entries that were cut before they had a place, and survived them.
    @Test func producersOfEntriesWithTheCodec() throws {
        let machine = try SteppedStore(journal: .on)
        let log = try machine.log()
        try log.append(LogFixture.draft(log))
        machine.settle()
        try log.append(LogFixture.draft(log, bytes: 8_000))
        #expect(log.sealedIndex == LogIndex(1))
        log.saveProducerSnapshot([1], at: log.logEndOffset)
        try log.truncate(from: LogIndex(2))
        machine.settle()
        #expect(try machine.store.metadata.producerSnapshot(of: LogFixture.group) == nil)
        try log.append(LogFixture.draft(log, term: Term(2), bytes: 8_000))
        log.saveProducerSnapshot([2], at: log.logEndOffset)
        machine.settle()
        #expect(try machine.store.metadata.producerSnapshot(of: LogFixture.group)?.bytes == [2])
        machine.store.abandon()
    }

    @Test(arguments: StoreSettings.JournalMode.allCases)
    func sameStepsSameBytes(_ journal: StoreSettings.JournalMode) throws {
        let runs = try (0..<2).map { _ in
            let machine = try SteppedStore(journal: journal)
            let log = try machine.log()
            for number in 0..<30 {
                try log.append(LogFixture.draft(log, bytes: number % 7 == 0 ? 20_000 : 300))
                if number % 5 == 4 { log.roll() }
                if number % 3 == 0 { machine.steps.run(.flush) }
                if number % 4 == 0 { machine.settle() }
            }
            machine.settle()
            machine.store.checkpoint()
            let operations = machine.disk.operations
            machine.store.abandon()
            return (operations, machine.disk.written)
        }
        #expect(runs[0] == runs[1])
    }
}
