// SPDX-License-Identifier: Apache-2.0
//
// IndexRecords.swift
// The sparse indices from offsets and times to frames, producer snapshots, manifests, and applied positions.

public import Model

/// A frame that can be found by its base offset.
///
/// There is one for every few dozen KiB of a segment.
public struct OffsetIndexEntry: Hashable, Sendable {
    /// The frame's base offset (in the key).
    public var offset: Offset
    /// The frame's entry.
    public var index: LogIndex
    /// Where the frame begins.
    public var at: SegmentPosition
    /// The largest timestamp of its segment up to and including the frame, -1 when there is none; nil in an entry of
    /// version 1.
    public var segmentMaxTimestamp: Int64?

    /// An entry.
    public init(offset: Offset, index: LogIndex, at: SegmentPosition, segmentMaxTimestamp: Int64? = nil) {
        self.offset = offset
        self.index = index
        self.at = at
        self.segmentMaxTimestamp = segmentMaxTimestamp
    }
}

/// A frame that can be found by time.
public struct TimeIndexEntry: Hashable, Sendable {
    /// The largest timestamp of all records of the group up to and including this frame (in the key): never falls.
    public var maxTimestampSoFar: Int64
    /// The frame's base offset (in the key).
    public var offset: Offset
    /// The frame's entry.
    public var index: LogIndex
    /// Where the frame begins.
    public var at: SegmentPosition

    /// An entry.
    public init(maxTimestampSoFar: Int64, offset: Offset, index: LogIndex, at: SegmentPosition) {
        self.maxTimestampSoFar = maxTimestampSoFar
        self.offset = offset
        self.index = index
        self.at = at
    }
}

/// The value of an `offset_index` or `time_index` record.
///
/// Version 1 is without the timestamp.
struct FrameReference: StoredValue, Hashable {
    static let version: UInt8 = 2
    var index: LogIndex
    var at: SegmentPosition
    /// The largest timestamp of the segment up to and including the frame; in the `offset_index`.
    var segmentMaxTimestamp: Int64?

    init(index: LogIndex, at: SegmentPosition, segmentMaxTimestamp: Int64? = nil) {
        self.index = index
        self.at = at
        self.segmentMaxTimestamp = segmentMaxTimestamp
    }

    func encode(into writer: inout RecordWriter) {
        writer.integer(segmentMaxTimestamp == nil ? 1 : Self.version)
        writer.integer(index.rawValue)
        at.encode(into: &writer)
        if let segmentMaxTimestamp { writer.integer(segmentMaxTimestamp) }
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        let version = try reader.integer(UInt8.self, from: bytes)
        guard (1...Self.version).contains(version) else { throw .unknownVersion(version) }
        index = LogIndex(rawValue: try reader.integer(from: bytes))
        at = try SegmentPosition(&reader, from: bytes)
        segmentMaxTimestamp = version == 1 ? nil : try reader.integer(from: bytes)
        try reader.finish(bytes)
    }
}

/// The producer states of a partition as of one offset.
///
/// Replaying the frames from there on completes them.
public struct ProducerSnapshot: Hashable, Sendable {
    /// Records below this offset are reflected (in the key).
    public var offset: Offset
    /// The last entry that is reflected.
    public var index: LogIndex
    /// The states, in the partition's own encoding.
    public var bytes: [UInt8]

    /// A snapshot.
    public init(offset: Offset, index: LogIndex, bytes: [UInt8]) {
        self.offset = offset
        self.index = index
        self.bytes = bytes
    }
}

/// The value of a `producers` record.
struct ProducerSnapshotValue: StoredValue, Hashable {
    static let version: UInt8 = 1
    var index: LogIndex
    var bytes: [UInt8]

    init(_ snapshot: ProducerSnapshot) {
        index = snapshot.index
        bytes = snapshot.bytes
    }

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(index.rawValue)
        writer.rest(bytes)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        index = LogIndex(rawValue: try reader.integer(from: bytes))
        self.bytes = reader.rest(of: bytes)
    }
}

/// A Raft snapshot of a group: which files, or which state, hold everything up to an entry.
public struct SnapshotManifest: Hashable, Sendable {
    /// The last entry it covers (in the key).
    public var index: LogIndex
    /// That entry's term.
    public var term: Term
    /// The list of contents, in the encoding of whoever makes snapshots.
    public var bytes: [UInt8]

    /// A manifest.
    public init(index: LogIndex, term: Term, bytes: [UInt8]) {
        self.index = index
        self.term = term
        self.bytes = bytes
    }
}

/// The value of a `snapshots` record.
struct SnapshotManifestValue: StoredValue, Hashable {
    static let version: UInt8 = 1
    var term: Term
    var bytes: [UInt8]

    init(_ manifest: SnapshotManifest) {
        term = manifest.term
        bytes = manifest.bytes
    }

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(term.rawValue)
        writer.rest(bytes)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        term = Term(rawValue: try reader.integer(from: bytes))
        self.bytes = reader.rest(of: bytes)
    }
}

/// The last entry whose effects are in a state family; written in the same batch as they (rule R7).
public struct AppliedPosition: Hashable, Sendable {
    /// The entry.
    public var index: LogIndex
    /// Its term.
    public var term: Term

    /// A position.
    public init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
}

extension AppliedPosition: StoredValue {
    static let version: UInt8 = 1

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(index.rawValue)
        writer.integer(term.rawValue)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        index = LogIndex(rawValue: try reader.integer(from: bytes))
        term = Term(rawValue: try reader.integer(from: bytes))
        try reader.finish(bytes)
    }
}
