// SPDX-License-Identifier: Apache-2.0
//
// Flush.swift
// Requests that move data to stable storage or between levels. All of them may wait for the disk.

internal import CRocksDB

extension Database {
    /// Makes every write that returned before this call durable.
    public func syncWriteAheadLog() throws(RocksError) {
        // A log in memory can only be synced by a write; a log in a file is synced without stopping the writer.
        if case .memory = storage { return try write(makeBatch(), durability: .synced) }
        try writing("syncing the write-ahead log of \(path)") { crocksdb_sync_wal(handle, $0) }
        didSync?()
    }

    /// Writes the memtables of `families` to files, which lets go of the write-ahead log they hold.
    ///
    /// - Parameter waits: whether to return only when the files are durable.
    public func flush(_ families: [ColumnFamily], waits: Bool = true) throws(RocksError) {
        guard !families.isEmpty else { return }
        try writing("flushing \(path)") { error in
            let pointers: [OpaquePointer?] = families.map { pointer(to: $0) }
            crocksdb_flush_families(handle, pointers, pointers.count, waits ? 1 : 0, error)
        }
    }

    /// Rewrites the files of `range`, dropping overwritten values and tombstones.
    ///
    /// Slow; waits until it is done.
    public func compact(_ family: ColumnFamily, over range: KeyRange = .all) throws(RocksError) {
        try writing("compacting \(path)") { _ in
            let family = pointer(to: family)
            withCharacters(range.lower.span.bytes) { lower, lowerCount in
                guard let upper = range.upper else {
                    return rocksdb_compact_range_cf(handle, family, lowerCount == 0 ? nil : lower, lowerCount, nil, 0)
                }
                withCharacters(upper.span.bytes) { rocksdb_compact_range_cf(handle, family, lower, lowerCount, $0, $1) }
            }
        }
    }

    private func writing(
        _ operation: @autoclosure () -> String,
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Void
    ) throws(RocksError) {
        guard case .readWrite = mode else { throw .readOnly }
        try beginUse()
        defer { endUse() }
        try checkWrite(operation(), body)
    }
}
