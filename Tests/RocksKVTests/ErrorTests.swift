// SPDX-License-Identifier: Apache-2.0
//
// ErrorTests.swift
// Messages become the right errors, damage is found, properties count.

import Foundation
import Testing

@testable import RocksKV

@Suite struct ErrorTests {
    static let messages: [(String, RocksError)] = [
        ("IO error: While lock file: /d/LOCK: Resource temporarily unavailable", .locked("")),
        ("IO error: lock hold by current process, acquire time 1 acquiring thread 2: /d/LOCK: No locks", .locked("")),
        ("IO error: No space left on device: While appending to file: /d/4.log: No space left", .diskFull("")),
        ("IO error: While fdatasync: /d/000004.log: Input/output error", .io("")),
        ("Corruption: block checksum mismatch: stored = 1", .corrupt("")),
        ("Invalid argument: Column families not opened: a", .invalid("")),
        ("Invalid argument: /d: does not exist (create_if_missing is false)", .missing("")),
        ("Shutdown in progress", .failed("")),
    ]

    @Test(arguments: messages)
    func messagesAreSorted(message: String, expected: RocksError) {
        let error = RocksError(message: message, during: "testing")
        #expect(error.description.contains("testing: \(message)"))
        switch (error, expected) {
        case (.locked, .locked), (.diskFull, .diskFull), (.io, .io), (.corrupt, .corrupt), (.invalid, .invalid),
            (.missing, .missing), (.failed, .failed):
            break
        default: Issue.record("\(message) became \(error)")
        }
    }

    @Test func aFlippedByteInATableIsFound() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        let value = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
        try database.put([1], value, in: first)
        try database.flush([first])
        let table = try #require(try database.tableFiles().first)
        database.close()
        let path = folder.path + "/" + table.name
        var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[bytes.count / 3] ^= 0x40
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let damaged = try Database(at: folder.path, families: twoFamilies)
        let error = #expect(throws: RocksError.self) { try damaged.value(of: [1], in: first) }
        guard case .corrupt = error else {
            Issue.record("expected corrupt, got \(String(describing: error))")
            return
        }
    }

    @Test func aTornLogTailIsCutAndItsPrefixKept() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        try database.put([1], [1], in: first, .synced)
        try database.put([2], [2], in: second)
        let torn = try folder.copy()
        let log = try #require(
            try FileManager.default.contentsOfDirectory(atPath: torn.path).filter { $0.hasSuffix(".log") }.max())
        let path = torn.path + "/" + log
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        try bytes.dropLast(3).write(to: URL(fileURLWithPath: path))
        let recovered = try Database(at: torn.path, families: twoFamilies)
        #expect(try recovered.value(of: [1], in: first) == [1])
        #expect(try recovered.value(of: [2], in: second) == nil)
        #expect(try recovered.latestSequence() < database.latestSequence())
    }

    @Test func countersAndPropertiesMove() throws {
        let folder = TemporaryFolder()
        let database = try Database(at: folder.path, families: twoFamilies)
        let before = try database.latestSequence()
        try database.put([1], [1], in: first, .synced)
        #expect(try database.latestSequence() == before + 1)
        #expect(try database.counter(.walSyncs) >= 1)
        #expect(try database.counter(.walBytes) > 0)
        #expect(try database.property(.estimatedKeys, of: first) == 1)
        #expect(try database.property(.memtableBytes, of: first) > 0)
        try database.flush([first])
        try database.compact(first)
        #expect(try database.property(.tableBytes, of: first) > 0)
        #expect(try database.counter(.flushBytes) > 0)
        for property in DatabaseProperty.allCases { _ = try database.property(property) }
        for property in Property.allCases { _ = try database.property(property, of: second) }
        for counter in Counter.allCases { _ = try database.counter(counter) }
        #expect(try database.property(.backgroundErrors) == 0)
        #expect(Database.engineVersion.hasPrefix("7.8."))
    }

    @Test func withoutCountersNothingIsCounted() throws {
        var options = DatabaseOptions()
        options.collectsCounters = false
        options.storage = .memory(MemoryStorage())
        let database = try Database(at: "/index", families: twoFamilies, options: options)
        try database.put([1], [1], in: first, .synced)
        #expect(try database.counter(.walSyncs) == 0)
    }
}
