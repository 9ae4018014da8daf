// SPDX-License-Identifier: Apache-2.0
//
// WriteBatch.swift
// Changes that become visible and durable together, or not at all.

internal import CRocksDB

/// Changes to several column families that are applied atomically by ``Database/write(_:durability:)``.
///
/// Holds a use of its database and belongs to one thread at a time. Keep and ``clear()`` it to save the allocation.
///
/// - Cost: a put copies key and value once, and takes about a microsecond including its share of the write.
public struct WriteBatch: ~Copyable {
    let database: Database
    let handle: OpaquePointer

    init(_ database: Database) throws(RocksError) {
        try database.beginUse()
        guard let handle = rocksdb_writebatch_create() else { preconditionFailure("out of memory") }
        self.database = database
        self.handle = handle
    }

    deinit {
        rocksdb_writebatch_destroy(handle)
        database.endUse()
    }

    /// Sets `key` to `value`.
    public mutating func put(_ key: RawSpan, _ value: RawSpan, in family: ColumnFamily) {
        let family = database.pointer(to: family)
        withCharacters(key) { key, keyCount in
            withCharacters(value) { value, valueCount in
                rocksdb_writebatch_put_cf(handle, family, key, keyCount, value, valueCount)
            }
        }
    }

    /// Sets `key` to `value`.
    public mutating func put(_ key: Span<UInt8>, _ value: Span<UInt8>, in family: ColumnFamily) {
        put(key.bytes, value.bytes, in: family)
    }

    /// Sets `key` to `value`.
    public mutating func put(_ key: [UInt8], _ value: [UInt8], in family: ColumnFamily) {
        put(key.span, value.span, in: family)
    }

    /// Removes `key`, whether it exists or not.
    public mutating func delete(_ key: RawSpan, in family: ColumnFamily) {
        let family = database.pointer(to: family)
        withCharacters(key) { rocksdb_writebatch_delete_cf(handle, family, $0, $1) }
    }

    /// Removes `key`, whether it exists or not.
    public mutating func delete(_ key: Span<UInt8>, in family: ColumnFamily) {
        delete(key.bytes, in: family)
    }

    /// Removes `key`, whether it exists or not.
    public mutating func delete(_ key: [UInt8], in family: ColumnFamily) {
        delete(key.span, in: family)
    }

    /// Removes every key from `lower` up to but not including `upper`, with one range tombstone.
    ///
    /// Tombstones slow down every later read that crosses them until they are compacted away: only for rare, large removals.
    public mutating func deleteRange(from lower: [UInt8], upTo upper: [UInt8], in family: ColumnFamily) {
        let family = database.pointer(to: family)
        withCharacters(lower.span.bytes) { lower, lowerCount in
            withCharacters(upper.span.bytes) { upper, upperCount in
                rocksdb_writebatch_delete_range_cf(handle, family, lower, lowerCount, upper, upperCount)
            }
        }
    }

    /// Forgets all changes and keeps the memory.
    public mutating func clear() { rocksdb_writebatch_clear(handle) }

    /// The number of changes.
    public var count: Int { Int(rocksdb_writebatch_count(handle)) }

    /// Whether there is no change.
    public var isEmpty: Bool { count == 0 }

    /// What the batch will add to the write-ahead log.
    public var byteCount: Int {
        var size = 0
        _ = rocksdb_writebatch_data(handle, &size)
        return size
    }
}
