// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog+Truncate.swift
// Removes a suffix that was never committed (rule R3), and prefixes that are not needed (rules R5, R6).

internal import DequeModule
public import Model
internal import NIOCore

extension PartitionLog {
    /// See the type.
    public func truncate(from index: LogIndex) throws(StoreError) {
        try checkOpen()
        precondition(index >= firstIndex, "\(id): truncation from \(index) before \(firstIndex)")
        guard index <= lastIndex else { return }
        dropWaiting(from: index)
        let sealed = segments.last?.lastIndex ?? meta.firstIndex.previous
        if index <= sealed { try cutSealed(from: index) }
        lastIndex = index.previous
        lastTerm = term(at: lastIndex) ?? meta.previousTerm
        core.readCache.drop(id, from: index)
    }

    /// Entries that have no place yet are simply forgotten.
    private func dropWaiting(from index: LogIndex) {
        while let last = waiting.last, last.draft.index >= index {
            waiting.removeLast()
            core.addPending(-rawLength(of: last.draft))
            logEndOffset = last.draft.baseOffset
        }
        if let held = heldProducers, held.index >= index { heldProducers = nil }
        termStarts.removeAll { $0.firstIndex >= index }
        if configurations.contains(where: { $0.index >= index }) {
            configurations.removeAll { $0.index >= index }
            meta.configurations = configurations.encoded
        }
    }

    private func cutSealed(from index: LogIndex) throws(StoreError) {
        guard let number = segments.lastIndex(where: { $0.segment.base <= index }) else {
            preconditionFailure("\(id): no segment holds entry \(index)")
        }
        let info = segments[number]
        var deleted = segments[(number + 1)...].map(\.segment)
        var kept: Segment?
        var position = 0
        if info.segment.base == index {
            deleted.insert(info.segment, at: 0)
            logEndOffset = info.baseOffset
            // The chain goes on where it went on before, also when what was before is not kept any more.
            lastChecksum = try frame(at: index, in: info).header.previous
            segments.removeSubrange(number...)
        } else {
            let last = try frame(at: index.previous, in: info)
            position = last.position + last.header.frameBytes
            kept = info.segment
            logEndOffset = last.header.endOffset
            lastChecksum = last.header.checksum
            segments.removeSubrange((number + 1)...)
            try shorten(number, to: last.header, end: position)
        }
        if segments.isEmpty { meta.chain = lastChecksum }
        progress.cut(from: index)
        dropTail(from: index)
        let marker = CutMarker(
            from: index, at: SegmentPosition(segment: info.segment.base, position: UInt32(position)),
            number: UInt64(progress.generation))
        var marked = meta
        marked.cut = marker
        core.flushQueue.post(
            .cut(
                Cut(
                    handle: handle, meta: marked, segment: kept, marker: marker, offset: logEndOffset,
                    deleted: deleted)))
    }

    /// Makes a segment active again that ends with `last`.
    private func shorten(_ number: Int, to last: FrameHeader, end: Int) throws(StoreError) {
        segments[number].isSealed = false
        segments[number].end = end
        segments[number].lastIndex = last.index
        segments[number].lastTerm = last.term
        segments[number].endOffset = last.endOffset
        if segments[number].sparse.isEmpty { segments[number].sparse = try core.sparseEntries(of: segments[number]) }
        segments[number].sparse.removeAll { $0.index > last.index }
        segments[number].maxTimestamp = try newestTimestamp(of: segments[number])
    }

    /// The newest timestamp of what a segment that is cut keeps; from memory, or read while the loop waits.
    private func newestTimestamp(of info: SegmentInfo) throws(StoreError) -> Int64 {
        var newest: Int64 = -1
        var stored = info.end
        for frame in tail where frame.header.index >= info.segment.base && frame.header.index <= info.lastIndex {
            newest = max(newest, frame.header.maxTimestamp)
            stored = min(stored, Int(frame.position))
        }
        return max(newest, try info.newestTimestamp(before: stored, in: try core.files.reading(info.segment)))
    }

    /// Takes up a closed segment again, because the leader's next entry belongs into it.
    ///
    /// This replica closed it for an entry that was cut or lost. The way is that of a truncation, of nothing but the
    /// footer: everything before is in its place when the file is cut.
    func reopenLast(before index: LogIndex) throws(StoreError) {
        let number = segments.count - 1
        let info = segments[number]
        segments[number].isSealed = false
        segments[number].sparse = try core.sparseEntries(of: info)
        let marker = CutMarker(
            from: index, at: SegmentPosition(segment: info.segment.base, position: UInt32(info.end)),
            number: UInt64(progress.generation))
        var marked = meta
        marked.cut = marker
        core.flushQueue.post(
            .cut(
                Cut(
                    handle: handle, meta: marked, segment: info.segment, marker: marker, offset: info.endOffset,
                    deleted: [])))
    }

    // MARK: Finding frames

    /// The header of the frame at `index`; from memory, or read from the segment while the loop waits.
    func frame(
        at index: LogIndex, in info: SegmentInfo
    ) throws(StoreError) -> (header: FrameHeader, position: Int) {
        if let first = tail.first?.header.index, index >= first, index - first < tail.count {
            let frame = tail[index - first]
            return (frame.header, Int(frame.position))
        }
        let file = try core.files.reading(info.segment)
        var cursor = FrameCursor(file, from: info.floor(index: index), upTo: info.end, chunkBytes: 64 << 10)
        while true {
            let position = cursor.position
            guard case .frame(let header, _) = try cursor.peek(), header.salt == info.segment.salt else {
                throw .corrupt(
                    Corruption(
                        group: id, file: info.segment.path, position: position, index: index,
                        reason: "the frame before a truncation cannot be read"))
            }
            if header.index == index { return (header, position) }
            cursor.skip(header)
        }
    }

    // MARK: Prefixes

    /// Deletes the records below `offset` (Kafka's DeleteRecords): they cannot be read any more, and segments that hold
    /// nothing else are removed; none that holds an entry past `committed`, as entries without records have no offset
    /// of their own.
    public func trim(to offset: Offset, committed: LogIndex = LogIndex(.max)) throws(StoreError) {
        try checkOpen()
        guard offset > meta.logStartOffset, !isInstalling else { return }
        precondition(offset <= logEndOffset, "\(id): trim to \(offset) past \(logEndOffset)")
        let last = min(progress.applied, removable(committed))
        // While files are being replaced they stay; the next look at retention takes them.
        let count =
            isSwapping
            ? 0
            : segments.prefix {
                $0.isSealed && $0.endOffset <= offset && $0.lastIndex <= last && !isPinned($0)
            }.count
        removeOldest(count, logStart: offset)
    }

    /// The last entry that a segment may hold which goes.
    ///
    /// Where there are other replicas the entry behind it must be committed too: another leader's would go on in the segment.
    private func removable(_ committed: LogIndex) -> LogIndex {
        isReplicated && committed > .zero && committed < LogIndex(.max) ? committed.previous : committed
    }

    /// Rolls a segment that is old enough, and removes sealed segments that retention lets go; none that holds an
    /// offset at or past `end` or an entry past `committed`.
    public func applyRetention(
        now: WallTime, retentionMilliseconds: Int64?, retentionBytes: Int?, upTo end: Offset,
        committed: LogIndex = LogIndex(.max)
    ) throws(StoreError) {
        try checkOpen()
        guard !isInstalling, !isSwapping else { return }
        if let active = segments.last, !active.isSealed, active.end > 0, waiting.isEmpty,
            isOld(active, now: now) || isExpired(active, now, retentionMilliseconds)
        {
            // Where there are other replicas, all begin a segment with the same entry: the leader's next one.
            if isReplicated { wantsRoll = true } else { sealActive() }
        }
        var left = sizeBytes
        var count = 0
        for info in segments {
            guard info.isSealed, info.endOffset <= end, info.lastIndex <= min(progress.applied, removable(committed)),
                !isPinned(info)
            else { break }
            let isTooMuch = retentionBytes.map { $0 >= 0 && left - info.end >= $0 } ?? false
            let hasNothing = info.endOffset <= meta.logStartOffset
            guard hasNothing || isTooMuch || isExpired(info, now, retentionMilliseconds) else { break }
            left -= info.end
            count += 1
        }
        guard count > 0 else { return }
        removeOldest(count, logStart: max(meta.logStartOffset, segments[count - 1].endOffset))
    }

    private func isPinned(_ info: SegmentInfo) -> Bool { pinnedFrom.map { info.segment.base >= $0 } ?? false }

    private func isExpired(_ info: SegmentInfo, _ now: WallTime, _ limit: Int64?) -> Bool {
        guard let limit, limit >= 0 else { return false }
        // Entries without records age from the time they were written.
        let newest = info.maxTimestamp >= 0 ? info.maxTimestamp : info.openedAt.milliseconds
        return now.milliseconds - newest > limit
    }

    /// Moves the beginning of the log past the first `count` segments; the marks become durable before the files go.
    private func removeOldest(_ count: Int, logStart: Offset) {
        let former = meta.firstIndex
        let deleted = segments.prefix(count).map(\.segment)
        if let last = segments.prefix(count).last {
            meta.previousTerm = last.lastTerm
            meta.firstIndex = last.lastIndex.next
            meta.firstOffset = last.endOffset
            segments.removeFirst(count)
            if segments.isEmpty { meta.chain = lastChecksum }
            forgetPrefix()
        }
        meta.logStartOffset = max(logStart, meta.firstOffset)
        let trim = Trim(group: id, meta: meta, formerFirst: former, last: lastIndex, deleted: deleted)
        core.flushQueue.post(.forward(.trim(trim)))
    }

    /// Term starts but the last before the first index, and configurations but the last, are not needed any more.
    private func forgetPrefix() {
        let first = meta.firstIndex
        let terms = termStarts.partitioningIndex { $0.firstIndex > first }
        if terms > 1 { termStarts.removeFirst(terms - 1) }
        let older = configurations.partitioningIndex { $0.index >= first }
        if older > 1 {
            configurations.removeFirst(older - 1)
            meta.configurations = configurations.encoded
        }
        _ = evictTail(through: first.previous)
    }

    /// Stores the producers' state as of `offset`, which every entry up to now is reflected in.
    public func saveProducerSnapshot(_ bytes: [UInt8], at offset: Offset) {
        guard failure == nil, !isClosed, !isInstalling else { return }
        let snapshot = ProducerSnapshot(offset: offset, index: lastIndex, bytes: bytes)
        producerSnapshot = snapshot
        heldProducers = snapshot
        postProducers()
    }

    /// Posts the producers' state behind the entries it reflects: those that wait for the codec may yet be forgotten.
    func postProducers() {
        guard let held = heldProducers, held.index <= sealedIndex else { return }
        heldProducers = nil
        core.flushQueue.post(.forward(.producerSnapshot(id, held)))
    }
}
