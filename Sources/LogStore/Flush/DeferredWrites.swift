// SPDX-License-Identifier: Apache-2.0
//
// DeferredWrites.swift
// What the applier could not write for lack of space, in its order. A value without I/O.

internal import Model

/// Work on segments that waits for space.
///
/// The journal holds the frames, and no checkpoint passes them. Once something waits, everything behind it that belongs to a
/// segment waits too, so that a log never hears of an entry before the one in front of it is in its place.
struct DeferredWrites {
    /// One piece of work.
    enum Item {
        /// Frames of one segment, which are in the journal.
        case frames(Segment, [SealedFrame])
        /// The end of a segment.
        case seal(Segment, footer: FrameHeader, position: UInt32)
        /// What is to be reported when everything before it is done.
        case applied([(handle: GroupHandle, index: LogIndex, generation: Int)])
    }

    /// What waits, oldest first.
    private(set) var items: [Item] = []
    /// The bytes of the frames that wait.
    private(set) var byteCount = 0
    /// The journal's first block that holds something that waits, or one before it.
    private(set) var sequence: UInt64?

    /// Whether nothing waits.
    var isEmpty: Bool { sequence == nil }

    /// Adds work; `sequence` counts when it is the first.
    mutating func append(_ item: Item, from sequence: UInt64) {
        self.sequence = self.sequence ?? sequence
        byteCount += Self.byteCount(of: item)
        items.append(item)
    }

    /// Notes that the first `count` pieces are done.
    mutating func removeFirst(_ count: Int) {
        byteCount -= items.prefix(count).reduce(0) { $0 + Self.byteCount(of: $1) }
        items.removeFirst(count)
        if items.isEmpty { sequence = nil }
    }

    /// Forgets the work on segments that are to be deleted; reports stay.
    mutating func drop(where isDropped: (Segment) -> Bool) {
        items.removeAll { item in
            switch item {
            case .frames(let segment, _), .seal(let segment, _, _): isDropped(segment)
            case .applied: false
            }
        }
        byteCount = items.reduce(0) { $0 + Self.byteCount(of: $1) }
        if items.isEmpty { sequence = nil }
    }

    private static func byteCount(of item: Item) -> Int {
        guard case .frames(_, let frames) = item else { return 0 }
        return frames.reduce(0) { $0 + $1.frameBytes }
    }
}
