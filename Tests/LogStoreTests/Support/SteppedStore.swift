// SPDX-License-Identifier: Apache-2.0
//
// SteppedStore.swift
// A store without threads, on a disk and an index in memory.

import CrashScenario
import Model
import NIOCore

@testable import LogStore

/// A store whose workers move when they are told to.
final class SteppedStore {
    let disk: FaultyFileSystem
    let medium: IndexMedium
    let loop = TestLoop()
    let clock = ManualClock()
    let steps: StoreSteps
    var store: LogStore

    init(
        journal: StoreSettings.JournalMode, disk: FaultyFileSystem = FaultyFileSystem(),
        medium: IndexMedium = IndexMedium(), pick: @escaping @Sendable (Int) -> Int = { $0 - 1 }
    ) throws {
        (self.disk, self.medium) = (disk, medium)
        let clock = clock
        steps = StoreSteps(pick: pick) { clock.advance(milliseconds: 10) }
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
