// SPDX-License-Identifier: Apache-2.0
//
// RewrittenSegment.swift
// What goes back and forth between a log and the thread that compacts: the order, what it made of some segments, how it ended.

internal import Model
internal import Synchronization

/// A pass over one log that was asked for.
///
/// Its identity tells the answers of one pass from those of another. Any thread.
final class CompactionOrder: Sendable {
    private let cancelled = Atomic(false)

    /// Whether nobody wants it any more.
    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    func cancel() { cancelled.store(true, ordering: .relaxed) }
}

/// Everything the thread needs to know for a pass.
struct CompactionPlan: Sendable {
    let handle: GroupHandle
    let order: CompactionOrder
    /// The segments that may be rewritten, oldest first.
    let sources: [SegmentInfo]
    let choice: CompactionChoice
    let settings: CompactionSettings
    let bounds: CompactionBounds
    /// The last entry that is known to be committed.
    let committed: LogIndex
    let now: Int64
    /// How large a segment may be that takes the place of several.
    let segmentBytes: Int
    /// The zstd level of frames; 0 stores them as they are.
    let compressionLevel: Int32
}

/// A segment that is to take the place of some others, whole and durable in a place of its own.
struct RewrittenSegment: Sendable {
    let order: CompactionOrder
    let group: GroupID
    let info: SegmentInfo
    /// Where it is.
    let temporaryPath: String
    /// What it replaces, oldest first.
    let sources: [Segment]
    /// The last entries of those, which have pointers.
    let lastEntries: [LogIndex]
    /// Its frames in the sparse indices.
    let sparse: [SparseEntry]
    /// The newest timestamp of all segments before it; -1 without any.
    let newestBefore: Int64
    let removedMarkers: [RemovedMarker]
    let bytesRead: Int
    let recordsRemoved: Int
}

/// What the thread tells a log.
enum CompactionReport: Sendable {
    /// Some segments were rewritten: the log decides, and answers with ``CompactionJob/proceed(_:_:)``.
    case rewritten(RewrittenSegment)
    /// The pass has ended.
    case finished(CompactionStatistics)
    /// It could not go on; nothing was changed by what failed.
    case failed(StoreError)
}

/// What logs ask of the thread.
enum CompactionJob: Sendable {
    /// A pass.
    case begin(CompactionPlan)
    /// Whether the pass goes on: what it offered is in place, or is not wanted.
    case proceed(CompactionOrder, Bool)
    /// Ends the thread.
    case stop
}
