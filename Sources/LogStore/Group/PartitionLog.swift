// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog.swift
// The log of one partition.

public import Model
public import NIOCore

/// The log of one partition, in segment files.
public final class PartitionLog: GroupLog {
    public let id: GroupID
    public private(set) var firstIndex = LogIndex(1)
    public private(set) var lastIndex = LogIndex.zero
    public private(set) var lastTerm = Term.zero
    public private(set) var termBeforeFirst = Term.zero
    public private(set) var flushedIndex = LogIndex.zero
    /// The first offset that clients may read.
    public private(set) var logStartOffset = Offset.zero
    public private(set) var logEndOffset = Offset.zero
    public private(set) var hardState = HardStateRecord(term: .zero, votedFor: nil)
    public private(set) var termStarts: [TermStart] = []
    public private(set) var configurations: [ConfigurationRecord] = []
    /// The bytes of all segments.
    public var sizeBytes: Int { 0 }
    /// The newest timestamp of all records; -1 when there is none.
    public private(set) var maxTimestamp: Int64 = -1
    /// The producer state that was stored last, and the offset it stands at.
    public private(set) var producerSnapshot: (offset: Offset, bytes: [UInt8])?
    public var onFlushed: ((LogIndex, Term) -> Void)?
    public var onFailed: ((StoreError) -> Void)?

    init(id: GroupID) { self.id = id }

    public func refusal(for byteCount: Int) -> StoreError? { nil }
    public func append(_ draft: FrameDraft) throws(StoreError) { throw .closed }
    public func persist(hardState: HardStateRecord, completion: @escaping () -> Void) throws(StoreError) { throw .closed }
    public func truncate(from index: LogIndex) throws(StoreError) { throw .closed }
    public func term(at index: LogIndex) -> Term? { nil }
    public func readEntries(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void
    ) {}
    public func close() {}

    /// Begins a new segment with the next entry.
    public func roll() {}
    /// Applies changed settings to entries from now on.
    public func configure(_ settings: GroupLogSettings) {}
    /// Reads from memory; nil when the disk is needed.
    public func readCached(from offset: Offset, upTo end: Offset, maxBytes: Int) -> ReadResult? { nil }
    /// Reads whole batches from the one that contains `offset`, below `end`; `completion` runs on the owner's loop.
    public func read(
        from offset: Offset, upTo end: Offset, maxBytes: Int,
        completion: @escaping (Result<ReadResult, StoreError>) -> Void
    ) {}
    /// The term of the record at `offset`.
    public func epoch(containing offset: Offset) -> Term { .zero }
    /// The largest term not above `epoch`, and the offset at which it ends.
    public func endOffset(ofEpoch epoch: Term) -> (Term, Offset) { (.zero, .zero) }
    /// The first record below `end` whose timestamp is at least `timestamp`.
    public func offset(
        forTimestamp timestamp: Int64, upTo end: Offset,
        completion: @escaping (Result<TimestampMatch?, StoreError>) -> Void
    ) {}
    /// Deletes the records below `offset` (Kafka's DeleteRecords).
    public func trim(to offset: Offset) throws(StoreError) {}
    /// Rolls a segment that is old enough and deletes sealed segments that retention lets go, all below `end`.
    public func applyRetention(
        now: WallTime, retentionMilliseconds: Int64?, retentionBytes: Int?, upTo end: Offset
    ) throws(StoreError) {}
    /// Stores the producers' state as of `offset`.
    public func saveProducerSnapshot(_ bytes: [UInt8], at offset: Offset) {}
    /// Passes every data entry from `offset` on to `body`, in order, and then calls `completion`.
    public func replay(
        from offset: Offset, each body: @escaping (StoredEntry, ByteBuffer) -> Void,
        completion: @escaping (Result<Void, StoreError>) -> Void
    ) {}
}
