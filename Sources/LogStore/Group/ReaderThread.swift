// SPDX-License-Identifier: Apache-2.0
//
// ReaderThread.swift
// The threads that read what is not in memory, so that no event loop waits for the disk.

internal import Model
internal import NIOCore
internal import Records
internal import Telemetry

/// Serves reads.
///
/// One of these for each reader thread.
struct ReaderThread {
    private let core: StoreCore
    private let decompressor: ZstdDecompressor?
    private let compression = CompressionContext()

    init(_ core: StoreCore) {
        self.core = core
        decompressor = try? ZstdDecompressor()
    }

    /// Runs until a job without a log comes.
    func run(_ queue: Mailbox<ReadJob>) {
        var jobs: [ReadJob] = []
        while true {
            queue.take(into: &jobs)
            if jobs.isEmpty { _ = queue.wait(milliseconds: nil) }
            guard work(on: jobs, of: queue) else { return }
        }
    }

    /// Does once what ``run(_:)`` does again and again, without waiting; returns whether there was work.
    func step(_ queue: Mailbox<ReadJob>) -> Bool {
        var jobs: [ReadJob] = []
        queue.take(into: &jobs)
        _ = work(on: jobs, of: queue)
        return !jobs.isEmpty
    }

    /// Answers `jobs`, then reads ahead as long as nothing waits in `queue`; returns false when the thread is to end.
    func work(on jobs: [ReadJob], of queue: Mailbox<ReadJob>) -> Bool {
        var deliveries = Deliveries()
        var hasRetired = false
        for job in jobs {
            guard let handle = job.handle else {
                deliveries.send()
                return false
            }
            if case .retire(let replaced) = job.query {
                // Reads that were asked for before have kept frames of what goes; those behind this one must find none.
                core.readCache.drop(handle.id)
                core.flushQueue.post(.forward(.unlink(replaced)))
                hasRetired = true
                continue
            }
            core.metrics.coldReads.increment()
            deliveries.add(.read(ticket: job.ticket, answer(job, handle.id)), for: handle)
        }
        deliveries.send()
        // What was asked for before files went would be read ahead in those.
        if !hasRetired { for job in jobs where queue.isEmpty { readAhead(job) } }
        return true
    }

    /// Reads on after a sequential read while its answer is on the way, so that the next one finds it in memory.
    ///
    /// The kernel does this for files in the page cache. What fails here fails again when it is asked for.
    private func readAhead(_ job: ReadJob) {
        guard case .batches(let from, let upTo, let bytesMax) = job.query, let group = job.handle?.id,
            job.ranges.contains(where: \.isLong), core.readCache.isSequential(group, at: from)
        else { return }
        _ = try? batches(
            job.ranges, group, from: from, upTo: upTo, bytesMax: bytesMax + Self.chunkBytesMax, isAhead: true)
    }

    /// Answers one job.
    func answer(_ job: ReadJob, _ group: GroupID) -> ReadOutcome {
        do throws(StoreError) {
            switch job.query {
            case .batches(let from, let upTo, let bytesMax):
                return .batches(try batches(job.ranges, group, from: from, upTo: upTo, bytesMax: bytesMax))
            case .entries(let from, let through, let bytesMax):
                return .entries(try entries(job.ranges, group, from: from, through: through, bytesMax: bytesMax))
            case .timestamp(let timestamp, let from, let upTo):
                return .timestamp(try search(job.ranges, group, timestamp, from: from, upTo: upTo))
            case .commands(let from, let through, let bytesMax):
                return .entries(
                    try core.index.commands(of: group, from: from, through: through, bytesMax: bytesMax))
            case .describe(let ranges, let last):
                let segments = try Self.describe(ranges, through: last, core)
                return .described(segments, producers: try Self.producers(of: group, notAfter: last, core))
            case .bytes(let segment, let position, let count):
                return .bytes(try Self.bytes(of: segment, from: position, count: count, core))
            case .state(let family):
                let (applied, image) = try Self.state(of: group, in: family, core)
                return .state(applied, image)
            case .retire: preconditionFailure("segments that go are not read")
            }
        } catch {
            return .failure(error)
        }
    }

    // MARK: Batches

    private func batches(
        _ ranges: [SegmentRange], _ group: GroupID, from: Offset, upTo: Offset, bytesMax: Int, isAhead: Bool = false
    ) throws(StoreError) -> ReadResult {
        var collector = BatchCollector(from: from, upTo: upTo, bytesMax: bytesMax)
        // What a sequential consumer reads next may be there already; then its end tells where to go on.
        var next = from
        var resume: DecodedFrame?
        while !collector.isFull, next < upTo, let frame = core.readCache.frame(group, at: next) {
            if !isAhead { core.metrics.readCacheHits.increment() }
            collector.add(frame.payload, base: frame.header.baseOffset, frameEnd: frame.header.endOffset)
            next = frame.header.endOffset
            resume = frame
        }
        var kept: [DecodedFrame] = []
        for var range in ranges where !collector.isFull {
            if let resume {
                if range.endOffset <= next { continue }
                // The frame may be of a file that compaction has replaced since.
                if range.segment.name == resume.segment {
                    range.start = max(range.start, resume.endPosition)
                } else {
                    try advance(&range, group, to: next)
                }
            } else {
                try advance(&range, group, to: from)
            }
            try walk(range, bytesMax: bytesMax) { header, payload, position throws(StoreError) in
                guard header.kind == .data, header.endOffset > next else { return !collector.isFull }
                guard header.baseOffset < upTo else { return false }
                // Offsets follow each other: a frame of another place of the log would leave a gap.
                guard header.baseOffset <= next else {
                    throw damage(range.segment, position, "the frame before this one is missing", header)
                }
                next = header.endOffset
                let raw = try unpack(header, payload, range.segment.path, position)
                kept.append(
                    DecodedFrame(
                        header: header, payload: raw, segment: range.segment.name,
                        endPosition: position + header.frameBytes))
                collector.add(raw, base: header.baseOffset, frameEnd: header.endOffset)
                return !collector.isFull
            }
        }
        core.readCache.keep(kept)
        return collector.result
    }

    /// Moves the start of a range near `offset` with the help of the sparse index.
    private func advance(_ range: inout SegmentRange, _ group: GroupID, to offset: Offset) throws(StoreError) {
        guard range.start == 0, offset > range.baseOffset else { return }
        let floor = try indexed { () throws(IndexError) in
            try core.index.offsetIndexFloor(of: group, offset: offset)
        }
        guard let floor, floor.at.segment == range.segment.name, Int(floor.at.position) < range.end else { return }
        range.start = Int(floor.at.position)
    }

    // MARK: Entries

    private func entries(
        _ ranges: [SegmentRange], _ group: GroupID, from: LogIndex, through: LogIndex, bytesMax: Int
    ) throws(StoreError) -> [StoredEntry] {
        var entries: [StoredEntry] = []
        var bytes = 0
        var next = from
        for var range in ranges {
            var isDone = false
            try advance(&range, group, to: from)
            try walk(range, bytesMax: bytesMax) { header, payload, position throws(StoreError) in
                guard header.kind != .footer, header.lastIndex >= from else { return true }
                guard header.index == next || header.isCompacted && header.index < next else {
                    throw damage(range.segment, position, "the frame before this one is missing", header)
                }
                guard header.index <= through, entries.isEmpty || bytes + payload.readableBytes <= bytesMax else {
                    isDone = true
                    return false
                }
                entries.append(header.entry(payload))
                next = header.lastIndex.next
                bytes += payload.readableBytes
                return true
            }
            if isDone { break }
        }
        return entries
    }

    /// Moves the start of a range near the entry at `index`, by bisection of the sparse index: in it indices rise with offsets.
    ///
    /// - Cost: some twenty lookups in a segment of a million records.
    private func advance(_ range: inout SegmentRange, _ group: GroupID, to index: LogIndex) throws(StoreError) {
        guard range.start == 0, index > range.segment.base else { return }
        var low = range.baseOffset
        var high = range.endOffset
        while low < high {
            let middle = low + Int(high - low) / 2
            let floor = try indexed { () throws(IndexError) in
                try core.index.offsetIndexFloor(of: group, offset: middle)
            }
            guard let floor, floor.at.segment == range.segment.name, floor.offset >= low else {
                low = middle + 1
                continue
            }
            guard floor.index <= index else {
                high = floor.offset
                continue
            }
            low = middle + 1
            if Int(floor.at.position) < range.end { range.start = Int(floor.at.position) }
        }
    }

    // MARK: Timestamps

    private func search(
        _ ranges: [SegmentRange], _ group: GroupID, _ timestamp: Int64, from: Offset, upTo: Offset
    ) throws(StoreError) -> TimestampMatch? {
        let floor = try indexed { () throws(IndexError) in
            try core.index.timeIndexFloor(of: group, before: timestamp)
        }
        var match: TimestampMatch?
        for var range in ranges where match == nil {
            if let floor {
                if range.segment.base < Segment.base(of: floor.at.segment) { continue }
                if range.segment.name == floor.at.segment { range.start = max(range.start, Int(floor.at.position)) }
            }
            try walk(range, bytesMax: 1 << 20) { header, payload, position throws(StoreError) in
                guard header.baseOffset < upTo else { return false }
                guard header.kind == .data, header.maxTimestamp >= timestamp else { return true }
                let raw = try unpack(header, payload, range.segment.path, position)
                match = try raw.firstRecord(
                    atOrAfter: timestamp, from: from, upTo: upTo, term: header.term, compression)
                return match == nil
            }
        }
        return match
    }

    // MARK: Frames

    /// What is read at once: with the gap before and the blocks around it no more than a mebibyte.
    private static let chunkBytesMax = (1 << 20) - 3 * AlignedBuffer.alignment

    /// Passes the frames of a range to `body` until it returns false.
    ///
    /// A frame that fails its checksums is damage: all of the range was durable.
    private func walk(
        _ range: SegmentRange, bytesMax: Int,
        _ body: (FrameHeader, ByteBuffer, _ position: Int) throws(StoreError) -> Bool
    ) throws(StoreError) {
        guard range.start < range.end else { return }
        let file = range.isLong ? try core.files.unbuffered(range.segment) : try core.files.reading(range.segment)
        let chunk = min(max(bytesMax, 64 << 10), Self.chunkBytesMax)
        var cursor = FrameCursor(file, from: range.start, upTo: range.end, chunkBytes: chunk)
        defer { core.metrics.readBytes.increment(by: cursor.bytesRead) }
        var last: FrameHeader?
        while true {
            let position = cursor.position
            switch try cursor.peek() {
            case .end: return
            case .frame(let header, let payload):
                guard header.salt == range.segment.salt, header.group == range.segment.group else {
                    throw damage(range.segment, position, "a frame of another file", nil)
                }
                guard last.map({ $0.checksum == header.previous }) ?? true else {
                    throw damage(range.segment, position, "a frame of another place", header)
                }
                last = header
                guard header.kind != .footer, try body(header, payload, position) else { return }
                cursor.skip(header)
            case .damagedPayload(let header):
                throw damage(range.segment, position, "the payload fails its checksum", header)
            case .noHeader: throw damage(range.segment, position, "no frame header", nil)
            }
        }
    }

    private func unpack(
        _ header: FrameHeader, _ payload: ByteBuffer, _ path: String, _ position: Int
    ) throws(StoreError) -> ByteBuffer {
        guard let decompressor else { throw .diskFailed("no memory for decompression") }
        do throws(StoreError) {
            return try header.unpack(payload, decompressor)
        } catch .corrupt(var corruption) {
            corruption.file = path
            corruption.position = position
            throw .corrupt(corruption)
        }
    }

    private func damage(
        _ segment: Segment, _ position: Int, _ reason: String, _ header: FrameHeader?
    ) -> StoreError {
        .corrupt(
            Corruption(
                group: segment.group, file: segment.path, position: position, index: header?.index,
                offset: header?.baseOffset, reason: reason))
    }
}

extension ByteBuffer {
    /// The first record of this payload whose timestamp is at least `timestamp` and whose offset is below `end`.
    func firstRecord(
        atOrAfter timestamp: Int64, from start: Offset, upTo end: Offset, term: Term, _ context: CompressionContext
    ) throws(StoreError) -> TimestampMatch? {
        do throws(RecordError) {
            for batch in try RecordBatch.batches(in: self) where batch.maxTimestamp >= timestamp {
                guard let found = try batch.firstRecord(atOrAfter: timestamp, from: start, context: context) else {
                    continue
                }
                guard found.offset < end else { return nil }
                return TimestampMatch(offset: found.offset, timestamp: found.timestamp, term: term)
            }
            return nil
        } catch {
            throw .corrupt(
                Corruption(group: nil, file: "", position: 0, reason: "a stored batch cannot be read: \(error)"))
        }
    }
}

extension IndexDatabase {
    /// The entries of a command log from `index` on.
    func commands(
        of group: GroupID, from index: LogIndex, through last: LogIndex, bytesMax: Int
    ) throws(StoreError) -> [StoredEntry] {
        var entries: [StoredEntry] = []
        var bytes = 0
        try indexed { () throws(IndexError) in
            try forEachPointer(of: group, from: index, upTo: last.next) { numbered in
                guard case .inline(let command) = numbered.pointer.content,
                    entries.isEmpty || bytes + command.count <= bytesMax
                else { return false }
                bytes += command.count
                entries.append(
                    StoredEntry(
                        kind: FrameKind(rawValue: numbered.pointer.kind) ?? .command, term: numbered.pointer.term,
                        index: numbered.index, baseOffset: .zero, recordCount: 0, maxTimestamp: -1, codec: .none,
                        rawLength: command.count, startsSegment: false, payload: ByteBuffer(bytes: command)))
                return true
            }
        }
        return entries
    }
}
