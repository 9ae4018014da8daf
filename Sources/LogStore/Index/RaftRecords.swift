// SPDX-License-Identifier: Apache-2.0
//
// RaftRecords.swift
// The values that Raft depends on: hard state, the place of each entry, the start of each term.

public import Model

/// A group's term and vote.
public struct HardStateRecord: Hashable, Sendable {
    /// The current term.
    public var term: Term
    /// Whom this node voted for in that term.
    public var votedFor: NodeID?

    /// A hard state.
    public init(term: Term, votedFor: NodeID?) {
        self.term = term
        self.votedFor = votedFor
    }
}

extension HardStateRecord: StoredValue {
    static let version: UInt8 = 1

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(UInt8(votedFor == nil ? 0 : 1))
        writer.integer(term.rawValue)
        writer.integer(votedFor?.rawValue ?? 0)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        let voted = try reader.integer(UInt8.self, from: bytes)
        term = Term(rawValue: try reader.integer(from: bytes))
        let node = NodeID(rawValue: try reader.integer(from: bytes))
        try reader.finish(bytes)
        guard voted <= 1 else { throw .unknownValue(field: "voted", value: UInt64(voted)) }
        votedFor = voted == 1 ? node : nil
    }
}

/// A byte position in one segment file of a group.
public struct SegmentPosition: Hashable, Sendable {
    /// The index of the segment's first entry, which names the file.
    public var segment: LogIndex
    /// Bytes from the start of the file.
    public var position: UInt32

    /// A position.
    public init(segment: LogIndex, position: UInt32) {
        self.segment = segment
        self.position = position
    }

    func encode(into writer: inout RecordWriter) {
        writer.integer(segment.rawValue)
        writer.integer(position)
    }

    init(_ reader: inout RecordReader, from bytes: RawSpan) throws(RecordDamage) {
        segment = LogIndex(rawValue: try reader.integer(from: bytes))
        position = try reader.integer(from: bytes)
    }
}

/// A frame in a segment.
public struct FramePlace: Hashable, Sendable {
    /// Where its header begins.
    public var at: SegmentPosition
    /// Payload bytes as stored.
    public var storedLength: UInt32
    /// The offset of its first record; for a frame without records, of the next one.
    public var baseOffset: Offset
    /// The number of offsets it takes.
    public var recordCount: Int32
    /// The checksum of the stored payload.
    public var payloadCRC: UInt32

    /// A place.
    public init(
        at: SegmentPosition, storedLength: UInt32, baseOffset: Offset, recordCount: Int32, payloadCRC: UInt32
    ) {
        self.at = at
        self.storedLength = storedLength
        self.baseOffset = baseOffset
        self.recordCount = recordCount
        self.payloadCRC = payloadCRC
    }

    /// The offset after its last record.
    public var nextOffset: Offset { baseOffset + Int(recordCount) }
}

/// One entry of a group's Raft log: what it is and where its content lies.
///
/// A pointer into a segment is written only after the flush that made the frame durable (rule R1): that the pointer is there
/// proves that the frame was.
public struct EntryPointer: Hashable, Sendable {
    /// The entry's term.
    public var term: Term
    /// The raw value of the frame kind.
    public var kind: UInt8
    /// Where the content lies.
    public var content: Content

    /// Where the content of an entry lies.
    public enum Content: Hashable, Sendable {
        /// In a segment file.
        case segment(FramePlace)
        /// Here: the groups of the controller and the coordinators have no segments.
        case inline([UInt8])
    }

    /// A pointer.
    public init(term: Term, kind: UInt8, content: Content) {
        self.term = term
        self.kind = kind
        self.content = content
    }

    /// The place in a segment; nil for an inline entry.
    public var place: FramePlace? {
        if case .segment(let place) = content { place } else { nil }
    }
}

extension EntryPointer: StoredValue {
    static let version: UInt8 = 1

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        switch content {
        case .segment(let place):
            writer.integer(UInt8(0))
            encodeEntry(into: &writer)
            place.at.encode(into: &writer)
            writer.integer(place.storedLength)
            writer.integer(place.baseOffset.rawValue)
            writer.integer(place.recordCount)
            writer.integer(place.payloadCRC)
        case .inline(let command):
            writer.integer(UInt8(1))
            encodeEntry(into: &writer)
            writer.rest(command)
        }
    }

    private func encodeEntry(into writer: inout RecordWriter) {
        writer.integer(kind)
        writer.integer(UInt8(0))
        writer.integer(term.rawValue)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        let form = try reader.integer(UInt8.self, from: bytes)
        kind = try reader.integer(from: bytes)
        let zero = try reader.integer(UInt8.self, from: bytes)
        guard zero == 0 else { throw .unknownValue(field: "zero", value: UInt64(zero)) }
        term = Term(rawValue: try reader.integer(from: bytes))
        switch form {
        case 0:
            content = .segment(
                FramePlace(
                    at: try SegmentPosition(&reader, from: bytes), storedLength: try reader.integer(from: bytes),
                    baseOffset: Offset(rawValue: try reader.integer(from: bytes)),
                    recordCount: try reader.integer(from: bytes), payloadCRC: try reader.integer(from: bytes)))
        case 1: content = .inline(reader.rest(of: bytes))
        default: throw .unknownValue(field: "form", value: UInt64(form))
        }
        try reader.finish(bytes)
    }
}

/// An entry's number together with its pointer.
public struct IndexedPointer: Hashable, Sendable {
    /// The entry's index.
    public var index: LogIndex
    /// What it is and where it lies.
    public var pointer: EntryPointer
    /// A numbered pointer.
    public init(index: LogIndex, pointer: EntryPointer) {
        self.index = index
        self.pointer = pointer
    }
}

/// Where a term begins; the list of them answers `OffsetForLeaderEpoch`.
public struct TermStart: Hashable, Sendable {
    /// The term (in the key).
    public var term: Term
    /// Its first entry.
    public var firstIndex: LogIndex
    /// The offset that the first record of the term has or will have.
    public var firstOffset: Offset

    /// The start of a term.
    public init(term: Term, firstIndex: LogIndex, firstOffset: Offset) {
        self.term = term
        self.firstIndex = firstIndex
        self.firstOffset = firstOffset
    }
}

/// The value of a `term_start` record; the term stands in its key.
struct TermStartValue: StoredValue, Hashable {
    static let version: UInt8 = 1
    var firstIndex: LogIndex
    var firstOffset: Offset

    init(_ start: TermStart) {
        firstIndex = start.firstIndex
        firstOffset = start.firstOffset
    }

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(firstIndex.rawValue)
        writer.integer(firstOffset.rawValue)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        firstIndex = LogIndex(rawValue: try reader.integer(from: bytes))
        firstOffset = Offset(rawValue: try reader.integer(from: bytes))
        try reader.finish(bytes)
    }
}
