// SPDX-License-Identifier: Apache-2.0
//
// GroupLog.swift
// What the shell of a Raft group needs of its log, whether the entries lie in segments or in the index database.

public import Model
public import NIOCore

/// A Raft configuration in the log.
public struct ConfigurationRecord: Sendable, Hashable {
    /// The entry that holds it.
    public var index: LogIndex
    /// The payload of that entry.
    public var bytes: [UInt8]

    /// A configuration at `index`.
    public init(index: LogIndex, bytes: [UInt8]) {
        self.index = index
        self.bytes = bytes
    }
}

/// A log that one Raft group is driven on.
///
/// Confined to the event loop of its ``CompletionOwner``.
///
/// Completions never run inside the call that asked for them.
///
/// Invariant: `firstIndex - 1 <= flushedIndex <= lastIndex`.
public protocol GroupLog: AnyObject {
    /// The group's number.
    var id: GroupID { get }
    /// The first entry that is kept.
    var firstIndex: LogIndex { get }
    /// The last entry that was appended; `firstIndex - 1` when there is none.
    var lastIndex: LogIndex { get }
    /// The term of the last entry.
    var lastTerm: Term { get }
    /// The term of the entry before the first; 0 at the beginning of a log.
    var termBeforeFirst: Term { get }
    /// The last entry that survives a power failure.
    var flushedIndex: LogIndex { get }
    /// The offset after the last record; always 0 where entries have no offsets.
    var logEndOffset: Offset { get }
    /// The hard state as it was asked to be persisted last.
    var hardState: HardStateRecord { get }
    /// Where each term begins, oldest first.
    var termStarts: [TermStart] { get }
    /// The configurations in the log, oldest first.
    var configurations: [ConfigurationRecord] { get }

    /// Called when entries up to an index, whose term is given, became durable.
    var onFlushed: ((LogIndex, Term) -> Void)? { get set }
    /// Called once when the store failed.
    var onFailed: ((StoreError) -> Void)? { get set }
    /// Called when ``sealedIndex`` has moved.
    var onSealed: (() -> Void)? { get set }

    /// Whether the replica may have forgotten a vote or an entry it acknowledged.
    var isAmnesiac: Bool { get }
    /// Where the replica began when it joined its group; nil for one that founded it.
    var floor: JoinFloor? { get }
    /// Damage that recovery found; such a replica must not lead.
    var damage: Corruption? { get }
    /// The last entry that has the form in which it is stored, which is what followers are sent.
    var sealedIndex: LogIndex { get }
    /// Consecutive entries in their stored form; nil when memory does not have all of them.
    func sealedEntries(from index: LogIndex, through last: LogIndex) -> [StoredEntry]?

    /// The largest payload that can ever be appended; asked for before an entry gets its index.
    var payloadBytesMax: Int { get }
    /// Why data of `byteCount` bytes should not be appended now; nil when it may.
    func refusal(for byteCount: Int) -> StoreError?
    /// Appends an entry at `lastIndex + 1`.
    ///
    /// - Throws: ``StoreError/diskFailed(_:)`` or ``StoreError/closed``; nothing was appended. Limits are the caller's to
    ///   ask for with ``refusal(for:)`` before an entry gets its index.
    func append(_ draft: FrameDraft) throws(StoreError)
    /// Makes a hard state durable, then calls `completion`.
    func persist(hardState: HardStateRecord, completion: @escaping () -> Void) throws(StoreError)
    /// Removes the entries from `index` on. The caller makes sure none of them is committed.
    func truncate(from index: LogIndex) throws(StoreError)
    /// The term of the entry at `index`; nil outside the log.
    func term(at index: LogIndex) -> Term?
    /// Reads entries from `index` up to and including `last`, at least one and then up to `maxBytes`.
    func readEntries(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void)
    /// Drops entries up to `index`, whose effects are in applied state that the index database holds; may keep more.
    func compact(upTo index: LogIndex) throws(StoreError)
    /// Lets go of the log: no callback runs any more, and what was appended is still written.
    func close()
}

extension GroupLog {
    /// A log that seals at once has nobody to tell.
    public var onSealed: (() -> Void)? {
        get { nil }
        set {}
    }
    /// Sound.
    public var isAmnesiac: Bool { false }
    /// A founder.
    public var floor: JoinFloor? { nil }
    /// None.
    public var damage: Corruption? { nil }
    /// Entries are sealed when they are appended.
    public var sealedIndex: LogIndex { lastIndex }
    /// Frames of records may be as large as a batch may.
    public var payloadBytesMax: Int { .max }
    /// A log of records keeps them: it drops whole segments when retention says so.
    public func compact(upTo index: LogIndex) throws(StoreError) {}
}

/// Record batches from a log.
public struct ReadResult: Sendable {
    /// Whole batches in offset order; the first one contains the offset asked for.
    public var slices: [ByteBuffer]
    /// The bytes of all slices.
    public var byteCount: Int
    /// The offset to read next.
    public var nextOffset: Offset

    /// A result of these batches.
    public init(slices: [ByteBuffer], byteCount: Int, nextOffset: Offset) {
        self.slices = slices
        self.byteCount = byteCount
        self.nextOffset = nextOffset
    }
}

/// What a search by timestamp finds.
public struct TimestampMatch: Sendable, Hashable {
    /// The first record at or after the timestamp.
    public var offset: Offset
    /// That record's timestamp.
    public var timestamp: Int64
    /// The term of its entry.
    public var term: Term
}
