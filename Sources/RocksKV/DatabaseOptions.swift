// SPDX-License-Identifier: Apache-2.0
//
// DatabaseOptions.swift
// How a database and its column families are opened. Every default states its reason; memory comes first, because an
// idle broker with a thousand partitions shares one database and must stay small.

internal import CRocksDB
public import Model

/// How a database is opened.
public struct DatabaseOptions: Sendable {
    /// Blocks, indices and filters of all column families, in memory.
    ///
    /// Only cold reads come here.
    public var blockCache: ByteCount = .mebibytes(8)
    /// All memtables together; reaching it flushes the largest.
    ///
    /// Bounds memory whatever the number of families.
    public var memtableTotal: ByteCount = .mebibytes(32)
    /// The write-ahead log, which all families share; reaching it flushes the families that hold its oldest file.
    public var writeAheadLogTotal: ByteCount = .mebibytes(64)
    /// Threads for flushes and compactions: one each, so that background work leaves the event loops alone.
    public var backgroundJobs = 2
    /// Table files kept open; more are opened on demand.
    public var openFiles = 256
    /// Whether ``Database/counter(_:)`` counts.
    ///
    /// Costs one relaxed atomic addition per event.
    public var collectsCounters = true
    /// The size at which the information log of RocksDB, which holds warnings and errors only, starts a new file; the one
    /// before is kept.
    public var informationLogFile: ByteCount = .mebibytes(1)
    /// Where the files live.
    public var storage: Storage = .directory
    /// Called on the writing thread after each commit that made everything before it durable: for tests that lose the rest.
    public var didSync: (@Sendable () -> Void)?

    /// Where the files of a database live.
    public enum Storage: Sendable {
        /// In the file system.
        case directory
        /// In memory that outlives the database: for simulation and tests. Syncs cost nothing and mean nothing.
        case memory(MemoryStorage)
    }

    /// The defaults.
    public init() {}
}

/// How one column family is stored.
public struct ColumnFamilyOptions: Sendable {
    /// The name, as it stands in the database.
    public let name: String
    /// The size at which the memtable is written to a file.
    public var memtable: ByteCount = .mebibytes(4)
    /// What a memtable asks of the allocator at a time.
    ///
    /// RocksDB would take an eighth of the memtable, which a dozen idle families would hold for a few records each.
    public var arenaBlock: ByteCount = .kibibytes(64)
    /// How files are merged.
    public var compaction: Compaction = .leveled
    /// How blocks are compressed.
    ///
    /// Keys share long prefixes, so even the fastest codec pays.
    public var compression: Compression = .lz4

    /// The length of the key prefix that names a sequence, in families that are written at the ends of many sequences
    /// in turn: the memtable then remembers each end, instead of searching for it.
    ///
    /// 0 for other families.
    public var sequencePrefixLength = 0

    /// How files are merged.
    public enum Compaction: Sendable {
        /// Least space and best reads.
        case leveled
        /// Fewest bytes written: for families that are mostly appended to and deleted from in order.
        case universal
    }

    /// How blocks are compressed.
    public enum Compression: Sendable {
        /// As they are.
        case none
        /// LZ4.
        case lz4
    }

    /// A family called `name` with the defaults.
    public init(name: String) {
        self.name = name
    }

    /// A family called `name` with a memtable of its own size.
    public init(
        name: String, memtable: ByteCount, arenaBlock: ByteCount, compaction: Compaction = .leveled,
        sequencePrefixLength: Int = 0
    ) {
        self.name = name
        self.memtable = memtable
        self.arenaBlock = arenaBlock
        self.compaction = compaction
        self.sequencePrefixLength = sequencePrefixLength
    }
}

/// A file system in memory, shared by the databases that are opened on it one after the other.
public final class MemoryStorage: @unchecked Sendable {
    // Unchecked, and sound: a constant pointer to an object that is immutable from here and that RocksDB synchronises.

    let environment: OpaquePointer

    /// An empty file system.
    public init() {
        guard let environment = rocksdb_create_mem_env() else { preconditionFailure("no memory environment") }
        self.environment = environment
    }

    deinit { rocksdb_env_destroy(environment) }
}

/// The C option objects of one opening; freed when it is over, because RocksDB copies them.
struct OptionHandles: ~Copyable {
    /// Database-wide options, with the defaults of the `default` family.
    let database: OpaquePointer
    /// One per family, in the order given.
    private(set) var families: [OpaquePointer] = []
    private let table: OpaquePointer
    private let cache: OpaquePointer

    init(_ options: DatabaseOptions, families descriptions: [ColumnFamilyOptions]) {
        guard let database = rocksdb_options_create(), let table = rocksdb_block_based_options_create() else {
            preconditionFailure("out of memory")
        }
        self.database = database
        self.table = table
        cache = Self.makeCache(options.blockCache)
        rocksdb_block_based_options_set_block_cache(table, cache)
        // The cache bounds indices and filters too, else they grow with the number of files.
        rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
        rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
        rocksdb_block_based_options_set_format_version(table, 5)
        // XXH3: the distribution's build computes CRC32C in software.
        rocksdb_block_based_options_set_checksum(table, 4)
        rocksdb_options_set_block_based_table_factory(database, table)
        Self.apply(options, to: database)
        Self.apply(ColumnFamilyOptions(name: "default"), to: database)
        for description in descriptions {
            guard let family = rocksdb_options_create_copy(database) else { preconditionFailure("out of memory") }
            Self.apply(description, to: family)
            families.append(family)
        }
    }

    deinit {
        for family in families { rocksdb_options_destroy(family) }
        rocksdb_options_destroy(database)
        rocksdb_block_based_options_destroy(table)
        rocksdb_cache_destroy(cache)
    }

    private static func makeCache(_ size: ByteCount) -> OpaquePointer {
        guard let options = rocksdb_lru_cache_options_create() else { preconditionFailure("out of memory") }
        defer { rocksdb_lru_cache_options_destroy(options) }
        rocksdb_lru_cache_options_set_capacity(options, size.bytes)
        // Four shards: enough for the few threads that read, large enough for a big block each.
        rocksdb_lru_cache_options_set_num_shard_bits(options, 2)
        guard let cache = rocksdb_cache_create_lru_opts(options) else { preconditionFailure("out of memory") }
        return cache
    }

    /// Writes the information log of a database in files where `mode` has it write: a view writes into its own folder only.
    func log(_ options: DatabaseOptions, _ path: String, _ mode: Database.Mode) {
        guard case .directory = options.storage else { return }
        let folder: String? =
            switch mode {
            case .readWrite: path
            case .readOnly: nil
            case .secondary(let folder): folder
            }
        crocksdb_options_log_to(database, folder.map { $0 + "/LOG" } ?? "", options.informationLogFile.bytes)
    }

    private static func apply(_ options: DatabaseOptions, to handle: OpaquePointer) {
        rocksdb_options_set_db_write_buffer_size(handle, options.memtableTotal.bytes)
        rocksdb_options_set_max_total_wal_size(handle, UInt64(options.writeAheadLogTotal.bytes))
        rocksdb_options_set_max_background_jobs(handle, Int32(options.backgroundJobs))
        rocksdb_options_set_max_open_files(handle, Int32(options.openFiles))
        // Opening: one thread, no statistics pass over every file.
        rocksdb_options_set_max_file_opening_threads(handle, 1)
        rocksdb_options_set_skip_stats_update_on_db_open(handle, 1)
        // A prefix of what was written survives, in all families alike; where it ends is the journal's to know.
        rocksdb_options_set_wal_recovery_mode(handle, Int32(rocksdb_point_in_time_recovery))
        rocksdb_options_set_max_manifest_file_size(handle, 4 << 20)
        // Deleting files belongs to background threads, not to a thread that drops an iterator.
        rocksdb_options_set_avoid_unnecessary_blocking_io(handle, 1)
        // Spinning for other writers burns a core the event loops need; there is one writer thread.
        rocksdb_options_set_enable_write_thread_adaptive_yield(handle, 0)
        rocksdb_options_set_table_cache_numshardbits(handle, 2)
        rocksdb_options_set_info_log_level(handle, 2)
        rocksdb_options_set_stats_dump_period_sec(handle, 0)
        rocksdb_options_set_stats_persist_period_sec(handle, 0)
        if options.collectsCounters { crocksdb_options_collect_counters(handle) }
        if case .memory(let storage) = options.storage { rocksdb_options_set_env(handle, storage.environment) }
    }

    private static func apply(_ family: ColumnFamilyOptions, to handle: OpaquePointer) {
        rocksdb_options_set_write_buffer_size(handle, family.memtable.bytes)
        rocksdb_options_set_arena_block_size(handle, family.arenaBlock.bytes)
        rocksdb_options_set_max_write_buffer_number(handle, 3)
        rocksdb_options_set_target_file_size_base(handle, UInt64(max(family.memtable.bytes, 4 << 20)))
        rocksdb_options_set_max_bytes_for_level_base(handle, UInt64(4 * max(family.memtable.bytes, 4 << 20)))
        if family.sequencePrefixLength > 0 {
            crocksdb_options_hint_inserts_by_prefix(handle, family.sequencePrefixLength)
        }
        switch family.compaction {
        case .leveled:
            rocksdb_options_set_compaction_style(handle, Int32(rocksdb_level_compaction))
            rocksdb_options_set_level_compaction_dynamic_level_bytes(handle, 1)
        case .universal:
            rocksdb_options_set_compaction_style(handle, Int32(rocksdb_universal_compaction))
        }
        switch family.compression {
        case .none: rocksdb_options_set_compression(handle, Int32(rocksdb_no_compression))
        case .lz4: rocksdb_options_set_compression(handle, Int32(rocksdb_lz4_compression))
        }
    }
}
