// SPDX-License-Identifier: Apache-2.0
//
// GroupRecovery.swift
// Finds the true end of one partition's log and what is known of it (storage rules 3.6). Blocks on the disk; groups are
// independent, so several may be recovered at once.

internal import Model
internal import NIOCore
internal import RocksKV
internal import Synchronization

/// The recovery of one partition.
struct GroupRecovery: ~Copyable {
    let core: StoreCore
    let id: GroupID
    private let record: GroupRecord
    /// Entries that replay wrote in this run, whose sparse indices are missing, or that the index may lack altogether.
    private let replayedFrom: LogIndex?
    private let isClean: Bool
    let writes: Bool
    var batch: IndexBatch
    var group: RecoveredGroup
    var terms: TermScan

    /// Index records that are committed at a time.
    private static let batchCountMax = 8192

    /// Prepares the recovery of `id`.
    ///
    /// With `writes` false nothing is changed: the inspector looks at what there is.
    init(
        _ id: GroupID, record: GroupRecord, core: StoreCore, settings: GroupLogSettings, replayedFrom: LogIndex?,
        isClean: Bool, writes: Bool
    ) throws(StoreError) {
        self.id = id
        self.record = record
        self.core = core
        let unindexed = record.meta?.unindexedFrom
        self.replayedFrom = replayedFrom.map { min($0, unindexed ?? $0) } ?? unindexed
        self.isClean = isClean && unindexed == nil
        self.writes = writes
        batch = try indexed { () throws(IndexError) in try core.index.makeBatch() }
        let meta = record.meta ?? GroupMeta()
        group = RecoveredGroup(
            id: id, meta: meta, hardState: record.hardState ?? HardStateRecord(term: .zero, votedFor: nil),
            lastIndex: meta.firstIndex.previous, lastTerm: meta.previousTerm, logEndOffset: meta.firstOffset)
        group.settings = settings
        terms = TermScan(starts: record.termStarts)
    }

    /// Runs the recovery.
    consuming func run() throws(StoreError) -> RecoveredGroup {
        group.configurations = [ConfigurationRecord](decoding: group.meta.configurations) ?? []
        group.producerSnapshot = try indexed { () throws(IndexError) in try core.index.producerSnapshot(of: id) }
        try finishCut()
        let segments = try findSegments()
        if isClean, let closed = group.meta.closed, fits(closed, segments) {
            try takeClean(segments, closed)
        } else {
            try scan(segments)
        }
        if group.damage == nil, let hole = group.hole { markDamaged(hole, group.lastIndex) }
        if writes { try indexCompacted() }
        group.termStarts = terms.starts
        group.meta.closed = nil
        if group.damage == nil { group.meta.unindexedFrom = nil }
        if group.lastTerm > group.hardState.term {
            // Rule R2: no vote is known for the higher term.
            group.hardState = HardStateRecord(term: group.lastTerm, votedFor: nil)
        }
        if writes { try commit() }
        return group
    }

    private mutating func indexCompacted() throws(StoreError) {
        var newest: Int64 = -1
        for info in group.segments {
            if info.compacted != nil { try indexCompacted(info, newestBefore: newest) }
            newest = max(newest, info.maxTimestamp)
        }
    }

    private mutating func commit() throws(StoreError) {
        batch.putGroupMeta(group.meta, of: id)
        // A marker that came back after a power failure would be carried out again, on what was appended since.
        let mustLast = record.meta == nil || record.meta?.cut != nil
        do throws(IndexError) {
            try batch.commit(durability: mustLast ? .synced : .buffered)
        } catch {
            throw StoreError(error)
        }
    }

    // MARK: A clean start

    /// Whether the files are those that were closed; what is not sealed ends in the segment that was noted.
    private func fits(_ closed: CleanEnd, _ segments: [SegmentInfo]) -> Bool {
        // A pointer proves a later entry: the note is an old one.
        if let last = record.last, last.index > closed.lastIndex { return false }
        let kept = segments.filter { $0.segment.base <= closed.lastIndex }
        guard kept.dropLast().allSatisfy(\.isSealed), let last = kept.last else {
            return closed.lastIndex < group.meta.firstIndex
        }
        return last.segment.base == closed.end.segment
    }

    private mutating func takeClean(_ segments: [SegmentInfo], _ closed: CleanEnd) throws(StoreError) {
        group.lastIndex = closed.lastIndex
        group.lastTerm = closed.lastTerm
        group.logEndOffset = closed.nextOffset
        group.lastChecksum = closed.lastFrameChecksum
        group.segments = segments.filter { $0.segment.base <= closed.lastIndex }
        group.maxTimestamp = try lastIndexedTimestamp()
        for info in group.segments { group.maxTimestamp = max(group.maxTimestamp, info.maxTimestamp) }
        guard let last = group.segments.indices.last, !group.segments[last].isSealed else { return }
        group.segments[last].end = Int(closed.end.position)
        group.segments[last].lastIndex = closed.lastIndex
        group.segments[last].lastTerm = closed.lastTerm
        group.segments[last].endOffset = closed.nextOffset
        group.segments[last].sparse = try core.sparseEntries(of: group.segments[last])
        let info = group.segments[last]
        let newest = try info.newestTimestamp(before: info.end, in: try core.files.reading(info.segment))
        group.segments[last].maxTimestamp = newest
        group.maxTimestamp = max(group.maxTimestamp, newest)
    }

    private func lastIndexedTimestamp() throws(StoreError) -> Int64 {
        let last = try indexed { () throws(IndexError) in try core.index.timeIndexFloor(of: id, before: .max) }
        return last?.maxTimestampSoFar ?? -1
    }

    // MARK: The scan

    /// Steps 4 to 7.
    private mutating func scan(_ found: [SegmentInfo]) throws(StoreError) {
        let proven = record.last.map(\.index) ?? group.meta.firstIndex.previous
        group.maxTimestamp = try lastIndexedTimestamp()
        guard var number = startSegment(found, proven) else { return try nothingFound(proven) }
        if writes { try nameDurably() }
        group.segments = Array(found[..<number])
        for info in group.segments { group.maxTimestamp = max(group.maxTimestamp, info.maxTimestamp) }
        var tip = startTip(number)
        while number < found.count {
            var info = found[number]
            guard info.segment.base == tip.nextIndex || number == 0 || group.segments.isEmpty else {
                break
            }
            let start = try startPosition(&info, &tip, proven)
            terms.before = tip.term
            let file = try core.files.reading(info.segment)
            // What is read is made durable first, so that pointers to it may be written at any time (rule R1).
            if writes { try file.flush() }
            // What the next segment holds is not expected here, even when the footer was lost.
            let next = number + 1 < found.count ? found[number + 1].segment.base.previous : proven
            let through = info.segment.generation > 0 ? LogIndex(.max) : min(proven, next)
            let scan = SegmentScan(file: file, segment: info.segment, provenThrough: through)
            let scanned = try scan.run(from: start, tip: &tip) { frame throws(StoreError) in
                try take(frame, &info, proven)
            }
            info.end = scanned.position
            group.endings.append(scanned.reached)
            info.isSealed = scanned.verdict == .nextSegment
            if info.isSealed, writes { try endBehindFooter(info) }
            group.segments.append(info)
            if scanned.verdict == .corrupt {
                return damaged(info, scanned, tip, proven)
            }
            number += 1
            let continues = number < found.count && found[number].segment.base == tip.nextIndex && info.end > 0
            if continues {
                if !info.isSealed { try sealBehind(info, tip) }
                continue
            }
            if scanned.verdict == .wipe, writes { try wipe(info) }
            break
        }
        try drop(found[min(number, found.count)...], tip, proven)
        note(tip)
    }

    /// A process that was killed may have left names that are not durable, of files whose frames now count.
    private func nameDurably() throws(StoreError) {
        try core.files.syncDirectory(Segment.directory(of: id, root: core.settings.directory))
        try core.files.syncDirectory(core.settings.directory + "/groups")
    }

    /// The segment in which to begin: the one of the last pointer, or of the first entry that was replayed, or the
    /// first that has no footer.
    private func startSegment(_ found: [SegmentInfo], _ proven: LogIndex) -> Int? {
        guard !found.isEmpty else { return nil }
        let from = min(proven, replayedFrom ?? proven)
        guard let number = found.lastIndex(where: { $0.segment.base <= max(from, found[0].segment.base) }) else {
            return nil
        }
        // A footer becomes durable with a checkpoint only: what comes before the last pointer may lack it.
        return min(number, found.firstIndex { !$0.isSealed } ?? number)
    }

    private func startTip(_ number: Int) -> LogTip {
        guard let before = group.segments.last else {
            return LogTip(
                nextIndex: group.meta.firstIndex, term: group.meta.previousTerm, nextOffset: group.meta.firstOffset,
                checksum: nil)
        }
        return LogTip(
            nextIndex: before.lastIndex.next, term: before.lastTerm, nextOffset: before.endOffset, checksum: nil)
    }

    /// Where to begin in a segment: at the last sparse entry before what needs a look; at its start otherwise.
    private mutating func startPosition(
        _ info: inout SegmentInfo, _ tip: inout LogTip, _ proven: LogIndex
    ) throws(StoreError) -> Int {
        let from = min(proven, replayedFrom ?? proven)
        // A segment that was taken for sealed is read like any other: the footer stops the scan at its end.
        info.lastIndex = info.segment.base.previous
        info.end = 0
        info.maxTimestamp = -1
        let entries = try core.sparseEntries(of: info)
        guard let entry = entries.last(where: { $0.index <= from }), entry.index > info.segment.base else {
            if group.segments.isEmpty { tip.nextOffset = info.baseOffset }
            return 0
        }
        info.lastIndex = entry.index.previous
        let term = terms.starts.last { $0.firstIndex <= entry.index }?.term ?? tip.term
        tip = LogTip(nextIndex: entry.index, term: min(term, tip.term), nextOffset: entry.offset, checksum: nil)
        let position = Int(entry.position)
        info.sparse = entries.filter { $0.index <= entry.index }
        info.maxTimestamp = try info.newestTimestamp(before: position, in: try core.files.reading(info.segment))
        // The scan finds it again.
        info.sparse.removeLast()
        return position
    }

    /// Takes a frame that belongs to the log; indexes what is new.
    private mutating func take(_ frame: ScannedFrame, _ info: inout SegmentInfo, _ proven: LogIndex) throws(StoreError)
    {
        let header = frame.header
        group.maxTimestamp = max(group.maxTimestamp, header.maxTimestamp)
        info.maxTimestamp = max(info.maxTimestamp, header.maxTimestamp)
        info.lastIndex = header.lastIndex
        info.lastTerm = header.term
        info.endOffset = header.endOffset
        let isIndexed = SegmentInfo.isIndexed(position: frame.position, frameBytes: header.frameBytes)
        if isIndexed {
            info.sparse.append(
                SparseEntry(
                    index: header.index, offset: header.baseOffset, position: UInt32(frame.position),
                    maxTimestamp: info.maxTimestamp))
        }
        let isLate = core.mutates(.scanTrustsIndex) && header.term <= terms.starts.last?.term ?? .zero
        let startsTerm = !isLate && terms.note(header)
        if header.kind == .configuration, header.index > (group.configurations.last?.index ?? .zero) {
            group.configurations.append(
                ConfigurationRecord(index: header.index, bytes: Array(frame.payload.readableBytesView)))
            group.meta.configurations = group.configurations.encoded
        }
        if header.index > proven { group.foundFrames += 1 }
        guard writes else { return }
        if header.isCompacted {
            // No pointer stands for more than one entry; the indices are looked at as a whole.
            if startsTerm { putTermStart(header) }
            return
        }
        let isNew = header.index > proven || header.index >= (replayedFrom ?? header.index.next)
        if !isNew, !startsTerm, try hasPointer(header) { return }
        try index(frame, info, isIndexed: isIndexed, startsTerm: startsTerm)
    }

    /// Whether the index knows the frame, which it may not although it knows later ones: see ``TermScan``.
    private func hasPointer(_ header: FrameHeader) throws(StoreError) -> Bool {
        if core.mutates(.scanTrustsIndex) { return true }
        return try indexed { () throws(IndexError) in try core.index.pointer(at: header.index, of: id) != nil }
    }

    /// Step 6: what is in the segment is durable after the flush at the end; until then nothing is committed.
    private mutating func index(
        _ frame: ScannedFrame, _ info: SegmentInfo, isIndexed: Bool, startsTerm: Bool
    ) throws(StoreError) {
        // Between frames: a crash must not find a pointer whose frame has no place in the other indices.
        if batch.count > Self.batchCountMax {
            do throws(IndexError) { try batch.commit(durability: .buffered) } catch { throw StoreError(error) }
        }
        let header = frame.header
        let at = SegmentPosition(segment: info.segment.base, position: UInt32(frame.position))
        let place = FramePlace(
            at: at, storedLength: header.storedLength, baseOffset: header.baseOffset,
            recordCount: header.recordCount, payloadCRC: header.payloadCRC)
        batch.putPointer(
            EntryPointer(term: header.term, kind: header.kind.rawValue, content: .segment(place)), at: header.index,
            of: id)
        if startsTerm { putTermStart(header) }
        guard isIndexed, try !isFindable(header) else { return }
        batch.putOffsetIndex(
            OffsetIndexEntry(
                offset: header.baseOffset, index: header.index, at: at, segmentMaxTimestamp: info.maxTimestamp), of: id)
        guard group.maxTimestamp >= 0 else { return }
        batch.putTimeIndex(
            TimeIndexEntry(
                maxTimestampSoFar: group.maxTimestamp, offset: header.baseOffset, index: header.index, at: at), of: id)
    }

    private mutating func putTermStart(_ header: FrameHeader) {
        batch.putTermStart(
            TermStart(term: header.term, firstIndex: header.index, firstOffset: header.baseOffset), of: id)
    }

    /// Whether the indices have the frame.
    ///
    /// One that was replayed may be in them, with the newest timestamp up to there, which is not known here. An entry
    /// without records gives its offset to the one that follows.
    private func isFindable(_ header: FrameHeader) throws(StoreError) -> Bool {
        let known = try indexed { () throws(IndexError) in
            try core.index.offsetIndexFloor(of: id, offset: header.baseOffset)
        }
        guard let known else { return false }
        return known.offset == header.baseOffset && known.index >= header.index
    }

    // MARK: The end

    /// No segment: the log is empty, or everything it had was let go.
    private mutating func nothingFound(_ proven: LogIndex) throws(StoreError) {
        group.lastChecksum = group.meta.chain ?? 0
        guard proven >= group.meta.firstIndex else { return }
        markDamaged(
            Corruption(
                group: id, file: Segment.directory(of: id, root: core.settings.directory), position: 0,
                index: group.meta.firstIndex, reason: "segments that held durable entries are missing"), proven)
    }

    private mutating func note(_ tip: LogTip) {
        group.lastIndex = tip.nextIndex.previous
        group.lastTerm = group.segments.last?.lastTerm ?? group.meta.previousTerm
        if group.segments.isEmpty { group.lastTerm = group.meta.previousTerm }
        group.logEndOffset = tip.nextOffset
        group.lastChecksum = tip.checksum ?? group.meta.chain ?? 0
        if let last = group.segments.last, last.lastIndex < last.segment.base { group.segments.removeLast() }
    }

    /// Wipes what follows the last frame of the active segment, and makes what was found durable.
    private mutating func wipe(_ info: SegmentInfo) throws(StoreError) {
        let file = try core.files.reading(info.segment)
        let size = try file.size()
        group.cutBytes += size - info.end
        try file.truncate(to: info.end)
        try file.flush()
        info.segment.state.withLock { $0.allocated = info.end }
    }

    /// The footer of a segment was written, and the process ended before the file was cut behind it.
    private func endBehindFooter(_ info: SegmentInfo) throws(StoreError) {
        let file = try core.files.reading(info.segment)
        let end = info.end + FrameHeader.byteCount
        guard try file.size() > end else { return }
        try file.truncate(to: end)
        try file.flush()
    }

    /// Closes a segment whose footer was lost, although the log goes on in the next one.
    private mutating func sealBehind(_ info: SegmentInfo, _ tip: LogTip) throws(StoreError) {
        group.segments[group.segments.count - 1].isSealed = true
        group.segments[group.segments.count - 1].sparse = []
        guard writes else { return }
        var footer = FrameHeader(
            kind: .footer, codec: .none, flags: [], group: id, salt: info.segment.salt, term: info.lastTerm,
            index: info.lastIndex, baseOffset: info.endOffset, maxTimestamp: info.maxTimestamp, recordCount: 0,
            storedLength: 0, rawLength: 0, previous: tip.checksum ?? 0, payloadCRC: 0)
        footer.seal()
        let file = try core.files.reading(info.segment)
        try file.writeFooter(footer, at: info.end)
        try file.truncate(to: info.end + FrameHeader.byteCount)
        try file.flush()
    }

    /// Segments behind the end of the log are remains of what was never acknowledged, unless pointers say otherwise.
    private mutating func drop(_ rest: ArraySlice<SegmentInfo>, _ tip: LogTip, _ proven: LogIndex) throws(StoreError) {
        if proven >= tip.nextIndex {
            let file = group.segments.last?.segment.path ?? ""
            return markDamaged(
                Corruption(
                    group: id, file: file, position: group.segments.last?.end ?? 0, index: tip.nextIndex,
                    offset: tip.nextOffset, reason: "entries up to \(proven) were durable and are missing"), proven)
        }
        guard writes else { return }
        for info in rest.reversed() {
            group.cutBytes += try core.files.reading(info.segment).size()
            try core.files.delete(info.segment)
        }
        if let last = group.segments.last { try core.files.reading(last.segment).flush() }
        if let directory = rest.first?.segment.directory { try core.files.syncDirectory(directory) }
    }

    private mutating func damaged(_ info: SegmentInfo, _ scanned: ScanEnd, _ tip: LogTip, _ proven: LogIndex) {
        note(tip)
        markDamaged(
            Corruption(
                group: id, file: info.segment.path, position: scanned.position, index: tip.nextIndex,
                offset: tip.nextOffset,
                reason: "expected the frame of a durable entry, found: \(scanned.finding.rawValue)"),
            proven)
    }

    /// Step 7: the log keeps its length and its terms; what is damaged stays as it is.
    private mutating func markDamaged(_ corruption: Corruption, _ proven: LogIndex) {
        group.damage = corruption
        group.meta.isDamaged = true
        if let last = record.last, last.index > group.lastIndex, let place = last.pointer.place {
            group.lastIndex = last.index
            group.lastTerm = last.pointer.term
            group.logEndOffset = place.nextOffset
        }
    }
}
