// SPDX-License-Identifier: Apache-2.0
//
// GroupRecovery+Segments.swift
// What recovery finds in a group's directory before it reads frames: a cut to finish, the files that are its log, how far
// closed ones reach.

internal import Model
internal import NIOCore
internal import RocksKV

extension GroupRecovery {
    // MARK: Before the scan

    /// Step 2: a truncation that was decided is finished.
    mutating func finishCut() throws(StoreError) {
        guard let cut = group.meta.cut, writes else { return }
        let position = Int(cut.at.position)
        let names = try core.system.list(Segment.directory(of: id, root: core.settings.directory))
        var kept: Segment?
        var deleted: [Segment] = []
        // What is compacted is committed, and before any cut.
        let appended = names.compactMap(Segment.name(ofFileName:)).filter { Segment.generation(of: $0) == 0 }
        for base in appended.sorted() where base >= cut.at.segment {
            let segment = found(base, salt: 0)
            if base == cut.at.segment, position > 0 { kept = segment } else { deleted.append(segment) }
        }
        try core.files.finishCut(segment: kept, position: position, deleted: deleted)
        group.meta.cut = nil
    }

    private func found(_ base: LogIndex, salt: UInt64) -> Segment {
        Segment(
            group: id, base: base, salt: salt, root: core.settings.directory,
            state: Segment.State(allocated: 0, exists: true, isNamed: true))
    }

    /// The segments of the log, oldest first, with what their first and last frames say.
    func findSegments() throws(StoreError) -> [SegmentInfo] {
        let directory = Segment.directory(of: id, root: core.settings.directory)
        var segments: [SegmentInfo] = []
        let all = try core.system.list(directory).compactMap(Segment.name(ofFileName:))
        let names = try SegmentNames(all) { name throws(StoreError) in
            try describe(name).flatMap { $0.isSealed ? $0.lastIndex : nil }
        }
        for name in names.replaced where writes { try core.files.remove(directory + "/" + Segment.fileName(name)) }
        for name in names.current {
            guard Segment.base(of: name) >= group.meta.firstIndex else {
                if writes { try core.files.remove(directory + "/" + Segment.fileName(name)) }
                continue
            }
            if let info = try describe(name) { segments.append(info) }
        }
        return segments
    }

    /// Reads the first header and the footer of a segment; nil when nothing of the log is in it.
    private func describe(_ name: LogIndex) throws(StoreError) -> SegmentInfo? {
        let base = Segment.base(of: name)
        let path = found(name, salt: 0).path
        let file = try core.system.open(path, .read)
        let size = try file.size()
        let first = try header(file, at: 0)
        guard let first, first.group == id, first.index == base,
            first.salt == FrameHeader.salt(group: id, base: name, term: first.term)
        else {
            return Segment.generation(of: name) > 0
                ? describeUnreadable(name, size) : try describeDamaged(base, path, size, first)
        }
        let segment = Segment(
            group: id, base: name, salt: first.salt, root: core.settings.directory,
            state: Segment.State(allocated: size, exists: true, isNamed: true))
        let opened =
            first.maxTimestamp >= 0 ? WallTime(milliseconds: first.maxTimestamp) : core.settings.clock.wallTime()
        var info = SegmentInfo(
            segment: segment, baseOffset: first.baseOffset, lastIndex: base.previous, lastTerm: first.term,
            endOffset: first.baseOffset, end: 0, maxTimestamp: -1, openedAt: opened, isSealed: false)
        if size >= 2 * FrameHeader.byteCount, let footer = try header(file, at: size - FrameHeader.byteCount),
            footer.kind == .footer, footer.salt == first.salt, footer.group == id
        {
            info.isSealed = true
            info.end = size - FrameHeader.byteCount
            info.lastIndex = footer.index
            info.lastTerm = footer.term
            info.endOffset = footer.baseOffset
            info.maxTimestamp = footer.maxTimestamp
            if footer.isCompacted {
                info.compacted = CompactionMark(
                    keysThrough: Offset(Int64(bitPattern: footer.extent)),
                    horizon: footer.horizon == 0 ? nil : Int64(footer.horizon), committed: footer.committed)
            }
        }
        return info
    }

    /// A compacted segment was whole before it had its name: one that cannot be read is damaged, and the scan says so.
    private func describeUnreadable(_ name: LogIndex, _ size: Int) -> SegmentInfo {
        let base = Segment.base(of: name)
        let start = terms.starts.last { $0.firstIndex <= base }
        let term = start?.term ?? group.meta.previousTerm
        let segment = Segment(
            group: id, base: name, salt: FrameHeader.salt(group: id, base: name, term: term),
            root: core.settings.directory, state: Segment.State(allocated: size, exists: true, isNamed: true))
        return SegmentInfo(
            segment: segment, baseOffset: group.meta.firstOffset, lastIndex: base.previous, lastTerm: term,
            endOffset: group.meta.firstOffset, end: 0, maxTimestamp: -1, openedAt: core.settings.clock.wallTime(),
            isSealed: false)
    }

    /// A segment whose first frame cannot be read is empty, unless pointers say that frames were durable in it.
    private func describeDamaged(
        _ base: LogIndex, _ path: String, _ size: Int, _ first: FrameHeader?
    ) throws(StoreError) -> SegmentInfo? {
        let pointer = try indexed { () throws(IndexError) in try core.index.pointer(at: base, of: id) }
        guard let place = pointer?.place, place.at.segment == base else {
            if writes { try core.files.remove(path) }
            return nil
        }
        let salt = FrameHeader.salt(group: id, base: base, term: pointer?.term ?? .zero)
        let segment = Segment(
            group: id, base: base, salt: salt, root: core.settings.directory,
            state: Segment.State(allocated: size, exists: true, isNamed: true))
        return SegmentInfo(
            segment: segment, baseOffset: place.baseOffset, lastIndex: base.previous, lastTerm: pointer?.term ?? .zero,
            endOffset: place.baseOffset, end: 0, maxTimestamp: -1, openedAt: core.settings.clock.wallTime(),
            isSealed: false)
    }

    private func header(_ file: any File, at position: Int) throws(StoreError) -> FrameHeader? {
        var bytes = ByteBuffer()
        guard try file.read(FrameHeader.byteCount, at: position, into: &bytes) == FrameHeader.byteCount,
            case .header(let header) = FrameHeader.probe(bytes.readableBytesSpan, at: 0)
        else { return nil }
        return header
    }

    // MARK: Compacted segments

    /// Makes the frames of a compacted segment findable, if a crash came between its name and the index.
    ///
    /// `newestBefore` is the newest timestamp of the segments before it.
    mutating func indexCompacted(_ info: SegmentInfo, newestBefore: Int64) throws(StoreError) {
        let known = try indexed { () throws(IndexError) in
            try core.index.offsetIndexFloor(of: id, offset: info.baseOffset)
        }
        if let known, known.at.segment == info.segment.name, known.offset == info.baseOffset { return }
        let sparse = try info.sparseFromFrames(in: try core.files.reading(info.segment))
        try indexed { () throws(IndexError) in
            if !batch.isEmpty { try batch.commit(durability: .buffered) }
            try batch.replaceFrames(of: info, with: sparse, newestBefore: newestBefore)
            try batch.commit(durability: .buffered)
        }
    }
}
