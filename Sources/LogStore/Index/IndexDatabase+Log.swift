// SPDX-License-Identifier: Apache-2.0
//
// IndexDatabase+Log.swift
// Finds entries by index, offset and time.

public import Model
internal import RocksKV

extension IndexDatabase {
    /// The pointer of the entry `index`; nil when there is none.
    public func pointer(at index: LogIndex, of group: GroupID) throws(IndexError) -> EntryPointer? {
        try value(at: KeySpace.key(group, index).span, in: .raftLog)
    }

    /// The last entry of `group` with a pointer.
    public func lastPointer(of group: GroupID) throws(IndexError) -> IndexedPointer? {
        var last: IndexedPointer?
        try withLast(in: .raftLog, over: KeySpace.range(of: group)) { key, value throws(RecordDamage) in
            last = try Self.pointer(key, value)
        }
        return last
    }

    /// Calls `body` with each pointer from `lower` on, in order, until it returns false or `upper` is reached.
    ///
    /// Shows the state of the moment it starts. Pass the group's first index as `lower`, not 0: tombstones of deleted
    /// pointers would have to be stepped over.
    public func forEachPointer(
        of group: GroupID, from lower: LogIndex, upTo upper: LogIndex? = nil, _ body: (IndexedPointer) -> Bool
    ) throws(IndexError) {
        let range = KeySpace.range(of: group, from: lower.rawValue, upTo: upper?.rawValue)
        try forEach(in: .raftLog, over: range) { key, value throws(RecordDamage) in body(try Self.pointer(key, value)) }
    }

    /// The last indexed frame whose base offset is at or before `offset`; nil when there is none.
    public func offsetIndexFloor(of group: GroupID, offset: Offset) throws(IndexError) -> OffsetIndexEntry? {
        var entry: OffsetIndexEntry?
        let number = KeySpace.number(offset)
        let upper = number < .max ? number + 1 : nil
        let range = KeySpace.range(of: group, from: 0, upTo: upper)
        try withLast(in: .offsetIndex, over: range) { key, value throws(RecordDamage) in
            entry = try Self.offsetEntry(key, value)
        }
        return entry
    }

    /// Calls `body` with each entry of the offset index at or after `offset`, in order, until it returns false.
    public func forEachOffsetIndexEntry(
        of group: GroupID, from offset: Offset = .zero, _ body: (OffsetIndexEntry) -> Bool
    ) throws(IndexError) {
        let range = KeySpace.range(of: group, from: KeySpace.number(offset))
        try forEach(in: .offsetIndex, over: range, fillsCache: false) { key, value throws(RecordDamage) in
            body(try Self.offsetEntry(key, value))
        }
    }

    /// The last indexed frame up to which every timestamp is less than `timestamp`; nil when there is none.
    ///
    /// A record at or after `timestamp` can only stand behind that frame: search forward from there, or from the log's start.
    public func timeIndexFloor(of group: GroupID, before timestamp: Int64) throws(IndexError) -> TimeIndexEntry? {
        var entry: TimeIndexEntry?
        let range = KeySpace.range(of: group, from: 0, upTo: KeySpace.ordered(timestamp))
        try withLast(in: .timeIndex, over: range) { key, value throws(RecordDamage) in
            entry = try Self.timeEntry(key, value)
        }
        return entry
    }

    /// Calls `body` with each entry of the time index, in order, until it returns false.
    public func forEachTimeIndexEntry(
        of group: GroupID, _ body: (TimeIndexEntry) -> Bool
    ) throws(IndexError) {
        let range = KeySpace.range(of: group)
        try forEach(in: .timeIndex, over: range, fillsCache: false) { key, value throws(RecordDamage) in
            body(try Self.timeEntry(key, value))
        }
    }

    /// The newest producer snapshot of `group` at or before `offset`; of all, when that is nil.
    public func producerSnapshot(
        of group: GroupID, notAfter offset: Offset? = nil
    ) throws(IndexError) -> ProducerSnapshot? {
        var snapshot: ProducerSnapshot?
        let range = KeySpace.range(of: group, from: 0, upTo: offset.map { KeySpace.number($0) + 1 })
        try withLast(in: .producers, over: range) { key, value throws(RecordDamage) in
            guard let offset = KeySpace.number(of: key) else { throw .malformedKey }
            let stored = try ProducerSnapshotValue(decoding: value)
            snapshot = ProducerSnapshot(
                offset: Offset(Int64(bitPattern: offset)), index: stored.index, bytes: stored.bytes)
        }
        return snapshot
    }

    private static func pointer(_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> IndexedPointer {
        guard let index = KeySpace.number(of: key) else { throw .malformedKey }
        return IndexedPointer(index: LogIndex(index), pointer: try EntryPointer(decoding: value))
    }

    private static func offsetEntry(_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> OffsetIndexEntry {
        guard let offset = KeySpace.number(of: key) else { throw .malformedKey }
        let frame = try FrameReference(decoding: value)
        return OffsetIndexEntry(
            offset: Offset(Int64(bitPattern: offset)), index: frame.index, at: frame.at,
            segmentMaxTimestamp: frame.segmentMaxTimestamp)
    }

    private static func timeEntry(_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> TimeIndexEntry {
        guard let time = KeySpace.time(of: key) else { throw .malformedKey }
        let frame = try FrameReference(decoding: value)
        return TimeIndexEntry(
            maxTimestampSoFar: time.timestamp, offset: time.offset, index: frame.index, at: frame.at)
    }
}
