// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog+Append.swift
// Gives entries their place: compression, chain, segment, position; then hands them to the flush thread.

internal import DequeModule
internal import Model
internal import NIOCore
internal import Records
internal import Synchronization

extension PartitionLog {
    /// See the type.
    public func append(_ draft: FrameDraft) throws(StoreError) {
        try checkOpen()
        precondition(draft.index == lastIndex.next, "\(id): entry \(draft.index) after \(lastIndex)")
        precondition(draft.term >= lastTerm, "\(id): term \(draft.term) after \(lastTerm)")
        precondition(draft.baseOffset == logEndOffset, "\(id): offset \(draft.baseOffset) at \(logEndOffset)")
        precondition(draft.recordCount >= 0 && draft.kind != .footer, "\(id): not an entry: \(draft.kind)")
        if case .decided(false) = draft.segmentStart, waiting.isEmpty, let last = segments.last, last.isSealed {
            try reopenLast(before: draft.index)
        }
        var entry = WaitingEntry(draft: draft, startsTerm: draft.term > (termStarts.last?.term ?? .zero))
        if entry.startsTerm {
            termStarts.append(TermStart(term: draft.term, firstIndex: draft.index, firstOffset: draft.baseOffset))
        }
        if draft.kind == .configuration {
            configurations.append(
                ConfigurationRecord(index: draft.index, bytes: Array(draft.payload.readableBytesView)))
            meta.configurations = configurations.encoded
            entry.meta = meta
        }
        lastIndex = draft.index
        lastTerm = draft.term
        logEndOffset = draft.endOffset
        core.addPending(rawLength(of: draft))
        if let level = compressionLevel(for: draft) {
            let ticket = makeTicket()
            entry.ticket = ticket
            core.codecDepth.wrappingAdd(1, ordering: .relaxed)
            core.codecQueue.post(
                EncodeJob(
                    handle: handle, ticket: ticket, payload: draft.payload, checksum: draft.checksum, level: level))
            waiting.append(entry)
        } else if waiting.isEmpty {
            seal(entry)
        } else {
            waiting.append(entry)
        }
    }

    /// The payload's length when it is unpacked.
    func rawLength(of draft: FrameDraft) -> Int {
        if case .stored(_, let rawLength) = draft.compression { return rawLength }
        return draft.payload.readableBytes
    }

    private func compressionLevel(for draft: FrameDraft) -> Int32? {
        guard draft.kind == .data, draft.compression == .auto else { return nil }
        let depth = core.codecDepth.load(ordering: .relaxed)
        return policy.decide(byteCount: draft.payload.readableBytes, queueDepth: depth)
    }

    /// Takes a payload back from the codec thread, which answers in the order it was asked.
    func encoded(_ payload: EncodedPayload) {
        // A truncation may have removed the entry meanwhile.
        guard let position = waiting.firstIndex(where: { $0.ticket == payload.ticket }) else { return }
        policy.observed(raw: waiting[position].draft.payload.readableBytes, stored: payload.payload.readableBytes)
        waiting[position].encoded = payload
        waiting[position].ticket = nil
        while let first = waiting.first, first.ticket == nil {
            waiting.removeFirst()
            seal(first)
        }
        postProducers()
        if isClosed, waiting.isEmpty { finishClosing() }
    }

    // MARK: Sealing

    /// Completes the frame of an entry, whose predecessors all have their place, and submits it.
    private func seal(_ entry: WaitingEntry) {
        let draft = entry.draft
        let stored = entry.encoded?.payload ?? draft.payload
        let leadMax = stored.readableBytes >= core.settings.leadBytesMin ? FrameHeader.leadMax : 0
        let frameBytes = FrameHeader.frameBytes(storedLength: stored.readableBytes, lead: leadMax)
        let starts = prepareSegment(for: draft, frameBytes: frameBytes)
        let active = segments.count - 1
        let position = segments[active].end
        var header = FrameHeader(
            kind: draft.kind, codec: .none, flags: starts ? .startsSegment : [], group: id,
            salt: segments[active].segment.salt, term: draft.term, index: draft.index, baseOffset: draft.baseOffset,
            maxTimestamp: draft.maxTimestamp, recordCount: draft.recordCount,
            storedLength: UInt32(stored.readableBytes), rawLength: UInt32(rawLength(of: draft)), previous: lastChecksum,
            payloadCRC: entry.encoded?.crc ?? draft.checksum ?? CRC32C.checksum(stored))
        header.codec = entry.encoded?.codec ?? storedCodec(of: draft)
        header.lead = draft.lead ?? lead(of: stored, at: position)
        header.seal()
        lastChecksum = header.checksum
        let isIndexed = extend(active, header, position)
        keepInTail(header, position, draft: draft, stored: stored)
        core.flushQueue.post(
            .frame(
                SealedFrame(
                    handle: handle, generation: progress.generation, segment: segments[active].segment,
                    position: UInt32(position), header: header, payload: stored, isIndexed: isIndexed,
                    maxTimestampSoFar: maxTimestamp, segmentMaxTimestamp: segments[active].maxTimestamp,
                    startsTerm: entry.startsTerm, meta: entry.meta)))
        onSealed?()
    }

    /// Large payloads are placed so that they are written without a copy.
    private func lead(of stored: ByteBuffer, at position: Int) -> UInt16 {
        guard stored.readableBytes >= core.settings.leadBytesMin else { return 0 }
        return UInt16(stored.lead(at: position + FrameHeader.byteCount))
    }

    private func storedCodec(of draft: FrameDraft) -> FrameCodec {
        if case .stored(let codec, _) = draft.compression { return codec }
        return .none
    }

    /// Notes the frame in its segment's description; returns whether it is indexed.
    private func extend(_ active: Int, _ header: FrameHeader, _ position: Int) -> Bool {
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
        let isIndexed = SegmentInfo.isIndexed(position: position, frameBytes: header.frameBytes)
        segments[active].end = position + header.frameBytes
        segments[active].lastIndex = header.index
        segments[active].lastTerm = header.term
        segments[active].endOffset = header.endOffset
        segments[active].maxTimestamp = max(segments[active].maxTimestamp, header.maxTimestamp)
        if isIndexed {
            segments[active].sparse.append(
                SparseEntry(
                    index: header.index, offset: header.baseOffset, position: UInt32(position),
                    maxTimestamp: segments[active].maxTimestamp))
        }
        return isIndexed
    }

    private func keepInTail(_ header: FrameHeader, _ position: Int, draft: FrameDraft, stored: ByteBuffer) {
        let isUnpacked = storedCodec(of: draft) == .none
        let extra = header.codec == .zstd && isUnpacked ? stored : nil
        keep(
            TailFrame(
                header: header, position: UInt32(position), payload: draft.payload, isUnpacked: isUnpacked,
                stored: extra, cost: draft.payload.readableBytes + (extra?.readableBytes ?? 0) + Self.tailOverhead))
    }

    /// What a frame in memory costs besides its payload.
    private static let tailOverhead = 256

    // MARK: Segments

    /// Rolls when it is time to; returns whether the frame begins a segment.
    private func prepareSegment(for draft: FrameDraft, frameBytes: Int) -> Bool {
        // Behind entries that waited for the codec; where the index cannot be read the store is about to stop.
        if segments.last?.isSealed == true, draft.segmentStart == .decided(false) {
            try? reopenLast(before: draft.index)
        }
        if let active = segments.last, !active.isSealed {
            guard mustRoll(active, draft, frameBytes) else { return active.end == 0 }
            sealActive()
        }
        wantsRoll = false
        let salt = FrameHeader.salt(group: id, base: draft.index, term: draft.term)
        let segment = Segment(group: id, base: draft.index, salt: salt, root: core.settings.directory)
        segments.append(
            SegmentInfo(
                segment: segment, baseOffset: draft.baseOffset, lastIndex: draft.index.previous, lastTerm: draft.term,
                endOffset: draft.baseOffset, end: 0, maxTimestamp: -1, openedAt: core.settings.clock.wallTime(),
                isSealed: false))
        return true
    }

    private func mustRoll(_ active: SegmentInfo, _ draft: FrameDraft, _ frameBytes: Int) -> Bool {
        guard active.end > 0 else { return false }
        let end = active.end + frameBytes
        if end > Int(UInt32.max) - FrameHeader.byteCount { return true }
        if case .decided(let starts) = draft.segmentStart { return starts }
        if wantsRoll || end > settings.segmentBytes { return true }
        return isOld(active, now: core.settings.clock.wallTime())
    }

    /// Whether a segment's first frame is older than segments may grow.
    func isOld(_ info: SegmentInfo, now: WallTime) -> Bool {
        guard let limit = settings.segmentMilliseconds else { return false }
        return now.milliseconds - info.openedAt.milliseconds >= limit
    }

    /// Rule R4: closes the active segment.
    ///
    /// Its footer follows its frames through the threads.
    func sealActive() {
        let position = segments.count - 1
        precondition(position >= 0 && !segments[position].isSealed, "\(id): no active segment to seal")
        let info = segments[position]
        var footer = FrameHeader(
            kind: .footer, codec: .none, flags: [], group: id, salt: info.segment.salt, term: info.lastTerm,
            index: info.lastIndex, baseOffset: info.endOffset, maxTimestamp: info.maxTimestamp, recordCount: 0,
            storedLength: 0, rawLength: 0, previous: lastChecksum, payloadCRC: 0)
        footer.seal()
        core.flushQueue.post(.forward(.seal(info.segment, footer: footer, position: UInt32(info.end))))
        segments[position].isSealed = true
        segments[position].sparse = []
    }

    /// Begins a new segment with the next entry.
    public func roll() { wantsRoll = true }

    /// Applies changed settings to entries from now on.
    public func configure(_ settings: GroupLogSettings) {
        if settings.compressesFrames != self.settings.compressesFrames {
            policy = CompressionPolicy(
                level: settings.compressesFrames ? core.settings.compressionLevel : 0,
                bytesMin: core.settings.compressionBytesMin)
        }
        self.settings = settings
    }
}
