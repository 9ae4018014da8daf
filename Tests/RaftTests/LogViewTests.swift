// SPDX-License-Identifier: Apache-2.0
//
// LogViewTests.swift
// The log's index arithmetic against a plain array of entries, and reports of writes that were superseded.

import Model
import Testing

@testable import Raft

private func entry(_ index: UInt64, _ term: UInt64, bytes: Int = 1) -> Entry {
    Entry(index: LogIndex(index), term: Term(term), byteCount: bytes, body: .data("\(index)/\(term)"))
}

private func log(_ terms: [UInt64], base: Raft.Position = .zero) -> Raft.LogView<String> {
    var log = Raft.LogView<String>(
        Raft.DurableState(
            hardState: Raft.HardState(), base: base, lastIndex: base.index, termStarts: [], committed: base.index,
            configurations: Raft.ConfigurationHistory(initial: .empty)))
    for (offset, term) in terms.enumerated() { log.append(entry(base.index.rawValue + UInt64(offset) + 1, term)) }
    return log
}

@Suite struct LogViewTests {
    @Test func termsAgreeWithNaive() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<200 {
            let base = UInt64.random(in: 0...3, using: &random)
            var terms: [UInt64] = []
            var term: UInt64 = base == 0 ? 1 : 2
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                if Int.random(in: 0..<3, using: &random) == 0 { term += UInt64.random(in: 1...3, using: &random) }
                terms.append(term)
            }
            let baseTerm: UInt64 = base == 0 ? 0 : 2
            let log = log(terms, base: Raft.Position(index: LogIndex(base), term: Term(baseTerm)))
            let all = [baseTerm] + terms
            for index in 0..<20 {
                let place = index - Int(base)
                let expected = place >= 0 && place < all.count ? Term(all[place]) : nil
                #expect(log.term(at: LogIndex(UInt64(index))) == expected)
                for limit in 0...12 {
                    let hint = log.latestIndex(atOrBefore: LogIndex(UInt64(index)), termAtMost: Term(UInt64(limit)))
                    let naive = all.indices.last { Int(base) + $0 <= index && all[$0] <= limit } ?? 0
                    if index >= Int(base) {
                        #expect(hint == LogIndex(base + UInt64(naive)), "\(all) \(index) \(limit)")
                    }
                }
            }
        }
    }

    /// The same entry is written, cut and written again; when the last of the writes is reported, it counts.
    @Test(arguments: 1...4) func theLastReportCounts(_ cuts: Int) {
        var log = log([1])
        #expect(log.persisted(LogIndex(1), term: Term(1)) == true)
        for _ in 0..<cuts {
            log.append(entry(2, 1))
            log.append(entry(3, 1))
            log.truncate(from: LogIndex(2))
        }
        log.append(entry(2, 1))
        log.append(entry(3, 1))
        for cut in 0...cuts {
            #expect(log.persisted(LogIndex(2), term: Term(1)) == (cut == cuts), "cut \(cut)")
            #expect(log.persisted(LogIndex(3), term: Term(1)) == (cut == cuts), "cut \(cut)")
        }
        #expect(log.flushed == LogIndex(3))
    }

    /// Storage that tells superseded writes apart is believed at once.
    @Test func reportsOfThePresentAreNotDoubted() {
        var log = log([1, 1])
        log.truncate(from: LogIndex(2))
        log.append(entry(2, 1))
        #expect(log.persistedNow(LogIndex(2), term: Term(1)) == true)
        #expect(log.flushed == LogIndex(2))
        #expect(log.persistedNow(LogIndex(3), term: Term(1)) == false)
    }

    @Test func bodiesAreKeptUntilFlushed() {
        var log = log([1, 1, 1, 1])
        #expect(log.bodies(from: LogIndex(1), bytesMax: 2).entries.map(\.index.rawValue) == [1, 2])
        #expect(log.bodies(from: LogIndex(3), bytesMax: 0).entries.map(\.index.rawValue) == [3])
        #expect(log.persisted(LogIndex(2), term: Term(1)) == true)
        #expect(log.bodies(from: LogIndex(2), bytesMax: 9).entries.isEmpty)
        #expect(log.bodies(from: LogIndex(3), bytesMax: 9).bytes == 2)
        #expect(log.bodies(from: LogIndex(5), bytesMax: 9).entries.isEmpty)
    }

    @Test func uncommittedBytesReturnToZero() {
        var log = log([1, 1, 2, 2])
        #expect(log.uncommittedBytes == 4)
        log.commit(through: LogIndex(1))
        log.truncate(from: LogIndex(3))
        #expect(log.uncommittedBytes == 1)
        log.append(entry(3, 3, bytes: 7))
        #expect(log.uncommittedBytes == 8)
        log.commit(through: LogIndex(3))
        #expect(log.uncommittedBytes == 0)
    }

    @Test func recoveredEntriesDoNotCountAsUncommitted() {
        var log = Raft.LogView<String>(
            Raft.DurableState(
                hardState: Raft.HardState(), base: .zero, lastIndex: LogIndex(3),
                termStarts: [Raft.TermStart(term: Term(1), start: LogIndex(1))], committed: LogIndex(1),
                configurations: Raft.ConfigurationHistory(initial: .empty)))
        log.truncate(from: LogIndex(3))
        log.append(entry(3, 2, bytes: 5))
        #expect(log.uncommittedBytes == 5)
        log.commit(through: LogIndex(2))
        #expect(log.uncommittedBytes == 5)
        log.commit(through: LogIndex(3))
        #expect(log.uncommittedBytes == 0)
    }

    @Test func logCompactedToItsEndKeepsItsTerm() {
        var log = log([1, 2])
        _ = log.persisted(LogIndex(2), term: Term(2))
        log.commit(through: LogIndex(2))
        log.trim(through: LogIndex(2))
        #expect(log.lastPosition == Raft.Position(index: LogIndex(2), term: Term(2)))
        log.append(entry(3, 2))
        #expect(log.term(at: LogIndex(3)) == Term(2))
        #expect(log.term(at: LogIndex(1)) == nil)
    }

    // MARK: - Reports of superseded writes

    @Test func reportOfACutEntryCountsUpToTheCut() {
        var log = log([1, 1, 1])
        log.truncate(from: LogIndex(3))
        log.append(entry(3, 2))
        #expect(log.persisted(LogIndex(3), term: Term(1)) == true)
        #expect(log.flushed == LogIndex(2))
        #expect(log.persisted(LogIndex(3), term: Term(2)) == true)
        #expect(log.flushed == LogIndex(3))
    }

    @Test func sameEntryWrittenAgainIsNotMistaken() {
        // A, B and A again are under way; A's index and term fit the log, B's do not.
        var again = self.again()
        #expect(again.persisted(LogIndex(2), term: Term(1)) == true)
        #expect(again.flushed == LogIndex(1))
        #expect(again.persisted(LogIndex(2), term: Term(2)) == false)
        #expect(again.flushed == LogIndex(1))
        // What follows could not be in the first write.
        #expect(again.persisted(LogIndex(3), term: Term(3)) == true)
        #expect(again.flushed == LogIndex(3))
    }

    /// Entry 2 of term 1, then of term 2, then of term 1 again with a no-op of term 3 after it.
    private func again() -> Raft.LogView<String> {
        var log = log([1, 1])
        log.truncate(from: LogIndex(2))
        log.append(entry(2, 2))
        log.truncate(from: LogIndex(2))
        log.append(entry(2, 1))
        log.append(entry(3, 3))
        return log
    }

    @Test func unknownReportsAreIgnored() {
        var log = log([1, 1])
        #expect(log.persisted(LogIndex(9), term: Term(1)) == false)
        #expect(log.persisted(LogIndex(2), term: Term(7)) == false)
        #expect(log.flushed == .zero)
    }

    @Test func snapshotReplacesTheLogAndOldReportsCountForNothing() {
        var log = log([1, 1, 1, 1])
        log.reset(to: Raft.Position(index: LogIndex(2), term: Term(5)))
        #expect(log.last == LogIndex(2))
        log.append(entry(3, 5))
        #expect(log.persisted(LogIndex(4), term: Term(1)) == false)
        #expect(log.flushed == LogIndex(2))
        #expect(log.persisted(LogIndex(3), term: Term(5)) == true)
    }

    @Test func committedEntriesAreNeverCut() async {
        await #expect(processExitsWith: .failure) {
            var log = Raft.LogView<String>(Raft.DurableState.empty(.empty))
            log.append(Raft.Entry(index: LogIndex(1), term: Term(1), byteCount: 0, body: .noop))
            log.commit(through: LogIndex(1))
            log.truncate(from: LogIndex(1))
        }
    }
}
