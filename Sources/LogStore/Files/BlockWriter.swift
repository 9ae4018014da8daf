// SPDX-License-Identifier: Apache-2.0
//
// BlockWriter.swift
// Writes long runs of frames around the page cache, in whole blocks. Owned by the flush thread.

internal import Model
internal import NIOCore

/// Copies runs of frames into aligned memory and writes that.
///
/// Frames begin and end anywhere, blocks do not. The block in which a run ends is filled with zeros, and written again, with
/// the same bytes in front, by the run that continues there: this writer remembers them. Where something else was written in
/// between, through the page cache, the first block of a run goes through the page cache too, and only the bytes of the run:
/// so no writer ever overwrites the bytes of another with what they were before.
///
/// Not thread-safe.
struct BlockWriter: ~Copyable {
    /// The end of a run: what its last block begins with.
    private struct Tail {
        let segment: Segment
        let end: Int
        let bytes: [UInt8]
    }

    private var staging = AlignedBuffer(capacity: Self.stagedBytes)
    /// Where the staged bytes go.
    private var start = 0
    /// The bytes at the front that are not this run's and not known.
    private var unknown = 0
    private var tails: [ObjectIdentifier: Tail] = [:]

    /// How much is written at a time.
    private static let stagedBytes = 4 << 20
    /// Ends of runs that are remembered; when there are more, all are forgotten.
    private static let tailsMax = 64
    private static let block = AlignedBuffer.alignment

    /// The end of the blocks that hold bytes up to `end`.
    static func blockEnd(_ end: Int) -> Int { (end + block - 1) / block * block }

    /// Writes `frames`, which follow each other in `segment` and take a block at least, and returns the bytes written.
    ///
    /// The file must have room up to ``blockEnd(_:)``. Nothing is durable before the file is flushed.
    mutating func write(
        _ frames: [SealedFrame], to segment: Segment, _ file: any File, unbuffered: any File
    ) throws(StoreError) -> Int {
        guard let first = frames.first else { return 0 }
        begin(segment, at: Int(first.position))
        var written = 0
        var end = Int(first.position)
        for frame in frames {
            precondition(Int(frame.position) == end, "\(segment.path): a frame at \(frame.position) behind \(end)")
            let words = frame.header.words
            // Words have no padding.
            try append(unsafe words.span.bytes, file, unbuffered)
            let payload = frame.payload
            try append(payload.readableBytesSpan, file, unbuffered)
            // Frames end at multiples of their alignment, which divides the block: padding never crosses a block's end.
            staging.pad(upTo: staging.count + frame.header.paddingBytes)
            end = frame.endPosition
        }
        precondition(start + staging.count == end, "\(segment.path): \(start + staging.count) bytes instead of \(end)")
        remember(segment, end: end)
        staging.pad(to: Self.block)
        written = start + staging.count - Int(first.position)
        try flush(file, unbuffered)
        return written
    }

    /// Forgets the ends of runs, because files were cut.
    mutating func forget() { tails.removeAll() }

    private mutating func begin(_ segment: Segment, at position: Int) {
        staging.clear()
        let head = position % Self.block
        start = position - head
        if let tail = tails[ObjectIdentifier(segment)], tail.end == position {
            unknown = 0
            // Bytes have no padding.
            unsafe staging.append(tail.bytes.span.bytes)
        } else {
            unknown = head
            staging.pad(upTo: head)
        }
    }

    private mutating func remember(_ segment: Segment, end: Int) {
        if tails.count >= Self.tailsMax { tails.removeAll() }
        let length = end % Self.block
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length)
        staging.withBytes { staged in
            for position in (staged.byteCount - length)..<staged.byteCount {
                // The index is inside the span, and any byte is a number.
                bytes.append(unsafe staged.unsafeLoad(fromByteOffset: position, as: UInt8.self))
            }
        }
        tails[ObjectIdentifier(segment)] = Tail(segment: segment, end: end, bytes: bytes)
    }

    // MARK: Staging

    private mutating func append(_ bytes: RawSpan, _ file: any File, _ unbuffered: any File) throws(StoreError) {
        var rest = bytes
        while rest.byteCount > staging.room {
            let room = staging.room
            staging.append(rest.extracting(first: room))
            rest = rest.extracting(droppingFirst: room)
            try flush(file, unbuffered)
        }
        staging.append(rest)
    }

    private mutating func flush(_ file: any File, _ unbuffered: any File) throws(StoreError) {
        let unknown = unknown
        let start = start
        try staging.withBytes { bytes throws(StoreError) in
            guard unknown > 0 else { return try unbuffered.write(bytes, at: start) }
            let shared = min(Self.block, bytes.byteCount)
            try file.write(bytes.extracting(unknown..<shared), at: start + unknown)
            if bytes.byteCount > shared {
                try unbuffered.write(bytes.extracting(droppingFirst: shared), at: start + shared)
            }
        }
        self.start += staging.count
        self.unknown = 0
        staging.clear()
    }
}
