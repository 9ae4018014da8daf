// SPDX-License-Identifier: Apache-2.0
//
// IndexError.swift
// What can go wrong in the index database; StoreError carries it to the rest of the broker.

public import RocksKV

/// Why an operation on the index database failed.
public enum IndexError: Error, Hashable, Sendable {
    /// RocksDB failed.
    case database(RocksError)
    /// A stored record can not be read. Its bytes passed RocksDB's checksum, so a program wrote them so.
    case damaged(family: String, key: String, RecordDamage)
}

extension IndexError: CustomStringConvertible {
    /// A sentence for the operator.
    public var description: String {
        switch self {
        case .database(let error): error.description
        case .damaged(let family, let key, .unknownVersion(let version)):
            "The index record \(key) in \(family) has version \(version), which this release does not know;"
                + " it was written by a newer release, or is damaged"
        case .damaged(let family, let key, let damage):
            "The index record \(key) in \(family) is damaged: \(damage)"
        }
    }

    /// Names the record whose decoding failed.
    init(_ damage: RecordDamage, in family: IndexFamily, key: [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        let text = key.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        self = .damaged(family: family.name, key: String(decoding: text, as: UTF8.self), damage)
    }
}

/// Runs `body` and wraps what RocksDB throws.
@inline(__always)
func rocks<Result>(_ body: () throws(RocksError) -> Result) throws(IndexError) -> Result {
    do { return try body() } catch { throw .database(error) }
}
