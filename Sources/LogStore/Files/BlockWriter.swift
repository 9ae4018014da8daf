// SPDX-License-Identifier: Apache-2.0
//
// BlockWriter.swift
// Writes long runs of frames around the page cache, in whole blocks. Owned by the flush thread.

internal import Model
internal import NIOCore

/// Writes runs of frames from where they are in memory, where block boundaries of memory and file agree, and from a copy in
/// aligned memory otherwise.
///
/// Frames begin and end anywhere, blocks do not. The block in which a run ends is filled with zeros, and written again, with
/// the same bytes in front, by the run that continues there: this writer remembers them. Where something else was written in
/// between, through the page cache, the first block of a run goes through the page cache too, and only the bytes of the run:
/// so no writer ever overwrites the bytes of another with what they were before.
///
/// Invariant: what was not written yet begins at `start`, a multiple of the block; pieces from memory begin and end at such
/// multiples of the file, so that staged pieces do too, but for the last.
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
    private var pieces: [WritePiece] = []
    /// The bytes of `pieces`.
    private var total = 0
    /// Where the pieces go.
    private var start = 0
    /// The bytes at the front that are not this run's and not known.
    private var unknown = 0
    private var tails: [ObjectIdentifier: Tail] = [:]
    /// The smallest payload that may be written from where it lies: those from here on are given a place that fits; that
    /// of a smaller one fits by chance, and would make one run another than the next.
    private let unstagedBytesMin: Int

    /// How much is staged at a time.
    private static let stagedBytes = 4 << 20
    /// About how much is written at a time, and in how many pieces.
    private static let writtenBytes = 4 << 20
    private static let piecesMax = 32
    /// Ends of runs that are remembered; when there are more, all are forgotten.
    private static let tailsMax = 64
    private static let block = AlignedBuffer.alignment

    init(unstagedBytesMin: Int = 0) { self.unstagedBytesMin = unstagedBytesMin }

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
        var end = Int(first.position)
        for frame in frames {
            precondition(Int(frame.position) == end, "\(segment.path): a frame at \(frame.position) behind \(end)")
            let words = frame.header.words
            // Words have no padding.
            try stage(unsafe words.span.bytes, file, unbuffered)
            try stage(zeros: Int(frame.header.lead), file, unbuffered)
            try add(frame.payload, file, unbuffered)
            try stage(zeros: frame.header.paddingBytes, file, unbuffered)
            end = frame.endPosition
        }
        precondition(start + total == end, "\(segment.path): \(start + total) bytes instead of \(end)")
        remember(segment, end: end)
        try stage(zeros: Self.blockEnd(end) - end, file, unbuffered)
        try flush(file, unbuffered)
        return start - Int(first.position)
    }

    /// Forgets the ends of runs, because files were cut.
    mutating func forget() { tails.removeAll() }

    private mutating func begin(_ segment: Segment, at position: Int) {
        staging.clear()
        pieces.removeAll(keepingCapacity: true)
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
        total = head
        if head > 0 { pieces.append(.staged(0..<head)) }
    }

    private mutating func remember(_ segment: Segment, end: Int) {
        if tails.count >= Self.tailsMax { tails.removeAll() }
        tails[ObjectIdentifier(segment)] = Tail(segment: segment, end: end, bytes: partialBlock())
    }

    /// The bytes staged behind the last whole block.
    private borrowing func partialBlock() -> [UInt8] {
        let length = (start + total) % Self.block
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length)
        staging.withBytes { staged in
            for position in (staged.byteCount - length)..<staged.byteCount {
                // The index is inside the span, and any byte is a number.
                bytes.append(unsafe staged.unsafeLoad(fromByteOffset: position, as: UInt8.self))
            }
        }
        return bytes
    }

    // MARK: Pieces

    /// Adds a payload: its whole blocks as they are when they lie in memory as they will on disk, all of it staged otherwise.
    private mutating func add(_ payload: ByteBuffer, _ file: any File, _ unbuffered: any File) throws(StoreError) {
        let position = start + total
        let end = position + payload.readableBytes
        // The block that is shared with unknown bytes goes another way and must be staged.
        let first = max(Self.blockEnd(position), unknown > 0 ? start + Self.block : 0)
        let last = end / Self.block * Self.block
        guard payload.readableBytes >= unstagedBytesMin, payload.lead(at: position) == 0, first < last else {
            return try stage(payload.readableBytesSpan, file, unbuffered)
        }
        let head = first - position
        try stage(payload.readableBytesSpan.extracting(first: head), file, unbuffered)
        guard let middle = payload.getSlice(at: payload.readerIndex + head, length: last - first) else {
            preconditionFailure("\(last - first) bytes are not in a payload of \(payload.readableBytes)")
        }
        pieces.append(.memory(middle))
        total += last - first
        if total >= Self.writtenBytes || pieces.count >= Self.piecesMax { try flush(file, unbuffered) }
        try stage(payload.readableBytesSpan.extracting(droppingFirst: head + last - first), file, unbuffered)
    }

    private mutating func stage(_ bytes: RawSpan, _ file: any File, _ unbuffered: any File) throws(StoreError) {
        var rest = bytes
        while rest.byteCount > 0 {
            if staging.room == 0 { try flush(file, unbuffered) }
            let count = min(rest.byteCount, staging.room)
            staging.append(rest.extracting(first: count))
            staged(count)
            rest = rest.extracting(droppingFirst: count)
        }
    }

    private mutating func stage(zeros count: Int, _ file: any File, _ unbuffered: any File) throws(StoreError) {
        var rest = count
        while rest > 0 {
            if staging.room == 0 { try flush(file, unbuffered) }
            let step = min(rest, staging.room)
            staging.pad(upTo: staging.count + step)
            staged(step)
            rest -= step
        }
    }

    private mutating func staged(_ count: Int) {
        total += count
        if case .staged(let range) = pieces.last {
            pieces[pieces.count - 1] = .staged(range.lowerBound..<staging.count)
        } else {
            pieces.append(.staged((staging.count - count)..<staging.count))
        }
    }

    // MARK: Writing

    /// Writes whole blocks; what is behind the last one stays staged.
    private mutating func flush(_ file: any File, _ unbuffered: any File) throws(StoreError) {
        let kept = partialBlock()
        let count = total - kept.count
        guard count > 0 else { return }
        if !kept.isEmpty { trimLast(by: kept.count) }
        var position = start
        if unknown > 0 {
            let unknown = unknown
            try staging.withBytes { bytes throws(StoreError) in
                try file.write(bytes.extracting(unknown..<Self.block), at: start + unknown)
            }
            trimFirst(by: Self.block)
            position += Self.block
        }
        if !pieces.isEmpty { try unbuffered.write(pieces, staging, at: position) }
        start += count
        unknown = 0
        restart(with: kept)
    }

    private mutating func trimLast(by count: Int) {
        guard case .staged(let range)? = pieces.popLast(), range.count >= count else {
            preconditionFailure("the end of a run is not staged")
        }
        if range.count > count { pieces.append(.staged(range.lowerBound..<(range.upperBound - count))) }
    }

    private mutating func trimFirst(by count: Int) {
        guard case .staged(let range)? = pieces.first, range.count >= count else {
            preconditionFailure("the start of a run is not staged")
        }
        pieces[0] = .staged((range.lowerBound + count)..<range.upperBound)
        if range.count == count { pieces.removeFirst() }
    }

    private mutating func restart(with bytes: [UInt8]) {
        staging.clear()
        pieces.removeAll(keepingCapacity: true)
        total = 0
        guard !bytes.isEmpty else { return }
        // Bytes have no padding.
        unsafe staging.append(bytes.span.bytes)
        staged(bytes.count)
    }
}

extension ByteBuffer {
    /// How many bytes must stand between `position` and these bytes so that their blocks in memory are blocks of the file.
    func lead(at position: Int) -> Int {
        // The address is looked at, not followed.
        let address = unsafe withUnsafeReadableBytes { Int(bitPattern: $0.baseAddress) }
        return (address &- position) & (FrameHeader.leadMax - 1)
    }
}
