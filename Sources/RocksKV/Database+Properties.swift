// SPDX-License-Identifier: Apache-2.0
//
// Database+Properties.swift
// What a database says about itself: sizes, files, counters. For metrics, tools and tests.

internal import CRocksDB

/// A number RocksDB keeps for each column family.
public enum Property: String, CaseIterable, Sendable {
    /// Keys, roughly: overwritten ones count until compaction.
    case estimatedKeys = "rocksdb.estimate-num-keys"
    /// Bytes of memtables, with those that iterators keep alive.
    case memtableBytes = "rocksdb.size-all-mem-tables"
    /// Bytes of the table files of the present version.
    case tableBytes = "rocksdb.live-sst-files-size"
    /// Bytes that compaction still has to rewrite.
    case pendingCompactionBytes = "rocksdb.estimate-pending-compaction-bytes"
    /// Memtables waiting to be flushed.
    case immutableMemtables = "rocksdb.num-immutable-mem-table"
}

/// A number RocksDB keeps for the whole database.
public enum DatabaseProperty: String, CaseIterable, Sendable {
    /// Background errors since opening.
    case backgroundErrors = "rocksdb.background-errors"
    /// 1 while writes are refused.
    case isWriteStopped = "rocksdb.is-write-stopped"
    /// Bytes in the block cache.
    case blockCacheUsage = "rocksdb.block-cache-usage"
    /// Snapshots alive.
    case snapshots = "rocksdb.num-snapshots"
    /// Flushes under way.
    case runningFlushes = "rocksdb.num-running-flushes"
    /// Compactions under way.
    case runningCompactions = "rocksdb.num-running-compactions"
}

/// A count of events since the database was opened.
public enum Counter: CaseIterable, Sendable {
    /// Syncs of the write-ahead log.
    case walSyncs
    /// Bytes written to the write-ahead log.
    case walBytes
    /// Bytes of keys and values written.
    case bytesWritten
    /// Bytes of values read.
    case bytesRead
    /// Blocks found in the cache.
    case cacheHits
    /// Blocks read from files.
    case cacheMisses
    /// Microseconds writers had to wait for flushes or compactions.
    case stallMicroseconds
    /// Bytes written by flushes.
    case flushBytes
    /// Bytes read by compactions.
    case compactionReadBytes
    /// Bytes written by compactions.
    case compactionWrittenBytes
    /// Errors of background work.
    case backgroundErrors

    var raw: crocksdb_counter {
        switch self {
        case .walSyncs: crocksdb_counter_wal_syncs
        case .walBytes: crocksdb_counter_wal_bytes
        case .bytesWritten: crocksdb_counter_bytes_written
        case .bytesRead: crocksdb_counter_bytes_read
        case .cacheHits: crocksdb_counter_cache_hits
        case .cacheMisses: crocksdb_counter_cache_misses
        case .stallMicroseconds: crocksdb_counter_stall_microseconds
        case .flushBytes: crocksdb_counter_flush_bytes
        case .compactionReadBytes: crocksdb_counter_compaction_read_bytes
        case .compactionWrittenBytes: crocksdb_counter_compaction_written_bytes
        case .backgroundErrors: crocksdb_counter_background_errors
        }
    }
}

/// One table file.
public struct TableFile: Hashable, Sendable {
    /// The file's name in the database folder.
    public let name: String
    /// The column family it belongs to.
    public let family: String
    /// Its level.
    public let level: Int
    /// Its size.
    public let byteCount: Int
    /// Entries in it, tombstones included.
    public let entries: UInt64
    /// Tombstones in it.
    public let deletions: UInt64
}

extension Database {
    /// The release of RocksDB this was built with, as `7.8.3`.
    public static var engineVersion: String {
        let version = crocksdb_version
        return "\(version / 10_000).\(version / 100 % 100).\(version % 100)"
    }

    /// The number of the last change.
    ///
    /// Rises by one for each; comparing it with a number noted earlier shows whether the end of the write-ahead log
    /// was lost.
    public func latestSequence() throws(RocksError) -> UInt64 {
        try beginUse()
        defer { endUse() }
        return rocksdb_get_latest_sequence_number(handle)
    }

    /// The value of `property` for `family`; 0 when RocksDB can not tell.
    public func property(_ property: Property, of family: ColumnFamily) throws(RocksError) -> UInt64 {
        try beginUse()
        defer { endUse() }
        var value: UInt64 = 0
        return rocksdb_property_int_cf(handle, pointer(to: family), property.rawValue, &value) == 0 ? value : 0
    }

    /// The value of `property`; 0 when RocksDB can not tell.
    public func property(_ property: DatabaseProperty) throws(RocksError) -> UInt64 {
        try beginUse()
        defer { endUse() }
        var value: UInt64 = 0
        return rocksdb_property_int(handle, property.rawValue, &value) == 0 ? value : 0
    }

    /// The value of `counter`; 0 when the database does not count.
    public func counter(_ counter: Counter) throws(RocksError) -> UInt64 {
        try beginUse()
        defer { endUse() }
        return crocksdb_counter_value(handle, counter.raw)
    }

    /// All table files.
    public func tableFiles() throws(RocksError) -> [TableFile] {
        try beginUse()
        defer { endUse() }
        guard let list = rocksdb_livefiles(handle) else { return [] }
        defer { rocksdb_livefiles_destroy(list) }
        return (0..<rocksdb_livefiles_count(list)).map { index in
            TableFile(
                name: rocksdb_livefiles_name(list, index).map { String(cString: $0) } ?? "",
                family: rocksdb_livefiles_column_family_name(list, index).map { String(cString: $0) } ?? "",
                level: Int(rocksdb_livefiles_level(list, index)),
                byteCount: rocksdb_livefiles_size(list, index),
                entries: rocksdb_livefiles_entries(list, index),
                deletions: rocksdb_livefiles_deletions(list, index))
        }
    }
}
