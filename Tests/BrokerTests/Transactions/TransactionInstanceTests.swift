// SPDX-License-Identifier: Apache-2.0
//
// TransactionInstanceTests.swift
// Every state of a transactional id against every request, and what epochs say about who may ask.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct TransactionInstanceTests {
    static func record(
        _ state: TransactionState, epoch: Int16 = 5, previous: Int16 = -1, version: UInt8 = 1
    ) -> TransactionRecord {
        var record = TransactionRecord(
            producerID: ProducerID(rawValue: 7), epoch: epoch, timeoutMilliseconds: 1_000, changedAt: wall(100))
        record.previousEpoch = previous
        record.version = version
        record.state = state
        if state == .ongoing || state.isPrepared {
            record.startedAt = wall(50)
            record.partitions = [partition("t", 0), partition("t", 1)]
            record.groups = ["g"]
        }
        return record
    }

    static func instance(
        _ state: TransactionState, epoch: Int16 = 5, previous: Int16 = -1
    ) -> TransactionInstance {
        TransactionInstance(record: record(state, epoch: epoch, previous: previous))
    }

    static func claim(_ epoch: Int16, of producer: Int64 = 7) -> ProducerClaim {
        ProducerClaim(producerID: ProducerID(rawValue: producer), epoch: epoch)
    }

    private static let fresh = ProducerID(rawValue: 99)
    private static let now = wall(1_000)

    private func stored(_ decision: TransactionInstance.Decision) throws -> TransactionRecord {
        guard case .store(let record) = decision else {
            Issue.record("\(decision)")
            throw Refused()
        }
        return record
    }

    private struct Refused: Error {}

    // MARK: InitProducerId

    @Test(arguments: [TransactionState.empty, .completeCommit, .completeAbort])
    func aNewProducerFencesTheOneBefore(_ state: TransactionState) throws {
        let next = try stored(
            Self.instance(state).initialise(claim: nil, timeoutMilliseconds: 2_000, fresh: nil, now: Self.now))
        #expect(next.epoch == 6 && next.previousEpoch == -1 && next.producerID.rawValue == 7)
        #expect(next.state == .empty && next.timeoutMilliseconds == 2_000 && next.partitions.isEmpty)
    }

    @Test func anOpenTransactionIsAbortedFirst() throws {
        let next = try stored(
            Self.instance(.ongoing).initialise(claim: nil, timeoutMilliseconds: 2_000, fresh: nil, now: Self.now))
        #expect(next.state == .prepareAbort && next.epoch == 6 && next.partitions.count == 2)
        // The timeout is the new producer's business, once it is let in.
        #expect(next.timeoutMilliseconds == 1_000)
    }

    @Test(arguments: [TransactionState.prepareCommit, .prepareAbort])
    func nobodyBeginsWhileATransactionEnds(_ state: TransactionState) {
        let decision = Self.instance(state).initialise(
            claim: nil, timeoutMilliseconds: 2_000, fresh: nil, now: Self.now)
        #expect(decision == .refuse(.concurrentTransactions))
    }

    @Test func aProducerRecoversWithItsEpochAndMayRepeatThat() throws {
        let next = try stored(
            Self.instance(.empty).initialise(
                claim: Self.claim(5), timeoutMilliseconds: 2_000, fresh: nil, now: Self.now))
        #expect(next.epoch == 6 && next.previousEpoch == 5)
        let again = try stored(
            TransactionInstance(record: next).initialise(
                claim: Self.claim(5), timeoutMilliseconds: 2_000, fresh: nil, now: Self.now))
        #expect(again.epoch == 6 && again.previousEpoch == 5)
        for zombie in [Self.claim(4), Self.claim(7), Self.claim(6, of: 8)] {
            let decision = TransactionInstance(record: next).initialise(
                claim: zombie, timeoutMilliseconds: 2_000, fresh: nil, now: Self.now)
            #expect(decision == .refuse(.producerFenced))
        }
    }

    @Test func usedUpEpochsAreReplacedByAnID() throws {
        let last = Self.instance(.completeCommit, epoch: TransactionRecord.lastEpoch)
        #expect(
            last.initialise(claim: nil, timeoutMilliseconds: 1, fresh: nil, now: Self.now) == .needsProducerID)
        let next = try stored(
            last.initialise(
                claim: Self.claim(TransactionRecord.lastEpoch), timeoutMilliseconds: 1, fresh: Self.fresh,
                now: Self.now))
        #expect(next.producerID == Self.fresh && next.epoch == 0)
        #expect(next.previousProducerID.rawValue == 7 && next.previousEpoch == TransactionRecord.lastEpoch)
        // The answer was lost, and the producer asks again with what it had.
        let again = try stored(
            TransactionInstance(record: next).initialise(
                claim: Self.claim(TransactionRecord.lastEpoch), timeoutMilliseconds: 1, fresh: nil, now: Self.now))
        #expect(again.producerID == Self.fresh && again.epoch == 0)
        let zombie = TransactionInstance(record: next).initialise(
            claim: Self.claim(3), timeoutMilliseconds: 1, fresh: nil, now: Self.now)
        #expect(zombie == .refuse(.producerFenced))
    }

    // MARK: Partitions

    @Test(arguments: [TransactionState.empty, .completeCommit, .completeAbort])
    func partitionsOpenATransaction(_ state: TransactionState) throws {
        let next = try stored(
            Self.instance(state).add(
                Self.claim(5), partitions: [partition("u", 1), partition("t", 9), partition("u", 1)], groups: ["h"],
                version: 2, now: Self.now))
        #expect(next.state == .ongoing && next.startedAt == Self.now && next.epoch == 5 && next.version == 2)
        #expect(next.partitions == [partition("t", 9), partition("u", 1)] && next.groups == ["h"])
    }

    @Test func partitionsAddUpAndKeepTheStart() throws {
        let next = try stored(
            Self.instance(.ongoing).add(
                Self.claim(5), partitions: [partition("a", 0), partition("t", 1)], groups: [], version: 1,
                now: Self.now))
        #expect(next.partitions == [partition("a", 0), partition("t", 0), partition("t", 1)])
        #expect(next.startedAt == wall(50) && next.groups == ["g"])
        let known = Self.instance(.ongoing).add(
            Self.claim(5), partitions: [partition("t", 1)], groups: ["g"], version: 1, now: Self.now)
        #expect(known == .done)
    }

    /// What the metadata knew that had the partitions: it only rises while a transaction is open.
    @Test func whatKnewThePartitionsIsKept() throws {
        func group(_ number: UInt64) -> GroupID { GroupID(rawValue: number) }
        let first = try stored(
            Self.instance(.empty).add(
                Self.claim(5), partitions: [partition("t", 0)], groupsEnd: group(1_030), groups: [], version: 1,
                now: Self.now))
        #expect(first.partitionGroupsEnd == group(1_030))
        let second = try stored(
            TransactionInstance(record: first).add(
                Self.claim(5), partitions: [partition("t", 1)], groupsEnd: group(1_029), groups: ["g"], version: 1,
                now: Self.now))
        #expect(second.partitionGroupsEnd == group(1_030))
        let ended = try stored(TransactionInstance(record: second).end(Self.claim(5), isCommit: true, now: Self.now))
        #expect(ended.partitionGroupsEnd == group(1_030))
        #expect(TransactionInstance(record: ended).completed(now: Self.now)?.partitionGroupsEnd == group(0))
    }

    @Test func strangersAndZombiesAddNothing() {
        let asked: [(TransactionState, ProducerClaim, KafkaErrorCode)] = [
            (.ongoing, Self.claim(5, of: 8), .invalidProducerIDMapping), (.ongoing, Self.claim(4), .producerFenced),
            (.ongoing, Self.claim(6), .producerFenced), (.prepareCommit, Self.claim(5), .concurrentTransactions),
            (.prepareAbort, Self.claim(5), .concurrentTransactions),
        ]
        for (state, claim, code) in asked {
            let decision = Self.instance(state).add(
                claim, partitions: [partition("t", 5)], groups: [], version: 1, now: Self.now)
            #expect(decision == .refuse(code))
            #expect(Self.instance(state).refusal(of: claim) == code)
        }
    }

    @Test func partitionsAreFoundInTheOpenTransactionOnly() {
        var record = Self.record(.ongoing)
        record.partitions = (0..<100).map { partition("t", Int32(2 * $0)) }
        for index in Int32(0)..<200 {
            let code = TransactionInstance(record: record).verify(partition("t", index))
            #expect(code == (index.isMultiple(of: 2) ? .none : .transactionAbortable))
        }
        #expect(Self.instance(.completeCommit).verify(partition("t", 0)) == .transactionAbortable)
    }

    // MARK: EndTxn

    /// State, commit, and what becomes of it: nil is stored.
    private static let ends: [(TransactionState, Bool, TransactionInstance.Decision?)] = [
        (.ongoing, true, nil), (.ongoing, false, nil),
        (.empty, true, .refuse(.invalidTxnState)), (.empty, false, .refuse(.invalidTxnState)),
        (.prepareCommit, true, .refuse(.concurrentTransactions)), (.prepareCommit, false, .refuse(.invalidTxnState)),
        (.prepareAbort, true, .refuse(.invalidTxnState)), (.prepareAbort, false, .refuse(.concurrentTransactions)),
        (.completeCommit, true, .done), (.completeCommit, false, .refuse(.invalidTxnState)),
        (.completeAbort, true, .refuse(.invalidTxnState)), (.completeAbort, false, .done),
    ]

    @Test func endsInEveryState() throws {
        for (state, isCommit, expected) in Self.ends {
            let decision = Self.instance(state).end(Self.claim(5), isCommit: isCommit, now: Self.now)
            if let expected {
                #expect(decision == expected, "\(state) \(isCommit)")
            } else {
                let next = try stored(decision)
                #expect(next.state == (isCommit ? .prepareCommit : .prepareAbort) && next.epoch == 5)
                #expect(next.partitions.count == 2 && next.groups == ["g"] && next.startedAt == wall(50))
            }
            for (claim, code) in [
                (Self.claim(4), KafkaErrorCode.producerFenced), (Self.claim(6), .producerFenced),
                (Self.claim(5, of: 8), .invalidProducerIDMapping),
            ] {
                #expect(Self.instance(state).end(claim, isCommit: isCommit, now: Self.now) == .refuse(code))
            }
        }
    }

    @Test func anEndThatRaisesTheEpochCanBeRepeated() throws {
        for isCommit in [true, false] {
            let prepared = try stored(
                Self.instance(.ongoing).endRaisingEpoch(
                    Self.claim(5), isCommit: isCommit, fresh: nil, now: Self.now))
            #expect(prepared.epoch == 6 && prepared.previousEpoch == 5 && prepared.version == 2)
            #expect(TransactionInstance(record: prepared).successor == Self.claim(6))
            let ending = TransactionInstance(record: prepared)
            #expect(
                ending.endRaisingEpoch(Self.claim(5), isCommit: isCommit, fresh: nil, now: Self.now)
                    == .refuse(.concurrentTransactions))
            #expect(
                ending.endRaisingEpoch(Self.claim(5), isCommit: !isCommit, fresh: nil, now: Self.now)
                    == .refuse(.invalidTxnState))
            #expect(
                ending.endRaisingEpoch(Self.claim(6), isCommit: isCommit, fresh: nil, now: Self.now)
                    == .refuse(.producerFenced))
            let complete = TransactionInstance(record: try #require(ending.completed(now: Self.now)))
            #expect(complete.record.epoch == 6 && complete.record.partitions.isEmpty)
            #expect(complete.endRaisingEpoch(Self.claim(5), isCommit: isCommit, fresh: nil, now: Self.now) == .done)
            #expect(
                complete.endRaisingEpoch(Self.claim(5), isCommit: !isCommit, fresh: nil, now: Self.now)
                    == .refuse(.invalidTxnState))
            #expect(
                complete.endRaisingEpoch(Self.claim(4), isCommit: isCommit, fresh: nil, now: Self.now)
                    == .refuse(.producerFenced))
            // A commit of nothing is an error, an abort of nothing raises the epoch.
            #expect(
                complete.endRaisingEpoch(Self.claim(6), isCommit: true, fresh: nil, now: Self.now)
                    == .refuse(.invalidTxnState))
            let next = try stored(
                complete.endRaisingEpoch(Self.claim(6), isCommit: false, fresh: nil, now: Self.now))
            #expect(next.epoch == 7 && next.state == .prepareAbort && next.partitions.isEmpty)
        }
    }

    @Test func theLastEpochEndsWithANewID() throws {
        let last = Self.instance(.ongoing, epoch: TransactionRecord.lastEpoch)
        let claim = Self.claim(TransactionRecord.lastEpoch)
        #expect(last.endRaisingEpoch(claim, isCommit: true, fresh: nil, now: Self.now) == .needsProducerID)
        let prepared = try stored(last.endRaisingEpoch(claim, isCommit: true, fresh: Self.fresh, now: Self.now))
        #expect(prepared.epoch == .max && prepared.producerID.rawValue == 7)
        let next = ProducerClaim(producerID: Self.fresh, epoch: 0)
        #expect(TransactionInstance(record: prepared).successor == next)
        let complete = TransactionInstance(
            record: try #require(TransactionInstance(record: prepared).completed(now: Self.now)))
        #expect(complete.record.producerID == Self.fresh && complete.record.epoch == 0)
        #expect(complete.successor == next)
        #expect(complete.endRaisingEpoch(claim, isCommit: true, fresh: nil, now: Self.now) == .done)
        #expect(
            complete.endRaisingEpoch(claim, isCommit: false, fresh: nil, now: Self.now) == .refuse(.invalidTxnState))
    }

    // MARK: Time

    @Test func aFencedTransactionIsAbortedWithAnEpochNobodyHas() throws {
        let aborted = Self.instance(.ongoing).fencingAbort(now: Self.now)
        #expect(aborted.state == .prepareAbort && aborted.epoch == 6 && aborted.previousEpoch == -1)
        let complete = TransactionInstance(
            record: try #require(TransactionInstance(record: aborted).completed(now: Self.now)))
        #expect(complete.end(Self.claim(5), isCommit: true, now: Self.now) == .refuse(.producerFenced))
        #expect(
            complete.add(Self.claim(5), partitions: [partition("t", 0)], groups: [], version: 1, now: Self.now)
                == .refuse(.producerFenced))
        let last = Self.instance(.ongoing, epoch: TransactionRecord.lastEpoch).fencingAbort(now: Self.now)
        #expect(last.epoch == .max)
        // That epoch is never told to a client, which could not raise it any more.
        let used = TransactionInstance(
            record: try #require(TransactionInstance(record: last).completed(now: Self.now)))
        for epoch in [TransactionRecord.lastEpoch, .max] {
            let decision = used.endRaisingEpoch(Self.claim(epoch), isCommit: false, fresh: nil, now: Self.now)
            #expect(decision == .refuse(.producerFenced))
        }
        #expect(used.initialise(claim: nil, timeoutMilliseconds: 1, fresh: nil, now: Self.now) == .needsProducerID)
    }

    @Test func openTransactionsHaveATimeoutAndIdleIDsAnEnd() {
        #expect(Self.instance(.ongoing).timeoutAt == wall(1_050))
        for state in TransactionState.allCases {
            let instance = Self.instance(state)
            if state != .ongoing { #expect(instance.timeoutAt == nil) }
            let mayExpire = state != .ongoing && !state.isPrepared
            #expect(instance.isExpired(afterMilliseconds: 900, now: wall(1_000)) == mayExpire)
            #expect(!instance.isExpired(afterMilliseconds: 901, now: wall(1_000)))
            #expect((instance.completed(now: Self.now) != nil) == state.isPrepared)
        }
    }
}
