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
    /// A store whose workers move when they are told to.
    private final class Machine {
        let disk = FaultyFileSystem()
        let medium = IndexMedium()
        let loop = TestLoop()
        let clock = ManualClock()
        let steps: StoreSteps
        var store: LogStore

        init(journal: StoreSettings.JournalMode) throws {
            let clock = clock
            steps = StoreSteps {
                $0 - 1
            } stalled: {
                clock.advance(milliseconds: 10)
            }
            var settings = StoreLife.settings("/store", journal: journal)
            settings.clock = clock.clock
            settings.execution = .steps(steps)
            // Where large payloads lie in memory is another matter.
            settings.leadBytesMin = 1 << 30
            store = try LogStore.open(
                settings, system: disk, metrics: nil, logger: LogFixture.logger, index: medium)
        }

        func log() throws -> PartitionLog {
            store.partitionLog(
                try store.recoverPartition(LogFixture.group), owner: CompletionOwner(eventLoop: loop))
        }

        func settle() {
            for _ in 0..<8 {
                for worker in StoreSteps.Worker.allCases where steps.hasWork(worker) { steps.run(worker) }
                loop.turn()
            }
        }
    }

    @Test(arguments: StoreSettings.JournalMode.allCases)
    func nothingHappensBeforeItsStep(_ journal: StoreSettings.JournalMode) throws {
        let machine = try Machine(journal: journal)
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
        let machine = try Machine(journal: .on)
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

    @Test(arguments: StoreSettings.JournalMode.allCases)
    func sameStepsSameBytes(_ journal: StoreSettings.JournalMode) throws {
        let runs = try (0..<2).map { _ in
            let machine = try Machine(journal: journal)
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
