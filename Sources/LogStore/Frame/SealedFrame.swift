// SPDX-License-Identifier: Apache-2.0
//
// SealedFrame.swift
// A frame that has its header and its place, on its way to the disk.

internal import Model
internal import NIOCore

/// A frame with everything the flush and the index need to know of it.
///
/// A class because it passes through four queues: one reference is counted instead of five.
final class SealedFrame: Sendable {
    /// The log to report to; nil during replay.
    let handle: GroupHandle?
    /// Counts the truncations of the log before this frame; completions of cut frames are told apart by it.
    let generation: Int
    /// Where it goes; nil for a command, which goes into the index itself.
    let segment: Segment?
    let position: UInt32
    let header: FrameHeader
    /// The stored bytes.
    let payload: ByteBuffer
    /// Whether it gets an entry in the sparse indices.
    let isIndexed: Bool
    /// The largest timestamp of the group up to and including this frame.
    let maxTimestampSoFar: Int64
    /// The largest timestamp of the segment up to and including this frame.
    let segmentMaxTimestamp: Int64
    /// Whether it is the first of its term.
    let startsTerm: Bool
    /// The group's facts, when this frame changes them.
    let meta: GroupMeta?

    init(
        handle: GroupHandle?, generation: Int, segment: Segment?, position: UInt32, header: FrameHeader,
        payload: ByteBuffer, isIndexed: Bool, maxTimestampSoFar: Int64, segmentMaxTimestamp: Int64 = -1,
        startsTerm: Bool, meta: GroupMeta?
    ) {
        self.handle = handle
        self.generation = generation
        self.segment = segment
        self.position = position
        self.header = header
        self.payload = payload
        self.isIndexed = isIndexed
        self.maxTimestampSoFar = maxTimestampSoFar
        self.segmentMaxTimestamp = segmentMaxTimestamp
        self.startsTerm = startsTerm
        self.meta = meta
    }

    /// The bytes it takes in a segment.
    var frameBytes: Int { header.frameBytes }
    /// The position behind it.
    var endPosition: Int { Int(position) + frameBytes }

    /// The pointer that proves it durable.
    var pointer: EntryPointer {
        let content: EntryPointer.Content
        if let segment {
            content = .segment(
                FramePlace(
                    at: SegmentPosition(segment: segment.base, position: position),
                    storedLength: header.storedLength, baseOffset: header.baseOffset,
                    recordCount: header.recordCount, payloadCRC: header.payloadCRC))
        } else {
            content = .inline(Array(payload.readableBytesView))
        }
        return EntryPointer(term: header.term, kind: header.kind.rawValue, content: content)
    }
}

extension IndexBatch {
    /// Records that `frame` is durable: its pointer and what makes it findable.
    mutating func putFrame(_ frame: SealedFrame) {
        let group = frame.header.group
        let header = frame.header
        putPointer(frame.pointer, at: header.index, of: group)
        if frame.startsTerm {
            let start = TermStart(term: header.term, firstIndex: header.index, firstOffset: header.baseOffset)
            putTermStart(start, of: group)
        }
        if let meta = frame.meta { putGroupMeta(meta, of: group) }
        guard frame.isIndexed, let segment = frame.segment else { return }
        let place = SegmentPosition(segment: segment.base, position: frame.position)
        putOffsetIndex(
            OffsetIndexEntry(
                offset: header.baseOffset, index: header.index, at: place,
                segmentMaxTimestamp: frame.segmentMaxTimestamp), of: group)
        guard frame.maxTimestampSoFar >= 0 else { return }
        putTimeIndex(
            TimeIndexEntry(
                maxTimestampSoFar: frame.maxTimestampSoFar, offset: header.baseOffset, index: header.index, at: place),
            of: group)
    }
}
