// SPDX-License-Identifier: Apache-2.0
//
// SegmentScan.swift
// Walks one segment's frames during recovery and asks the decision table at each step.

internal import Model
internal import NIOCore

/// Where a log stands between two frames.
struct LogTip: Sendable, Hashable {
    var nextIndex: LogIndex
    var term: Term
    var nextOffset: Offset
    /// The checksum the chain continues; nil when the frame before is not known.
    var checksum: UInt32?
}

/// A frame that recovery took.
struct ScannedFrame: Sendable {
    let header: FrameHeader
    let position: Int
    let payload: ByteBuffer
}

/// How the scan of one segment ended.
struct ScanEnd: Sendable {
    var verdict: RecoveryVerdict
    var finding: RecoveryFinding
    var position: Int
    /// The row and the column of the decision table.
    var reached: RecoveryCase
}

/// Scans one segment.
struct SegmentScan {
    let file: any File
    let segment: Segment
    /// Entries up to this one have pointers, or stood in the journal.
    let provenThrough: LogIndex

    /// A sector of a disk: what is written whole or not at all.
    private static let sectorBytes = 512

    /// Passes frames from `position` on to `body` until the log or the segment ends.
    func run(
        from position: Int, tip: inout LogTip, _ body: (ScannedFrame) throws(StoreError) -> Void
    ) throws(StoreError) -> ScanEnd {
        let size = try file.size()
        var cursor = FrameCursor(file, from: position, upTo: size)
        while true {
            let found = try cursor.peek()
            let finding = try classify(found, tip, cursor.position, size)
            let isProven = tip.nextIndex <= provenThrough && finding != .footer
            let needsLook = !isProven && (finding == .badPayload || finding == .zeros)
            let hasLater = try needsLook ? later(than: tip.nextIndex, behind: cursor.position, size) : false
            let reached = RecoveryCase(finding, isProven: isProven, hasLater: hasLater)
            let verdict = RecoveryTable.verdict(reached)
            guard verdict == .take, case .frame(let header, let payload) = found else {
                if verdict == .nextSegment, case .frame(let footer, _) = found, footer.isCompacted {
                    tip.checksum = footer.chain
                }
                return ScanEnd(verdict: verdict, finding: finding, position: cursor.position, reached: reached)
            }
            try body(ScannedFrame(header: header, position: cursor.position, payload: payload))
            tip = LogTip(
                nextIndex: header.lastIndex.next, term: header.term, nextOffset: header.endOffset,
                checksum: header.checksum)
            cursor.skip(header)
        }
    }

    private func classify(
        _ found: FrameFinding, _ tip: LogTip, _ position: Int, _ size: Int
    ) throws(StoreError) -> RecoveryFinding {
        switch found {
        case .end: return .end
        case .noHeader(.zeros): return .zeros
        case .noHeader(.short): return try isZero(from: position, upTo: size) ? .zeros : .foreign
        case .noHeader: return .foreign
        case .frame(let header, _):
            guard isOurs(header) else { return .foreign }
            if header.kind == .footer {
                return header.index.next == tip.nextIndex && fitsChain(header, tip) ? .footer : .remains
            }
            return continues(header, tip) ? .next : .remains
        case .damagedPayload(let header):
            guard isOurs(header) else { return .foreign }
            guard continues(header, tip) else { return .remains }
            return try hasEmptySector(header, position, size) ? .tornPayload : .badPayload
        }
    }

    private func isOurs(_ header: FrameHeader) -> Bool {
        header.salt == segment.salt && header.group == segment.group
    }

    private func continues(_ header: FrameHeader, _ tip: LogTip) -> Bool {
        header.index == tip.nextIndex && header.term >= tip.term && header.baseOffset == tip.nextOffset
            && fitsChain(header, tip)
    }

    private func fitsChain(_ header: FrameHeader, _ tip: LogTip) -> Bool {
        tip.checksum.map { $0 == header.previous } ?? true
    }

    /// Whether a sector inside the frame was never written.
    private func hasEmptySector(_ header: FrameHeader, _ position: Int, _ size: Int) throws(StoreError) -> Bool {
        let end = min(size, position + header.frameBytes)
        if end < position + header.payloadStart + Int(header.storedLength) { return true }
        var sector = (position / Self.sectorBytes + 1) * Self.sectorBytes
        while sector < end {
            if try isZero(from: sector, upTo: min(end, sector + Self.sectorBytes)) { return true }
            sector += Self.sectorBytes
        }
        return false
    }

    private func isZero(from start: Int, upTo end: Int) throws(StoreError) -> Bool {
        var bytes = ByteBuffer()
        _ = try file.read(end - start, at: start, into: &bytes)
        return FrameHeader.isZero(bytes.readableBytesSpan)
    }

    /// Whether a whole frame of this life with a higher index stands behind `position`.
    private func later(than index: LogIndex, behind position: Int, _ size: Int) throws(StoreError) -> Bool {
        var start = position + FrameHeader.alignment
        let overlap = FrameHeader.byteCount
        var chunk = ByteBuffer()
        while start + FrameHeader.byteCount <= size {
            chunk.clear()
            let count = try file.read(1 << 20, at: start, into: &chunk)
            let bytes = chunk.readableBytesSpan
            var offset = 0
            while offset + FrameHeader.byteCount <= count {
                if UInt32(truncatingIfNeeded: FrameHeader.word(bytes, offset)) == FrameHeader.magic,
                    case .header(let header) = FrameHeader.probe(bytes, at: offset), isOurs(header),
                    header.kind != .footer, header.index > index
                {
                    return true
                }
                offset += FrameHeader.alignment
            }
            if count < 1 << 20 { return false }
            start += count - overlap
        }
        return false
    }
}
