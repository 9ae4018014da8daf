// SPDX-License-Identifier: Apache-2.0
//
// IndexBatch.swift
// Typed changes to the index database that become visible together.

public import Model
public import RocksKV

/// Changes to the index database, of any number of groups, that are committed together or not at all.
///
/// Belongs to one thread. Keep it and commit it again and again: committing empties it and keeps its memory.
///
/// - Cost: about a microsecond per record, its share of the commit included; no allocation per record.
public struct IndexBatch: ~Copyable {
    let index: IndexDatabase
    var batch: IndexChanges
    private var writer = RecordWriter()

    init(_ index: IndexDatabase) throws(IndexError) {
        self.index = index
        do { batch = try index.engine.makeChanges() } catch { throw .database(error) }
    }

    /// The number of changes.
    public var count: Int { batch.count }
    /// Whether there is no change.
    public var isEmpty: Bool { batch.isEmpty }
    /// Bytes the commit will write.
    public var byteCount: Int { batch.byteCount }

    /// Writes the batch without waiting for the disk: for state that a log can make again.
    public mutating func commitBuffered() throws(IndexError) { try commit(durability: .buffered) }

    /// Applies all changes, or none, and empties the batch.
    ///
    /// When it throws, the changes are still in the batch.
    ///
    /// `.synced` makes everything committed before durable as well. After a power failure a prefix of all commits survives.
    public mutating func commit(durability: Durability) throws(IndexError) {
        guard !batch.isEmpty || durability == .synced else { return }
        do { try index.engine.write(batch, durability: durability) } catch { throw .database(error) }
        batch.clear()
    }

    /// Drops all changes.
    public mutating func clear() { batch.clear() }

    // MARK: Raft

    /// Sets the group's term and vote.
    ///
    /// Commit `.synced`, or have it in the journal, before any reply that depends on it.
    public mutating func putHardState(_ state: HardStateRecord, of group: GroupID) {
        put(state, at: KeySpace.key(group).span, in: .hardState)
    }

    /// Sets the pointer of the entry `index`.
    ///
    /// Only after a flush that made the frame durable (rule R1).
    public mutating func putPointer(_ pointer: EntryPointer, at index: LogIndex, of group: GroupID) {
        put(pointer, at: KeySpace.key(group, index).span, in: .raftLog)
    }

    /// Sets the start of a term.
    public mutating func putTermStart(_ start: TermStart, of group: GroupID) {
        put(TermStartValue(start), at: KeySpace.key(group, start.term).span, in: .termStart)
    }

    /// Sets the facts of the group; its first one makes the group exist.
    public mutating func putGroupMeta(_ meta: GroupMeta, of group: GroupID) {
        precondition(meta.firstOffset <= meta.logStartOffset, "\(group): log start precedes the first offset: \(meta)")
        put(meta, at: KeySpace.key(group).span, in: .groupMeta)
    }

    /// Sets a snapshot's manifest.
    public mutating func putSnapshotManifest(_ manifest: SnapshotManifest, of group: GroupID) {
        put(SnapshotManifestValue(manifest), at: KeySpace.key(group, manifest.index).span, in: .snapshots)
    }

    /// Removes the manifest of the snapshot at `index`.
    public mutating func deleteSnapshotManifest(at index: LogIndex, of group: GroupID) {
        batch.delete(KeySpace.key(group, index).span, in: IndexFamily.snapshots.family)
    }

    // MARK: Indices

    /// Makes a frame findable by offset.
    public mutating func putOffsetIndex(_ entry: OffsetIndexEntry, of group: GroupID) {
        let value = FrameReference(
            index: entry.index, at: entry.at, segmentMaxTimestamp: entry.segmentMaxTimestamp)
        put(value, at: KeySpace.key(group, entry.offset).span, in: .offsetIndex)
    }

    /// Makes a frame findable by time.
    ///
    /// The timestamp is the largest of the group so far, never less than the entry before has.
    public mutating func putTimeIndex(_ entry: TimeIndexEntry, of group: GroupID) {
        let value = FrameReference(index: entry.index, at: entry.at)
        let key = KeySpace.key(group, timestamp: entry.maxTimestampSoFar, entry.offset)
        put(value, at: key.span, in: .timeIndex)
    }

    /// Keeps a snapshot of the producer states.
    public mutating func putProducerSnapshot(_ snapshot: ProducerSnapshot, of group: GroupID) {
        put(ProducerSnapshotValue(snapshot), at: KeySpace.key(group, snapshot.offset).span, in: .producers)
    }

    /// Removes the producer snapshot at `offset`.
    public mutating func deleteProducerSnapshot(at offset: Offset, of group: GroupID) {
        batch.delete(KeySpace.key(group, offset).span, in: IndexFamily.producers.family)
    }

    // MARK: State machines

    /// Sets a key of a state machine.
    public mutating func put(_ key: [UInt8], _ value: [UInt8], in state: StateFamily, of group: GroupID) {
        let key = KeySpace.stateKey(group, key)
        batch.put(key.span, value.span, in: state.indexFamily.family)
    }

    /// Removes a key of a state machine.
    public mutating func delete(_ key: [UInt8], in state: StateFamily, of group: GroupID) {
        let key = KeySpace.stateKey(group, key)
        batch.delete(key.span, in: state.indexFamily.family)
    }

    /// Notes the last entry whose effects are in the state; put it into the same batch as they (rule R7).
    public mutating func putApplied(_ position: AppliedPosition, in state: StateFamily, of group: GroupID) {
        let key = KeySpace.appliedKey(group)
        put(position, at: key.span, in: state.indexFamily)
    }

    // MARK: Store

    /// Sets whose store this is.
    public mutating func putIdentity(_ identity: StoreIdentity) {
        put(identity, at: KeySpace.key(.identity).span, in: .store)
    }

    /// Notes that the journal up to `position` is reflected in this and earlier batches, and in the segments.
    public mutating func putJournalApplied(_ position: JournalPosition) {
        put(position, at: KeySpace.key(.journalApplied).span, in: .store)
    }

    /// Marks the store as cleanly shut down; commit `.synced`, last of all.
    public mutating func putCleanShutdown(_ mark: CleanShutdown) {
        put(mark, at: KeySpace.key(.cleanShutdown).span, in: .store)
    }

    /// Removes the mark; commit `.synced`, before anything else is written.
    public mutating func deleteCleanShutdown() {
        batch.delete(KeySpace.key(.cleanShutdown).span, in: IndexFamily.store.family)
    }

    private mutating func put<Value: StoredValue>(_ value: Value, at key: Span<UInt8>, in family: IndexFamily) {
        writer.clear()
        value.encode(into: &writer)
        let content = writer.bytes
        batch.put(key, content.span, in: family.family)
    }
}
