// SPDX-License-Identifier: Apache-2.0
//
// CrashMatrixTests.swift
// A short life of a store, cut off at every operation on the disk, with every way of losing what was not durable: what was
// acknowledged must be there, what was cut must not come back, and recovering twice must change nothing (S2-S5, S9).

import Logging
import Model
import NIOCore
import Records
import RocksKV
import Testing

@testable import LogStore

@Suite struct CrashMatrixTests {
    /// What the log has promised.
    struct Promise {
        /// The term of each entry that was reported durable and not cut since.
        var entries: [UInt64: Term] = [:]
        /// Terms that were asked for, by index: what an entry may be.
        var asked: [UInt64: Set<Term>] = [:]
        var hardState = HardStateRecord(term: .zero, votedFor: nil)
        var logStart = Offset.zero
    }

    /// One life: appends, rolls, votes, truncates, trims; stops when the disk does.
    final class Life {
        let system: FaultyFileSystem
        let memory: MemoryStorage
        let loop = TestLoop()
        let mode: StoreSettings.JournalMode
        var promise = Promise()
        private var store: LogStore?
        private var log: PartitionLog?

        init(_ system: FaultyFileSystem, _ memory: MemoryStorage, _ mode: StoreSettings.JournalMode) {
            self.system = system
            self.memory = memory
            self.mode = mode
        }

        func open() throws -> LogStore {
            var settings = StoreSettings(directory: "/store")
            settings.journal = mode
            settings.journalFile = .kibibytes(64)
            settings.journalFiles = 2
            settings.diskReserve = ByteCount(0)
            settings.recycledSegments = 2
            settings.flushThreads = 2
            settings.unbufferedBytesMin = 4096
            // Checkpoints come when the scenario says so.
            settings.checkpointMilliseconds = 1_000_000
            var tuning = DatabaseOptions()
            tuning.storage = .memory(memory)
            return try LogStore.open(
                settings, system: system, metrics: nil, logger: LogFixture.logger, tuning: tuning)
        }

        func openLog(_ store: LogStore) throws -> PartitionLog {
            let segmentBytes = mode == .auto ? 90_000 : 3_000
            let recovered = try store.recoverPartition(
                LogFixture.group, settings: GroupLogSettings(segmentBytes: segmentBytes, compressesFrames: false))
            return store.partitionLog(recovered, owner: CompletionOwner(eventLoop: loop))
        }

        /// Runs the scenario; ends early when the disk fails.
        func run() {
            do {
                let store = try open()
                self.store = store
                let log = try openLog(store)
                self.log = log
                try vote(log, HardStateRecord(term: Term(1), votedFor: NodeID(rawValue: 1)))
                try append(log, 4, Term(1))
                try checkpoint(store)
                try append(log, 5, Term(1))
                try truncate(log, from: 8)
                try vote(log, HardStateRecord(term: Term(2), votedFor: nil))
                try append(log, 3, Term(2))
                try truncate(log, from: 6)
                try append(log, 6, Term(3))
                try checkpoint(store)
                try trim(log, to: Offset(8))
                try append(log, 4, Term(3))
            } catch {}
            end()
        }

        private func end() {
            loop.turn()
            if let store {
                if store.core.failure == nil { store.core.fail(.closed, during: "the end of the scenario") }
                loop.turn()
                log = nil
                store.close()
            }
        }

        private func append(_ log: PartitionLog, _ count: Int, _ term: Term) throws {
            log.onFlushed = { [unowned self, unowned log] index, _ in
                for entry in log.firstIndex.rawValue...max(log.firstIndex.rawValue, index.rawValue)
                where entry <= index.rawValue {
                    promise.entries[entry] = log.term(at: LogIndex(entry))
                }
            }
            for number in 0..<count {
                let next = log.lastIndex.next
                promise.asked[next.rawValue, default: []].insert(term)
                let kind: FrameKind = number == 2 ? .noop : .data
                // Some frames are too large for the journal here: both ways meet in one segment, and in one block of it.
                let isLarge = mode == .auto && [1, 3, 4].contains(number)
                let bytes = isLarge ? 20_000 + number * 90 : 200 + number * 90
                try log.append(LogFixture.draft(log, term: term, records: 2, bytes: bytes, kind: kind))
            }
            try loop.turn { log.flushedIndex == log.lastIndex || log.failure != nil }
            if let failure = log.failure { throw failure }
        }

        private func vote(_ log: PartitionLog, _ state: HardStateRecord) throws {
            var isDone = false
            try log.persist(hardState: state) { [unowned self] in
                promise.hardState = state
                isDone = true
            }
            try loop.turn { isDone || log.failure != nil }
            if let failure = log.failure { throw failure }
        }

        private func truncate(_ log: PartitionLog, from index: UInt64) throws {
            // What is to be cut is not promised any more from here on.
            promise.entries = promise.entries.filter { $0.key < index }
            try log.truncate(from: LogIndex(index))
        }

        private func trim(_ log: PartitionLog, to offset: Offset) throws {
            try loop.turn { log.progress.applied == log.lastIndex || log.failure != nil }
            try log.trim(to: offset)
            promise.logStart = offset
            promise.entries = promise.entries.filter { $0.key >= log.firstIndex.rawValue }
        }

        private func checkpoint(_ store: LogStore) throws {
            store.core.postApply(.checkpointSoon, isUrgent: true)
            try loop.turn { self.log?.progress.applied == self.log?.lastIndex || self.log?.failure != nil }
        }

        /// Opens what is left and compares it with the promise.
        ///
        /// Returns the end it found.
        func check(_ label: String) throws -> (LogIndex, Offset) {
            let store = try open()
            let log = try openLog(store)
            let place = "\(mode) \(label)"
            #expect(log.damage == nil, "\(place): \(log.damage.map { "\($0)" } ?? "")")
            for (index, term) in promise.entries where index >= log.firstIndex.rawValue {
                #expect(log.term(at: LogIndex(index)) == term, "\(place): entry \(index) was durable")
            }
            if log.lastIndex >= log.firstIndex {
                for index in log.firstIndex.rawValue...log.lastIndex.rawValue {
                    let term = log.term(at: LogIndex(index)) ?? .zero
                    #expect(promise.asked[index]?.contains(term) == true, "\(place): entry \(index) of \(term)")
                }
            }
            #expect(log.hardState.term >= promise.hardState.term, "\(place): the term went back")
            if log.hardState.term == promise.hardState.term, log.lastTerm <= promise.hardState.term {
                #expect(log.hardState == promise.hardState, "\(place): the vote is lost")
            }
            try readWhole(log, place)
            let found = (log.lastIndex, log.logEndOffset)
            store.core.fail(.closed, during: "the end of the check")
            loop.turn()
            store.close()
            return found
        }

        private func readWhole(_ log: PartitionLog, _ place: String) throws {
            var next = log.logStartOffset
            while next < log.logEndOffset {
                var answer: Result<ReadResult, StoreError>?
                log.read(from: next, upTo: log.logEndOffset, maxBytes: 1 << 20) { answer = $0 }
                try loop.turn { answer != nil }
                let result = try answer!.get()
                guard result.nextOffset > next else {
                    Issue.record("\(place): nothing to read at \(next) of \(log.logEndOffset)")
                    return
                }
                for slice in result.slices {
                    for batch in try RecordBatch.batches(in: slice) { try batch.verifyChecksum() }
                }
                next = result.nextOffset
            }
        }
    }

    /// How many operations the whole life has.
    private static func operations(_ mode: StoreSettings.JournalMode) -> Int {
        let system = FaultyFileSystem()
        Life(system, MemoryStorage(), mode).run()
        return system.operations
    }

    @Test(arguments: StoreSettings.JournalMode.allCases, Loss.allCases)
    func everyOperation(mode: StoreSettings.JournalMode, loss: Loss) throws {
        let count = Self.operations(mode)
        #expect(count > 40)
        for crash in stride(from: 1, through: count + 1, by: mode == .on ? 1 : 2) {
            let system = FaultyFileSystem()
            system.arrange {
                $0.crashAt = crash
                $0.tearsDirectWrites = loss == .torn
                $0.random = SeededRandom(seed: UInt64(crash))
            }
            let memory = MemoryStorage()
            let life = Life(system, memory, mode)
            life.run()
            let label = "crash at \(crash) of \(count), loss \(loss)"
            let after = system.afterCrash(loss, seed: UInt64(crash))
            let second = Life(after, memory, mode)
            second.promise = life.promise
            let found = try second.check(label)
            guard crash % 3 == 0 else { continue }
            // Recovering what recovery left, after losing all that it did not make durable, finds the same.
            let third = Life(after.afterCrash(.all, seed: 1), memory, mode)
            third.promise = life.promise
            let again = try third.check(label + ", again")
            #expect(found == again, "\(mode) \(label): recovery is not idempotent")
        }
    }
}
