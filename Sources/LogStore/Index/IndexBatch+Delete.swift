// SPDX-License-Identifier: Apache-2.0
//
// IndexBatch+Delete.swift
// Removes the ends of a group's log from the index, key by key: range tombstones would slow down every later seek.

public import Model
internal import RocksKV

extension IndexBatch {
    /// The most keys one call removes from one family, so that a batch stays small whatever a group holds.
    public static let deletesPerCallMax = 16_384

    /// Removes the pointers from `lower` up to but not including `upper`, at most ``deletesPerCallMax`` of them.
    ///
    /// - Returns: the first index that was not reached; less than `upper` when the caller has to commit and go on from there.
    public mutating func deletePointers(from lower: LogIndex, upTo upper: LogIndex, of group: GroupID) -> LogIndex {
        guard lower < upper else { return upper }
        let end = min(upper, lower + Self.deletesPerCallMax)
        for index in lower.rawValue..<end.rawValue {
            batch.delete(KeySpace.key(group, index).span, in: IndexFamily.raftLog.family)
        }
        return end
    }

    /// Removes everything of entries at or after `index`, whose first record has `offset`: pointers, offset and time index, term
    /// starts, producer snapshots that reflect any of them, and snapshot manifests (rule R3, step b).
    ///
    /// Sees committed records only: commit what is pending for the group first. Unlike a prefix, a suffix is removed in one
    /// batch however long it is, because a half-removed one would be a log with a hole; Raft bounds it by its limit of uncommitted bytes.
    public mutating func deleteSuffix(from index: LogIndex, offset: Offset, of group: GroupID) throws(IndexError) {
        let number = KeySpace.number(offset)
        let byIndex = KeySpace.range(of: group, from: index.rawValue)
        try delete(in: .raftLog, over: byIndex)
        try delete(in: .snapshots, over: byIndex)
        // A frame without records shares its base offset with the frame after it, so the entry decides, not the offset.
        try delete(in: .offsetIndex, over: KeySpace.range(of: group, from: number)) { _, value throws(RecordDamage) in
            try FrameReference(decoding: value).index >= index
        }
        // From the end backwards would read less, but the time index has only a few entries per MiB of log.
        try delete(in: .timeIndex, over: KeySpace.range(of: group)) { _, value throws(RecordDamage) in
            try FrameReference(decoding: value).index >= index
        }
        try delete(in: .termStart, over: KeySpace.range(of: group)) { _, value throws(RecordDamage) in
            try TermStartValue(decoding: value).firstIndex >= index
        }
        try delete(in: .producers, over: KeySpace.range(of: group, from: number)) { _, value throws(RecordDamage) in
            try ProducerSnapshotValue(decoding: value).index >= index
        }
    }

    /// Removes from the sparse indices what stands before `index`, whose first record has `offset`: offset and time index, term
    /// starts but the last before `index`, and producer snapshots but the last at or before `offset`.
    ///
    /// Sees committed records only. Pointers go with ``deletePointers(from:upTo:of:)``.
    ///
    /// - Returns: whether all are gone; else commit and call again.
    public mutating func deletePrefix(
        before index: LogIndex, offset: Offset, of group: GroupID
    ) throws(IndexError) -> Bool {
        let number = KeySpace.number(offset)
        let limit = Self.deletesPerCallMax
        let offsets = try delete(in: .offsetIndex, over: KeySpace.range(of: group, from: 0, upTo: number), limit: limit)
        let times = try deleteTimes(before: index, of: group, limit: limit)
        // The term that holds `index`, and the newest snapshot that replay can start from, stay.
        let term = try self.index.termStarts(of: group).last { $0.firstIndex <= index }?.term ?? .zero
        try delete(in: .termStart, over: KeySpace.range(of: group, from: 0, upTo: term.rawValue))
        if let kept = try self.index.producerSnapshot(of: group, notAfter: offset) {
            let upTo = KeySpace.number(kept.offset)
            try delete(in: .producers, over: KeySpace.range(of: group, from: 0, upTo: upTo))
        }
        return offsets && times
    }

    /// Removes up to ``deletesPerCallMax`` keys of the applied state, its applied position included.
    ///
    /// - Returns: whether all are gone; else commit and call again.
    public mutating func deleteState(in state: StateFamily, of group: GroupID) throws(IndexError) -> Bool {
        try delete(in: state.indexFamily, over: KeySpace.range(of: group), limit: Self.deletesPerCallMax)
    }

    /// Removes time index entries of entries before `index`.
    ///
    /// Key order is entry order, so the first one that stays ends it.
    private mutating func deleteTimes(
        before index: LogIndex, of group: GroupID, limit: Int
    ) throws(IndexError) -> Bool {
        var left = limit
        var isDone = true
        let family = IndexFamily.timeIndex
        let range = KeySpace.range(of: group)
        try self.index.forEach(in: family, over: range, fillsCache: false) { key, value throws(RecordDamage) in
            guard try FrameReference(decoding: value).index < index else { return false }
            guard left > 0 else {
                isDone = false
                return false
            }
            left -= 1
            batch.delete(key, in: family.family)
            return true
        }
        return isDone
    }

    /// Removes at most `limit` keys of `range` for which `condition` holds; returns whether it saw the whole range.
    @discardableResult
    mutating func delete(
        in family: IndexFamily, over range: KeyRange, limit: Int = .max,
        where condition: (_ key: RawSpan, _ value: RawSpan) throws(RecordDamage) -> Bool = { _, _ in true }
    ) throws(IndexError) -> Bool {
        var left = limit
        var isDone = true
        try index.forEach(in: family, over: range, fillsCache: false) { key, value throws(RecordDamage) in
            guard try condition(key, value) else { return true }
            guard left > 0 else {
                isDone = false
                return false
            }
            left -= 1
            batch.delete(key, in: family.family)
            return true
        }
        return isDone
    }
}
