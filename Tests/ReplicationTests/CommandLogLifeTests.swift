// SPDX-License-Identifier: Apache-2.0
//
// CommandLogLifeTests.swift
// A state machine on a real store: thousands of commands leave a short log, and a crash that loses any part of
// what the index database had not synced, between apply, store and compaction, loses no command.

import Foundation
import Model
import NIOCore
import NIOPosix
import Raft
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import LogStore
@testable import Replication

@Suite struct CommandLogLifeTests {
    /// What a life of the machine left.
    struct Outcome: Sendable {
        var accounts: [String: Int]
        var stored: [String: Int]
        var entries: Int
        var first: LogIndex
        var last: LogIndex
        var replayed: Int
        var failures: [StoreError]
    }

    /// One life: opens the store, leads, proposes, and ends cleanly or as if killed.
    private static func live(
        in directory: URL, commands: Int = 0, window: Int = 1, rule: CompactionRule = CompactionRule(),
        cleanly: Bool = true, afterOpening: () throws -> Void = {}
    ) async throws -> Outcome {
        var settings = StoreSettings(directory: directory.path)
        settings.diskReserve = ByteCount(0)
        settings.journal = .on
        settings.journalFile = .mebibytes(2)
        settings.journalFiles = 2
        settings.checkpointMilliseconds = 1_000_000
        let store = try LogStore.open(
            settings, metrics: nil, logger: .silent)
        let recovered = try store.recoverCommandLog(.controller)
        try afterOpening()
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = loops.next()
        let metrics = StateMachineMetrics()
        let outcome: Outcome = try await withCheckedThrowingContinuation { done in
            loop.execute {
                do {
                    let run = try Run(store, recovered, loop, rule, metrics)
                    run.start(commands: commands, window: window) { done.resume(returning: $0) }
                } catch {
                    done.resume(throwing: error)
                }
            }
        }
        if !cleanly { store.core.fail(.closed, during: "a simulated crash") }
        store.close()
        try await loops.shutdownGracefully()
        return outcome
    }

    /// Confined to its loop; keeps itself until it is done.
    private final class Run {
        let store: LogStore
        let log: CommandLog
        let ledger: Ledger
        let machine: ReplicatedStateMachine
        let metrics: StateMachineMetrics
        let loop: any EventLoop
        var left = 0
        var open = 0
        var number = 0
        var failures: [StoreError] = []
        var done: ((Outcome) -> Void)?

        init(
            _ store: LogStore, _ recovered: RecoveredGroup, _ loop: any EventLoop, _ rule: CompactionRule,
            _ metrics: StateMachineMetrics
        ) throws {
            self.store = store
            self.metrics = metrics
            self.loop = loop
            log = store.commandLog(recovered, owner: CompletionOwner(eventLoop: loop))
            ledger = try Ledger(loading: store.metadata)
            let node = NodeID(rawValue: 1)
            let replica = ReplicaGroup(
                node: node, log: log, configuration: Raft.Configuration(voters: [node]), settings: Raft.Settings(),
                seed: 1)
            let applied = try store.metadata.applied(in: .controller, of: .controller)?.index ?? .zero
            machine = ReplicatedStateMachine(
                replica: replica, index: store.metadata, family: .controller, applied: applied, compaction: rule,
                metrics: metrics)
        }

        func start(commands: Int, window: Int, _ done: @escaping (Outcome) -> Void) {
            left = commands
            self.done = done
            ledger.onLeading = { [self] in
                machine.replica.whenIdle { [self] in
                    for _ in 0..<window { next() }
                    finishIfDone()
                }
            }
            machine.start(logic: ledger)
            if !ledger.failures.isEmpty { finish() }
        }

        private func next() {
            guard left > 0 else { return }
            left -= 1
            open += 1
            number += 1
            machine.propose(Ledger.command("account \(number % 7)", number)) { [self] result in
                open -= 1
                if case .failure(let error) = result { Issue.record("refused: \(error)") }
                machine.replica.whenIdle { [self] in
                    next()
                    finishIfDone()
                }
            }
        }

        private func finishIfDone() { if open == 0, left == 0 { finish() } }

        private func finish() {
            guard let done else { return }
            let stored = (try? store.metadata.groupMeta(of: .controller))??.firstIndex
            let last = (try? store.metadata.lastPointer(of: .controller))??.index
            guard stored == log.firstIndex, last == log.lastIndex || last == nil else {
                // The applier is still at it.
                return loop.assumeIsolated().execute { [self] in finish() }
            }
            self.done = nil
            ledger.onLeading = nil
            var entries = 0
            try? store.metadata.forEachPointer(of: .controller, from: .zero) { _ in
                entries += 1
                return true
            }
            machine.replica.stop()
            log.close()
            done(
                Outcome(
                    accounts: ledger.accounts, stored: (try? Ledger(loading: store.metadata).accounts) ?? [:],
                    entries: entries, first: log.firstIndex, last: log.lastIndex,
                    replayed: Int(metrics.replayed.value), failures: ledger.failures))
        }
    }

    private static func sums(_ commands: Int) -> [String: Int] {
        var sums: [String: Int] = [:]
        for number in stride(from: 1, through: commands, by: 1) { sums["account \(number % 7)", default: 0] += number }
        return sums
    }

    /// With a rule of a tenth of the usual size, so that ten thousand commands compact as often as a hundred thousand.
    @Test func thousandsOfCommandsLeaveAShortLog() async throws {
        let scratch = try Scratch(inMemory: true)
        let commands = 10_000
        var rule = CompactionRule()
        rule.keptEntries /= 10
        rule.stepEntries /= 10
        // The rule is asked once for all commands that are applied together: on a slow disk, all that are under way.
        let window = 512
        let bound = rule.entriesMax + window
        let first = try await Self.live(in: scratch.url, commands: commands, window: window, rule: rule, cleanly: false)
        #expect(first.accounts == Self.sums(commands) && first.stored == first.accounts)
        #expect(first.last > LogIndex(UInt64(commands)))
        #expect(first.entries <= bound && first.last - first.first + 1 <= bound)
        let second = try await Self.live(in: scratch.url, rule: rule, cleanly: false)
        #expect(second.accounts == first.accounts)
        #expect(second.replayed <= 2, "the state has everything; only no-ops are read")
        #expect(second.entries <= bound)
    }

    /// The index database's log, cut anywhere behind the group's creation, is what a power failure leaves of it, while
    /// the journal has every command.
    ///
    /// Each such state is one between some command's apply, store and compaction.
    @Test func aCrashBetweenApplyStoreAndCompactionLosesNothing() async throws {
        let scratch = try Scratch(inMemory: true)
        let store = scratch.url.appending(path: "store")
        var rule = CompactionRule()
        rule.keptEntries = 3
        rule.stepEntries = 5
        var floor = 0
        let life = try await Self.live(in: store, commands: 60, rule: rule, cleanly: false) {
            floor = try Self.writeAheadLog(of: store).bytes
        }
        #expect(life.entries <= rule.entriesMax && life.first > LogIndex(40))
        let log = try Self.writeAheadLog(of: store)
        #expect(floor < log.bytes)
        var compacted: Set<LogIndex> = []
        for cut in stride(from: floor, through: log.bytes, by: max(1, (log.bytes - floor) / 60)) {
            let copy = scratch.url.appending(path: "copy")
            try FileManager.default.copyItem(at: store, to: copy)
            let file = try FileHandle(forWritingTo: copy.appending(path: "rocksdb").appending(path: log.name))
            try file.truncate(atOffset: UInt64(cut))
            try file.close()
            let found = try await Self.live(in: copy, rule: rule)
            #expect(found.failures.isEmpty, "cut at \(cut)")
            #expect(found.accounts == Self.sums(60) && found.stored == found.accounts, "cut at \(cut)")
            #expect(found.last == life.last.next, "cut at \(cut)")
            compacted.insert(found.first)
            try FileManager.default.removeItem(at: copy)
        }
        #expect(compacted.count > 1, "some cuts are before a compaction and some behind it")
    }

    private static func writeAheadLog(of store: URL) throws -> (name: String, bytes: Int) {
        let folder = store.appending(path: "rocksdb")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".log") }
        let name = try #require(names.max())
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.appending(path: name).path)
        return (name, (attributes[.size] as? NSNumber)?.intValue ?? 0)
    }
}
