// SPDX-License-Identifier: Apache-2.0
//
// IndexMediumTests.swift
// The index database in memory does what RocksDB does, and a power failure loses the end of what was not synced.

import Model
import RocksKV
import Testing

@testable import LogStore

@Suite struct IndexMediumTests {
    private static let groups = [GroupID(rawValue: 7), GroupID(rawValue: 1024), GroupID(rawValue: 1025)]

    /// A few changes of a few records.
    private static func change(_ batch: inout IndexBatch, _ random: inout SeededRandom) throws {
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let group = groups[Int.random(in: 0..<groups.count, using: &random)]
            let index = LogIndex(UInt64.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: _ = batch.deletePointers(from: index, upTo: index + 3, of: group)
            case 1: batch.delete([UInt8(index.rawValue)], in: .groups, of: group)
            case 2: batch.put([UInt8(index.rawValue)], [1, 2, 3], in: .groups, of: group)
            case 3: batch.putHardState(HardStateRecord(term: Term(index.rawValue), votedFor: nil), of: group)
            default:
                batch.putPointer(
                    EntryPointer(term: Term(random.next() % 9), kind: 1, content: .inline([4])), at: index, of: group)
            }
        }
    }

    /// Everything the changes above can touch.
    private static func content(_ index: IndexDatabase) throws -> [String] {
        var lines = ["sequence \(try index.latestSequence())"]
        for group in groups {
            lines.append("\(group) \(try index.hardState(of: group)?.term.rawValue ?? 0)")
            try index.forEachPointer(of: group, from: LogIndex(3), upTo: LogIndex(11)) { entry in
                lines.append("\(group) \(entry.index) \(entry.pointer.term)")
                return entry.index < LogIndex(10)
            }
            lines.append("\(group) last \(try index.lastPointer(of: group)?.index.rawValue ?? 0)")
            try index.scan(in: .groups, of: group) { key, value in
                lines.append("\(group) \(key) \(value)")
                return true
            }
            lines.append("\(try index.value(of: [5], in: .groups, of: group) ?? [])")
        }
        return lines
    }

    @Test(arguments: 1...8) func isLikeRocksDB(_ seed: UInt64) throws {
        var tuning = DatabaseOptions()
        tuning.storage = .memory(MemoryStorage())
        let real = try IndexDatabase(at: "/index", tuning: tuning)
        let memory = IndexDatabase(on: IndexMedium())
        for step in 0..<60 {
            for index in [real, memory] {
                var random = SeededRandom(seed: seed << 8 + UInt64(step))
                var batch = try index.makeBatch()
                try Self.change(&batch, &random)
                try batch.commit(durability: random.next() & 3 == 0 ? .synced : .buffered)
                let isEmpty = batch.isEmpty
                #expect(isEmpty)
            }
            #expect(try Self.content(real) == Self.content(memory))
        }
    }

    @Test(arguments: 1...20) func losesTheEnd(_ seed: UInt64) throws {
        let medium = IndexMedium()
        let index = IndexDatabase(on: medium)
        var random = SeededRandom(seed: seed)
        var states = [try Self.content(index)]
        var synced = 0
        for step in 1...20 {
            var batch = try index.makeBatch()
            try Self.change(&batch, &random)
            let isSynced = random.next() & 3 == 0
            try batch.commit(durability: isSynced ? .synced : .buffered)
            if isSynced { synced = step }
            states.append(try Self.content(index))
        }
        #expect(medium.unsyncedCommits == 20 - synced)
        let kept = Int(random.next() % UInt64(21 - synced))
        medium.losePower(keeping: kept)
        #expect(try Self.content(index) == states[synced + kept])
        #expect(medium.unsyncedCommits == 0)
    }

    @Test func failedCommitsLeaveNothing() throws {
        let medium = IndexMedium { $0 == .synced ? .failed : .done }
        let index = IndexDatabase(on: medium)
        var batch = try index.makeBatch()
        batch.putHardState(HardStateRecord(term: Term(1), votedFor: nil), of: Self.groups[0])
        #expect(throws: IndexError.self) { try batch.commit(durability: .synced) }
        #expect(try index.hardState(of: Self.groups[0]) == nil)
        try batch.commit(durability: .buffered)
        #expect(try index.hardState(of: Self.groups[0])?.term == Term(1))
    }
}
