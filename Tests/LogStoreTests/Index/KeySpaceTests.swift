// SPDX-License-Identifier: Apache-2.0
//
// KeySpaceTests.swift
// Keys have the bytes that the diagrams show, and sort as their numbers do.

import Model
import RocksKV
import Testing

@testable import LogStore

@Suite struct KeySpaceTests {
    static let numbers: [UInt64] = [
        0, 1, 2, 255, 256, 65_535, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 56, (1 << 63) - 1, 1 << 63, .max,
    ]
    static let signed: [Int64] = [.min, -(1 << 40), -256, -255, -2, -1, 0, 1, 255, 256, 1 << 40, .max]

    static func bytes<let count: Int>(_ key: InlineArray<count, UInt8>) -> [UInt8] { key.indices.map { key[$0] } }

    @Test func keysHaveTheirDocumentedBytes() {
        let group = GroupID(rawValue: 0x0102_0304_0506_0708)
        let prefix: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        #expect(Self.bytes(KeySpace.key(group)) == prefix)
        #expect(Self.bytes(KeySpace.key(group, LogIndex(258))) == prefix + [0, 0, 0, 0, 0, 0, 1, 2])
        #expect(Self.bytes(KeySpace.key(group, Term(3))) == prefix + [0, 0, 0, 0, 0, 0, 0, 3])
        #expect(Self.bytes(KeySpace.key(group, Offset(4))) == prefix + [0, 0, 0, 0, 0, 0, 0, 4])
        let time = prefix + [0x7F, 255, 255, 255, 255, 255, 255, 255] + [0, 0, 0, 0, 0, 0, 0, 9]
        #expect(Self.bytes(KeySpace.key(group, timestamp: -1, Offset(9))) == time)
        #expect(KeySpace.appliedKey(group) == prefix + [0])
        #expect(KeySpace.stateKey(group, [7, 7]) == prefix + [1, 7, 7])
        #expect(Self.bytes(KeySpace.key(.journalApplied)) == [0, 0, 0, 0, 0, 0, 0, 0, 2])
        #expect(KeySpace.prefix(group) == prefix)
    }

    @Test(arguments: numbers, numbers)
    func numberKeysSortAsNumbers(a: UInt64, b: UInt64) {
        let group = GroupID(rawValue: 5)
        let keys = (Self.bytes(KeySpace.key(group, a)), Self.bytes(KeySpace.key(group, b)))
        #expect(keys.0.lexicographicallyPrecedes(keys.1) == (a < b))
        let groups = (
            Self.bytes(KeySpace.key(GroupID(rawValue: a), UInt64.max)),
            Self.bytes(KeySpace.key(GroupID(rawValue: b), 0))
        )
        #expect(groups.0.lexicographicallyPrecedes(groups.1) == (a < b))
    }

    @Test(arguments: signed, signed)
    func timeKeysSortAsTimesThenOffsets(a: Int64, b: Int64) {
        let group = GroupID(rawValue: 5)
        let keys = (
            Self.bytes(KeySpace.key(group, timestamp: a, Offset(7))),
            Self.bytes(KeySpace.key(group, timestamp: b, Offset(3)))
        )
        #expect(keys.0.lexicographicallyPrecedes(keys.1) == (a < b))
    }

    @Test func keysAreReadBack() {
        let group = GroupID(rawValue: 77)
        let entry = Self.bytes(KeySpace.key(group, LogIndex(123)))
        #expect(KeySpace.group(of: entry.span.bytes) == group)
        #expect(KeySpace.number(of: entry.span.bytes) == 123)
        for timestamp in Self.signed {
            let key = Self.bytes(KeySpace.key(group, timestamp: timestamp, Offset(42)))
            let time = KeySpace.time(of: key.span.bytes)
            #expect(time?.timestamp == timestamp)
            #expect(time?.offset == Offset(42))
            #expect(KeySpace.time(of: Array(key.dropLast()).span.bytes) == nil)
        }
        #expect(KeySpace.number(of: Array(entry.dropLast()).span.bytes) == nil)
        #expect(KeySpace.group(of: ([1, 2, 3] as [UInt8]).span.bytes) == nil)
    }

    @Test func rangesOfAGroupEndBeforeTheNext() {
        #expect(KeySpace.range(of: GroupID(rawValue: 255)).upper == [0, 0, 0, 0, 0, 0, 1])
        #expect(KeySpace.range(of: GroupID(rawValue: .max)).upper == nil)
        let range = KeySpace.range(of: GroupID(rawValue: 1), from: 2, upTo: 3)
        #expect(range.lower == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2])
        #expect(range.upper == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3])
    }

    @Test func familiesAreNamedOnceAndInOrder() {
        #expect(Set(IndexFamily.allCases.map(\.name)).count == 12)
        #expect(IndexFamily.allCases.map(\.rawValue) == Array(0..<12))
    }
}
