// SPDX-License-Identifier: Apache-2.0
//
// CommandLog.swift
// The log of a group whose entries are commands of a state machine: they lie in the index database itself.

public import Model
internal import NIOCore

/// The log of the controller or of a coordinator.
public final class CommandLog: GroupLog {
    public let id: GroupID
    public private(set) var firstIndex = LogIndex(1)
    public private(set) var lastIndex = LogIndex.zero
    public private(set) var lastTerm = Term.zero
    public private(set) var termBeforeFirst = Term.zero
    public private(set) var flushedIndex = LogIndex.zero
    public var logEndOffset: Offset { .zero }
    public private(set) var hardState = HardStateRecord(term: .zero, votedFor: nil)
    public private(set) var termStarts: [TermStart] = []
    public private(set) var configurations: [ConfigurationRecord] = []
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
    /// The entries from `index` on that recovery found, for applying them again; blocks on the disk.
    public func entries(from index: LogIndex, maxBytes: Int) throws(StoreError) -> [StoredEntry] { [] }
    /// Drops the entries up to `index`, whose effects are in applied state that is durable. `manifest` describes that state.
    public func compact(upTo index: LogIndex, manifest: [UInt8]) throws(StoreError) {}
    public func close() {}
}
