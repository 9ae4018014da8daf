// SPDX-License-Identifier: Apache-2.0
//
// ReaderThread+Snapshot.swift
// What a reader thread finds out for snapshots: where segments end, their bytes, and a state in one piece.

internal import Dispatch
internal import Model
internal import NIOCore
internal import RocksKV

extension ReaderThread {
    /// Describes the segments of `ranges` up to the entry `last`.
    static func describe(
        _ ranges: [SnapshotRange], through last: LogIndex, _ core: StoreCore
    ) throws(StoreError)
        -> [SnapshotSegment]
    {
        var segments: [SnapshotSegment] = []
        for range in ranges { segments.append(try describe(range, through: last, core)) }
        return segments
    }

    private static func describe(
        _ range: SnapshotRange, through last: LogIndex, _ core: StoreCore
    ) throws(StoreError) -> SnapshotSegment {
        let file = try core.files.reading(range.segment)
        guard let first = try header(file, at: 0) else { throw .corrupt(damage(range, 0, last)) }
        if range.isSealed, range.lastIndex <= last {
            var footer = try header(file, at: range.end)
            if footer?.kind != .footer {
                // The footer is still on its way to the file.
                let done = DispatchSemaphore(value: 0)
                core.flushQueue.post(.forward(.checkpoint(done)))
                core.wait(for: done, by: [.flush, .apply])
                footer = try header(file, at: range.end)
            }
            guard let footer, footer.kind == .footer, footer.index == range.lastIndex else {
                throw .corrupt(damage(range, range.end, range.lastIndex))
            }
            return SnapshotSegment(
                name: range.segment.name, term: first.term, lastIndex: range.lastIndex,
                byteCount: range.end + footer.frameBytes, isSealed: true,
                checksum: footer.isCompacted ? footer.checksum : footer.previous)
        }
        var position = range.start
        let target = min(last, range.lastIndex)
        while position < range.end, let found = try header(file, at: position), found.salt == range.segment.salt {
            position += found.frameBytes
            guard found.index == target else { continue }
            return SnapshotSegment(
                name: range.segment.name, term: first.term, lastIndex: target, byteCount: position, isSealed: false,
                checksum: found.checksum)
        }
        throw .corrupt(damage(range, position, target))
    }

    private static func header(_ file: any File, at position: Int) throws(StoreError) -> FrameHeader? {
        var bytes = ByteBuffer()
        guard try file.read(FrameHeader.byteCount, at: position, into: &bytes) == FrameHeader.byteCount,
            case .header(let header) = FrameHeader.probe(bytes.readableBytesSpan, at: 0)
        else { return nil }
        return header
    }

    private static func damage(_ range: SnapshotRange, _ position: Int, _ index: LogIndex) -> Corruption {
        Corruption(
            group: range.segment.group, file: range.segment.path, position: position, index: index,
            reason: "a frame that a snapshot needs cannot be read")
    }

    /// The newest stored producers' state that reflects no entry behind `last`.
    static func producers(
        of group: GroupID, notAfter last: LogIndex, _ core: StoreCore
    ) throws(StoreError) -> ProducerSnapshot? {
        try indexed { () throws(IndexError) in
            var found = try core.index.producerSnapshot(of: group)
            while let newest = found, newest.index > last {
                guard newest.offset > .zero else { return nil }
                found = try core.index.producerSnapshot(of: group, notAfter: Offset(newest.offset.rawValue - 1))
            }
            return found
        }
    }

    /// Reads bytes of a segment file.
    static func bytes(
        of segment: Segment, from position: Int, count: Int, _ core: StoreCore
    ) throws(StoreError) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(count)
        let read = try core.files.reading(segment).read(count, at: position, into: &bytes)
        guard read == count else {
            throw .corrupt(
                Corruption(
                    group: segment.group, file: segment.path, position: position + read,
                    reason: "a segment is shorter than its frames"))
        }
        return bytes
    }

    /// The largest state that is sent as a snapshot.
    static let stateBytesMax = 512 << 20

    /// The keys of a state machine as they stand at one moment, and the entry that they reflect.
    static func state(
        of group: GroupID, in family: StateFamily, _ core: StoreCore
    ) throws(StoreError) -> (applied: AppliedPosition, image: ByteBuffer) {
        var applied: AppliedPosition?
        var image = ByteBuffer()
        try indexed { () throws(IndexError) in
            try core.index.forEach(in: family.indexFamily, over: KeySpace.range(of: group), fillsCache: false) {
                key, value throws(RecordDamage) in
                guard key.byteCount >= KeySpace.statePrefixCount else { throw .malformedKey }
                // The applied position sorts before all keys.
                if key.byteCount == KeySpace.statePrefixCount, applied == nil {
                    applied = try AppliedPosition(decoding: value)
                } else {
                    StateImage.append(key.extracting(droppingFirst: KeySpace.statePrefixCount), value, to: &image)
                }
                return image.readableBytes <= stateBytesMax
            }
        }
        guard let applied else { throw .index("\(group) has no applied state to make a snapshot of") }
        guard image.readableBytes <= stateBytesMax else {
            throw .index("the state of \(group) is larger than \(stateBytesMax) bytes")
        }
        return (applied, image)
    }
}

/// A segment that a snapshot is made of.
struct SnapshotRange: Sendable {
    let segment: Segment
    let lastIndex: LogIndex
    let isSealed: Bool
    /// A frame's position at or before the last entry that is wanted.
    let start: Int
    /// The position behind the last frame.
    let end: Int
}
