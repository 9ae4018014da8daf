// SPDX-License-Identifier: Apache-2.0
//
// Database.swift
// Opens and closes one RocksDB; owns every C handle that lives as long as it. Never aborts on misuse.

internal import CRocksDB
internal import Synchronization

/// One column family of one open database.
public struct ColumnFamily: Hashable, Sendable {
    /// The place in the list the database was opened with.
    public let position: Int
    /// A family by its place in the list the database was opened with.
    @inlinable public init(position: Int) { self.position = position }
}

/// One open RocksDB.
///
/// Batches, iterators and snapshots each hold a *use* of the database. ``close()`` refuses new uses at once and releases
/// the files when the last use ends, so no C object is ever touched after its database, in whatever order things are
/// dropped. Dropping the last reference closes as well. Neither syncs: call ``syncWriteAheadLog()`` first.
///
/// Threads: every method may be called from any thread; RocksDB synchronises itself. Writers queue behind each other, so
/// one writing thread is fastest. After the first write that failed nothing is written any more: every call that would
/// throws the same error again, while reads go on. A ``WriteBatch`` or an ``Iterator`` belongs to one thread at a time, a ``Snapshot`` to all.
///
/// - Cost: an operation takes two uncontended atomic additions on top of RocksDB's own cost.
public final class Database: @unchecked Sendable {
    // Unchecked, and sound: all stored pointers are constant after `init`; rocksdb::DB, column family handles and constant
    // read and write options may be used by several threads at once; the only mutable state is atomic.

    /// How the files are opened.
    public enum Mode: Hashable, Sendable {
        /// For reading and writing; takes the lock. `createIfMissing` also creates missing column families.
        case readWrite(createIfMissing: Bool)
        /// A frozen view; several may exist, also while another process writes. Needs no folder of its own.
        case readOnly
        /// A view that can follow the writing process with ``Database/tryCatchUp()``; keeps its log in `folder`.
        case secondary(folder: String)
    }

    /// Where the database is.
    public let path: String
    /// How it was opened.
    public let mode: Mode
    /// The names of the column families, in the order of ``ColumnFamily/position``.
    public let familyNames: [String]

    let handle: OpaquePointer
    let readOptions: OpaquePointer
    let bufferedWrite: OpaquePointer
    let syncedWrite: OpaquePointer
    /// The families in order, then RocksDB's own `default`, which stays empty.
    private let families: [OpaquePointer]
    /// Keeps a file system in memory alive as long as the database on it.
    let storage: DatabaseOptions.Storage
    let didSync: (@Sendable () -> Void)?
    private let uses = Atomic<UInt64>(0)
    private let released = Atomic<Bool>(false)
    private let hasFailed = Atomic<Bool>(false)
    private let firstFailure = Mutex<RocksError?>(nil)
    private static let closedBit: UInt64 = 1 << 63

    /// Opens the database in the folder `path`, whose parent must exist.
    ///
    /// Read-only and secondary views may name fewer families than the database has; a writer must name all.
    ///
    /// - Throws: ``RocksError/locked(_:)`` when another writer has it, ``RocksError/missing(_:)`` when there is none and
    ///   `mode` does not create, ``RocksError/invalid(_:)`` when it has column families that `families` does not name.
    public init(
        at path: String, families: [ColumnFamilyOptions], mode: Mode = .readWrite(createIfMissing: true),
        options: DatabaseOptions = DatabaseOptions()
    ) throws(RocksError) {
        precondition(!families.contains { $0.name == "default" }, "the default column family belongs to RocksDB")
        var options = options
        // A secondary must keep every file open, because the primary deletes them under it.
        if case .secondary = mode { options.openFiles = -1 }
        let handles = OptionHandles(options, families: families)
        handles.log(options, path, mode)
        let opened = try Opening(path: path, mode: mode, names: families.map(\.name)).run(handles)
        guard let readOptions = rocksdb_readoptions_create(), let bufferedWrite = rocksdb_writeoptions_create(),
            let syncedWrite = rocksdb_writeoptions_create()
        else { preconditionFailure("out of memory") }
        rocksdb_writeoptions_set_sync(syncedWrite, 1)
        self.path = path
        self.mode = mode
        self.familyNames = families.map(\.name)
        self.handle = opened.database
        self.families = opened.families
        self.readOptions = readOptions
        self.bufferedWrite = bufferedWrite
        self.syncedWrite = syncedWrite
        self.storage = options.storage
        didSync = options.didSync
    }

    deinit { close() }

    /// Refuses further operations, and releases the files and the lock now or when the last use ends.
    ///
    /// - Returns: whether the files are released.
    @discardableResult
    public func close() -> Bool {
        let old = uses.bitwiseOr(Self.closedBit, ordering: .acquiringAndReleasing).oldValue
        if old & ~Self.closedBit == 0 { release() }
        return released.load(ordering: .acquiring)
    }

    /// Whether ``close()`` was called.
    public var isClosed: Bool { uses.load(ordering: .acquiring) & Self.closedBit != 0 }

    /// The column family called `name`; nil when the database was opened without it.
    public func family(named name: String) -> ColumnFamily? {
        familyNames.firstIndex(of: name).map(ColumnFamily.init(position:))
    }

    /// The names of all column families of the database at `path`, the unused `default` left out.
    ///
    /// Reads the manifest and takes no lock.
    public static func familyNames(at path: String) throws(RocksError) -> [String] {
        guard let options = rocksdb_options_create() else { preconditionFailure("out of memory") }
        defer { rocksdb_options_destroy(options) }
        return try Opening.listFamilies(at: path, options).filter { $0 != "default" }
    }

    // MARK: Uses

    /// The C handle of `family`.
    ///
    /// Valid while a use is held.
    @inline(__always)
    func pointer(to family: ColumnFamily) -> OpaquePointer {
        precondition(family.position < familyNames.count, "the database has no column family \(family.position)")
        return families[family.position]
    }

    /// Claims the C handles until ``endUse()``.
    @inline(__always)
    func beginUse() throws(RocksError) {
        let new = uses.add(1, ordering: .acquiring).newValue
        guard new & Self.closedBit == 0 else {
            endUse()
            throw .closed
        }
    }

    /// Gives up one claim; the last one after ``close()`` releases the files.
    @inline(__always)
    func endUse() {
        if uses.subtract(1, ordering: .acquiringAndReleasing).newValue == Self.closedBit { release() }
    }

    /// Runs `body` while the C handles are claimed.
    @inline(__always)
    func withUse<Result>(_ body: () throws(RocksError) -> Result) throws(RocksError) -> Result {
        try beginUse()
        defer { endUse() }
        return try body()
    }

    /// Runs a C call that writes, unless one has failed before.
    ///
    /// RocksDB asserts that a file is not used any more after a write to it has failed.
    @inline(__always)
    func checkWrite(
        _ operation: @autoclosure () -> String,
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Void
    ) throws(RocksError) {
        if hasFailed.load(ordering: .acquiring), let failure = firstFailure.withLock({ $0 }) { throw failure }
        do throws(RocksError) { try check(operation(), body) } catch {
            noteFailure(error)
            throw error
        }
    }

    private func noteFailure(_ error: RocksError) {
        switch error {
        case .diskFull, .io, .corrupt: break
        case .closed, .locked, .missing, .readOnly, .invalid, .failed: return
        }
        firstFailure.withLock { $0 = $0 ?? error }
        hasFailed.store(true, ordering: .releasing)
    }

    /// Destroys the C objects, once: families before the database, as RocksDB demands.
    private func release() {
        guard !released.exchange(true, ordering: .acquiringAndReleasing) else { return }
        for family in families { rocksdb_column_family_handle_destroy(family) }
        rocksdb_close(handle)
        rocksdb_readoptions_destroy(readOptions)
        rocksdb_writeoptions_destroy(bufferedWrite)
        rocksdb_writeoptions_destroy(syncedWrite)
    }
}
