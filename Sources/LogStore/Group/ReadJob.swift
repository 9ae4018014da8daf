// SPDX-License-Identifier: Apache-2.0
//
// ReadJob.swift
// What a log asks of the reader threads, and what they answer.

internal import Model
internal import NIOCore

/// A stretch of one segment that may be read.
struct SegmentRange: Sendable {
    let segment: Segment
    /// The index and the offset of its first entry.
    let baseOffset: Offset
    /// The offset after its last record.
    let endOffset: Offset
    /// A position at or before what is looked for, at a frame's start.
    var start: Int
    /// The position behind the last frame that is on disk.
    let end: Int
    /// Whether its frames are long: such were written around the page cache, and are read around it.
    let isLong: Bool
}

/// A read.
struct ReadJob: Sendable {
    /// Nil ends the thread.
    let handle: GroupHandle?
    let ticket: UInt64
    /// The segments from the one that holds the beginning on.
    let ranges: [SegmentRange]
    let query: ReadQuery
}

/// What is looked for.
enum ReadQuery: Sendable {
    /// Whole batches from one offset up to another.
    case batches(from: Offset, upTo: Offset, bytesMax: Int)
    /// Stored entries from one index through another.
    case entries(from: LogIndex, through: LogIndex, bytesMax: Int)
    /// The first record at or after a timestamp, between two offsets.
    case timestamp(Int64, from: Offset, upTo: Offset)
    /// Entries of a command log, from the index.
    case commands(from: LogIndex, through: LogIndex, bytesMax: Int)
    /// What a snapshot up to an entry consists of.
    case describe([SnapshotRange], through: LogIndex)
    /// Bytes of a segment file.
    case bytes(Segment, from: Int, count: Int)
    /// The keys of a state machine.
    case state(StateFamily)
    /// Not a read: lets go of segments that compaction has replaced, behind the reads that were asked for before.
    case retire([Segment])
}

/// What a read found.
enum ReadOutcome: Sendable {
    case batches(ReadResult)
    case entries([StoredEntry])
    case timestamp(TimestampMatch?)
    case described([SnapshotSegment], producers: ProducerSnapshot?)
    case bytes(ByteBuffer)
    case state(AppliedPosition, ByteBuffer)
    case failure(StoreError)
}

/// Collects batches for a reader from whole frames.
///
/// Each offset is taken once, also where frames reach back behind what was taken before.
struct BatchCollector {
    private let end: Offset
    private let bytesMax: Int
    private(set) var result: ReadResult
    /// Whether nothing more fits.
    private(set) var isFull = false

    init(from: Offset, upTo end: Offset, bytesMax: Int) {
        self.end = end
        self.bytesMax = bytesMax
        result = ReadResult(slices: [], byteCount: 0, nextOffset: from)
    }

    /// Adds what is wanted of a data frame with `payload`, which covers `base` up to `frameEnd`.
    mutating func add(_ payload: ByteBuffer, base: Offset, frameEnd: Offset) {
        let from = result.nextOffset
        guard !isFull, frameEnd > from else { return }
        guard base < end else { return isFull = true }
        if base >= from, frameEnd <= end, result.byteCount + payload.readableBytes <= bytesMax {
            return append(payload, next: frameEnd)
        }
        addBatches(payload)
    }

    private mutating func append(_ bytes: ByteBuffer, next: Offset) {
        guard bytes.readableBytes > 0 else { return }
        result.slices.append(bytes)
        result.byteCount += bytes.readableBytes
        result.nextOffset = next
        if result.byteCount >= bytesMax { isFull = true }
    }

    /// Adds the batches of a frame that is wanted in part: those with an offset in the range, at least one in all.
    private mutating func addBatches(_ payload: ByteBuffer) {
        let bytes = payload.readableBytesSpan
        var position = 0
        var start: Int?
        var stop = 0
        let from = result.nextOffset
        var next = from
        while let batch = BatchExtent(bytes, at: position) {
            if batch.base >= end { break }
            if batch.end > from {
                let taken = stop - (start ?? position)
                let isFirst = result.slices.isEmpty && start == nil
                if !isFirst, result.byteCount + max(0, taken) + batch.bytes > bytesMax {
                    isFull = true
                    break
                }
                start = start ?? position
                stop = position + batch.bytes
                next = batch.end
            }
            position += batch.bytes
        }
        guard let start, let slice = payload.getSlice(at: payload.readerIndex + start, length: stop - start) else {
            return
        }
        append(slice, next: next)
    }
}

/// The part of a batch header that says how far it reaches.
private struct BatchExtent {
    let base: Offset
    let end: Offset
    let bytes: Int

    init?(_ span: RawSpan, at position: Int) {
        guard position + 61 <= span.byteCount else { return nil }
        let offset = Int64(bitPattern: FrameHeader.word(span, position).byteSwapped)
        let length = UInt32(truncatingIfNeeded: FrameHeader.word(span, position + 8)).byteSwapped
        let delta = UInt32(truncatingIfNeeded: FrameHeader.word(span, position + 23)).byteSwapped
        bytes = 12 + Int(length)
        guard bytes >= 61, position + bytes <= span.byteCount else { return nil }
        base = Offset(offset)
        end = Offset(offset + Int64(Int32(bitPattern: delta)) + 1)
    }
}
