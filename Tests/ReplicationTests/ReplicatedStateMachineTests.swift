// SPDX-License-Identifier: Apache-2.0
//
// ReplicatedStateMachineTests.swift
// Commands are applied in order and once, proposers hear of it, stored state and log fit, and the log is compacted.

import Foundation
import LogStore
import Model
import NIOCore
import Raft
import Telemetry
import TestSupport
import Testing

@testable import Replication

@Suite struct ReplicatedStateMachineTests {
    /// A machine on a scripted log and a real index.
    private final class Fixture {
        let scratch: Scratch
        let index: IndexDatabase
        let log: ScriptedLog
        let ledger = Ledger()
        let machine: ReplicatedStateMachine
        let metrics = StateMachineMetrics()
        var answers: [String] = []

        init(_ log: ScriptedLog = ScriptedLog(), applied: LogIndex = .zero, kept: Int = 4, step: Int = 4) throws {
            scratch = try Scratch()
            index = try IndexDatabase(at: scratch.url.path)
            self.log = log
            let node = NodeID(rawValue: 1)
            let replica = ReplicaGroup(
                node: node, log: log, configuration: Raft.Configuration(voters: [node]), settings: Raft.Settings(),
                seed: 1)
            var rule = CompactionRule()
            rule.keptEntries = kept
            rule.stepEntries = step
            machine = ReplicatedStateMachine(
                replica: replica, index: index, family: .controller, applied: applied, compaction: rule,
                metrics: metrics)
        }

        deinit { index.close() }

        func lead() {
            machine.start(logic: ledger)
            log.finishVotes()
            log.flush()
            log.finishReads()
            log.events = []
        }

        func propose(_ account: String, _ amount: Int) {
            machine.propose(Ledger.command(account, amount)) { [self] result in
                switch result {
                case .success(let index): answers.append("\(account)@\(index.rawValue)")
                case .failure(let error): answers.append("\(account) refused: \(error)")
                }
            }
        }
    }

    /// What was being read when a snapshot came was stored among the snapshot's keys, with an older applied index.
    @Test func nothingIsAppliedWhileASnapshotIsInstalled() throws {
        let fixture = try Fixture()
        fixture.machine.start(logic: fixture.ledger)
        fixture.log.finishVotes()
        fixture.log.flush()
        fixture.machine.replica.isInstalling = true
        fixture.log.finishReads()
        fixture.machine.replicaFlushed(upTo: LogIndex(1))
        #expect(fixture.machine.applied == .zero)
        #expect(try fixture.index.applied(in: .controller, of: .controller) == nil)
        fixture.machine.replica.isInstalling = false
        fixture.machine.replicaInstalled(Raft.Position(index: LogIndex(1), term: Term(1)))
        #expect(fixture.machine.applied == LogIndex(1) && fixture.ledger.reloads == [LogIndex(1)])
    }

    @Test func proposersHearInOrderOnceTheirCommandIsApplied() throws {
        let fixture = try Fixture()
        fixture.lead()
        #expect(fixture.ledger.terms == [Term(1)])
        fixture.propose("a", 1)
        fixture.propose("b", 2)
        fixture.propose("a", 3)
        #expect(fixture.answers.isEmpty && fixture.ledger.accounts.isEmpty, "nothing is applied before it is durable")
        fixture.log.flush(through: LogIndex(3))
        #expect(fixture.answers == ["a@2", "b@3"])
        fixture.log.flush()
        #expect(fixture.answers == ["a@2", "b@3", "a@4"])
        #expect(fixture.ledger.accounts == ["a": 4, "b": 2])
        #expect(try Ledger(loading: fixture.index).accounts == fixture.ledger.accounts)
        #expect(try fixture.index.applied(in: .controller, of: .controller)?.index == LogIndex(4))
        #expect(fixture.metrics.replayed.value == 1, "only the no-op of the term was read back")
    }

    @Test func aLogWithoutStateIsReplayedBeforeTheMachineLeads() throws {
        let fixture = try Fixture(ScriptedLog(term: Term(2), commands: ["a+1", "b+2", "a+3"]))
        fixture.machine.start(logic: fixture.ledger)
        fixture.log.finishVotes()
        fixture.log.flush()
        #expect(fixture.ledger.terms.isEmpty, "the log is not read yet")
        fixture.propose("a", 10)
        fixture.log.flush()
        fixture.log.finishReads()
        #expect(fixture.ledger.accounts == ["a": 14, "b": 2])
        #expect(fixture.ledger.applied.map(\.rawValue) == [1, 2, 3, 5])
        #expect(fixture.ledger.terms == [Term(3)] && fixture.answers == ["a@5"])
    }

    @Test func whatTheStateHasIsNotAppliedAgain() throws {
        let fixture = try Fixture(
            ScriptedLog(term: Term(2), commands: ["a+1", "b+2", "a+3"]), applied: LogIndex(2))
        fixture.lead()
        #expect(fixture.ledger.applied.map(\.rawValue) == [3])
    }

    @Test func stateThatDoesNotFitItsLogIsRefused() throws {
        let ahead = try Fixture(ScriptedLog(term: Term(2), commands: ["a+1"]), applied: LogIndex(5))
        ahead.machine.start(logic: ahead.ledger)
        #expect(ahead.ledger.failures.count == 1 && ahead.log.events.isEmpty)
        ahead.propose("a", 1)
        #expect(ahead.answers.count == 1 && ahead.answers[0].hasPrefix("a refused"))

        let log = ScriptedLog(term: Term(2), commands: ["a+1", "a+2", "a+3"])
        try log.compact(upTo: LogIndex(2))
        let behind = try Fixture(log, applied: LogIndex(1))
        behind.machine.start(logic: behind.ledger)
        #expect(behind.ledger.failures.count == 1, "entry 2 is in neither")
        #expect(try Fixture(log, applied: LogIndex(2)).machine.applied == LogIndex(2))
    }

    @Test func steppingDownAnswersWhoWaits() throws {
        let fixture = try Fixture()
        fixture.lead()
        fixture.propose("a", 1)
        fixture.propose("b", 1)
        fixture.machine.replicaFollows(term: Term(2), leader: NodeID(rawValue: 2))
        #expect(fixture.answers.count == 2 && fixture.answers.allSatisfy { $0.contains("refused") })
        #expect(fixture.ledger.resignations == 1)
        // Their entries may be committed all the same, by whoever leads now: then they are applied from the log.
        fixture.log.flush()
        fixture.log.finishReads()
        #expect(fixture.ledger.accounts == ["a": 1, "b": 1])
        #expect(fixture.answers.count == 2, "nobody is told twice")
    }

    @Test(arguments: [true, false]) func aFailedLogAnswersEachProposerOnce(inAppend: Bool) throws {
        let fixture = try Fixture()
        fixture.lead()
        fixture.propose("a", 1)
        if inAppend {
            fixture.log.appendError = .diskFailed("torn")
            fixture.propose("b", 1)
        } else {
            fixture.propose("b", 1)
            fixture.log.fail(.diskFailed("torn"))
        }
        #expect(fixture.answers.count == 2 && fixture.answers.allSatisfy { $0.contains("refused") })
        #expect(fixture.ledger.failures == [.diskFailed("torn")])
        fixture.propose("c", 1)
        #expect(fixture.answers.count == 3 && fixture.answers[2].hasPrefix("c refused"))
        fixture.log.flush()
        #expect(fixture.ledger.accounts.isEmpty)
    }

    @Test func aStateThatCannotBeStoredEndsTheMachine() throws {
        let fixture = try Fixture()
        fixture.lead()
        fixture.propose("a", 1)
        fixture.propose("b", 1)
        fixture.index.close()
        fixture.log.flush()
        #expect(fixture.ledger.failures.count == 1)
        #expect(fixture.answers.count == 2, "both are told: \(fixture.answers)")
        fixture.propose("c", 1)
        #expect(fixture.answers.count == 3, "later ones are refused instead of waiting for ever")
    }

    // MARK: Compaction

    @Test func theLogIsCompactedBehindTheState() throws {
        let fixture = try Fixture()
        fixture.lead()
        for number in 0..<50 {
            fixture.propose("a", 1)
            fixture.log.flush()
            fixture.log.finishReads()
            #expect(fixture.log.lastIndex - fixture.log.firstIndex + 1 <= 8, "after \(number)")
            let applied = try fixture.index.applied(in: .controller, of: .controller)?.index ?? .zero
            #expect(applied.next >= fixture.log.firstIndex, "an entry was dropped that the state does not have")
        }
        #expect(fixture.metrics.compactions.value == 11)
        #expect(fixture.metrics.entries.value == fixture.log.lastIndex - fixture.log.firstIndex + 1)
        #expect(fixture.answers.count == 50 && fixture.ledger.accounts == ["a": 50])
    }

    @Test func entriesWithoutEffectAreNotedBeforeTheyAreDropped() throws {
        // As after many starts without a command: nothing but no-ops, of which the state keeps no trace.
        let log = ScriptedLog(term: Term(1), commands: ["a+1"])
        for term in UInt64(2)...20 {
            try log.append(
                FrameDraft(
                    kind: .noop, term: Term(term), index: log.lastIndex.next, baseOffset: .zero, recordCount: 0,
                    maxTimestamp: -1, payload: ByteBuffer()))
        }
        log.flush()
        let fixture = try Fixture(log)
        fixture.lead()
        #expect(fixture.log.firstIndex > LogIndex(1))
        let applied = try fixture.index.applied(in: .controller, of: .controller)?.index
        #expect(applied == fixture.machine.applied)
    }

    @Test func largeCommandsCountByTheirBytes() {
        var rule = CompactionRule()
        rule.stepBytes = 100
        rule.begin(at: LogIndex(7))
        rule.applied(byteCount: 99)
        #expect(rule.due(first: LogIndex(1), applied: LogIndex(8)) == nil)
        rule.applied(byteCount: 1)
        #expect(rule.due(first: LogIndex(1), applied: LogIndex(9)) == LogIndex(7))
        rule.applied(byteCount: 100)
        #expect(rule.due(first: LogIndex(8), applied: LogIndex(10)) == LogIndex(9))
        #expect(rule.due(first: LogIndex(10), applied: LogIndex(10)) == nil)
    }

    @Test func aLongLogIsCutToWhatIsKept() {
        var rule = CompactionRule()
        let first = LogIndex(1)
        #expect(rule.due(first: first, applied: LogIndex(8191)) == nil)
        #expect(rule.due(first: first, applied: LogIndex(8192)) == LogIndex(4096))
        #expect(rule.due(first: first, applied: LogIndex(1_000_000)) == LogIndex(995_904))
    }
}
