// SPDX-License-Identifier: Apache-2.0
//
// FlushItem.swift
// What the threads hand to each other.

internal import Dispatch
internal import Model

/// What logs ask of the flush thread, which handles it in the order it came.
enum FlushItem: Sendable {
    /// Makes a frame durable.
    case frame(SealedFrame)
    /// Makes a term and a vote durable.
    case hardState(GroupHandle, HardStateRecord, ticket: UInt64)
    /// Removes a suffix of a log (rule R3). Everything before it is applied and checkpointed first.
    case cut(Cut)
    /// Passes work on to the applier, behind the frames that came before.
    case forward(ApplyItem)
    /// Zeroes no more, finishes, and ends the thread.
    case stop
}

/// What the flush thread hands to the applier.
enum ApplyItem: Sendable {
    /// Frames that are durable. Journaled ones must still be written to their segments.
    case frames([SealedFrame], hardStates: [(GroupID, HardStateRecord)], journal: UInt64?)
    /// Closes a segment.
    case seal(Segment, footer: FrameHeader, position: UInt32)
    /// Notes new facts of a group, durably, and deletes what they let go.
    case trim(Trim)
    /// Removes segments that compaction has replaced.
    case unlink([Segment])
    /// Sets the facts of a group.
    case meta(GroupID, GroupMeta)
    /// Drops entries of a command log whose effects are durable.
    case compact(GroupID, GroupMeta, from: LogIndex)
    /// Keeps the producers' state.
    case producerSnapshot(GroupID, ProducerSnapshot)
    /// Removes a group.
    case deleteGroup(GroupID)
    /// Checkpoints soon.
    case checkpointSoon
    /// Checkpoints now and signals.
    case checkpoint(DispatchSemaphore)
    /// Checkpoints and ends the thread.
    case stop
}

/// A truncation.
struct Cut: Sendable {
    let handle: GroupHandle
    /// The group's facts, with the marker.
    let meta: GroupMeta
    /// The segment that is cut; nil for command logs and when nothing of a segment is left.
    let segment: Segment?
    let marker: CutMarker
    /// The end offset of the log after the cut.
    let offset: Offset
    /// Segments that go altogether, oldest first.
    let deleted: [Segment]
}

/// A removal of the oldest segments.
struct Trim: Sendable {
    let group: GroupID
    let meta: GroupMeta
    /// Where the log began before.
    let formerFirst: LogIndex
    /// The last index of the log: its pointer stays.
    let last: LogIndex
    let deleted: [Segment]
}
