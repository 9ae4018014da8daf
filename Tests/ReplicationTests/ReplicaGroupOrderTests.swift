// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroupOrderTests.swift
// What a group of one voter asks of its log and tells its owner, in which order, and what it does when the log fails.

import LogStore
import Model
import NIOCore
import Raft
import Testing

@testable import Replication

@Suite struct ReplicaGroupOrderTests {
    /// Notes what the owner is told among what the log was asked.
    private final class Owner: ReplicaObserver {
        let log: ScriptedLog
        init(_ log: ScriptedLog) { self.log = log }
        func replicaLeads(term: Term) { log.events.append("leads \(term)") }
        func replicaFollows(term: Term, leader: NodeID?) { log.events.append("follows \(term)") }
        func replicaCommitted(upTo index: LogIndex) { log.events.append("committed \(index)") }
        func replicaFailed(_ error: StoreError) { log.events.append("failed") }
    }

    private static func group(_ log: ScriptedLog) -> ReplicaGroup {
        let node = NodeID(rawValue: 1)
        return ReplicaGroup(
            node: node, log: log, configuration: Raft.Configuration(voters: [node]), settings: Raft.Settings(), seed: 1)
    }

    private static func content(_ text: String) -> EntryContent {
        EntryContent(
            kind: .command, baseOffset: .zero, recordCount: 0, maxTimestamp: -1, payload: ByteBuffer(string: text))
    }

    /// A group that leads, with its no-op committed.
    private static func leading(_ log: ScriptedLog) -> (ReplicaGroup, Owner) {
        let group = group(log)
        let owner = Owner(log)
        group.start(observer: owner)
        log.finishVotes()
        log.flush()
        log.events = []
        return (group, owner)
    }

    @Test func itElectsItselfOnlyWhenItsVoteIsDurable() throws {
        let log = ScriptedLog(term: Term(4), commands: ["a", "b"])
        let group = Self.group(log)
        let owner = Owner(log)
        #expect(throws: ReplicationError.self) { try group.propose(Self.content("early")) }
        group.start(observer: owner)
        #expect(log.events == ["vote in \(Term(5))"])
        #expect(group.leadingTerm == nil)
        log.finishVotes()
        #expect(log.events.last == "append noop \(LogIndex(3)) of \(Term(5))")
        #expect(group.leadingTerm == nil && group.committed == .zero, "nothing is committed before its flush")
        log.flush()
        #expect(log.events.suffix(2) == ["leads \(Term(5))", "committed \(LogIndex(3))"])
        #expect(group.leadingTerm == Term(5))
        withExtendedLifetime(owner) {}
    }

    @Test func proposalsAreAppendedFlushedCommitted() throws {
        let log = ScriptedLog()
        let (group, owner) = Self.leading(log)
        #expect(try group.propose(Self.content("a")) == LogIndex(2))
        #expect(try group.propose(Self.content("b")) == LogIndex(3))
        #expect(group.committed == LogIndex(1), "appended, not flushed")
        log.flush(through: LogIndex(2))
        log.flush()
        let term = Term(1)
        #expect(
            log.events == [
                "append command \(LogIndex(2)) of \(term)", "append command \(LogIndex(3)) of \(term)",
                "flushed \(LogIndex(2))", "committed \(LogIndex(2))", "flushed \(LogIndex(3))",
                "committed \(LogIndex(3))",
            ])
        withExtendedLifetime(owner) {}
    }

    @Test func aRefusalAppendsNothing() throws {
        let log = ScriptedLog()
        let (group, owner) = Self.leading(log)
        log.refusal = .busy
        do {
            _ = try group.propose(Self.content("a"))
            Issue.record("taken")
        } catch {
            guard case .notNow(.busy) = error else {
                Issue.record("\(error)")
                return
            }
        }
        log.refusal = nil
        #expect(log.events.isEmpty)
        #expect(try group.propose(Self.content("a")) == LogIndex(2), "the index was not used up")
        withExtendedLifetime(owner) {}
    }

    @Test func whatIsTooLargeForTheLogIsNotAppended() throws {
        let log = ScriptedLog()
        let (group, owner) = Self.leading(log)
        log.payloadBytesMax = 3
        do {
            _ = try group.propose(Self.content("four"))
            Issue.record("taken")
        } catch {
            guard case .tooLarge(4, limit: 3) = error else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(log.events.isEmpty)
        #expect(try group.propose(Self.content("two")) == LogIndex(2))
        withExtendedLifetime(owner) {}
    }

    @Test(arguments: [true, false]) func aFailedLogIsToldOnceAndNeverWrittenAgain(inAppend: Bool) throws {
        let log = ScriptedLog()
        let (group, owner) = Self.leading(log)
        if inAppend {
            log.appendError = .diskFailed("torn")
            #expect(throws: ReplicationError.self) { try group.propose(Self.content("a")) }
        }
        log.fail(.diskFailed("torn"))
        log.fail(.diskFailed("torn"))
        log.appendError = nil
        #expect(log.events == ["failed"])
        #expect(group.leadingTerm == nil)
        #expect(throws: ReplicationError.self) { try group.propose(Self.content("b")) }
        log.flush()
        group.compact(upTo: LogIndex(1))
        #expect(log.events == ["failed", "flushed \(LogIndex(1))"], "neither commits nor writes")
        withExtendedLifetime(owner) {}
    }

    @Test func workFromInsideADirectiveWaits() throws {
        /// Proposes from inside a commit.
        final class Eager: ReplicaObserver {
            var group: ReplicaGroup?
            var order: [String] = []
            func replicaLeads(term: Term) { order.append("leads") }
            func replicaFollows(term: Term, leader: NodeID?) {}
            func replicaFailed(_ error: StoreError) {}
            func replicaCommitted(upTo index: LogIndex) {
                order.append("committed")
                guard index == LogIndex(1), let group else { return }
                #expect(group.isRunning)
                group.whenIdle { [self] in
                    order.append("proposed")
                    _ = try? group.propose(ReplicaGroupOrderTests.content("a"))
                }
            }
        }
        let log = ScriptedLog()
        let group = Self.group(log)
        let owner = Eager()
        owner.group = group
        group.start(observer: owner)
        log.finishVotes()
        log.flush()
        #expect(owner.order == ["leads", "committed", "proposed"])
        #expect(log.lastIndex == LogIndex(2))
        owner.group = nil
    }

    @Test func afterStoppingNothingIsTold() {
        let log = ScriptedLog()
        let group = Self.group(log)
        let owner = Owner(log)
        group.start(observer: owner)
        group.stop()
        log.finishVotes()
        #expect(log.onFlushed == nil && log.onFailed == nil)
        #expect(!log.events.contains { $0.hasPrefix("leads") || $0.hasPrefix("committed") })
    }

    @Test func compactionMovesTheBaseAndTheGroupGoesOn() throws {
        let log = ScriptedLog()
        let (group, owner) = Self.leading(log)
        for number in 0..<10 { _ = try group.propose(Self.content("\(number)")) }
        log.flush(through: LogIndex(8))
        group.compact(upTo: LogIndex(5))
        #expect(log.firstIndex == LogIndex(6))
        log.flush()
        #expect(group.committed == LogIndex(11))
        #expect(try group.propose(Self.content("more")) == LogIndex(12))
        withExtendedLifetime(owner) {}
    }
}
