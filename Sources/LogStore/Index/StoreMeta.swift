// SPDX-License-Identifier: Apache-2.0
//
// StoreMeta.swift
// What is known of the store as a whole: whose it is, how far the journal was applied, how it was closed.

public import Model

/// A place in the journal: rises with everything that is ever written to it, and never starts again.
public struct JournalPosition: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64
    /// A place by its number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Before everything.
    public static let zero = JournalPosition(rawValue: 0)
    /// Order of writing.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number.
    public var description: String { "\(rawValue)" }
}

/// Who a store belongs to and which format it has.
///
/// Written once, when the store is made.
public struct StoreIdentity: Hashable, Sendable {
    /// The format of the whole data directory.
    public var formatVersion: UInt32
    /// The broker.
    public var nodeID: NodeID
    /// The cluster; empty until the broker has joined one.
    public var clusterID: String
    /// When the store was made.
    public var createdAt: WallTime

    /// An identity.
    public init(formatVersion: UInt32, nodeID: NodeID, clusterID: String, createdAt: WallTime) {
        self.formatVersion = formatVersion
        self.nodeID = nodeID
        self.clusterID = clusterID
        self.createdAt = createdAt
    }
}

/// The mark of a clean shutdown; deleted, synced, when the store is opened for writing.
public struct CleanShutdown: Hashable, Sendable {
    /// When the store was closed.
    public var closedAt: WallTime
    /// The end of the journal, all of which was applied.
    public var journal: JournalPosition
    /// The database's sequence number before the mark: it has lost nothing when it is at or past this.
    public var sequence: UInt64

    /// A mark.
    public init(closedAt: WallTime, journal: JournalPosition, sequence: UInt64) {
        self.closedAt = closedAt
        self.journal = journal
        self.sequence = sequence
    }
}

/// All records of the `store` family.
public struct StoreMeta: Hashable, Sendable {
    /// Whose the store is.
    public var identity: StoreIdentity
    /// Everything in the journal before this place is in the segments and the index; replay starts here.
    public var journalApplied: JournalPosition
    /// How the store was closed; nil when it was not closed cleanly.
    public var cleanShutdown: CleanShutdown?
}

extension StoreIdentity: StoredValue {
    static let version: UInt8 = 1

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(formatVersion)
        writer.integer(nodeID.rawValue)
        writer.integer(createdAt.milliseconds)
        writer.counted(Array(clusterID.utf8))
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        formatVersion = try reader.integer(from: bytes)
        nodeID = NodeID(rawValue: try reader.integer(from: bytes))
        createdAt = WallTime(milliseconds: try reader.integer(from: bytes))
        clusterID = String(decoding: try reader.counted(from: bytes), as: UTF8.self)
        try reader.finish(bytes)
    }
}

extension CleanShutdown: StoredValue {
    static let version: UInt8 = 1

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(closedAt.milliseconds)
        writer.integer(journal.rawValue)
        writer.integer(sequence)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        closedAt = WallTime(milliseconds: try reader.integer(from: bytes))
        journal = JournalPosition(rawValue: try reader.integer(from: bytes))
        sequence = try reader.integer(from: bytes)
        try reader.finish(bytes)
    }
}

extension JournalPosition: StoredValue {
    static let version: UInt8 = 1

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(rawValue)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        rawValue = try reader.integer(from: bytes)
        try reader.finish(bytes)
    }
}
