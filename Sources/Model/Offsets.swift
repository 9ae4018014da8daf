// SPDX-License-Identifier: Apache-2.0
//
// Offsets.swift
// Positions in a log. An index counts Raft entries, an offset counts Kafka records: they are never converted by
// arithmetic, because entries without records (no-op, membership) take an index but no offset.

/// The number of a Raft entry in its group, from 1.
///
/// 0 stands before the first entry.
public struct LogIndex: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64
    /// Makes a value of its parts.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Makes a value of its parts.
    @inlinable public init(_ value: UInt64) { self.rawValue = value }
    /// The number.
    public static let zero = LogIndex(rawValue: 0)
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number.
    @inlinable public var next: LogIndex { LogIndex(rawValue: rawValue + 1) }
    /// The index before this one; index 0 has none, and asking for it is a programmer's error.
    @inlinable public var previous: LogIndex {
        precondition(rawValue > 0, "index 0 has no predecessor")
        return LogIndex(rawValue: rawValue - 1)
    }
    /// The number.
    @inlinable public static func + (a: Self, count: Int) -> LogIndex { LogIndex(rawValue: a.rawValue + UInt64(count)) }
    /// The signed distance `a - b` in entries.
    @inlinable public static func - (a: Self, b: Self) -> Int { Int(Int64(a.rawValue) - Int64(b.rawValue)) }
    /// The value as people read it.
    public var description: String { "\(rawValue)" }
}

/// A Raft term.
///
/// Kafka clients see it as the leader epoch, so it must fit 31 bits.
public struct Term: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64
    /// Makes a value of its parts.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Makes a value of its parts.
    @inlinable public init(_ value: UInt64) { self.rawValue = value }
    /// The number.
    public static let zero = Term(rawValue: 0)
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number.
    @inlinable public var next: Term { Term(rawValue: rawValue + 1) }
    /// The leader epoch that clients see for this term.
    @inlinable public var leaderEpoch: Int32 {
        precondition(rawValue <= UInt64(Int32.max), "term \(rawValue) does not fit a leader epoch")
        return Int32(truncatingIfNeeded: rawValue)
    }
    /// The value as people read it.
    public var description: String { "\(rawValue)" }
}

/// The number of a record in its partition, from 0, as Kafka clients see it.
public struct Offset: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64
    /// Makes a value of its parts.
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    /// Makes a value of its parts.
    @inlinable public init(_ value: Int64) { self.rawValue = value }
    /// The number.
    public static let zero = Offset(rawValue: 0)
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number.
    @inlinable public static func + (a: Self, count: Int) -> Offset { Offset(rawValue: a.rawValue + Int64(count)) }
    /// The signed distance `a - b` in records.
    @inlinable public static func - (a: Self, b: Self) -> Int64 { a.rawValue - b.rawValue }
    /// The value as people read it.
    public var description: String { "\(rawValue)" }
}
