// SPDX-License-Identifier: Apache-2.0
//
// ScriptedLog.swift
// A log in memory whose flushes, votes and failures happen when the test says so.

import Model
import NIOCore

@testable import LogStore

/// A log that notes what is asked of it, in order.
final class ScriptedLog: GroupLog {
    let id = GroupID.controller
    private(set) var firstIndex = LogIndex(1)
    private(set) var lastIndex = LogIndex.zero
    private(set) var lastTerm = Term.zero
    private(set) var termBeforeFirst = Term.zero
    private(set) var flushedIndex = LogIndex.zero
    let logEndOffset = Offset.zero
    private(set) var hardState = HardStateRecord(term: .zero, votedFor: nil)
    private(set) var termStarts: [TermStart] = []
    let configurations: [ConfigurationRecord] = []
    var onFlushed: ((LogIndex, Term) -> Void)?
    var onFailed: ((StoreError) -> Void)?

    /// What was asked, as words.
    var events: [String] = []
    /// What the next append throws.
    var appendError: StoreError?
    /// What the next proposal is refused with.
    var refusal: StoreError?
    var payloadBytesMax = Int.max
    private(set) var entries: [StoredEntry] = []
    private var votes: [() -> Void] = []
    private var reads: [() -> Void] = []

    /// A log that holds `commands`, all of them durable, as after a restart.
    init(term: Term = .zero, commands: [String] = []) {
        for command in commands { keep(.command, term, ByteBuffer(string: command)) }
        flushedIndex = lastIndex
        hardState.term = term
    }

    private func keep(_ kind: FrameKind, _ term: Term, _ payload: ByteBuffer) {
        lastIndex = lastIndex.next
        if term > lastTerm { termStarts.append(TermStart(term: term, firstIndex: lastIndex, firstOffset: .zero)) }
        lastTerm = term
        entries.append(
            StoredEntry(
                kind: kind, term: term, index: lastIndex, baseOffset: .zero, recordCount: 0, maxTimestamp: -1,
                codec: .none, rawLength: payload.readableBytes, startsSegment: false, payload: payload))
    }

    // MARK: The test's side

    /// Makes everything durable, and reports it.
    func flush(through index: LogIndex? = nil) {
        flushedIndex = index ?? lastIndex
        events.append("flushed \(flushedIndex)")
        onFlushed?(flushedIndex, term(at: flushedIndex) ?? .zero)
    }

    /// Makes the votes durable that were asked for.
    func finishVotes() {
        let finished = votes
        votes = []
        for vote in finished { vote() }
    }

    /// Answers reads.
    func finishReads() {
        while !reads.isEmpty { reads.removeFirst()() }
    }

    func fail(_ error: StoreError) { onFailed?(error) }

    // MARK: The log's side

    func refusal(for byteCount: Int) -> StoreError? { refusal }

    func append(_ draft: FrameDraft) throws(StoreError) {
        if let appendError { throw appendError }
        events.append("append \(draft.kind) \(draft.index) of \(draft.term)")
        keep(draft.kind, draft.term, draft.payload)
    }

    func persist(hardState: HardStateRecord, completion: @escaping () -> Void) throws(StoreError) {
        events.append("vote in \(hardState.term)")
        self.hardState = hardState
        votes.append(completion)
    }

    func truncate(from index: LogIndex) throws(StoreError) { events.append("truncate \(index)") }

    func term(at index: LogIndex) -> Term? {
        if index == firstIndex.previous { return termBeforeFirst }
        return entries.first { $0.index == index }?.term
    }

    func readEntries(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void
    ) {
        events.append("read \(index) to \(last)")
        reads.append { [self] in completion(.success(entries.filter { $0.index >= index && $0.index <= last })) }
    }

    func sealedEntries(from index: LogIndex, through last: LogIndex) -> [StoredEntry]? {
        let found = entries.filter { $0.index >= index && $0.index <= last }
        return found.first?.index == index && found.last?.index == last ? found : nil
    }

    func compact(upTo index: LogIndex) throws(StoreError) {
        events.append("compact \(index)")
        termBeforeFirst = term(at: index) ?? termBeforeFirst
        firstIndex = index.next
        entries.removeAll { $0.index <= index }
    }

    func close() {}
}
