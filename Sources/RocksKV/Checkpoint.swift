// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint.swift
// A copy of the whole database that shares its immutable files.

internal import CRocksDB

extension Database {
    /// Makes a database in the new folder `target` that holds the present state.
    ///
    /// Table files are hard links, so `target` must be on the same file system and must not exist.
    ///
    /// - Cost: a flush of the memtables, and one link per file.
    public func checkpoint(to target: String) throws(RocksError) {
        try beginUse()
        defer { endUse() }
        let operation = "copying \(path) to \(target)"
        let checkpoint = try check(operation) { rocksdb_checkpoint_object_create(handle, $0) }
        guard let checkpoint else { throw .failed(operation) }
        defer { rocksdb_checkpoint_object_destroy(checkpoint) }
        try check(operation) { rocksdb_checkpoint_create(checkpoint, target, 0, $0) }
    }
}
