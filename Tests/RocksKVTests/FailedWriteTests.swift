// SPDX-License-Identifier: Apache-2.0
//
// FailedWriteTests.swift
// A write that fails does so once and for all: RocksDB is not asked to write again, which its assertions would punish.

import Foundation
import Testing

@testable import RocksKV

@Suite struct FailedWriteTests {
    /// A database whose next log cannot be written: the names of the next ones are links to a file that refuses such bytes.
    private static func failingDatabase(_ folder: TemporaryFolder) throws -> Database {
        let database = try Database(at: folder.path, families: twoFamilies)
        try database.put([1], [1], in: first)
        for number in 1..<100 {
            let path = folder.path + "/" + String(repeating: "0", count: number < 10 ? 5 : 4) + "\(number).log"
            guard !FileManager.default.fileExists(atPath: path) else { continue }
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/proc/self/oom_score_adj")
        }
        // Begins a new log.
        try database.flush([first])
        return database
    }

    private static func expectFailure(_ body: () throws -> Void) {
        #expect { try body() } throws: { error in
            if case .io = error as? RocksError { true } else { false }
        }
    }

    @Test func nothingIsWrittenAfterAFailure() throws {
        let folder = TemporaryFolder()
        let database = try Self.failingDatabase(folder)
        Self.expectFailure { try database.put([2], [2], in: first) }
        Self.expectFailure { try database.put([3], [3], in: second, .synced) }
        Self.expectFailure { try database.syncWriteAheadLog() }
        Self.expectFailure { try database.flush([first, second]) }
        Self.expectFailure { try database.compact(first) }
        #expect(try database.value(of: [1], in: first) == [1])
        #expect(try database.value(of: [2], in: first) == nil)
        #expect(database.close())
    }

    @Test func aFailureWithAWriteUnderWayIsTheSame() throws {
        let folder = TemporaryFolder()
        let database = try Self.failingDatabase(folder)
        var batch = try database.makeBatch()
        batch.put([2].span, [2].span, in: second)
        Self.expectFailure { try database.write(batch, durability: .synced) }
        Self.expectFailure { try database.write(batch, durability: .buffered) }
        #expect(!database.close())
    }

    @Test func anInformationLogWithoutSpaceIsLeftOut() throws {
        let folder = TemporaryFolder()
        let files = FileManager.default
        // The log before cannot be put aside, so the link stays.
        try files.createDirectory(atPath: folder.path + "/LOG.old/full", withIntermediateDirectories: true)
        try files.createSymbolicLink(atPath: folder.path + "/LOG", withDestinationPath: "/dev/full")
        for number in UInt8(0)..<3 {
            let database = try Database(at: folder.path, families: twoFamilies)
            try database.put([number], [number], in: first, .synced)
            try database.flush([first])
            database.close()
        }
        #expect(try files.destinationOfSymbolicLink(atPath: folder.path + "/LOG") == "/dev/full")
        let database = try Database(at: folder.path, families: twoFamilies)
        #expect(try database.value(of: [2], in: first) == [2])
    }
}
