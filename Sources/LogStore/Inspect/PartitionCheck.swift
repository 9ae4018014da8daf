// SPDX-License-Identifier: Apache-2.0
//
// PartitionCheck.swift
// Holds the index of a partition against its frames, as a walk passes them: pointers, sparse indices, terms. Reads all of
// them side by side, so that memory does not grow with the log.

internal import Model

/// Compares the index of one partition with its frames.
struct PartitionCheck {
    let reader: StoreReader
    let group: InspectedGroup
    private(set) var findings = WalkFindings()
    private var pointers: IndexStream<IndexedPointer>
    private var offsets: IndexStream<OffsetIndexEntry>
    private var times: IndexStream<TimeIndexEntry>
    private var terms: ArraySlice<TermStart>
    /// Where the next frame is expected when nothing is damaged.
    private var tip: LogTip
    private var newest: Int64 = -1
    private var lastTime: Int64 = .min
    /// Frames that the sparse indices should find and do not.
    private var gaps = 0
    private var firstGap: WalkedFrame?
    /// The segment of the frame before.
    private var lastSegment = LogIndex.zero
    /// Families that cannot be read further.
    private var unreadable: Set<String> = []

    init(_ reader: StoreReader, _ group: InspectedGroup) {
        self.reader = reader
        self.group = group
        pointers = reader.index.pointers(of: group.id, from: group.meta.firstIndex)
        offsets = reader.index.offsetEntries(of: group.id)
        times = reader.index.timeEntries(of: group.id)
        terms = group.termStarts[...]
        tip = LogTip(
            nextIndex: group.meta.firstIndex, term: group.meta.previousTerm, nextOffset: group.meta.firstOffset,
            checksum: nil)
        // The term that the log begins in may have begun earlier.
        while let term = terms.first, term.firstIndex < group.meta.firstIndex {
            tip.term = max(tip.term, term.term)
            terms.removeFirst()
        }
    }

    /// Everything the index says about entries up to this one is there: later ones are applied later.
    private var indexedThrough: LogIndex { group.last?.index ?? .zero }

    /// Takes the next frame.
    mutating func take(_ frame: WalkedFrame) {
        let isBehindGap = frame.index != tip.nextIndex
        attempt("raft_log") { check throws(StoreError) in try check.checkPointers(frame, isBehindGap) }
        attempt("offset_index") { check throws(StoreError) in try check.checkOffsets(frame, isBehindGap) }
        attempt("time_index") { check throws(StoreError) in try check.checkTimes(frame, isBehindGap) }
        checkTerms(frame, isBehindGap)
        newest = max(newest, frame.maxTimestamp)
        lastSegment = frame.segment
        tip = LogTip(
            nextIndex: frame.lastIndex.next, term: frame.term, nextOffset: frame.endOffset,
            checksum: frame.header.checksum)
    }

    private mutating func attempt(_ family: String, _ body: (inout Self) throws(StoreError) -> Void) {
        do throws(StoreError) {
            try body(&self)
        } catch {
            guard unreadable.insert(family).inserted else { return }
            let reason = "\(family) cannot be read: \(error)"
            findings.add(group.damage(.database, "rocksdb", index: tip.nextIndex, offset: tip.nextOffset, reason))
        }
    }

    private mutating func report(_ kind: Damage.Kind, _ index: LogIndex?, _ offset: Offset?, _ reason: String) {
        findings.add(group.damage(kind, "rocksdb", index: index, offset: offset, reason))
    }

    // MARK: Pointers

    private mutating func checkPointers(_ frame: WalkedFrame, _ isBehindGap: Bool) throws(StoreError) {
        while let entry = try pointers.peek(), entry.index < frame.index { pointers.pop() }
        // Pointers that a crash has kept from going with the segments that were replaced.
        while frame.isCompacted, let entry = try pointers.peek(), entry.index <= frame.lastIndex { pointers.pop() }
        guard let entry = try pointers.peek(), entry.index == frame.index else { return }
        pointers.pop()
        guard let problem = Self.problem(entry.pointer, frame) else { return }
        report(.pointer, frame.index, frame.baseOffset, "the pointer of entry \(frame.index) \(problem)")
    }

    private static func problem(_ pointer: EntryPointer, _ frame: WalkedFrame) -> String? {
        guard let place = pointer.place else { return "is a command" }
        if pointer.term != frame.term { return "has term \(pointer.term), its frame \(frame.term)" }
        if pointer.kind != frame.kind.rawValue { return "is of another kind than its frame" }
        if !isThere(place.at, frame) { return "leads to \(text(place.at)), the frame is at \(text(frame))" }
        if place.baseOffset != frame.baseOffset || place.recordCount != frame.recordCount {
            return "names \(place.recordCount) records from \(place.baseOffset), its frame \(frame.recordCount) from "
                + "\(frame.baseOffset)"
        }
        if place.storedLength != frame.header.storedLength || place.payloadCRC != frame.header.payloadCRC {
            return "describes another payload than its frame"
        }
        return nil
    }

    /// Whether an entry of the sparse indices is of a file that compaction has replaced, and a crash has kept it from going:
    /// nobody follows it, and the next start removes it.
    private func isReplaced(_ place: SegmentPosition, _ segment: LogIndex) -> Bool {
        Segment.generation(of: segment) > 0 && place.segment != segment
    }

    private static func isThere(_ place: SegmentPosition, _ frame: WalkedFrame) -> Bool {
        place.segment == frame.segment && Int(place.position) == frame.position
    }

    private static func text(_ place: SegmentPosition) -> String {
        "byte \(place.position) of \(Segment.fileName(place.segment))"
    }

    private static func text(_ frame: WalkedFrame) -> String {
        "byte \(frame.position) of \(Segment.fileName(frame.segment))"
    }

    // MARK: Sparse indices

    private mutating func checkOffsets(_ frame: WalkedFrame, _ isBehindGap: Bool) throws(StoreError) {
        while let entry = try offsets.peek(), entry.offset < frame.baseOffset {
            offsets.pop()
            guard !isBehindGap, entry.index >= group.meta.firstIndex, !isReplaced(entry.at, lastSegment) else {
                continue
            }
            report(.offsetIndex, entry.index, entry.offset, "no frame begins at the indexed offset \(entry.offset)")
        }
        let isExpected =
            frame.index <= indexedThrough
            && SegmentInfo.isIndexed(position: frame.position, frameBytes: frame.frameBytes)
        guard let entry = try offsets.peek(), entry.offset == frame.baseOffset else {
            return isExpected ? noteGap(frame) : ()
        }
        // An entry without records shares its offset with the one that follows, and one of them is indexed.
        if entry.index > frame.index, frame.recordCount == 0 { return }
        offsets.pop()
        guard !isReplaced(entry.at, frame.segment) else { return }
        // One that stands for an entry before the log's start, or one that could not be read, says nothing of this frame.
        guard entry.index >= group.meta.firstIndex, !isBehindGap || entry.index >= frame.index,
            entry.index != frame.index || !Self.isThere(entry.at, frame)
        else { return }
        report(
            .offsetIndex, frame.index, frame.baseOffset,
            "offset \(entry.offset) is indexed as entry \(entry.index) at \(Self.text(entry.at)), it is entry "
                + "\(frame.index) at \(Self.text(frame))")
    }

    private mutating func checkTimes(_ frame: WalkedFrame, _ isBehindGap: Bool) throws(StoreError) {
        while let entry = try times.peek(), entry.offset < frame.baseOffset {
            times.pop()
            guard !isBehindGap, entry.index >= group.meta.firstIndex, !isReplaced(entry.at, lastSegment) else {
                continue
            }
            report(
                .timeIndex, entry.index, entry.offset,
                "no frame fits the indexed time \(entry.maxTimestampSoFar) at offset \(entry.offset)")
        }
        while let entry = try times.peek(), entry.offset == frame.baseOffset, entry.index <= frame.index {
            times.pop()
            guard entry.index >= group.meta.firstIndex, !isReplaced(entry.at, frame.segment) else { continue }
            let isFalling = entry.maxTimestampSoFar < lastTime
            lastTime = max(lastTime, entry.maxTimestampSoFar)
            if entry.index != frame.index || !Self.isThere(entry.at, frame) {
                report(
                    .timeIndex, frame.index, frame.baseOffset,
                    "time \(entry.maxTimestampSoFar) is indexed as entry \(entry.index) at \(Self.text(entry.at)), "
                        + "it is entry \(frame.index) at \(Self.text(frame))")
            } else if isFalling || (!isBehindGap && entry.maxTimestampSoFar < max(newest, frame.maxTimestamp)) {
                report(
                    .timeIndex, frame.index, frame.baseOffset,
                    "the indexed time \(entry.maxTimestampSoFar) is older than a record up to there")
            }
        }
    }

    private mutating func noteGap(_ frame: WalkedFrame) {
        gaps += 1
        if firstGap == nil { firstGap = frame }
    }

    // MARK: Terms

    private mutating func checkTerms(_ frame: WalkedFrame, _ isBehindGap: Bool) {
        while let term = terms.first, term.firstIndex < frame.index {
            terms.removeFirst()
            guard !isBehindGap else { continue }
            report(.termStart, term.firstIndex, term.firstOffset, "term \(term.term) does not begin where it is noted")
        }
        if let term = terms.first, term.firstIndex == frame.index {
            terms.removeFirst()
            if term.term != frame.term || term.firstOffset != frame.baseOffset {
                report(
                    .termStart, frame.index, frame.baseOffset,
                    "term \(term.term) is noted from offset \(term.firstOffset), the frame has term \(frame.term) at "
                        + "\(frame.baseOffset)")
            }
        } else if frame.term > tip.term, !isBehindGap, frame.index <= indexedThrough {
            report(.termStart, frame.index, frame.baseOffset, "the start of term \(frame.term) is not noted")
        }
    }

    // MARK: The end

    /// Looks at what is left behind the last frame; `isDamaged` when frames could not be read there.
    mutating func finish(isDamaged: Bool) {
        if gaps > 0, let frame = firstGap {
            findings.add(
                group.warning(
                    .sparseGap, file: "rocksdb",
                    "\(gaps) frames are not in the offset index, the first at offset \(frame.baseOffset); "
                        + "reading from there is slower"))
        }
        guard !isDamaged else { return }
        attempt("raft_log") { check throws(StoreError) in
            guard let entry = try check.pointers.peek() else { return }
            check.report(
                .pointer, entry.index, entry.pointer.place?.baseOffset,
                "entry \(entry.index) has a pointer and is not in the log")
        }
        attempt("offset_index") { check throws(StoreError) in
            guard let entry = try check.offsets.peek(), entry.index >= check.group.meta.firstIndex else { return }
            check.report(
                .offsetIndex, entry.index, entry.offset, "the indexed offset \(entry.offset) is behind the log's end")
        }
        attempt("time_index") { check throws(StoreError) in
            guard let entry = try check.times.peek(), entry.index >= check.group.meta.firstIndex else { return }
            check.report(
                .timeIndex, entry.index, entry.offset,
                "the indexed time \(entry.maxTimestampSoFar) is of an offset behind the log's end")
        }
        if let term = terms.first {
            report(
                .termStart, term.firstIndex, term.firstOffset,
                "term \(term.term) is noted from entry \(term.firstIndex), behind the log's end")
        }
    }
}
