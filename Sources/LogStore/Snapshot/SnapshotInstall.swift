// SPDX-License-Identifier: Apache-2.0
//
// SnapshotInstall.swift
// Replaces a group's log, or its state, by a staged snapshot: decided by one synced record, finished by whoever finds it.

internal import Dispatch
internal import Model
internal import NIOCore
internal import RocksKV

/// The installation of one snapshot.
///
/// Before the record in `snapshots` is durable the group is what it was; from then on it is the snapshot, and every step
/// behind it may be done again: after a crash, recovery does. The last batch removes the record.
struct SnapshotInstall {
    let core: StoreCore
    let snapshot: LogSnapshot

    private var root: String { core.settings.directory }
    private var group: GroupID { snapshot.group }

    /// Decides and carries out; everything is staged and right, and the group's log takes no entries.
    func run(_ stage: SnapshotStage) throws(StoreError) {
        try stage.flush()
        if !core.mutates(.installOverJournal) { try emptyJournal() }
        if core.marks.value.deferredFrom != nil { throw core.noSpace }
        try indexed { () throws(IndexError) in
            var batch = try core.index.makeBatch()
            batch.putSnapshotManifest(
                SnapshotManifest(index: snapshot.index, term: snapshot.term, bytes: snapshot.bytes), of: group)
            try batch.commit(durability: core.mutates(.installUndecided) ? .buffered : .synced)
        }
        try complete()
    }

    /// What is in the journal of the old log must not come back with a replay.
    private func emptyJournal() throws(StoreError) {
        let done = DispatchSemaphore(value: 0)
        core.flushQueue.post(.forward(.checkpoint(done)))
        core.wait(for: done, by: [.flush, .apply])
        if let failure = core.failure { throw failure }
    }

    /// Carries out an installation that was decided.
    func complete() throws(StoreError) {
        switch snapshot.content {
        case .segments(let segments):
            try placeFiles(segments)
            try forget([.raftLog, .termStart, .offsetIndex, .timeIndex, .producers])
            try settle(family: nil)
        case .state(let family, let byteCount, _):
            try forget([.raftLog, .termStart, family.indexFamily])
            try load(family, byteCount)
            try settle(family: family)
        }
        try core.removeStage(of: group)
    }

    // MARK: Segments

    private func placeFiles(_ segments: [SnapshotSegment]) throws(StoreError) {
        let stage = SnapshotStage(snapshot, core)
        let directory = Segment.directory(of: group, root: root)
        try core.system.makeDirectory(directory)
        // Before any file moves there: a directory that a power failure takes would take the moved files along.
        try core.files.syncDirectory(root + "/groups")
        var staged: Set<LogIndex> = []
        for (number, segment) in segments.enumerated() where core.system.exists(stage.path(ofFile: number)) {
            staged.insert(segment.name)
        }
        // One that is not staged any more is in its place already.
        let kept = Set(segments.map(\.name))
        for name in try core.system.list(directory).compactMap(Segment.name(ofFileName:)) where !kept.contains(name) {
            try core.files.remove(directory + "/" + Segment.fileName(name))
        }
        for (number, segment) in segments.enumerated() where staged.contains(segment.name) {
            let path = directory + "/" + Segment.fileName(segment.name)
            core.files.forget(path)
            try core.system.rename(stage.path(ofFile: number), to: path)
        }
        try core.files.syncDirectory(directory)
        core.readCache.drop(group)
    }

    // MARK: State

    private func load(_ family: StateFamily, _ byteCount: Int) throws(StoreError) {
        let path = SnapshotStage(snapshot, core).path(ofFile: 0)
        let bytes = try SnapshotStage.content(of: try core.system.open(path, .read), byteCount)
        guard let state = StateImage(bytes) else {
            throw .corrupt(Corruption(group: group, file: path, position: 0, reason: "a staged state cannot be read"))
        }
        try indexed { () throws(IndexError) in
            var batch = try core.index.makeBatch()
            for (key, value) in state.entries {
                batch.put(key, value, in: family, of: group)
                if batch.count >= IndexBatch.deletesPerCallMax { try batch.commit(durability: .buffered) }
            }
            try batch.commit(durability: .buffered)
        }
    }

    // MARK: Index

    private func forget(_ families: [IndexFamily]) throws(StoreError) {
        try indexed { () throws(IndexError) in
            var batch = try core.index.makeBatch()
            for family in families {
                var isDone = false
                while !isDone {
                    isDone = try batch.delete(
                        in: family, over: KeySpace.range(of: group), limit: IndexBatch.deletesPerCallMax)
                    try batch.commit(durability: .buffered)
                }
            }
        }
    }

    /// The last step: the group's facts are the snapshot's, and nothing is left to be done.
    private func settle(family: StateFamily?) throws(StoreError) {
        try indexed { () throws(IndexError) in
            var meta = try core.index.groupMeta(of: group) ?? GroupMeta()
            if !core.mutates(.installKeepsStart) { meta.firstIndex = snapshot.firstIndex }
            meta.previousTerm = snapshot.previousTerm
            meta.firstOffset = snapshot.firstOffset
            meta.logStartOffset = snapshot.logStartOffset
            meta.configurations = snapshot.configurations.encoded
            meta.cut = nil
            meta.closed = nil
            meta.unindexedFrom = nil
            meta.isDamaged = false
            meta.chain = snapshot.chain
            var batch = try core.index.makeBatch()
            batch.putGroupMeta(meta, of: group)
            for start in snapshot.termStarts { batch.putTermStart(start, of: group) }
            if let producers = snapshot.producers { batch.putProducerSnapshot(producers, of: group) }
            if let family {
                batch.putApplied(AppliedPosition(index: snapshot.index, term: snapshot.term), in: family, of: group)
            }
            try batch.delete(in: .snapshots, over: KeySpace.range(of: group))
            try batch.commit(durability: core.mutates(.installUnsynced) ? .buffered : .synced)
        }
    }
}

/// The keys of a state machine in one piece: for each, its length, the value's length, both.
struct StateImage {
    private(set) var entries: [(key: [UInt8], value: [UInt8])] = []

    init?(_ bytes: ByteBuffer) {
        var bytes = bytes
        while bytes.readableBytes > 0 {
            guard let keyCount = bytes.readInteger(as: UInt32.self),
                let valueCount = bytes.readInteger(as: UInt32.self),
                let key = bytes.readBytes(length: Int(keyCount)), let value = bytes.readBytes(length: Int(valueCount))
            else { return nil }
            entries.append((key, value))
        }
    }

    static func append(_ key: RawSpan, _ value: RawSpan, to bytes: inout ByteBuffer) {
        bytes.writeInteger(UInt32(key.byteCount))
        bytes.writeInteger(UInt32(value.byteCount))
        bytes.writeBytes(copy(key))
        bytes.writeBytes(copy(value))
    }
}

extension LogStore {
    /// Finishes an installation that was decided when the process ended.
    func finishInstall(_ id: GroupID) throws(StoreError) {
        if core.mutates(.installForgotten) { return }
        guard let manifest = try indexed({ () throws(IndexError) in try metadata.snapshotManifest(of: id) }) else {
            return
        }
        guard let snapshot = LogSnapshot(manifest.bytes), snapshot.group == id else {
            throw .index("the snapshot that is to replace \(id) cannot be read")
        }
        try SnapshotInstall(core: core, snapshot: snapshot).complete()
    }
}
