// SPDX-License-Identifier: Apache-2.0
//
// Snapshot.swift
// A consistent view of all column families at one moment.

internal import CRocksDB

/// The state of a database at the moment this was made; reads and iterators can be asked to use it.
///
/// Holds a use of the database, and keeps every overwritten value alive: drop it soon.
public final class Snapshot: @unchecked Sendable {
    // Unchecked, and sound: constant pointers to objects that RocksDB allows any thread to read.

    let database: Database
    let readOptions: OpaquePointer
    private let handle: OpaquePointer

    init(_ database: Database) throws(RocksError) {
        if case .secondary = database.mode { throw .invalid("a secondary view of \(database.path) has no snapshots") }
        try database.beginUse()
        guard let handle = rocksdb_create_snapshot(database.handle) else {
            database.endUse()
            throw .failed("making a snapshot of \(database.path)")
        }
        guard let readOptions = rocksdb_readoptions_create() else { preconditionFailure("out of memory") }
        rocksdb_readoptions_set_snapshot(readOptions, handle)
        self.database = database
        self.handle = handle
        self.readOptions = readOptions
    }

    deinit {
        rocksdb_readoptions_destroy(readOptions)
        rocksdb_release_snapshot(database.handle, handle)
        database.endUse()
    }

    /// The C object, for the read options of an iterator.
    var pointer: OpaquePointer { handle }
}

extension Database {
    /// The present state of all column families.
    public func makeSnapshot() throws(RocksError) -> Snapshot { try Snapshot(self) }
}
