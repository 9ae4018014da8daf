// SPDX-License-Identifier: Apache-2.0
//
// GroupWalk.swift
// Walks all frames of one partition in order: from its segments, and from the journal where the segments do not have
// them yet. Goes on behind damage, and says what it found and what it left out.

public import Model
public import NIOCore

/// One frame as the walk found it.
public struct WalkedFrame: Sendable {
    /// The entry's index and term.
    public let index: LogIndex
    /// The term of the leader that made the entry.
    public let term: Term
    /// What the entry is.
    public let kind: FrameKind
    /// How its payload is stored.
    public let codec: FrameCodec
    /// The offset of its first record.
    public let baseOffset: Offset
    /// How many offsets it takes.
    public let recordCount: Int32
    /// The newest timestamp in milliseconds; -1 when it has no records.
    public let maxTimestamp: Int64
    /// The stored length of the payload.
    public let storedBytes: Int
    /// The length of the payload when it is unpacked.
    public let rawBytes: Int
    /// The segment, below the data directory.
    public let file: String
    /// Where the frame begins, or will begin.
    public let position: Int
    /// Whether only the journal has it so far.
    public let isInJournal: Bool
    /// The unpacked payload; nil when it was not asked for, or cannot be unpacked.
    public let payload: ByteBuffer?
}

/// What a walk found besides frames.
public struct WalkFindings: Sendable {
    /// Bytes that were durable and are not what was written.
    public var damage: [Damage] = []
    /// Bytes that hold nothing of the log.
    public var skipped: [Skipped] = []
    /// Frames that are whole.
    public var frames = 0
    /// Bytes of those frames.
    public var bytes = 0

    /// Nothing yet.
    public init() {}
}

/// Walks one partition.
struct GroupWalk {
    let reader: StoreReader
    let group: InspectedGroup
    /// Whether payloads are unpacked for the caller.
    let unpacks: Bool
    /// The last entry that is known to be durable.
    let provenThrough: LogIndex
    private(set) var findings = WalkFindings()

    private var next: LogIndex
    private var nextOffset: Offset?
    private var checksum: UInt32?
    private var isStopped = false

    init(_ reader: StoreReader, _ group: InspectedGroup, unpacks: Bool) {
        self.reader = reader
        self.group = group
        self.unpacks = unpacks
        next = group.meta.firstIndex
        provenThrough = max(group.last?.index ?? .zero, reader.journal.lastIndex(of: group.id) ?? .zero)
    }

    /// Passes every frame to `body` until it returns false.
    mutating func run(_ body: (WalkedFrame) -> Bool) throws(StoreError) {
        let folder = Segment.directory(of: group.id, root: reader.directory)
        let stored = try reader.system.list(folder).compactMap { Segment.base(ofFileName: $0) }
        let journaled = (reader.journal.frames[group.id] ?? []).compactMap(\.base)
        let bases = Set(stored).union(journaled).sorted()
        for (place, base) in bases.enumerated() where !isStopped {
            let following = place + 1 < bases.count ? bases[place + 1] : nil
            if let following, following <= group.meta.firstIndex { continue }
            try segment(base, path: "\(folder)/\(Segment.fileName(base))", following: following, body)
        }
        guard !isStopped, next <= provenThrough else { return }
        // Everything that is proven and not reached was reported where it should have been, unless no file is left.
        if findings.damage.isEmpty {
            report(reader.relative(folder), 0, "the entries from \(next) to \(provenThrough) are in no segment")
        }
    }

    // MARK: One segment

    private mutating func segment(
        _ base: LogIndex, path: String, following: LogIndex?, _ body: (WalkedFrame) -> Bool
    ) throws(StoreError) {
        let name = reader.relative(path)
        let file = try reader.segmentFile(path)
        let size = try file?.size() ?? 0
        if base != next {
            checksum = nil
            nextOffset = base > next ? nil : nextOffset
            next = base
        }
        var position = 0
        while !isStopped {
            if let following, next >= following { return }
            if let file, let end = try stored(file, size, name, &position, body) {
                if end { return }
                continue
            }
            if let frame = reader.journal.frame(of: group.id, at: next), frame.base == base {
                try take(frame.header, frame.payload, name, frame.position, isInJournal: true, frame.fault, body)
                position = frame.position + frame.header.frameBytes
                continue
            }
            guard next <= provenThrough else { return try leftover(file, size, name, position) }
            report(name, position, "the frame of entry \(next) is not there")
            guard let file, let found = try laterFrame(file, from: position, size) else {
                // Nothing more of this segment can be found.
                if let following { next = following } else { isStopped = true }
                return
            }
            position = found.position
            resume(at: found.header)
        }
    }

    /// Takes the frame at `position` of the file when it is the next one.
    ///
    /// Returns true at the segment's end, false after a frame, and nil when the file does not have the next frame.
    private mutating func stored(
        _ file: any File, _ size: Int, _ name: String, _ position: inout Int, _ body: (WalkedFrame) -> Bool
    ) throws(StoreError) -> Bool? {
        var cursor = FrameCursor(file, from: position, upTo: size)
        switch try cursor.peek() {
        case .frame(let header, let payload):
            if header.kind == .footer, isOurs(header), header.index.next == next { return true }
            guard continues(header) else { return nil }
            try take(
                header, payload, name, position, isInJournal: false, reader.payloads.fault(of: header, payload), body)
            position += header.frameBytes
            return false
        case .damagedPayload(let header) where continues(header) && header.index <= provenThrough:
            if reader.journal.frame(of: group.id, at: next) != nil { return nil }
            report(name, position, "the payload of entry \(next) fails its checksum")
            position += header.frameBytes
            resume(at: header)
            step(over: header)
            return false
        default: return nil
        }
    }

    private mutating func take(
        _ header: FrameHeader, _ payload: ByteBuffer?, _ name: String, _ position: Int, isInJournal: Bool,
        _ fault: String?, _ body: (WalkedFrame) -> Bool
    ) throws(StoreError) {
        if let fault {
            report(name, position, fault)
        } else {
            findings.frames += 1
            findings.bytes += header.frameBytes
        }
        let isWanted = unpacks && header.kind == .data && fault == nil
        let raw =
            try isWanted ? payload.map { (bytes) throws(StoreError) in try reader.payloads.unpack(header, bytes) } : nil
        let frame = WalkedFrame(
            index: header.index, term: header.term, kind: header.kind, codec: header.codec,
            baseOffset: header.baseOffset, recordCount: header.recordCount, maxTimestamp: header.maxTimestamp,
            storedBytes: Int(header.storedLength), rawBytes: Int(header.rawLength), file: name, position: position,
            isInJournal: isInJournal, payload: raw)
        step(over: header)
        if header.index >= group.meta.firstIndex, !body(frame) { isStopped = true }
    }

    private mutating func step(over header: FrameHeader) {
        next = header.index.next
        nextOffset = header.endOffset
        checksum = header.checksum
    }

    /// Continues with a frame behind damage: nothing before it is known.
    private mutating func resume(at header: FrameHeader) {
        next = header.index
        nextOffset = header.baseOffset
        checksum = nil
    }

    // MARK: Judging

    private func isOurs(_ header: FrameHeader) -> Bool { header.group == group.id }

    private func continues(_ header: FrameHeader) -> Bool {
        isOurs(header) && header.kind != .footer && header.index == next
            && (nextOffset.map { $0 == header.baseOffset } ?? true) && (checksum.map { $0 == header.previous } ?? true)
    }

    private mutating func report(_ name: String, _ position: Int, _ reason: String) {
        findings.damage.append(group.damage(name, at: position, index: next, offset: nextOffset, reason))
    }

    /// Notes what stands behind the last frame: nothing, or remains of something that never became durable.
    private mutating func leftover(
        _ file: (any File)?, _ size: Int, _ name: String, _ position: Int
    ) throws(StoreError) {
        isStopped = true
        guard let file, position < size else { return }
        var bytes = ByteBuffer()
        _ = try file.read(min(size - position, 1 << 20), at: position, into: &bytes)
        guard !FrameHeader.isZero(bytes.readableBytesSpan) else { return }
        findings.skipped.append(
            group.skipped(name, at: position, bytes: size - position, "behind the last durable frame"))
    }

    /// The first whole header of this group with a later index behind `position`.
    private func laterFrame(
        _ file: any File, from position: Int, _ size: Int
    ) throws(StoreError) -> (position: Int, header: FrameHeader)? {
        var start = position + FrameHeader.alignment
        while start + FrameHeader.byteCount <= size {
            var chunk = ByteBuffer()
            let count = try file.read(1 << 20, at: start, into: &chunk)
            var place = 0
            while place + FrameHeader.byteCount <= count {
                if case .header(let header) = FrameHeader.probe(chunk.readableBytesSpan, at: place), isOurs(header),
                    header.kind != .footer, header.index > next
                {
                    return (start + place, header)
                }
                place += FrameHeader.alignment
            }
            if count < 1 << 20 { return nil }
            start += count - FrameHeader.byteCount
        }
        return nil
    }
}

extension StoreReader {
    /// Passes every frame of `group` to `body`, oldest first, until it returns false.
    public func walk(
        _ group: InspectedGroup, unpacking: Bool = false, _ body: (WalkedFrame) -> Bool = { _ in true }
    ) throws(StoreError) -> WalkFindings {
        if unpacking { try keep(group.id) }
        var walk = GroupWalk(self, group, unpacks: unpacking)
        try walk.run(body)
        return walk.findings
    }

    /// The damage in the journal, if any.
    public var journalFindings: [Damage] { journalDamage.map { [$0] } ?? [] }

    /// Entries of a group whose entries are commands: index, term, kind, bytes.
    public func commands(
        of group: InspectedGroup, _ body: (LogIndex, Term, FrameKind, Int) -> Bool
    ) throws(StoreError) {
        var last = LogIndex.zero
        try indexed { () throws(IndexError) in
            try index.forEachPointer(of: group.id, from: group.meta.firstIndex) { entry in
                last = entry.index
                guard case .inline(let bytes) = entry.pointer.content else { return true }
                return body(
                    entry.index, entry.pointer.term, FrameKind(rawValue: entry.pointer.kind) ?? .command, bytes.count)
            }
        }
        for frame in journal.frames[group.id] ?? [] where frame.header.index > last {
            let header = frame.header
            guard body(header.index, header.term, header.kind, Int(header.rawLength)) else { return }
        }
    }

    /// The sparse offset index of `group`.
    public func offsetIndex(of group: InspectedGroup, _ body: (OffsetIndexEntry) -> Bool) throws(StoreError) {
        try indexed { () throws(IndexError) in
            try index.forEachOffsetIndexEntry(of: group.id, from: .zero) { body($0) }
        }
    }
}
