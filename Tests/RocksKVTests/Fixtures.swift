// SPDX-License-Identifier: Apache-2.0
//
// Fixtures.swift
// Databases in temporary folders and in memory.

import Foundation
import RocksKV

/// A folder that is removed with the object.
final class TemporaryFolder {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "rockskv-" + UUID().uuidString
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// The files as they are now, in a new folder; what a process that is killed now would leave.
    func copy() throws -> TemporaryFolder {
        let copy = TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where name != "LOCK" {
            do { try FileManager.default.copyItem(atPath: path + "/" + name, toPath: copy.path + "/" + name) } catch {
                // RocksDB deletes what it does not need any more in the background.
                if FileManager.default.fileExists(atPath: path + "/" + name) { throw error }
            }
        }
        return copy
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

let first = ColumnFamily(position: 0)
let second = ColumnFamily(position: 1)
let twoFamilies = [ColumnFamilyOptions(name: "first"), ColumnFamilyOptions(name: "second")]

/// Two families in memory.
func memoryDatabase(_ storage: MemoryStorage = MemoryStorage()) throws -> Database {
    var options = DatabaseOptions()
    options.storage = .memory(storage)
    return try Database(at: "/index", families: twoFamilies, options: options)
}

extension Database {
    /// Writes one pair in a batch of its own.
    func put(_ key: [UInt8], _ value: [UInt8], in family: ColumnFamily, _ durability: Durability = .buffered) throws {
        var batch = try makeBatch()
        batch.put(key, value, in: family)
        try write(batch, durability: durability)
    }

    /// All keys in `range`, in order.
    func keys(in family: ColumnFamily, over range: KeyRange = .all) throws -> [[UInt8]] {
        var entries = try iterator(in: family, over: range)
        var keys: [[UInt8]] = []
        var found = try entries.seekToFirst()
        while found {
            if let entry = entries.entry { keys.append(entry.key) }
            found = try entries.next()
        }
        return keys
    }
}
