// SPDX-License-Identifier: Apache-2.0
//
// Amnesia.swift
// A store whose index database holds less than was durable (storage rules 3.6, step 1): a disk that lied about a sync, a damaged
// log of RocksDB, a folder that was put back from a copy. Votes, log starts and truncations may be forgotten.

internal import Logging
internal import Model
internal import RocksKV

/// What an opened index says of its past.
struct IndexPast {
    /// The mark to note syncs in from now on.
    var mark: SyncedMark
    /// Whether the index has forgotten something.
    let isAmnesiac: Bool

    /// Compares what the index had when it was opened with what was noted.
    init(_ core: StoreCore, _ meta: StoreMeta, openedAt sequence: UInt64) throws(StoreError) {
        mark = try SyncedMark(
            system: core.system, root: core.settings.directory, journalID: LogStore.journalID(meta.identity))
        let noted = max(mark.sequence, meta.cleanShutdown?.sequence ?? 0)
        isAmnesiac = sequence < noted
        if isAmnesiac {
            core.logger.error(
                "The index database has forgotten synced changes",
                metadata: ["sequence": "\(sequence)", "noted_sequence": "\(noted)"])
        }
    }

    /// Marks all groups, and removes notes of clean ends, unless the store was closed properly and forgot nothing.
    ///
    /// A log forgets the note of its end when it is opened, but not durably: after a power failure the note is back, and wrong.
    /// Should the store be closed before that log is opened, the next start would believe it.
    mutating func settle(_ core: StoreCore, _ meta: StoreMeta, wasClean: Bool) throws(StoreError) {
        guard !wasClean || isAmnesiac else { return }
        let isAmnesiac = isAmnesiac
        var forgotten = isAmnesiac && !core.mutates(.forgottenUnmarked) ? try traces(core, meta) : []
        try indexed { () throws(IndexError) in
            var batch = try core.index.makeBatch()
            for group in try core.index.groups() {
                forgotten.remove(group)
                guard let meta = try core.index.groupMeta(of: group) else { continue }
                var changed = meta
                changed.closed = nil
                changed.isAmnesiac = meta.isAmnesiac || isAmnesiac
                if changed != meta { batch.putGroupMeta(changed, of: group) }
            }
            // Together with the others: the commit may bring the index to where it does not look forgetful any more.
            for group in forgotten.sorted() {
                var meta = GroupMeta()
                meta.isAmnesiac = true
                batch.putGroupMeta(meta, of: group)
            }
            if !batch.isEmpty { try batch.commit(durability: .synced) }
        }
        // What is left is what is known from now on; the groups keep the mark.
        if isAmnesiac { try mark.note(try indexed { () throws(IndexError) in try core.index.latestSequence() }) }
    }

    /// The groups that have files or are in the journal.
    ///
    /// One that the index does not know was forgotten altogether. Made anew, without a mark, it would vote again in a term in
    /// which it has voted, and what it confirmed would look like a log that is merely short.
    private func traces(_ core: StoreCore, _ meta: StoreMeta) throws(StoreError) -> Set<GroupID> {
        let names = try core.system.list(core.settings.directory + "/groups")
        var groups = Set(names.compactMap { UInt64($0).map(GroupID.init(rawValue:)) })
        let journal = try JournalReader(
            system: core.system, directory: core.settings.directory + "/journal",
            journalID: LogStore.journalID(meta.identity))
        _ = try journal.read(from: meta.journalApplied.rawValue) { item throws(StoreError) in
            switch item {
            case .hardState(let group, _): groups.insert(group)
            case .frame(let header, _, _, _): groups.insert(header.group)
            }
        }
        return groups
    }
}
