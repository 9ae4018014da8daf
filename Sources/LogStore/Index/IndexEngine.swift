// SPDX-License-Identifier: Apache-2.0
//
// IndexEngine.swift
// What keeps the records of the index database: RocksDB, or memory that loses what a power failure would lose. Decided when
// it is opened; everything above sees one database.

internal import Model
internal import RocksKV

/// What keeps the records.
enum IndexEngine: Sendable {
    /// RocksDB, as in every broker.
    case rocks(Database)
    /// Memory, for simulation.
    case memory(IndexMedium)

    /// An empty batch for this engine.
    func makeChanges() throws(RocksError) -> IndexChanges {
        switch self {
        case .rocks(let database): IndexChanges(rocks: try database.makeBatch())
        case .memory: IndexChanges(rocks: nil)
        }
    }

    /// Applies all of `changes`, or none.
    func write(_ changes: borrowing IndexChanges, durability: Durability) throws(RocksError) {
        switch self {
        case .rocks(let database): try changes.write(to: database, durability)
        case .memory(let medium): try medium.commit(changes.memory, durability)
        }
    }

    /// Calls `body` with the value of `key`; nil when there is none.
    func withValue<Result>(
        of key: Span<UInt8>, in family: ColumnFamily, _ body: (RawSpan) -> Result
    ) throws(RocksError) -> Result? {
        switch self {
        case .rocks(let database): try database.withValue(of: key, in: family, body)
        case .memory(let medium):
            try medium.value(of: copy(key), in: family).map { value in
                // Bytes have no padding.
                unsafe body(value.span.bytes)
            }
        }
    }
}

/// The changes of a batch, in the form of the engine that will take them.
struct IndexChanges: ~Copyable {
    /// RocksDB's form; nil for the engine in memory.
    private var rocks: WriteBatch?
    /// The form of the engine in memory.
    private(set) var memory: [IndexMedium.Change] = []

    init(rocks: consuming WriteBatch?) { self.rocks = rocks }

    /// Sets `key` to `value`.
    mutating func put(_ key: Span<UInt8>, _ value: Span<UInt8>, in family: ColumnFamily) {
        guard rocks?.put(key, value, in: family) == nil else { return }
        memory.append(IndexMedium.Change(family: family.position, key: copy(key), value: copy(value)))
    }

    /// Removes `key`, whether it exists or not.
    mutating func delete(_ key: RawSpan, in family: ColumnFamily) {
        guard rocks?.delete(key, in: family) == nil else { return }
        memory.append(IndexMedium.Change(family: family.position, key: copy(key), value: nil))
    }

    /// Removes `key`, whether it exists or not.
    mutating func delete(_ key: Span<UInt8>, in family: ColumnFamily) {
        guard rocks?.delete(key, in: family) == nil else { return }
        memory.append(IndexMedium.Change(family: family.position, key: copy(key), value: nil))
    }

    /// Forgets all changes and keeps the memory.
    mutating func clear() {
        rocks?.clear()
        memory.removeAll(keepingCapacity: true)
    }

    /// The number of changes.
    var count: Int {
        switch rocks {
        case .some(let batch): batch.count
        case nil: memory.count
        }
    }

    /// Whether there is no change.
    var isEmpty: Bool { count == 0 }

    /// What the batch adds to the write-ahead log.
    var byteCount: Int {
        switch rocks {
        case .some(let batch): batch.byteCount
        case nil: memory.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) }
        }
    }

    fileprivate borrowing func write(to database: Database, _ durability: Durability) throws(RocksError) {
        switch rocks {
        case .some(let batch): try database.write(batch, durability: durability)
        case nil: preconditionFailure("changes for another engine")
        }
    }
}
