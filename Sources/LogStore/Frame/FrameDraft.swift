// SPDX-License-Identifier: Apache-2.0
//
// FrameDraft.swift
// One Raft entry on its way into a log.

public import Model
public import NIOCore

/// What an entry is.
public enum FrameKind: UInt8, Sendable, Hashable {
    /// One or more record batches, with base offset and leader epoch patched in.
    case data = 1
    /// The entry a new leader commits first; it has no payload.
    case noop = 2
    /// A Raft configuration.
    case configuration = 3
    /// A command of a state machine.
    case command = 4
    /// Not an entry: closes a segment.
    case footer = 5
}

/// How a payload is stored in its frame.
public enum FrameCodec: UInt8, Sendable, Hashable {
    case none = 0
    case zstd = 1
}

/// One entry to append.
public struct FrameDraft: Sendable {
    /// What the entry is.
    public var kind: FrameKind
    /// The term of the leader that made it.
    public var term: Term
    /// Its place in the log: the last index plus one.
    public var index: LogIndex
    /// The offset of its first record; the log's end offset for entries without records.
    public var baseOffset: Offset
    /// How many offsets it takes.
    public var recordCount: Int32
    /// The newest timestamp of its records in milliseconds; -1 when it has none.
    public var maxTimestamp: Int64
    /// The bytes to store.
    public var payload: ByteBuffer
    /// The CRC-32C of `payload`, when it is known; nil has it computed.
    public var checksum: UInt32?
    /// The zeros before the payload as the leader decided, so that segments are alike on all replicas; nil lets the log decide.
    public var lead: UInt16?
    /// What to do with the bytes on the way.
    public var compression: Compression
    /// Whether the entry begins a new segment.
    public var segmentStart: SegmentStart

    /// What becomes of the payload.
    public enum Compression: Sendable, Hashable {
        /// Compressed when it is large enough and pays.
        case auto
        /// Stored as it is.
        case never
        /// The payload is a stored form already, as a leader sent it.
        case stored(FrameCodec, rawLength: Int)
    }

    /// Whether an entry begins a new segment.
    public enum SegmentStart: Sendable, Hashable {
        /// The log decides by size and age.
        case automatic
        /// As the leader decided, so that segments are alike on all replicas.
        case decided(Bool)
    }

    /// Describes one entry.
    public init(
        kind: FrameKind, term: Term, index: LogIndex, baseOffset: Offset, recordCount: Int32, maxTimestamp: Int64,
        payload: ByteBuffer, checksum: UInt32? = nil, compression: Compression = .auto,
        segmentStart: SegmentStart = .automatic
    ) {
        self.kind = kind
        self.term = term
        self.index = index
        self.baseOffset = baseOffset
        self.recordCount = recordCount
        self.maxTimestamp = maxTimestamp
        self.payload = payload
        self.checksum = checksum
        self.compression = compression
        self.segmentStart = segmentStart
    }

    /// The offset after its last record.
    public var endOffset: Offset { baseOffset + Int(recordCount) }
}

/// One entry as it is stored, for followers that catch up and for replay.
public struct StoredEntry: Sendable {
    /// What the entry is.
    public let kind: FrameKind
    /// The term of the leader that made it.
    public let term: Term
    /// Its place in the log.
    public let index: LogIndex
    /// The offset of its first record.
    public let baseOffset: Offset
    /// How many offsets it takes.
    public let recordCount: Int32
    /// The newest timestamp of its records in milliseconds; -1 when it has none.
    public let maxTimestamp: Int64
    /// How `payload` is stored.
    public let codec: FrameCodec
    /// The length of the payload when it is unpacked.
    public let rawLength: Int
    /// The zeros before the payload in a segment.
    public var lead: UInt16
    /// Whether it was the first entry of its segment.
    public let startsSegment: Bool
    /// The stored bytes.
    public let payload: ByteBuffer
    /// The CRC-32C of `payload`, when it is known.
    public var checksum: UInt32?

    /// An entry as a leader sent it.
    public init(
        kind: FrameKind, term: Term, index: LogIndex, baseOffset: Offset, recordCount: Int32, maxTimestamp: Int64,
        codec: FrameCodec, rawLength: Int, lead: UInt16 = 0, startsSegment: Bool, payload: ByteBuffer,
        checksum: UInt32? = nil
    ) {
        self.kind = kind
        self.term = term
        self.index = index
        self.baseOffset = baseOffset
        self.recordCount = recordCount
        self.maxTimestamp = maxTimestamp
        self.codec = codec
        self.rawLength = rawLength
        self.lead = lead
        self.startsSegment = startsSegment
        self.payload = payload
        self.checksum = checksum
    }

    /// The draft that stores the same entry on another replica.
    public var draft: FrameDraft {
        var draft = FrameDraft(
            kind: kind, term: term, index: index, baseOffset: baseOffset, recordCount: recordCount,
            maxTimestamp: maxTimestamp, payload: payload, checksum: checksum,
            compression: .stored(codec, rawLength: rawLength), segmentStart: .decided(startsSegment))
        draft.lead = lead
        return draft
    }
}
