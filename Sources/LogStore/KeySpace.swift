// SPDX-License-Identifier: Apache-2.0
//
// KeySpace.swift
// Every key and value layout of the index database, and the code that builds its keys. docs/FILE-FORMAT.md is derived
// from the diagrams here; the types beside the diagrams (folder Index) encode and decode the values.
//
// Rules of all layouts
// - Integers are big-endian, so that keys sort as numbers do. Timestamps may be negative: their sign bit is inverted in keys.
// - Every key of a group begins with the 8 bytes of its group id: a group is one contiguous range in every family.
// - Every value begins with a version byte. A reader refuses versions it does not know, values that are too short, and
//   values that are too long; it never guesses.
// - Values of `controller`, `groups` and `transactions` under kind 1 belong to their state machines, which version them.
//
//     family         key                                    value
//
//     hard_state     │ group 8 │                            │ version 1 │ voted 1 │ term 8 │ node 4 │
//
//     raft_log       │ group 8 │ index 8 │                  │ version 1 │ form 1 │ kind 1 │ zero 1 │ term 8 │ body … │
//                      form 0, in a segment:                  body = │ segment base index 8 │ position 4 │ stored length 4 │
//                                                                    │ base offset 8 │ record count 4 │ payload crc 4 │
//                      form 1, inline:                        body = │ command … │
//
//     group_meta     │ group 8 │                            │ version 1 │ flags 1 │ first index 8 │ previous term 8 │
//                                                           │ first offset 8 │ log start offset 8 │
//                      flag bit 0, cut marker:                │ from index 8 │ segment base index 8 │ position 4 │ number 8 │
//                      flag bit 1, closed cleanly:            │ last index 8 │ last term 8 │ segment base index 8 │
//                                                             │ position 4 │ next offset 8 │ last frame checksum 4 │
//                      flag bit 2, label:                     │ topic id 16 │ partition 4 │ length 4 │ topic name … │
//                      flag bit 5, floor of a member that joined: │ term 8 │ index 8 │
//                      flag bit 6, chain of a log without frames: │ checksum 4 │
//                      always:                                │ length 4 │ configuration history … │
//                      flag bits 3 and 4 mark a replica as amnesiac and as damaged.
//
//     term_start     │ group 8 │ term 8 │                   │ version 1 │ first index 8 │ first offset 8 │
//
//     offset_index   │ group 8 │ base offset 8 │            │ version 1 │ index 8 │ segment base index 8 │ position 4 │
//
//     time_index     │ group 8 │ timestamp 8 │ offset 8 │   │ version 1 │ index 8 │ segment base index 8 │ position 4 │
//                      timestamp: the largest of all records of the group up to and including the frame at `offset`, so it
//                      never falls, and key order is offset order too.
//
//     producers      │ group 8 │ offset 8 │                 │ version 1 │ index 8 │ producer states … │
//
//     controller     │ group 8 │ 0 │                        │ version 1 │ applied index 8 │ applied term 8 │
//     groups         │ group 8 │ 1 │ state key … │          │ state value … │
//     transactions     (the three families have the same layout)
//
//     snapshots      │ group 8 │ index 8 │                  │ version 1 │ term 8 │ manifest … │
//
//     store          │ 0 8 │ 1 │  identity                  │ version 1 │ format 4 │ node 4 │ created at 8 │
//                                                           │ length 4 │ cluster id … │
//                    │ 0 8 │ 2 │  journal applied           │ version 1 │ position 8 │
//                    │ 0 8 │ 3 │  clean shutdown            │ version 1 │ closed at 8 │ journal position 8 │ sequence 8 │

internal import Model
internal import RocksKV

/// The column families of the index database, in the order they are opened.
enum IndexFamily: Int, CaseIterable, Sendable {
    case hardState
    case raftLog
    case groupMeta
    case termStart
    case offsetIndex
    case timeIndex
    case producers
    case controller
    case groups
    case transactions
    case snapshots
    case store

    /// The name in the database.
    var name: String {
        switch self {
        case .hardState: "hard_state"
        case .raftLog: "raft_log"
        case .groupMeta: "group_meta"
        case .termStart: "term_start"
        case .offsetIndex: "offset_index"
        case .timeIndex: "time_index"
        case .producers: "producers"
        case .controller: "controller"
        case .groups: "groups"
        case .transactions: "transactions"
        case .snapshots: "snapshots"
        case .store: "store"
        }
    }

    /// The family in an open database.
    var family: ColumnFamily { ColumnFamily(position: rawValue) }

    /// How the family is stored: room for what every append writes, little for the rest.
    var options: ColumnFamilyOptions {
        switch self {
        case .raftLog:
            ColumnFamilyOptions(
                name: name, memtable: .mebibytes(8), arenaBlock: .kibibytes(256), compaction: .universal,
                sequencePrefixLength: 8)
        case .offsetIndex, .timeIndex:
            ColumnFamilyOptions(
                name: name, memtable: .mebibytes(4), arenaBlock: .kibibytes(64), sequencePrefixLength: 8)
        case .groups, .controller:
            ColumnFamilyOptions(name: name, memtable: .mebibytes(4), arenaBlock: .kibibytes(64))
        case .hardState, .groupMeta, .termStart, .producers, .transactions, .snapshots, .store:
            ColumnFamilyOptions(name: name, memtable: .mebibytes(2), arenaBlock: .kibibytes(16))
        }
    }
}

/// A family that holds the applied state of a state machine, as its own keys and values.
public enum StateFamily: Sendable, CaseIterable {
    /// Cluster metadata.
    case controller
    /// Consumer groups: members and committed offsets.
    case groups
    /// Transactions.
    case transactions

    var indexFamily: IndexFamily {
        switch self {
        case .controller: .controller
        case .groups: .groups
        case .transactions: .transactions
        }
    }
}

/// Builds and reads keys.
enum KeySpace {
    /// A key of one group: `hard_state`, `group_meta`.
    typealias GroupKey = InlineArray<8, UInt8>
    /// A key of one group and a number: `raft_log`, `term_start`, `offset_index`, `producers`, `snapshots`.
    typealias NumberKey = InlineArray<16, UInt8>
    /// A key of one group, a timestamp and an offset: `time_index`.
    typealias TimeKey = InlineArray<24, UInt8>
    /// A key of the `store` family.
    typealias StoreKey = InlineArray<9, UInt8>

    /// What a key of a ``StateFamily`` stands for, in the byte after the group.
    enum StateKind {
        static let applied: UInt8 = 0
        static let entry: UInt8 = 1
    }

    /// The records of the `store` family, in the byte after eight zeros.
    enum StoreRecord: UInt8 {
        case identity = 1
        case journalApplied = 2
        case cleanShutdown = 3
    }

    /// A group: `│ group 8 │`.
    static func key(_ group: GroupID) -> GroupKey {
        var key = GroupKey(repeating: 0)
        store(group.rawValue, in: &key, at: 0)
        return key
    }

    /// A group and a number: `│ group 8 │ number 8 │`.
    static func key(_ group: GroupID, _ number: UInt64) -> NumberKey {
        var key = NumberKey(repeating: 0)
        store(group.rawValue, in: &key, at: 0)
        store(number, in: &key, at: 8)
        return key
    }

    /// An entry: `│ group 8 │ index 8 │`.
    static func key(_ group: GroupID, _ index: LogIndex) -> NumberKey { key(group, index.rawValue) }

    /// A term: `│ group 8 │ term 8 │`.
    static func key(_ group: GroupID, _ term: Term) -> NumberKey { key(group, term.rawValue) }

    /// An offset: `│ group 8 │ offset 8 │`.
    static func key(_ group: GroupID, _ offset: Offset) -> NumberKey { key(group, number(offset)) }

    /// A time: `│ group 8 │ timestamp 8 │ offset 8 │`.
    static func key(_ group: GroupID, timestamp: Int64, _ offset: Offset) -> TimeKey {
        var key = TimeKey(repeating: 0)
        store(group.rawValue, in: &key, at: 0)
        store(ordered(timestamp), in: &key, at: 8)
        store(number(offset), in: &key, at: 16)
        return key
    }

    /// A record of the store: `│ 0 8 │ record 1 │`.
    static func key(_ record: StoreRecord) -> StoreKey {
        var key = StoreKey(repeating: 0)
        key[8] = record.rawValue
        return key
    }

    /// The applied position: `│ group 8 │ 0 │`.
    static func appliedKey(_ group: GroupID) -> [UInt8] { prefix(group) + [StateKind.applied] }

    /// A state machine's key: `│ group 8 │ 1 │ key … │`.
    static func stateKey(_ group: GroupID, _ key: [UInt8]) -> [UInt8] { prefix(group) + [StateKind.entry] + key }

    /// The bytes before the state machine's own key in a ``StateFamily``.
    static let statePrefixCount = 9

    /// What all keys of `group` begin with.
    static func prefix(_ group: GroupID) -> [UInt8] {
        var prefix: [UInt8] = []
        prefix.reserveCapacity(32)
        append(group.rawValue, to: &prefix)
        return prefix
    }

    /// All keys of `group` in a family.
    static func range(of group: GroupID) -> KeyRange { .prefix(prefix(group)) }

    /// The keys `│ group │ number │` from `lower` up to but not including `upper`; to the group's end when that is nil.
    static func range(of group: GroupID, from lower: UInt64, upTo upper: UInt64? = nil) -> KeyRange {
        var start = prefix(group)
        append(lower, to: &start)
        guard let upper else { return KeyRange(from: start, upTo: KeyRange.successor(of: prefix(group))) }
        var end = prefix(group)
        append(upper, to: &end)
        return KeyRange(from: start, upTo: end)
    }

    /// The group that `key` begins with; nil when it is too short.
    static func group(of key: RawSpan) -> GroupID? { number(in: key, at: 0).map(GroupID.init(rawValue:)) }

    /// The number that follows the group in `key`; nil when it is too short.
    static func number(of key: RawSpan) -> UInt64? { number(in: key, at: 8) }

    /// The timestamp and offset of a `time_index` key; nil when it is too short.
    static func time(of key: RawSpan) -> (timestamp: Int64, offset: Offset)? {
        guard let time = number(in: key, at: 8), let offset = number(in: key, at: 16) else { return nil }
        return (Int64(bitPattern: time ^ signBit), Offset(rawValue: Int64(bitPattern: offset)))
    }

    /// An offset as keys hold it.
    static func number(_ offset: Offset) -> UInt64 {
        precondition(offset.rawValue >= 0, "offset \(offset) is negative and can not be a key")
        return UInt64(offset.rawValue)
    }

    /// A signed number as keys hold it: in the same order when compared as bytes.
    static func ordered(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) ^ signBit }

    private static let signBit: UInt64 = 1 << 63

    private static func number(in key: RawSpan, at position: Int) -> UInt64? {
        var reader = RecordReader(position: position)
        return try? reader.integer(UInt64.self, from: key)
    }

    private static func append(_ value: UInt64, to key: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) {
            key.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    @inline(__always)
    private static func store<let count: Int>(_ value: UInt64, in key: inout InlineArray<count, UInt8>, at start: Int) {
        for byte in 0..<8 { key[start + byte] = UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * byte)) }
    }
}
