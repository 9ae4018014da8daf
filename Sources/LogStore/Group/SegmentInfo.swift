// SPDX-License-Identifier: Apache-2.0
//
// SegmentInfo.swift
// What a log knows of its segments: values, decided on the log's loop.

internal import Model

/// A frame that can be found without reading.
struct SparseEntry: Sendable, Hashable {
    var index: LogIndex
    var offset: Offset
    var position: UInt32
    /// The newest timestamp of its segment up to and including it; nil when the index does not say.
    var maxTimestamp: Int64?
}

/// What the footer of a compacted segment says.
struct CompactionMark: Sendable, Hashable {
    /// Its keys were compared with all records before this offset.
    var keysThrough: Offset
    /// When the first of its tombstones or markers may go; nil when it has none.
    var horizon: Int64?
    /// The last entry that was known to be committed to the passes that made it: newer records of its keys are not behind that
    /// one; 0 where the footer does not say.
    var committed = LogIndex.zero
}

/// One segment as its log sees it.
struct SegmentInfo: Sendable {
    let segment: Segment
    /// The log's end offset when the segment began.
    let baseOffset: Offset
    /// The last entry in it.
    var lastIndex: LogIndex
    /// The term of that entry.
    var lastTerm: Term
    /// The offset after its last record.
    var endOffset: Offset
    /// The position behind its last frame.
    var end: Int
    /// The newest timestamp in it; -1 when there is none.
    var maxTimestamp: Int64
    /// When its first frame was written.
    var openedAt: WallTime
    /// Whether it takes no more frames.
    var isSealed: Bool
    /// Frames found by index and offset, while the segment is active.
    var sparse: [SparseEntry] = []
    /// What compaction noted when it wrote the segment; nil for one that was appended to.
    var compacted: CompactionMark?

    /// The position of a frame at or before the one that holds `offset`.
    func floor(offset: Offset) -> Int {
        let after = sparse.partitioningIndex { $0.offset > offset }
        return after == 0 ? 0 : Int(sparse[after - 1].position)
    }

    /// The position of a frame at or before the one at `index`.
    func floor(index: LogIndex) -> Int {
        let after = sparse.partitioningIndex { $0.index > index }
        return after == 0 ? 0 : Int(sparse[after - 1].position)
    }

    /// The newest timestamp of the frames before `position`, or of all up to the last of ``sparse`` if that is further.
    ///
    /// - Cost: reads what is behind the last sparse entry; everything where no entry says what is before it.
    func newestTimestamp(
        before position: Int, in file: @autoclosure () throws(StoreError) -> any File
    ) throws(StoreError) -> Int64 {
        let known = sparse.last { $0.maxTimestamp != nil }
        var newest = known?.maxTimestamp ?? -1
        let start = Int(known?.position ?? 0)
        guard start < position else { return newest }
        var cursor = FrameCursor(try file(), from: start, upTo: position)
        while true {
            switch try cursor.peek() {
            case .frame(let header, _), .damagedPayload(let header):
                newest = max(newest, header.maxTimestamp)
                cursor.skip(header)
            case .noHeader, .end: return newest
            }
        }
    }

    /// The sparse entries of the segment as its frames say.
    ///
    /// - Cost: reads all of it.
    func sparseFromFrames(in file: any File) throws(StoreError) -> [SparseEntry] {
        var cursor = FrameCursor(file, from: 0, upTo: end)
        var entries: [SparseEntry] = []
        var newest: Int64 = -1
        while case .frame(let header, _) = try cursor.peek(), header.kind != .footer {
            newest = max(newest, header.maxTimestamp)
            if Self.isIndexed(position: cursor.position, frameBytes: header.frameBytes) {
                entries.append(
                    SparseEntry(
                        index: header.index, offset: header.baseOffset, position: UInt32(cursor.position),
                        maxTimestamp: newest))
            }
            cursor.skip(header)
        }
        return entries
    }

    /// Whether the frame at `position` gets an entry in the sparse indices: the first of a segment, and each one that
    /// touches a new stretch of ``SparseEntry`` distance.
    ///
    /// It depends on the frame alone, so replay finds the same.
    static func isIndexed(position: Int, frameBytes: Int) -> Bool {
        position == 0 || position >> distanceBits != (position + frameBytes) >> distanceBits
    }

    /// 32 KiB: a search reads at most so much in vain.
    private static let distanceBits = 15
}

extension StoreCore {
    /// The sparse entries of a segment, from the index database.
    func sparseEntries(of info: SegmentInfo) throws(StoreError) -> [SparseEntry] {
        var entries: [SparseEntry] = []
        let name = info.segment.name
        try indexed { () throws(IndexError) in
            try index.forEachOffsetIndexEntry(of: info.segment.group, from: info.baseOffset) { entry in
                // Entries of files that compaction has replaced may be left among the others.
                guard entry.at.segment == name else {
                    return Segment.base(of: entry.at.segment) <= info.segment.base || entry.offset < info.endOffset
                }
                entries.append(
                    SparseEntry(
                        index: entry.index, offset: entry.offset, position: entry.at.position,
                        maxTimestamp: entry.segmentMaxTimestamp))
                return true
            }
        }
        return entries
    }
}

extension RandomAccessCollection where Index == Int {
    /// The first position from which on `condition` holds; it must not hold before.
    func partitioningIndex(where condition: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if condition(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// How far a log's frames have come.
///
/// A truncation starts a new generation: completions of the old one count up to the cut.
struct LogProgress: Sendable, Hashable {
    private(set) var flushed: LogIndex
    private(set) var applied: LogIndex
    private var cuts: [LogIndex] = []

    /// Everything up to `last` is durable and in its segment.
    init(last: LogIndex) {
        flushed = last
        applied = last
    }

    /// What frames sealed now carry.
    var generation: Int { cuts.count }

    /// Notes a truncation from `index` on.
    mutating func cut(from index: LogIndex) {
        cuts.append(index)
        flushed = min(flushed, index.previous)
        applied = min(applied, index.previous)
    }

    /// Another log has taken the place of this one: nothing that was under way counts.
    mutating func reset(to last: LogIndex) {
        cuts.append(LogIndex(1))
        flushed = last
        applied = last
    }

    /// Notes a flush; returns whether something became durable.
    mutating func noteFlushed(_ index: LogIndex, generation: Int) -> Bool {
        let index = visible(index, generation)
        guard index > flushed else { return false }
        flushed = index
        return true
    }

    /// Notes what is in the segments.
    mutating func noteApplied(_ index: LogIndex, generation: Int) {
        applied = max(applied, visible(index, generation))
    }

    private func visible(_ index: LogIndex, _ generation: Int) -> LogIndex {
        guard let cut = cuts[generation...].min() else { return index }
        return min(index, cut.previous)
    }
}

extension [ConfigurationRecord] {
    /// The list as the group's facts hold it: index, length, bytes for each.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for record in self {
            Self.append(record.index.rawValue, to: &bytes)
            Self.append(UInt64(record.bytes.count), to: &bytes)
            bytes += record.bytes
        }
        return bytes
    }

    /// Reads what ``encoded`` made; nil when it is something else.
    init?(decoding bytes: [UInt8]) {
        self = []
        var position = 0
        while position < bytes.count {
            guard position + 16 <= bytes.count else { return nil }
            let index = bytes[position..<(position + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let count = bytes[(position + 8)..<(position + 16)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            position += 16
            guard count <= UInt64(bytes.count - position) else { return nil }
            append(
                ConfigurationRecord(
                    index: LogIndex(index), bytes: Array<UInt8>(bytes[position..<(position + Int(count))])))
            position += Int(count)
        }
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }
}
