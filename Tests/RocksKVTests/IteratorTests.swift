// SPDX-License-Identifier: Apache-2.0
//
// IteratorTests.swift
// Iterators keep to their range in both directions and to the moment they were made.

import RocksKV
import Testing

@Suite struct IteratorTests {
    /// One byte keys 10, 20 … 90, each its own value.
    static func filled() throws -> Database {
        let database = try memoryDatabase()
        for key in stride(from: UInt8(10), through: 90, by: 10) { try database.put([key], [key], in: first) }
        return database
    }

    @Test(arguments: [UInt8(0), 10, 15, 50, 90, 95], [UInt8(0), 10, 15, 50, 90, 95, 255])
    func rangesHoldTheirLowerAndNotTheirUpperBound(lower: UInt8, upper: UInt8) throws {
        guard lower <= upper else { return }
        let database = try Self.filled()
        let range = KeyRange(from: [lower], upTo: [upper])
        let expected = stride(from: UInt8(10), through: 90, by: 10).filter { $0 >= lower && $0 < upper }
        #expect(try database.keys(in: first, over: range) == expected.map { [$0] })
        var entries = try database.iterator(in: first, over: range)
        var backwards: [UInt8] = []
        var found = try entries.seekToLast()
        while found {
            backwards.append(entries.entry?.key.first ?? 0)
            found = try entries.previous()
        }
        #expect(backwards == expected.reversed())
    }

    @Test func seeksFindTheNeighboursOfAKey() throws {
        let database = try Self.filled()
        var entries = try database.iterator(in: first, over: KeyRange(from: [20], upTo: [80]))
        for key in UInt8(0)...100 {
            let members: [UInt8] = [20, 30, 40, 50, 60, 70]
            let atOrAfter = members.first { $0 >= key }
            let notAfter = members.last { $0 <= key }
            #expect(try entries.seek(to: [key].span.bytes) == (atOrAfter != nil))
            #expect(entries.entry?.key.first == atOrAfter)
            #expect(try entries.seek(toLastNotAfter: [key].span.bytes) == (notAfter != nil))
            #expect(entries.entry?.key.first == notAfter)
        }
    }

    @Test func movingOffTheEndIsHarmless() throws {
        let database = try Self.filled()
        var entries = try database.iterator(in: first, over: .all)
        let isValid = entries.isValid
        #expect(!isValid)
        #expect(entries.entry == nil)
        #expect(try !entries.next())
        #expect(try !entries.previous())
        #expect(try entries.seekToLast())
        #expect(try !entries.next())
        #expect(try !entries.next())
        #expect(entries.withEntry { _, _ in true } == nil)
        #expect(try entries.seekToFirst())
        #expect(entries.entry?.value == [10])
    }

    @Test func prefixesEndWhereTheNextBegins() throws {
        let database = try memoryDatabase()
        let keys: [[UInt8]] = [[1], [1, 0], [1, 255], [1, 255, 255], [2], [255], [255, 255], [255, 255, 1]]
        for key in keys { try database.put(key, [], in: first) }
        #expect(try database.keys(in: first, over: .prefix([1])) == Array(keys[0...3]))
        #expect(try database.keys(in: first, over: .prefix([1, 255])) == Array(keys[2...3]))
        #expect(try database.keys(in: first, over: .prefix([255])) == Array(keys[5...7]))
        #expect(try database.keys(in: first, over: .prefix([255, 255])) == Array(keys[6...7]))
        #expect(try database.keys(in: first, over: .prefix([])) == keys)
        #expect(try database.keys(in: first, over: .prefix([3])) == [])
        #expect(KeyRange.successor(of: [1, 255]) == [2])
        #expect(KeyRange.successor(of: [255, 255]) == nil)
        #expect(KeyRange.successor(of: []) == nil)
    }

    @Test func iteratorsAndSnapshotsKeepTheirMoment() throws {
        let database = try Self.filled()
        let snapshot = try database.makeSnapshot()
        var entries = try database.iterator(in: first, over: .all)
        try database.put([10], [99], in: first)
        try database.put([95], [95], in: first)
        #expect(try database.value(of: [10], in: first, at: snapshot) == [10])
        #expect(try database.value(of: [10], in: first) == [99])
        var old = try database.iterator(in: first, over: .all, at: snapshot)
        #expect(try entries.seekToFirst())
        #expect(entries.entry?.value == [10])
        #expect(try old.seekToLast())
        #expect(old.entry?.key == [90])
        #expect(try database.property(.snapshots) == 1)
    }

    @Test func familiesDoNotMix() throws {
        let database = try Self.filled()
        try database.put([11], [11], in: second)
        #expect(try database.keys(in: second) == [[11]])
        #expect(try database.keys(in: first).count == 9)
    }
}
