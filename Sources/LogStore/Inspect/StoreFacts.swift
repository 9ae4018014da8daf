// SPDX-License-Identifier: Apache-2.0
//
// StoreFacts.swift
// What one page says about a data directory: identity, journal, column families, and what is unusual.

public import Model
internal import RocksKV

/// The journal, as far as a start would read it.
public struct JournalFacts: Sendable, Hashable {
    /// The first block that is not in segments and index for good.
    public var applied: UInt64
    /// The sequence that the next block will have.
    public var next: UInt64
    /// Blocks that a start would replay.
    public var blocks: Int
    /// Frames in them.
    public var frames: Int
    /// Bytes of those frames.
    public var bytes: Int
    /// Whether the last block is torn.
    public var endsTorn: Bool
}

/// A column family of the index database.
public struct FamilyFacts: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Keys, roughly: overwritten and deleted ones count until compaction.
    public var keys: UInt64
    /// Table files.
    public var files: Int
    /// Bytes of the table files.
    public var tableBytes: UInt64
    /// Bytes that are in RocksDB's log only, as they are in memory.
    public var memoryBytes: UInt64
}

extension StoreReader {
    /// What is in the journal.
    public var journalFacts: JournalFacts {
        JournalFacts(
            applied: journal.applied, next: journal.nextSequence, blocks: journal.blocks, frames: journal.frameCount,
            bytes: journal.bytes, endsTorn: journal.endsTorn)
    }

    /// The damage in the journal, if any.
    public var journalFindings: [Damage] { journalDamage.map { [$0] } ?? [] }

    /// The column families, in the order of their definition.
    public func families() throws(StoreError) -> [FamilyFacts] {
        do throws(RocksError) {
            let files = try index.database.tableFiles()
            var facts: [FamilyFacts] = []
            for family in IndexFamily.allCases {
                let own = files.filter { $0.family == family.name }
                facts.append(
                    FamilyFacts(
                        name: family.name,
                        keys: try index.database.property(.estimatedKeys, of: family.family), files: own.count,
                        tableBytes: UInt64(own.reduce(0) { $0 + $1.byteCount }),
                        memoryBytes: try index.database.property(.memtableBytes, of: family.family)))
            }
            return facts
        } catch {
            throw StoreError(.database(error))
        }
    }

    /// The release of RocksDB that reads the index.
    public static var indexEngine: String { Database.engineVersion }

    /// The last entry of `group` that is known to be durable.
    public func lastIndex(of group: InspectedGroup) -> LogIndex {
        max(group.last?.index ?? .zero, journal.lastIndex(of: group.id) ?? .zero)
    }

    /// An offset before which every record of `group` is older than `time` in milliseconds.
    public func offsetFloor(of group: InspectedGroup, time: Int64) throws(StoreError) -> Offset {
        let entry = try indexed { () throws(IndexError) in try index.timeIndexFloor(of: group.id, before: time) }
        return entry?.offset ?? .zero
    }

    /// The producer snapshots of `group`: their offsets, their last entries and their sizes.
    public func producerSnapshots(of group: InspectedGroup) throws(StoreError) -> [ProducerSnapshot] {
        try indexed { () throws(IndexError) in try index.producerSnapshots(of: group.id) }
    }

    /// The newest snapshot manifest of `group`.
    public func snapshot(of group: InspectedGroup) throws(StoreError) -> SnapshotManifest? {
        try indexed { () throws(IndexError) in try index.snapshotManifest(of: group.id) }
    }

    /// The last applied entry of a state machine's state; nil when there is none.
    public func applied(of group: InspectedGroup) throws(StoreError) -> AppliedPosition? {
        for family in StateFamily.allCases {
            let found = try indexed { () throws(IndexError) in try index.applied(in: family, of: group.id) }
            if let found { return found }
        }
        return nil
    }

    /// Passes each record of a state machine's state whose key begins with `prefix` to `body`, in order, until it
    /// returns false.
    public func state(
        _ prefix: [UInt8] = [], in family: StateFamily, of group: InspectedGroup, _ body: ([UInt8], [UInt8]) -> Bool
    ) throws(StoreError) {
        try indexed { () throws(IndexError) in
            try index.scan(prefix, in: family, of: group.id) { body($0, $1) }
        }
    }

    /// Passes each pointer of `group` to `body` until it returns false.
    public func pointers(of group: InspectedGroup, _ body: (IndexedPointer) -> Bool) throws(StoreError) {
        try indexed { () throws(IndexError) in
            try index.forEachPointer(of: group.id, from: group.meta.firstIndex) { body($0) }
        }
    }

    /// Passes each entry of the offset index of `group`, from the offset on, to `body` until it returns false.
    public func offsetIndex(
        of group: InspectedGroup, from offset: Offset = .zero, _ body: (OffsetIndexEntry) -> Bool
    ) throws(StoreError) {
        try indexed { () throws(IndexError) in
            try index.forEachOffsetIndexEntry(of: group.id, from: offset) { body($0) }
        }
    }

    /// Passes each entry of the time index of `group` to `body` until it returns false.
    public func timeIndex(of group: InspectedGroup, _ body: (TimeIndexEntry) -> Bool) throws(StoreError) {
        try indexed { () throws(IndexError) in try index.forEachTimeIndexEntry(of: group.id) { body($0) } }
    }

    /// Passes the entries of a group whose entries are commands to `body` until it returns false.
    public func commands(
        of group: InspectedGroup, _ body: (LogIndex, Term, FrameKind, Int) -> Bool
    ) throws(StoreError) {
        var last = LogIndex.zero
        var isStopped = false
        try pointers(of: group) { entry in
            last = entry.index
            guard case .inline(let bytes) = entry.pointer.content else { return true }
            let kind = FrameKind(rawValue: entry.pointer.kind) ?? .command
            isStopped = !body(entry.index, entry.pointer.term, kind, bytes.count)
            return !isStopped
        }
        for frame in journal.frames[group.id] ?? [] where frame.header.index > last && !isStopped {
            let header = frame.header
            isStopped = !body(header.index, header.term, header.kind, Int(header.rawLength))
        }
    }
}
