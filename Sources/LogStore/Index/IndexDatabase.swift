// SPDX-License-Identifier: Apache-2.0
//
// IndexDatabase.swift
// Everything that must be found or ordered, in one RocksDB: opening, closing, and the reads all typed reads are made of.
// Never decides when something must be durable: each commit says so.

internal import Model
public import RocksKV

/// The index database of one broker.
///
/// Concrete on purpose: RocksDB, or memory for simulation, is a choice of opening (``IndexEngine``), not a protocol.
///
/// Threads: any thread may read; batches are best committed by one writing thread (two slow each other down). A read sees
/// committed batches only, never what is pending in one.
public final class IndexDatabase: Sendable {
    /// What the database is opened for.
    public enum Access: Hashable, Sendable {
        /// For the broker. Creates the database when there is none.
        case readWrite
        /// For a tool, on a store that nobody writes.
        case readOnly
        /// For a tool, while the broker runs; see ``tryCatchUp()``. Keeps a log in the folder `scratch`.
        case following(scratch: String)
    }

    /// What keeps the records.
    let engine: IndexEngine

    /// The database underneath, for what only RocksDB has.
    var database: Database {
        guard case .rocks(let database) = engine else { preconditionFailure("this index has no RocksDB") }
        return database
    }

    /// Opens what `medium` keeps.
    package init(on medium: IndexMedium) { engine = .memory(medium) }

    /// Opens the database in the folder `path`, whose parent must exist.
    ///
    /// - Parameter tuning: memory limits, and where files live.
    /// - Throws: ``RocksError/locked(_:)`` inside ``IndexError/database(_:)`` when another broker has it.
    public init(
        at path: String, for access: Access = .readWrite, tuning: DatabaseOptions = DatabaseOptions()
    ) throws(IndexError) {
        let mode: Database.Mode =
            switch access {
            case .readWrite: .readWrite(createIfMissing: true)
            case .readOnly: .readOnly
            case .following(let scratch): .secondary(folder: scratch)
            }
        engine = try rocks { () throws(RocksError) in
            .rocks(try Database(at: path, families: IndexFamily.allCases.map(\.options), mode: mode, options: tuning))
        }
    }

    /// An empty batch.
    public func makeBatch() throws(IndexError) -> IndexBatch { try IndexBatch(self) }

    /// Makes every batch that was committed before this call durable.
    public func syncWAL() throws(IndexError) {
        try rocks { () throws(RocksError) in
            switch engine {
            case .rocks(let database): try database.syncWriteAheadLog()
            case .memory(let medium): try medium.commit([], .synced)
            }
        }
    }

    /// Writes all memtables to files, so that the next opening has no log to replay.
    ///
    /// - Cost: up to the memtable budget written and synced; for a clean shutdown.
    public func flush() throws(IndexError) {
        try rocks { () throws(RocksError) in try database.flush(IndexFamily.allCases.map(\.family)) }
    }

    /// For an index opened with ``Access/following(scratch:)``: takes over what the broker has written meanwhile.
    public func tryCatchUp() throws(IndexError) {
        try rocks { () throws(RocksError) in try database.tryCatchUp() }
    }

    /// The number of the last change that the database holds.
    public func latestSequence() throws(IndexError) -> UInt64 {
        try rocks { () throws(RocksError) in
            switch engine {
            case .rocks(let database): try database.latestSequence()
            case .memory(let medium): medium.latestSequence
            }
        }
    }

    /// Refuses further operations, and releases the files when the last batch is gone.
    ///
    /// Does not sync.
    public func close() {
        if case .rocks(let database) = engine { database.close() }
    }

    // MARK: Reading

    /// The record at `key`; nil when there is none.
    func value<Value: StoredValue>(
        _ type: Value.Type = Value.self, at key: Span<UInt8>, in family: IndexFamily
    ) throws(IndexError) -> Value? {
        let decoded: Result<Value, RecordDamage>?
        do {
            decoded = try engine.withValue(of: key, in: family.family) { bytes in
                do throws(RecordDamage) { return .success(try Value(decoding: bytes)) } catch { return .failure(error) }
            }
        } catch {
            throw .database(error)
        }
        switch decoded {
        case nil: return nil
        case .success(let value): return value
        case .failure(let damage): throw IndexError(damage, in: family, key: copy(key))
        }
    }

    /// Calls `body` with each record of `range` in order, until it returns false.
    func forEach(
        in family: IndexFamily, over range: KeyRange, fillsCache: Bool = true,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> Bool
    ) throws(IndexError) {
        guard case .rocks(let database) = engine else { return try forEachInMemory(family, range, body) }
        var damage: IndexError?
        do throws(RocksError) {
            var entries = try database.iterator(in: family.family, over: range, fillsCache: fillsCache)
            var found = try entries.seekToFirst()
            while found {
                let goesOn = visit(entries, family, &damage, body)
                found = goesOn ? try entries.next() : false
            }
        } catch {
            throw .database(error)
        }
        if let damage { throw damage }
    }

    /// Calls `body` with the last record of `range`; does nothing when the range is empty.
    func withLast(
        in family: IndexFamily, over range: KeyRange,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> Void
    ) throws(IndexError) {
        guard case .rocks(let database) = engine else { return try withLastInMemory(family, range, body) }
        var damage: IndexError?
        do throws(RocksError) {
            var entries = try database.iterator(in: family.family, over: range)
            if try entries.seekToLast() {
                _ = visit(entries, family, &damage) { key, value throws(RecordDamage) in
                    try body(key, value)
                    return false
                }
            }
        } catch {
            throw .database(error)
        }
        if let damage { throw damage }
    }

    /// Calls `body` with the present entry; notes what it throws, and returns whether to go on.
    private func visit(
        _ entries: borrowing RocksKV.Iterator, _ family: IndexFamily, _ damage: inout IndexError?,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> Bool
    ) -> Bool {
        let outcome: (goesOn: Bool, damage: IndexError?)? = entries.withEntry { key, value in
            do throws(RecordDamage) {
                return (try body(key, value), nil)
            } catch {
                return (false, IndexError(error, in: family, key: copy(key)))
            }
        }
        damage = outcome?.damage
        return outcome?.goesOn ?? false
    }

    // MARK: In memory

    private func forEachInMemory(
        _ family: IndexFamily, _ range: KeyRange, _ body: (RawSpan, RawSpan) throws(RecordDamage) -> Bool
    ) throws(IndexError) {
        guard case .memory(let medium) = engine else { return }
        let table = medium.table(family.family)
        for place in table.places(in: range) where try !visit(table, place, family, body) { return }
    }

    private func withLastInMemory(
        _ family: IndexFamily, _ range: KeyRange, _ body: (RawSpan, RawSpan) throws(RecordDamage) -> Void
    ) throws(IndexError) {
        guard case .memory(let medium) = engine else { return }
        let table = medium.table(family.family)
        guard let place = table.places(in: range).last else { return }
        _ = try visit(table, place, family) { key, value throws(RecordDamage) in
            try body(key, value)
            return false
        }
    }

    private func visit(
        _ table: IndexMedium.Table, _ place: Int, _ family: IndexFamily,
        _ body: (RawSpan, RawSpan) throws(RecordDamage) -> Bool
    ) throws(IndexError) -> Bool {
        let (key, value) = (table.keys[place], table.values[place])
        do throws(RecordDamage) {
            // Bytes have no padding.
            return try unsafe body(key.span.bytes, value.span.bytes)
        } catch {
            throw IndexError(error, in: family, key: key)
        }
    }
}
