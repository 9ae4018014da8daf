// SPDX-License-Identifier: Apache-2.0
//
// SegmentRewriter.swift
// Makes one segment of some that follow each other, with what a filter leaves of their batches. Frames cover all entries and
// offsets without a gap, as many in one as make a frame of a good size.

internal import Model
internal import NIOCore
internal import Records

/// Rewrites one row of segments into a file of its own.
struct SegmentRewriter {
    private let core: StoreCore
    private let plan: CompactionPlan
    private let sources: ArraySlice<SegmentInfo>
    private let pace: (Int) throws(StoreError) -> Void
    private let compression = CompressionContext()
    private let decompressor: ZstdDecompressor
    private let compressor: ZstdCompressor
    private var output: FrameOutput
    private var pending: PendingFrame?
    private var bytesRead = 0

    /// The raw bytes from which on a frame takes no more entries.
    static let frameBytes = 128 << 10

    /// `pace` is told of bytes that were read or written, and may wait, or throw when the pass is not wanted any more.
    init(
        _ core: StoreCore, _ plan: CompactionPlan, _ range: Range<Int>, pace: @escaping (Int) throws(StoreError) -> Void
    ) throws(StoreError) {
        self.core = core
        self.plan = plan
        self.pace = pace
        sources = plan.sources[range]
        guard let decompressor = try? ZstdDecompressor(), let compressor = try? ZstdCompressor() else {
            throw .diskFailed("no memory for compression")
        }
        self.decompressor = decompressor
        self.compressor = compressor
        compressor.level = plan.compressionLevel
        output = try FrameOutput(core, plan.handle.id, sources)
    }

    /// Writes the file, and makes it durable.
    mutating func run(_ filter: inout CompactionFilter) throws(StoreError) -> RewrittenSegment {
        filter.beginSegment()
        do throws(StoreError) {
            for info in sources { try rewrite(info, &filter) }
            try flushPending()
            return try finish(filter)
        } catch {
            try? core.system.remove(output.path)
            throw error
        }
    }

    // MARK: Reading

    private mutating func rewrite(_ info: SegmentInfo, _ filter: inout CompactionFilter) throws(StoreError) {
        var cursor = FrameCursor(try core.files.reading(info.segment), from: 0, upTo: info.end)
        var next = info.segment.base
        while cursor.position < info.end {
            let (header, payload) = try Self.frame(&cursor, info, next)
            next = header.lastIndex.next
            bytesRead += header.frameBytes
            try pace(header.frameBytes)
            try take(header, payload, &filter)
            cursor.skip(header)
        }
        guard next == info.lastIndex.next else {
            throw .corrupt(Self.damage(info, cursor.position, "the segment ends before its last entry"))
        }
    }

    /// The frame at the cursor, which must be the one that holds entry `next`.
    static func frame(
        _ cursor: inout FrameCursor, _ info: SegmentInfo, _ next: LogIndex
    ) throws(StoreError) -> (FrameHeader, ByteBuffer) {
        guard case .frame(let header, let payload) = try cursor.peek(), header.salt == info.segment.salt,
            header.kind != .footer, header.index == next
        else { throw .corrupt(damage(info, cursor.position, "a frame that is to be compacted cannot be read")) }
        return (header, payload)
    }

    static func damage(_ info: SegmentInfo, _ position: Int, _ reason: String) -> Corruption {
        Corruption(group: info.segment.group, file: info.segment.path, position: position, reason: reason)
    }

    private mutating func take(
        _ header: FrameHeader, _ payload: ByteBuffer, _ filter: inout CompactionFilter
    ) throws(StoreError) {
        output.begin(with: header)
        if header.kind == .configuration {
            // Members are read from the log where the index has forgotten them.
            try flushPending()
            return try output.append(header, extent: 0, payload, codec: header.codec)
        }
        if let pending, pending.term != header.term || !pending.hasRoom(for: header) { try flushPending() }
        var frame = pending ?? PendingFrame(header)
        frame.cover(header)
        if header.kind == .data, header.storedLength > 0 {
            let raw = try header.unpack(payload, decompressor)
            do throws(RecordError) {
                var cursor = RecordBatchCursor(raw)
                while let batch = try cursor.next() { try frame.add(batch, filter.rest(of: batch, compression)) }
            } catch {
                throw .corrupt(
                    Corruption(
                        group: header.group, file: "", position: 0, index: header.index, offset: header.baseOffset,
                        reason: "a stored batch cannot be read: \(error)"))
            }
        }
        pending = frame
        if frame.payload.readableBytes >= Self.frameBytes { try flushPending() }
    }

    // MARK: Writing

    private mutating func flushPending() throws(StoreError) {
        guard var frame = pending else { return }
        pending = nil
        do { try frame.close() } catch { throw .diskFailed("a header could not be made: \(error)") }
        var payload = frame.payload
        var codec = FrameCodec.none
        let raw = payload.readableBytes
        if plan.compressionLevel > 0, raw >= core.settings.compressionBytesMin {
            var packed = ByteBuffer()
            let stored = try? compressor.compress(payload.readableBytesSpan, into: &packed, ifWithin: raw - raw / 16)
            if stored != nil {
                payload = packed
                codec = .zstd
            }
        }
        try output.append(frame.header(rawLength: raw), extent: frame.extent, payload, codec: codec)
        try pace(payload.readableBytes)
    }

    private mutating func finish(_ filter: CompactionFilter) throws(StoreError) -> RewrittenSegment {
        guard let last = sources.last, let first = sources.first else { preconditionFailure("no segments") }
        let committed = sources.reduce(plan.committed) { max($0, $1.compacted?.committed ?? .zero) }
        let mark = CompactionMark(keysThrough: filter.keysThrough, horizon: filter.horizon, committed: committed)
        // Without records the age of what was there counts on.
        let newest = output.maxTimestamp >= 0 ? output.maxTimestamp : sources.reduce(-1) { max($0, $1.maxTimestamp) }
        let chain = try chainBehind(last)
        let info = try output.close(first: first, last: last, newest: newest, mark, chain: chain)
        return RewrittenSegment(
            order: plan.order, group: plan.handle.id, info: info, temporaryPath: output.path,
            sources: sources.map(\.segment), lastEntries: sources.map(\.lastIndex), sparse: output.sparse,
            newestBefore: plan.sources[..<sources.startIndex].reduce(-1) { max($0, $1.maxTimestamp) },
            removedMarkers: filter.removedMarkers, bytesRead: bytesRead,
            recordsRemoved: filter.removed)
    }

    /// The checksum that the frame behind `info` continues.
    private func chainBehind(_ info: SegmentInfo) throws(StoreError) -> UInt32 {
        guard info.compacted != nil else { return output.lastSourceChecksum }
        var cursor = FrameCursor(
            try core.files.reading(info.segment), from: info.end, upTo: info.end + FrameHeader.byteCount)
        guard case .frame(let footer, _) = try cursor.peek(), footer.kind == .footer, footer.isCompacted else {
            throw .corrupt(Self.damage(info, info.end, "the footer of a compacted segment cannot be read"))
        }
        return footer.chain
    }
}

/// Entries that become one frame.
private struct PendingFrame {
    let first: FrameHeader
    var term: Term { first.term }
    private var last: LogIndex
    private var end: Offset
    private(set) var payload = ByteBuffer()
    private var maxTimestamp: Int64 = -1
    /// The newest batch of which nothing stayed, when none stayed behind it.
    private var dropped: RecordBatch?

    init(_ header: FrameHeader) {
        first = header
        last = header.index
        end = header.baseOffset
    }

    /// Whether the offsets that the frame stands for can be counted with those of another one.
    func hasRoom(for header: FrameHeader) -> Bool { header.endOffset - first.baseOffset <= Int(Int32.max) }

    mutating func cover(_ header: FrameHeader) {
        last = header.lastIndex
        end = header.endOffset
    }

    mutating func add(_ batch: RecordBatch, _ rest: CompactionFilter.Rest) throws(RecordError) {
        switch rest {
        case .nothing: dropped = batch
        case .header:
            payload.writeImmutableBuffer(try batch.emptied().bytes)
            dropped = nil
        case .records(let left, let timestamp):
            payload.writeImmutableBuffer(left.bytes)
            maxTimestamp = max(maxTimestamp, timestamp)
            dropped = nil
        }
    }

    /// A reader who asks for an offset that is gone finds a batch in the frame that tells where to go on.
    mutating func close() throws(RecordError) {
        guard let dropped else { return }
        payload.writeImmutableBuffer(try dropped.emptied().bytes)
    }

    var extent: UInt64 { UInt64(last - first.index) }

    func header(rawLength: Int) -> FrameHeader {
        var header = first
        header.kind = end > first.baseOffset ? .data : .noop
        header.recordCount = Int32(end - first.baseOffset)
        header.maxTimestamp = maxTimestamp
        header.rawLength = UInt32(rawLength)
        return header
    }
}
