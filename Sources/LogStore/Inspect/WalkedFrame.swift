// SPDX-License-Identifier: Apache-2.0
//
// WalkedFrame.swift
// One frame as a walk found it, and how thoroughly a walk looks.

public import Model
public import NIOCore

/// How thoroughly frames are looked at.
public enum WalkDepth: Int, Sendable, Hashable, Comparable {
    /// Headers and their chain; payloads are not read.
    case headers
    /// Payloads too, by their checksums.
    case checksums
    /// Everything: payloads are unpacked and their batches checked.
    case records

    /// Shallow before deep.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What a walk is to show.
public struct WalkOptions: Sendable {
    /// How thoroughly.
    public var depth: WalkDepth
    /// Whether payloads are unpacked for the caller.
    public var unpacks: Bool
    /// Frames that end at or before this offset are not shown, and passed over as quickly as the index allows.
    public var from: Offset?

    /// Shows everything from the log's first frame on.
    public init(depth: WalkDepth = .checksums, unpacks: Bool = false, from: Offset? = nil) {
        self.depth = unpacks ? max(depth, .checksums) : depth
        self.unpacks = unpacks
        self.from = from
    }
}

/// One frame as the walk found it.
public struct WalkedFrame: Sendable {
    let header: FrameHeader
    /// The segment it lies in, or will lie in: its first entry, with the generation of a compacted one in the upper 16 bits.
    public let segment: LogIndex
    /// The segment's file, below the data directory.
    public let file: String
    /// Where the frame begins, or will begin.
    public let position: Int
    /// Whether only the journal has it so far.
    public let isInJournal: Bool
    /// The unpacked payload; nil when it was not asked for, or cannot be unpacked.
    public let payload: ByteBuffer?

    /// The entry's index.
    public var index: LogIndex { header.index }
    /// The last entry that it stands for: another one where compaction has put several into one.
    public var lastIndex: LogIndex { header.lastIndex }
    /// Whether compaction wrote it.
    public var isCompacted: Bool { header.isCompacted }
    /// The term of the leader that made the entry.
    public var term: Term { header.term }
    /// What the entry is.
    public var kind: FrameKind { header.kind }
    /// How its payload is stored.
    public var codec: FrameCodec { header.codec }
    /// The offset of its first record.
    public var baseOffset: Offset { header.baseOffset }
    /// The offset after its last record.
    public var endOffset: Offset { header.endOffset }
    /// How many offsets it takes.
    public var recordCount: Int32 { header.recordCount }
    /// The newest timestamp in milliseconds; -1 when it has no records.
    public var maxTimestamp: Int64 { header.maxTimestamp }
    /// The stored length of the payload.
    public var storedBytes: Int { Int(header.storedLength) }
    /// The length of the payload when it is unpacked.
    public var rawBytes: Int { Int(header.rawLength) }
    /// Header, payload and padding.
    public var frameBytes: Int { header.frameBytes }
}

/// Reads the frames of one segment, with or without their payloads.
struct FrameReader {
    private let file: any File
    private let end: Int
    private var cursor: FrameCursor
    /// The bytes that were read for headers alone.
    private var window = ByteBuffer()
    private var windowStart = 0

    /// Small frames come several at a time, and little is read in vain beside large ones.
    private static let windowBytes = 4096

    init(_ file: any File, upTo end: Int) {
        self.file = file
        self.end = end
        cursor = FrameCursor(file, from: 0, upTo: end)
    }

    /// What stands at `position`, which never falls; without payloads a frame's is empty and taken for whole.
    mutating func peek(at position: Int, readsPayload: Bool) throws(StoreError) -> FrameFinding {
        guard readsPayload else { return try peekHeader(at: position) }
        cursor.move(to: position)
        return try cursor.peek()
    }

    private mutating func peekHeader(at position: Int) throws(StoreError) -> FrameFinding {
        guard position < end else { return .end }
        if position < windowStart || position + FrameHeader.byteCount > windowStart + window.readableBytes {
            window.clear()
            windowStart = position
            _ = try file.read(min(Self.windowBytes, end - position), at: position, into: &window)
        }
        let probe = FrameHeader.probe(window.readableBytesSpan, at: position - windowStart)
        guard case .header(let header) = probe else { return .noHeader(probe) }
        guard position + header.frameBytes <= end else { return .damagedPayload(header) }
        return .frame(header, payload: ByteBuffer())
    }
}
