// SPDX-License-Identifier: Apache-2.0
//
// Machine.swift
// A disk in memory and an index database on it, which fail together.

import CrashScenario
import Model
import RocksKV

@testable import LogStore

/// A disk and the index database on it.
struct Machine {
    var disk: FaultyFileSystem
    let index: LossyIndex

    init() throws {
        disk = FaultyFileSystem()
        index = try LossyIndex()
    }

    func life(_ mode: StoreSettings.JournalMode, _ promise: Promise = Promise()) -> StoreLife {
        StoreLife(
            StoreLife.settings(index.directory.path, journal: mode), system: disk, tuning: index.tuning,
            promise: promise)
    }

    /// The machine ends, and starts again.
    mutating func crash(_ loss: Loss, seed: UInt64) throws {
        try index.crash(loss, seed: seed)
        disk = disk.afterCrash(loss, seed: seed)
    }
}

extension StoreLife {
    /// Stops the store without writing anything more.
    func crash() {
        guard let store else { return }
        if store.core.failure == nil { store.core.fail(.closed, during: "the end of the scenario") }
        loop.turn()
        store.close()
    }
}
