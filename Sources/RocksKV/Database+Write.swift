// SPDX-License-Identifier: Apache-2.0
//
// Database+Write.swift
// Commits batches; the caller says each time what must be durable when the call returns.

internal import CRocksDB

/// What has happened to a batch when its write returns.
public enum Durability: Hashable, Sendable {
    /// In the write-ahead log's file, but not synced: survives the process, not a power failure. After one, what survives
    /// is a prefix of all writes, in all column families alike.
    case buffered
    /// On stable storage, with everything written before it.
    case synced
}

extension Database {
    /// An empty batch for this database.
    public func makeBatch() throws(RocksError) -> WriteBatch { try WriteBatch(self) }

    /// Applies all changes of `batch`, or none.
    ///
    /// The batch keeps its content.
    ///
    /// - Throws: after a ``RocksError/diskFull(_:)`` or ``RocksError/io(_:)`` the database refuses everything that
    ///   writes until it is opened anew; whether a failed batch reaches the log is not known, only that it is not visible now.
    public func write(_ batch: borrowing WriteBatch, durability: Durability) throws(RocksError) {
        precondition(batch.database === self, "the batch belongs to another database")
        guard case .readWrite = mode else { throw .readOnly }
        guard !isClosed else { throw .closed }
        let options = durability == .synced ? syncedWrite : bufferedWrite
        let pointer = batch.handle
        try checkWrite("writing to \(path)") { rocksdb_write(handle, options, pointer, $0) }
        if durability == .synced { didSync?() }
    }
}
