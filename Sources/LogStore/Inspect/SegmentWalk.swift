// SPDX-License-Identifier: Apache-2.0
//
// SegmentWalk.swift
// One segment during a walk: its file, its salt, how it ends, and how to go on behind damage in it.

internal import Model
internal import NIOCore

/// The segment that a walk is in.
struct SegmentWalk {
    let base: LogIndex
    /// What stands for it in indices.
    let segment: LogIndex
    let path: String
    /// The file, below the data directory.
    let name: String
    /// The first entry of the segment after it.
    let following: LogIndex?
    private let reader: StoreReader
    var summary: InspectedSegment
    /// Where the next frame begins.
    var position = 0
    private(set) var size = 0
    /// Set when the footer was reached: the segment ends here.
    var isAtFooter = false
    private var file: (any File)?
    private var frames: FrameReader?
    /// What its frames carry; nil when neither the first frame nor the index tells.
    private var salt: UInt64?

    init(_ segment: LogIndex, folder: String, following: LogIndex?, reader: StoreReader) {
        self.segment = segment
        base = Segment.base(of: segment)
        self.following = following
        self.reader = reader
        path = "\(folder)/\(Segment.fileName(segment))"
        name = reader.relative(path)
        summary = InspectedSegment(segment, file: name, fileBytes: nil)
    }

    /// Opens the file, if there is one, and finds out what its frames carry.
    mutating func open(_ group: InspectedGroup) throws(StoreError) {
        guard let file = try reader.segmentFile(path) else { return }
        self.file = file
        size = try file.size()
        summary = InspectedSegment(segment, file: name, fileBytes: size)
        frames = FrameReader(file, upTo: size)
        if let first = try Self.header(file, at: 0), first.group == group.id, first.index == base,
            first.salt == FrameHeader.salt(group: group.id, base: segment, term: first.term)
        {
            salt = first.salt
        } else if let term = group.term(at: base) {
            salt = FrameHeader.salt(group: group.id, base: segment, term: term)
        }
    }

    /// What stands at the present position.
    mutating func peek(readsPayload: Bool = false) throws(StoreError) -> FrameFinding {
        try frames?.peek(at: position, readsPayload: readsPayload) ?? .end
    }

    /// Whether a frame belongs to this life of the file.
    func isOurs(_ header: FrameHeader, _ group: GroupID) -> Bool {
        header.group == group && (salt.map { $0 == header.salt } ?? true)
    }

    /// The header at `position`; nil when there is none.
    static func header(_ file: any File, at position: Int) throws(StoreError) -> FrameHeader? {
        var bytes = ByteBuffer()
        guard try file.read(FrameHeader.byteCount, at: position, into: &bytes) == FrameHeader.byteCount,
            case .header(let header) = FrameHeader.probe(bytes.readableBytesSpan, at: 0)
        else { return nil }
        return header
    }

    /// The bytes at the present position, at most `count`.
    func bytes(_ count: Int) throws(StoreError) -> ByteBuffer {
        var bytes = ByteBuffer()
        if let file, position < size { _ = try file.read(min(count, size - position), at: position, into: &bytes) }
        return bytes
    }

    /// The first whole header of this segment's life with an index above `index`, or its footer, behind the present
    /// position.
    func laterFrame(than index: LogIndex, of group: GroupID) throws(StoreError) -> (position: Int, header: FrameHeader)?
    {
        guard let file else { return nil }
        var start = position + FrameHeader.alignment
        var chunk = ByteBuffer()
        while start + FrameHeader.byteCount <= size {
            chunk.clear()
            let count = try file.read(min(Self.chunkBytes, size - start), at: start, into: &chunk)
            let bytes = chunk.readableBytesSpan
            for place in stride(from: 0, through: count - FrameHeader.byteCount, by: FrameHeader.alignment)
            where UInt32(truncatingIfNeeded: FrameHeader.word(bytes, place)) == FrameHeader.magic {
                if case .header(let header) = FrameHeader.probe(bytes, at: place), isOurs(header, group),
                    header.index > index || (header.kind == .footer && header.index >= index), header.isPlausible
                {
                    return (start + place, header)
                }
            }
            if count < Self.chunkBytes { return nil }
            start += (count - FrameHeader.byteCount) / FrameHeader.alignment * FrameHeader.alignment
        }
        return nil
    }

    private static let chunkBytes = 1 << 20
}

extension FrameHeader {
    /// Whether index and offsets are numbers that a log can have, so that computing with them is safe.
    var isPlausible: Bool {
        index.rawValue < 1 << 62 && baseOffset.rawValue >= 0 && baseOffset.rawValue < 1 << 62 && recordCount >= 0
            && (kind == .footer || extent < 1 << 62)
    }
}

extension GroupWalk {
    /// Reports the entry that should be here, and goes to the next one that can be found.
    mutating func goOnBehindDamage(_ segment: inout SegmentWalk) throws(StoreError) {
        let found = try segment.laterFrame(than: tip.nextIndex, of: group.id)
        let end = found?.position ?? segment.size
        report(.frame, segment.name, segment.position, reason(segment, found?.header))
        if end > segment.position {
            findings.add(
                group.skipped(
                    .undecodable, segment.name, at: segment.position, bytes: end - segment.position,
                    found == nil ? "up to the end of the file" : "up to the next whole frame"))
        }
        segment.position = end
        forgetWhatCameBefore()
        guard let found else {
            if let later = reader.journal.firstFrame(of: group.id, behind: tip.nextIndex, in: segment.base),
                later.position >= end
            {
                return continueAt(later.header)
            }
            // Nothing more of this segment can be found.
            segment.summary.end = .noFooter
            if let following = segment.following { tip.nextIndex = following } else { isStopped = true }
            segment.isAtFooter = true
            return
        }
        continueAt(found.header)
    }

    private mutating func continueAt(_ header: FrameHeader) {
        tip.nextIndex = header.kind == .footer ? header.index.next : header.index
        tip.nextOffset = header.baseOffset
        knowsOffset = true
    }

    private func reason(_ segment: SegmentWalk, _ later: FrameHeader?) -> String {
        let last = later.map { $0.kind == .footer ? $0.index : $0.index.previous }
        let through = last ?? segment.following?.previous ?? provenThrough
        if through > tip.nextIndex { return "the frames of the entries \(tip.nextIndex) to \(through) are not there" }
        return "the frame of entry \(tip.nextIndex) is not there"
    }

    // MARK: The end of a segment

    /// Looks at the footer of a segment whose last frame was reached.
    mutating func close(_ segment: inout SegmentWalk) throws(StoreError) {
        segment.isAtFooter = true
        guard segment.size > 0 else { return }
        if segment.summary.frames == 0, tip.checksum == nil, segment.position >= segment.size { return }
        if case .frame(let footer, _) = try segment.peek(), footer.kind == .footer, segment.isOurs(footer, group.id) {
            segment.summary.end = .sealed
            defer { if footer.isCompacted { tip.checksum = footer.chain } }
            segment.summary.note(footer)
            if let problem = problem(footer, segment) { return reportFooter(segment, problem) }
            return try checkEnd(segment)
        }
        segment.summary.end = .noFooter
        // The pointers of a sealed segment but the last go when its footer is durable.
        if try isFooterProven(segment) {
            return reportFooter(segment, "the footer is not there, although it was durable")
        }
        findings.add(
            group.warning(
                .footerPending, file: segment.name,
                "\(segment.name) has no footer yet; the next start writes it"))
    }

    /// The file ends with its footer; before a checkpoint has covered that, a killed process may not have cut it.
    private mutating func checkEnd(_ segment: SegmentWalk) throws(StoreError) {
        guard segment.size != segment.position + FrameHeader.byteCount else { return }
        if try isFooterProven(segment) {
            return reportFooter(segment, "the file ends at byte \(segment.size), not behind its footer")
        }
        findings.add(
            group.warning(
                .footerPending, file: segment.name,
                "\(segment.name) goes on behind its footer; the next start cuts it there"))
    }

    private func isFooterProven(_ segment: SegmentWalk) throws(StoreError) -> Bool {
        if Segment.generation(of: segment.segment) > 0 { return true }
        let former = segment.summary.lastIndex.previous
        guard former >= segment.base, let last = group.last?.index, former < last else { return false }
        return try indexed { () throws(IndexError) in try reader.index.pointer(at: former, of: group.id) } == nil
    }

    private mutating func reportFooter(_ segment: SegmentWalk, _ problem: String) {
        findings.add(
            group.damage(
                .footer, segment.name, at: segment.position, index: segment.summary.lastIndex,
                offset: segment.summary.endOffset, problem))
    }

    private func problem(_ footer: FrameHeader, _ segment: SegmentWalk) -> String? {
        let newest = segment.summary.maxTimestamp
        if footer.index.next != tip.nextIndex {
            return "the footer ends with entry \(footer.index), not \(tip.nextIndex.previous)"
        }
        if let checksum = tip.checksum, footer.previous != checksum { return "the footer does not continue the chain" }
        if footer.term != tip.term, tip.checksum != nil { return "the footer has term \(footer.term), not \(tip.term)" }
        if knowsOffset, footer.baseOffset != tip.nextOffset {
            return "the footer ends at offset \(footer.baseOffset), not \(tip.nextOffset)"
        }
        if footer.maxTimestamp < newest {
            return "the footer's newest timestamp is \(footer.maxTimestamp), a frame has \(newest)"
        }
        return nil
    }

    /// Notes what stands behind the last frame: nothing, or remains of something that never became durable.
    mutating func leftover(_ segment: inout SegmentWalk) throws(StoreError) {
        let bytes = try segment.bytes(1 << 20)
        guard bytes.readableBytes > 0, !FrameHeader.isZero(bytes.readableBytesSpan) else { return }
        var kind = Skipped.Kind.notDurable
        let content = bytes.readableBytesSpan
        let last = bytes.readableBytes - FrameHeader.byteCount
        for place in stride(from: 0, through: last, by: FrameHeader.alignment) {
            guard case .header(let header) = FrameHeader.probe(content, at: place) else { continue }
            if !segment.isOurs(header, group.id) { kind = .formerLife }
            break
        }
        let reason = kind == .formerLife ? "of the file's earlier life" : "behind the last durable frame"
        findings.add(
            group.skipped(
                kind, segment.name, at: segment.position, bytes: segment.size - segment.position, reason))
    }
}
