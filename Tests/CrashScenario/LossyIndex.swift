// SPDX-License-Identifier: Apache-2.0
//
// LossyIndex.swift
// A real RocksDB in a real directory that loses what it did not sync, as it does when the power fails.

import LogStore
import Model
package import RocksKV
import Synchronization

/// The directory of an index database, and how much of its write-ahead log is durable.
///
/// Tables and the manifest are synced by RocksDB before it relies on them; what is committed without a sync is in the log only. So
/// a power failure leaves the log with some length between that of the last sync and that of the end.
package final class LossyIndex: Sendable {
    package let directory: ScratchDirectory
    private let durable = Mutex<[String: Int]>([:])
    private let system = PosixFileSystem()

    package init() throws {
        directory = ScratchDirectory(inMemory: true)
        try system.makeDirectory(directory.path)
    }

    /// For the store's database: notes each sync.
    package var tuning: DatabaseOptions {
        var tuning = DatabaseOptions()
        tuning.didSync = { [self] in note() }
        return tuning
    }

    private var path: String { directory.path + "/rocksdb" }

    private func logs() -> [String: Int] {
        let names = ((try? system.list(path)) ?? []).filter { $0.hasSuffix(".log") }
        return names.reduce(into: [:]) { sizes, name in
            sizes[name] = try? system.open(path + "/" + name, .read).size()
        }
    }

    private func note() {
        let sizes = logs()
        durable.withLock { $0.merge(sizes) { max($0, $1) } }
    }

    /// Loses what the power failure loses.
    ///
    /// The database must be closed.
    package func crash(_ loss: Loss, seed: UInt64) throws {
        let durable = durable.withLock { sizes in
            defer { sizes = [:] }
            return sizes
        }
        var random = SeededRandom(seed: seed)
        guard loss == .all || loss == .torn else { return }
        // One cut through all of it: a later file has nothing when an earlier one is not whole.
        var isWhole = true
        for (name, size) in logs().sorted(by: { $0.key < $1.key }) {
            let synced = durable[name] ?? 0
            var kept = isWhole ? size : 0
            if loss == .all { kept = min(size, synced) }
            if loss == .torn, isWhole, size > synced { kept = synced + Int(random.next() % UInt64(size - synced + 1)) }
            isWhole = isWhole && kept == size
            if kept < size { try system.open(path + "/" + name, .update).truncate(to: kept) }
        }
    }
}
