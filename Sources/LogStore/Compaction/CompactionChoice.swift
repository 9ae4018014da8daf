// SPDX-License-Identifier: Apache-2.0
//
// CompactionChoice.swift
// Whether a log is due, and where the next pass begins. A function of the log's segments; the footers of compacted ones are the
// only memory, so what a pass has reached is never lost.

internal import Model

/// What is to be compacted of a log.
///
/// A pass compares the keys of `dirty` with everything before and rewrites the segments from `from` on, in order.
struct CompactionChoice: Sendable, Hashable {
    /// How many segments, from the oldest on, may be rewritten.
    var sources: Int
    /// The first segment to rewrite: another than the oldest when a pass goes on that was interrupted.
    var from: Int
    /// The first offset whose key has not been compared.
    var dirtyFrom: Offset
    /// Where the comparison ends; nil when it is for the pass to find, as far as its memory goes.
    var keysThrough: Offset?
    /// The share of the bytes that is new.
    var dirtyRatio: Double

    /// How far the log is compacted.
    ///
    /// Every compacted segment knows the offset up to which its keys were compared. They differ while a pass is on its way
    /// through what was clean before it, and stand behind the last of them when it is in what was new.
    struct Progress: Hashable {
        var dirtyFrom: Offset
        /// The pass that goes on, if one was interrupted: where it compares to, and its next segment.
        var pass: (through: Offset, next: Int)?

        init(_ segments: [SegmentInfo]) {
            let done = segments.prefix { $0.compacted != nil }
            guard let last = done.last, let oldest = done.compactMap({ $0.compacted?.keysThrough }).min(),
                let newest = done.compactMap({ $0.compacted?.keysThrough }).max()
            else {
                dirtyFrom = segments.first?.baseOffset ?? .zero
                return
            }
            if oldest < newest {
                dirtyFrom = min(oldest, last.endOffset)
                pass = (newest, done.firstIndex { ($0.compacted?.keysThrough ?? newest) < newest } ?? 0)
            } else if last.endOffset < newest {
                // What is behind needs to know of no key before it.
                dirtyFrom = last.endOffset
                pass = (newest, done.count)
            } else {
                dirtyFrom = newest
            }
        }

        static func == (one: Progress, other: Progress) -> Bool {
            one.dirtyFrom == other.dirtyFrom && one.pass?.through == other.pass?.through
                && one.pass?.next == other.pass?.next
        }

        func hash(into hasher: inout Hasher) { hasher.combine(dirtyFrom) }
    }

    /// What is due of `segments` at `now`; nil when nothing is.
    ///
    /// `last` is the last entry that a segment may hold which is rewritten. The segment that is appended to, and the last one
    /// in any case, stay as they are.
    init?(
        _ segments: [SegmentInfo], settings: CompactionSettings, bounds: CompactionBounds, last: LogIndex, now: WallTime
    ) {
        sources =
            segments.dropLast().prefix { info in
                info.isSealed && info.lastIndex <= last && info.endOffset <= bounds.end
                    && (settings.lagMillisecondsMin <= 0 || Self.age(info, now) >= settings.lagMillisecondsMin)
            }.count
        guard sources > 0 else { return nil }
        let progress = Progress(segments)
        dirtyFrom = progress.dirtyFrom
        let clean = segments.prefix { $0.endOffset <= progress.dirtyFrom && $0.compacted != nil }.count
        let cleanBytes = segments[..<min(clean, sources)].reduce(0) { $0 + $1.end }
        let dirty = segments[min(clean, sources)..<sources]
        let dirtyBytes = dirty.reduce(0) { $0 + $1.end }
        dirtyRatio = dirtyBytes == 0 ? 0 : Double(dirtyBytes) / Double(cleanBytes + dirtyBytes)
        from = 0
        if let pass = progress.pass, pass.next < sources, segments[sources - 1].endOffset >= pass.through {
            from = pass.next
            keysThrough = pass.through
            return
        }
        let isLate = dirty.contains { now.milliseconds - $0.openedAt.milliseconds > settings.lagMillisecondsMax }
        let isExpired = segments[..<sources].contains { ($0.compacted?.horizon ?? .max) <= now.milliseconds }
        guard dirtyBytes > 0 && (dirtyRatio >= settings.dirtyRatioMin || isLate) || isExpired else { return nil }
    }

    private static func age(_ info: SegmentInfo, _ now: WallTime) -> Int64 {
        now.milliseconds - (info.maxTimestamp >= 0 ? info.maxTimestamp : info.openedAt.milliseconds)
    }

    /// The segments that are rewritten into one, from `first` on: as many as fit into `bytesMax`, at least one.
    static func group(_ segments: ArraySlice<SegmentInfo>, from first: Int, bytesMax: Int) -> Range<Int> {
        var end = first
        var bytes = 0
        while end < segments.endIndex, end == first || bytes + segments[end].end <= bytesMax {
            bytes += segments[end].end
            end += 1
        }
        return first..<end
    }
}
