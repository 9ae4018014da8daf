// SPDX-License-Identifier: Apache-2.0
//
// CommandLogTests.swift
// The log of commands: appending, restarting, truncating, compacting.

import CrashScenario
import Dispatch
import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct CommandLogTests {
    private func open(_ fixture: LogFixture) throws -> CommandLog {
        fixture.store.commandLog(try fixture.store.recoverCommandLog(.controller), owner: fixture.owner)
    }

    private func append(_ fixture: LogFixture, _ log: CommandLog, _ count: Int, term: Term) throws {
        for _ in 0..<count {
            try log.append(
                FrameDraft(
                    kind: .command, term: term, index: log.lastIndex.next, baseOffset: .zero, recordCount: 0,
                    maxTimestamp: -1, payload: ByteBuffer(string: "command \(log.lastIndex.next) of \(term)")))
        }
        try fixture.loop.turn { log.flushedIndex == log.lastIndex }
    }

    private func entries(_ fixture: LogFixture, _ log: CommandLog, from index: LogIndex) throws -> [StoredEntry] {
        var answer: Result<[StoredEntry], StoreError>?
        log.readEntries(from: index, through: log.lastIndex, maxBytes: 1 << 20) { answer = $0 }
        try fixture.loop.turn { answer != nil }
        return try answer!.get()
    }

    @Test(arguments: StoreSettings.JournalMode.allCases, [true, false])
    func appendsAndRestarts(mode: StoreSettings.JournalMode, clean: Bool) throws {
        let fixture = try LogFixture(journal: mode)
        var log = try open(fixture)
        try append(fixture, log, 5, term: Term(1))
        try append(fixture, log, 5, term: Term(3))
        var isDone = false
        try log.persist(hardState: HardStateRecord(term: Term(4), votedFor: NodeID(rawValue: 2))) { isDone = true }
        try fixture.loop.turn { isDone }
        if clean { log.close() }
        try fixture.restart(cleanly: clean)
        log = try open(fixture)
        #expect(log.lastIndex == LogIndex(10) && log.lastTerm == Term(3) && log.flushedIndex == LogIndex(10))
        #expect(log.hardState == HardStateRecord(term: Term(4), votedFor: NodeID(rawValue: 2)))
        #expect(log.term(at: LogIndex(5)) == Term(1) && log.term(at: LogIndex(6)) == Term(3))
        let recovered = try log.recoveredEntries(from: LogIndex(1), maxBytes: .max)
        #expect(recovered.map { String(buffer: $0.payload) }.last == "command 10 of 3")
        #expect(try entries(fixture, log, from: LogIndex(4)).map(\.index.rawValue) == Array(4...10))
        try append(fixture, log, 1, term: Term(4))
        #expect(try entries(fixture, log, from: LogIndex(11)).count == 1)
    }

    @Test(arguments: StoreSettings.JournalMode.allCases, [true, false])
    func truncatesAndCompacts(mode: StoreSettings.JournalMode, clean: Bool) throws {
        let fixture = try LogFixture(journal: mode)
        var log = try open(fixture)
        try append(fixture, log, 10, term: Term(1))
        try log.truncate(from: LogIndex(7))
        #expect(log.lastIndex == LogIndex(6))
        try append(fixture, log, 3, term: Term(2))
        try log.compact(upTo: LogIndex(4))
        try append(fixture, log, 1, term: Term(2))
        if clean {
            log.close()
        } else {
            // What follows the compaction through the threads proves that it was carried out.
            let done = DispatchSemaphore(value: 0)
            fixture.store.core.flushQueue.post(.forward(.checkpoint(done)))
            done.wait()
        }
        try fixture.restart(cleanly: clean)
        log = try open(fixture)
        #expect(log.firstIndex == LogIndex(5) && log.lastIndex == LogIndex(10) && log.termBeforeFirst == Term(1))
        #expect(log.term(at: LogIndex(6)) == Term(1) && log.term(at: LogIndex(7)) == Term(2))
        #expect(log.term(at: LogIndex(3)) == nil && log.term(at: LogIndex(4)) == Term(1))
        let texts = try log.recoveredEntries(from: LogIndex(1), maxBytes: .max).map { String(buffer: $0.payload) }
        #expect(texts.first == "command 5 of 1" && texts[2] == "command 7 of 2" && texts.count == 6)
        #expect(try fixture.store.metadata.pointer(at: LogIndex(4), of: .controller) == nil)
    }
}
