// SPDX-License-Identifier: Apache-2.0
//
// Database+Read.swift
// Point reads: a copy, or the stored bytes for the length of a closure.

internal import CRocksDB

extension Database {
    /// Calls `body` with the value of `key`, without copying it; nil when there is none.
    ///
    /// The span is valid inside `body` only, and pins a cache block as long: be quick.
    ///
    /// - Throws: ``RocksError/corrupt(_:)`` when the block that holds the key fails its checksum.
    public func withValue<Result>(
        of key: RawSpan, in family: ColumnFamily, at snapshot: Snapshot? = nil, _ body: (RawSpan) -> Result
    ) throws(RocksError) -> Result? {
        try beginUse()
        defer { endUse() }
        precondition(snapshot == nil || snapshot?.database === self, "the snapshot belongs to another database")
        let options = snapshot?.readOptions ?? readOptions
        let family = pointer(to: family)
        let found = try check("reading from \(path)") { error in
            withCharacters(key) { rocksdb_get_pinned_cf(handle, options, family, $0, $1, error) }
        }
        guard let found else { return nil }
        defer { rocksdb_pinnableslice_destroy(found) }
        var count = 0
        let start = rocksdb_pinnableslice_value(found, &count)
        return body(UnsafeRawBufferPointer(start: start, count: count).bytes)
    }

    /// As ``withValue(of:in:at:_:)-(RawSpan,_,_,_)``, for a key of bytes.
    public func withValue<Result>(
        of key: Span<UInt8>, in family: ColumnFamily, at snapshot: Snapshot? = nil, _ body: (RawSpan) -> Result
    ) throws(RocksError) -> Result? {
        try withValue(of: key.bytes, in: family, at: snapshot, body)
    }

    /// A copy of the value of `key`; nil when there is none.
    public func value(
        of key: RawSpan, in family: ColumnFamily, at snapshot: Snapshot? = nil
    ) throws(RocksError) -> [UInt8]? {
        try withValue(of: key, in: family, at: snapshot) { value in value.withUnsafeBytes { [UInt8]($0) } }
    }

    /// A copy of the value of `key`; nil when there is none.
    public func value(
        of key: [UInt8], in family: ColumnFamily, at snapshot: Snapshot? = nil
    ) throws(RocksError) -> [UInt8]? {
        try value(of: key.span.bytes, in: family, at: snapshot)
    }

    /// Applies what the writing process has written since this secondary view was opened or last caught up.
    ///
    /// Iterators and snapshots that exist keep their view.
    public func tryCatchUp() throws(RocksError) {
        guard case .secondary = mode else { throw .invalid("catching up \(path): it is not open as a secondary view") }
        try withUse { () throws(RocksError) in
            try check("catching up \(path)") { rocksdb_try_catch_up_with_primary(handle, $0) }
        }
    }
}
