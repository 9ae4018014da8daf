// SPDX-License-Identifier: Apache-2.0
//
// IndexDatabase+Groups.swift
// Reads what opening a group needs, and removes groups.

public import Model
internal import RocksKV

/// What the index knows of a group, for recovering it.
public struct GroupRecord: Hashable, Sendable {
    /// The group.
    public var id: GroupID
    /// Its facts; nil when the group does not exist here.
    public var meta: GroupMeta?
    /// Its term and vote; nil when it never had one.
    public var hardState: HardStateRecord?
    /// The last entry with a pointer.
    public var last: IndexedPointer?
    /// The starts of its terms, in order.
    public var termStarts: [TermStart]
}

extension IndexDatabase {
    /// All groups that exist here, in order.
    public func groups() throws(IndexError) -> [GroupID] {
        var groups: [GroupID] = []
        try forEach(in: .groupMeta, over: .all) { key, _ throws(RecordDamage) in
            guard let group = KeySpace.group(of: key) else { throw .malformedKey }
            groups.append(group)
            return true
        }
        return groups
    }

    /// Everything that recovering `group` needs.
    ///
    /// - Cost: two point reads and two seeks, about 20 µs. May be called from several threads.
    public func loadGroup(_ group: GroupID) throws(IndexError) -> GroupRecord {
        GroupRecord(
            id: group, meta: try groupMeta(of: group), hardState: try hardState(of: group),
            last: try lastPointer(of: group), termStarts: try termStarts(of: group))
    }

    /// The facts of `group`; nil when it does not exist here.
    public func groupMeta(of group: GroupID) throws(IndexError) -> GroupMeta? {
        try value(at: KeySpace.key(group).span, in: .groupMeta)
    }

    /// The term and vote of `group`.
    public func hardState(of group: GroupID) throws(IndexError) -> HardStateRecord? {
        try value(at: KeySpace.key(group).span, in: .hardState)
    }

    /// The starts of the terms of `group`, in order.
    public func termStarts(of group: GroupID) throws(IndexError) -> [TermStart] {
        var starts: [TermStart] = []
        try forEach(in: .termStart, over: KeySpace.range(of: group)) { key, value throws(RecordDamage) in
            guard let term = KeySpace.number(of: key) else { throw .malformedKey }
            let start = try TermStartValue(decoding: value)
            starts.append(
                TermStart(term: Term(term), firstIndex: start.firstIndex, firstOffset: start.firstOffset))
            return true
        }
        return starts
    }

    /// The newest snapshot manifest of `group`.
    public func snapshotManifest(of group: GroupID) throws(IndexError) -> SnapshotManifest? {
        var manifest: SnapshotManifest?
        try withLast(in: .snapshots, over: KeySpace.range(of: group)) { key, value throws(RecordDamage) in
            guard let index = KeySpace.number(of: key) else { throw .malformedKey }
            let stored = try SnapshotManifestValue(decoding: value)
            manifest = SnapshotManifest(index: LogIndex(index), term: stored.term, bytes: stored.bytes)
        }
        return manifest
    }

    /// Removes every record of `group`, and is durable when it returns.
    ///
    /// The facts go last, in one synced batch with the hard state: interrupted, the group still exists, and deleting it again
    /// finishes the work. Safe because a group id is never used again (rule R10). The group must be idle.
    ///
    /// - Cost: one tombstone per record, in batches of ``IndexBatch/deletesPerCallMax``.
    public func deleteGroup(_ group: GroupID) throws(IndexError) {
        var batch = try makeBatch()
        for family in IndexFamily.allCases where family != .groupMeta && family != .hardState && family != .store {
            var isDone = false
            while !isDone {
                isDone = try batch.delete(
                    in: family, over: KeySpace.range(of: group), limit: IndexBatch.deletesPerCallMax)
                try batch.commit(durability: .buffered)
            }
        }
        try batch.delete(in: .hardState, over: KeySpace.range(of: group))
        try batch.delete(in: .groupMeta, over: KeySpace.range(of: group))
        try batch.commit(durability: .synced)
    }
}
