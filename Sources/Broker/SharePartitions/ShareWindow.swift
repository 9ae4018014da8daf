// SPDX-License-Identifier: Apache-2.0
//
// ShareWindow.swift
// The records of a partition that a share group has in flight (KIP-932): who has which, how often each was delivered,
// and from where on nobody has had any. A value: time comes in, what is to be stored comes out.

import KafkaProtocol
import Model

/// The records between a share group's start offset and its end offset in one partition.
///
/// Invariants:
/// - `ranges` are in order and without holes: they cover `startOffset ..< endOffset`;
/// - the first of them is not done, or there are none: the start offset moves over what is done and stored;
/// - a record that was acknowledged is done only when ``commit(_:)`` says that this is stored.
///
/// Cost: each function takes one step for each range that it touches, and moves those behind it.
struct ShareWindow: Equatable, Sendable {
    /// The bounds of a window.
    struct Limits: Equatable, Sendable {
        /// Records that may be in flight; a batch that begins below is taken whole.
        var recordsMax: Int
        /// Deliveries of a record.
        var deliveriesMax: Int16
        /// How long a lock holds.
        var lockMilliseconds: Int64
    }

    var limits: Limits
    /// The first record that somebody may still get.
    private(set) var startOffset: Int64
    /// Behind the last record that anybody got: where new records are read.
    private(set) var endOffset: Int64
    private(set) var ranges: [ShareRange] = []
    /// What is below was deleted from the log.
    private(set) var logStart: Int64 = 0
    /// Whether the start offset is to be stored even when nothing else is.
    var isStartUnsaved = false
    /// The number of the write under way that has the start offset for that reason.
    var startSaving: Int?
    /// What happened since it was taken.
    private(set) var tally = ShareTally()

    /// Takes over what was stored; `start` stands for its start offset.
    init(startingAt start: Int64, _ batches: [ShareStateBatch], limits: Limits) {
        self.limits = limits
        startOffset = start
        endOffset = start
        for batch in batches where batch.lastOffset >= start {
            let first = max(batch.firstOffset, start)
            if first > endOffset { append(ShareRange(first: endOffset, last: first - 1)) }
            append(
                ShareRange(
                    first: first, last: batch.lastOffset, state: batch.state, deliveryCount: batch.deliveryCount))
        }
        advance()
    }

    // MARK: Looking

    /// Where to look for records that can be acquired.
    var nextReadOffset: Int64 { ranges.first { $0.isFree }?.first ?? endOffset }

    /// Whether records can be acquired, if there are any: those that were given back always can.
    var hasRoom: Bool { nextReadOffset < endOffset || recordCount < limits.recordsMax }

    /// Records between the start offset and the end offset.
    var recordCount: Int { Int(endOffset - startOffset) }

    /// Records that members have.
    var lockedCount: Int { ranges.reduce(0) { $1.lock == nil ? $0 : $0 + $1.count } }

    /// When the next lock ends; nil when nothing is locked, or all of it waits for a write.
    var nextDeadline: Instant? {
        ranges.lazy.compactMap { $0.lock }.filter { $0.pending == nil }.map(\.deadline).min()
    }

    /// What happened since the last time.
    mutating func takeTally() -> ShareTally {
        defer { tally = ShareTally() }
        return tally
    }

    // MARK: Acquiring

    /// Gives `owner` records of the batches that were read from `offset` on, up to about `recordsMax`.
    ///
    /// Batches are taken whole unless `isStrict`. What is not for members, and offsets that no batch has, is archived.
    mutating func acquire(
        _ extents: [BatchExtent], from offset: Int64, owner: String, recordsMax: Int, isStrict: Bool, now: Instant
    ) -> [AcquiredRange] {
        var acquired: [AcquiredRange] = []
        var count = 0
        var cursor = max(offset, startOffset)
        let lock = ShareLock(owner: owner, deadline: now.advanced(byMilliseconds: limits.lockMilliseconds))
        for extent in extents where extent.last >= cursor {
            guard count < recordsMax else { break }
            let first = max(extent.first, cursor)
            if first > cursor { skip(cursor, first - 1) }
            cursor = first
            guard extent.isDeliverable else {
                skip(first, extent.last)
                cursor = extent.last + 1
                continue
            }
            let left = isStrict ? recordsMax - count : Int.max
            let got = lockFree(first, extent.last, lock, countMax: left)
            for range in got { Self.join(range, to: &acquired) }
            count += got.reduce(0) { $0 + $1.count }
            guard extent.last < endOffset else { break }
            cursor = extent.last + 1
        }
        tally.acquired += count
        advance()
        return acquired
    }

    /// Locks what nobody has of a range; goes past the end offset while there is room.
    private mutating func lockFree(
        _ first: Int64, _ last: Int64, _ lock: ShareLock, countMax: Int
    ) -> [AcquiredRange] {
        let end = endOffset
        if last >= endOffset, first <= endOffset, recordCount < limits.recordsMax {
            append(ShareRange(first: endOffset, last: last))
        }
        var left = countMax
        var pieces: [AcquiredRange] = []
        for range in ranges[positions(of: first, last)] where range.isFree && left > 0 {
            let from = max(range.first, first)
            let to = min(min(range.last, last), left == .max ? .max : from + Int64(left) - 1)
            pieces.append(AcquiredRange(first: from, last: to, deliveryCount: range.deliveryCount + 1))
            if left != .max { left -= Int(to - from) + 1 }
        }
        for piece in pieces {
            change(piece.first, piece.last) {
                $0.lock = lock
                $0.deliveryCount = piece.deliveryCount
            }
        }
        trimEnd(to: end)
        return pieces
    }

    /// Archives what nobody has of a range, and the offsets behind the end if it goes on there.
    private mutating func skip(_ first: Int64, _ last: Int64) {
        if last >= endOffset, first <= endOffset { append(ShareRange(first: endOffset, last: last)) }
        change(first, last) { if $0.isFree { $0.state = .archived } }
    }

    /// Takes records off the end that nobody got, down to `end`.
    private mutating func trimEnd(to end: Int64) {
        while endOffset > end, let last = ranges.last, last.isFree, last.deliveryCount == 0, !last.isUnsaved,
            last.saving == nil
        {
            endOffset = max(end, last.first)
            if last.first >= end { ranges.removeLast() } else { ranges[ranges.count - 1].last = end - 1 }
        }
    }

    private static func join(_ range: AcquiredRange, to acquired: inout [AcquiredRange]) {
        if let last = acquired.last, last.last + 1 == range.first, last.deliveryCount == range.deliveryCount {
            acquired[acquired.count - 1].last = range.last
        } else {
            acquired.append(range)
        }
    }

    // MARK: Ranges

    /// The positions of the ranges that `first ... last` touches.
    private func positions(of first: Int64, _ last: Int64) -> Range<Int> {
        let from = ranges.partitioningIndex { $0.last >= first }
        let to = ranges.partitioningIndex { $0.first > last }
        return from..<max(from, to)
    }

    /// The ranges that `first ... last` touches, cut to it.
    func pieces(_ first: Int64, _ last: Int64) -> [ShareRange] {
        ranges[positions(of: first, last)].map { range in
            var range = range
            range.first = max(range.first, first)
            range.last = min(range.last, last)
            return range
        }
    }

    private mutating func append(_ range: ShareRange) {
        endOffset = range.last + 1
        if let last = ranges.last, last.isLike(range) {
            ranges[ranges.count - 1].last = range.last
        } else {
            ranges.append(range)
        }
    }

    /// Changes exactly the records `first ... last`, as far as they are here; neighbours that are alike become one.
    mutating func change(_ first: Int64, _ last: Int64, _ body: (inout ShareRange) -> Void) {
        let touched = positions(of: first, last)
        guard !touched.isEmpty else { return }
        var changed: [ShareRange] = []
        func add(_ range: ShareRange) {
            if let last = changed.last, last.isLike(range) {
                changed[changed.count - 1].last = range.last
            } else {
                changed.append(range)
            }
        }
        let from = max(0, touched.lowerBound - 1)
        let to = min(ranges.count, touched.upperBound + 1)
        for position in from..<to {
            let range = ranges[position]
            guard touched.contains(position) else {
                add(range)
                continue
            }
            var middle = range
            if range.first < first {
                var head = range
                head.last = first - 1
                add(head)
                middle.first = first
            }
            middle.last = min(range.last, last)
            body(&middle)
            add(middle)
            if range.last > last {
                var tail = range
                tail.first = last + 1
                add(tail)
            }
        }
        ranges.replaceSubrange(from..<to, with: changed)
    }

    /// Changes every range that `isWanted`, and joins neighbours.
    mutating func changeAll(where isWanted: (ShareRange) -> Bool, _ body: (inout ShareRange) -> Void) {
        guard ranges.contains(where: isWanted) else { return }
        var changed: [ShareRange] = []
        changed.reserveCapacity(ranges.count)
        for var range in ranges {
            if isWanted(range) { body(&range) }
            if let last = changed.last, last.isLike(range) {
                changed[changed.count - 1].last = range.last
            } else {
                changed.append(range)
            }
        }
        ranges = changed
        advance()
    }

    /// Moves the start offset over what is done.
    mutating func advance() {
        let done = ranges.prefix { $0.isDone }.count
        guard done > 0 else { return }
        startOffset = ranges[done - 1].last + 1
        ranges.removeFirst(done)
    }

    /// Forgets what was deleted from the log; whoever has such records may say of them what it likes.
    mutating func moveLogStart(to offset: Int64) {
        guard offset > logStart else { return }
        logStart = offset
        guard offset > startOffset else { return }
        let gone = ranges.prefix { $0.last < offset }.count
        ranges.removeFirst(gone)
        if !ranges.isEmpty { ranges[0].first = max(ranges[0].first, offset) }
        startOffset = offset
        endOffset = max(endOffset, offset)
        advance()
    }

    /// Counts what happened.
    mutating func count(_ body: (inout ShareTally) -> Void) { body(&tally) }
}

extension Array {
    /// The position of the first element for which `isBehind` holds, which must hold for all that follow one.
    fileprivate func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
