// SPDX-License-Identifier: Apache-2.0
//
// ShareWindowTests.swift
// Records in flight for a share group: every transition by example, and random histories against a plain model.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct ShareWindowTests {
    private static let limits = ShareWindow.Limits(recordsMax: 20, deliveriesMax: 3, lockMilliseconds: 1000)

    private static func instant(_ milliseconds: Int64) -> Instant {
        Instant(nanoseconds: UInt64(milliseconds) * 1_000_000)
    }

    private static func batch(_ first: Int64, _ last: Int64, _ isDeliverable: Bool = true) -> BatchExtent {
        BatchExtent(first: first, last: last, isDeliverable: isDeliverable)
    }

    private static func window(from start: Int64 = 0, _ batches: [ShareStateBatch] = []) -> ShareWindow {
        ShareWindow(startingAt: start, batches, limits: limits)
    }

    private static func word(_ first: Int64, _ last: Int64, _ types: ShareAcknowledgeType...) -> ShareAcknowledgement {
        ShareAcknowledgement(first: first, last: last, types: types.map(\.rawValue))
    }

    /// Acknowledges and stores.
    private static func settle(
        _ window: inout ShareWindow, _ words: [ShareAcknowledgement], by owner: String, write: Int = 1
    ) -> KafkaErrorCode {
        let outcome = window.acknowledge(words, by: owner, write: write, allowsRenewal: true, now: instant(0))
        if case .failure(let code) = outcome { return code }
        _ = window.makeWrite(write)
        window.commit(write)
        return .none
    }

    @Test func batchesAreTakenWholeUnlessTheMemberIsStrict() {
        var window = Self.window()
        let batches = [Self.batch(0, 4), Self.batch(5, 9)]
        let whole = window.acquire(
            batches, from: 0, owner: "a", recordsMax: 3, isStrict: false, now: Self.instant(0))
        #expect(whole == [AcquiredRange(first: 0, last: 4, deliveryCount: 1)])
        let strict = window.acquire(
            [batches[1]], from: 5, owner: "b", recordsMax: 3, isStrict: true, now: Self.instant(0))
        #expect(strict == [AcquiredRange(first: 5, last: 7, deliveryCount: 1)])
        #expect(window.endOffset == 8 && window.nextReadOffset == 8 && window.lockedCount == 8)
        let none = window.acquire(
            batches, from: 0, owner: "c", recordsMax: 0, isStrict: true, now: Self.instant(0))
        #expect(none.isEmpty)
    }

    @Test func whatIsNotForMembersIsArchived() {
        var window = Self.window()
        // Nothing at 2 and 3, a control batch at 6.
        let acquired = window.acquire(
            [Self.batch(0, 1), Self.batch(4, 5), Self.batch(6, 6, false), Self.batch(7, 7)], from: 0, owner: "a",
            recordsMax: 100, isStrict: false, now: Self.instant(0))
        #expect(acquired.map(\.first) == [0, 4, 7] && acquired.map(\.last) == [1, 5, 7])
        #expect(Self.settle(&window, [Self.word(0, 1, .accept)], by: "a") == .none)
        #expect(window.startOffset == 4)
        #expect(Self.settle(&window, [Self.word(4, 5, .gap)], by: "a", write: 2) == .none)
        #expect(window.startOffset == 7)
    }

    @Test func acknowledgementsHoldWhenTheyAreStored() {
        var window = Self.window()
        _ = window.acquire(
            [Self.batch(0, 4)], from: 0, owner: "a", recordsMax: 10, isStrict: false, now: Self.instant(0))
        let words = [Self.word(0, 3, .accept, .release, .reject, .gap)]
        let outcome = window.acknowledge(words, by: "a", write: 7, allowsRenewal: false, now: Self.instant(0))
        #expect(outcome == .success(.init(needsWrite: true)))
        #expect(window.startOffset == 0 && window.lockedCount == 5)
        let write = window.makeWrite(7)
        #expect(write?.startOffset == 1)
        #expect(write?.batches.map(\.state) == [.acknowledged, .available, .archived])
        #expect(write?.batches.map(\.lastOffset) == [0, 1, 3])
        // What is on its way neither expires nor is said again.
        #expect(window.expireLocks(now: Self.instant(5000)) == true)
        #expect(window.lockedCount == 4)
        let again = window.acknowledge(words, by: "a", write: 8, allowsRenewal: false, now: Self.instant(0))
        #expect(again == .failure(.invalidRecordState))
        var failed = window
        failed.rollBack(7)
        #expect(failed.startOffset == 0 && failed.lockedCount == 4)
        #expect(failed.expireLocks(now: Self.instant(5000)) == true)
        #expect(failed.nextReadOffset == 0)
        window.commit(7)
        #expect(window.startOffset == 1 && window.nextReadOffset == 1 && window.lockedCount == 0)
        let tally = window.takeTally()
        #expect(tally.accepted == 1 && tally.released == 1 && tally.rejected == 2 && tally.expired == 1)
        #expect(window.takeTally() == ShareTally())
    }

    /// What a lock that ended leaves behind travels with a write that fails, and again with the next.
    @Test func whatAFailedWriteSaidIsSaidAgain() {
        var window = Self.window()
        _ = window.acquire(
            [Self.batch(0, 4)], from: 0, owner: "a", recordsMax: 10, isStrict: false, now: Self.instant(0))
        #expect(window.expireLocks(now: Self.instant(5000)) == true)
        let write = window.makeWrite(1)
        #expect(write?.batches.map(\.deliveryCount) == [1])
        let meanwhile = window.makeWrite(2)
        #expect(meanwhile == nil, "it is under way")
        var stored = window
        stored.commit(1)
        let further = stored.makeWrite(2)
        #expect(further == nil)
        window.rollBack(1)
        let again = window.makeWrite(2)
        #expect(again?.batches == write?.batches)
    }

    @Test func aWordOnRecordsOfOthersIsRefusedAsAWhole() {
        var window = Self.window()
        let batches = [Self.batch(0, 4), Self.batch(5, 9)]
        _ = window.acquire([batches[0]], from: 0, owner: "a", recordsMax: 10, isStrict: false, now: Self.instant(0))
        _ = window.acquire([batches[1]], from: 5, owner: "b", recordsMax: 10, isStrict: false, now: Self.instant(0))
        let before = window
        for words in [
            [Self.word(0, 9, .accept)], [Self.word(5, 9, .accept)],
            [Self.word(0, 4, .accept), Self.word(10, 10, .accept)],
        ] {
            #expect(Self.settle(&window, words, by: "a") == .invalidRecordState)
            #expect(window == before)
        }
        for words in [
            [Self.word(3, 2, .accept)], [Self.word(0, 4, .accept, .accept)], [Self.word(0, 4)],
            [Self.word(2, 4, .accept), Self.word(0, 1, .accept)],
            [ShareAcknowledgement(first: 0, last: 4, types: [9])],
            [ShareAcknowledgement(first: 0, last: .max, types: [1])],
        ] {
            #expect(Self.settle(&window, words, by: "a") == .invalidRequest)
            #expect(window == before)
        }
        let renewal = window.acknowledge(
            [Self.word(0, 4, .renew)], by: "a", write: 1, allowsRenewal: false, now: Self.instant(0))
        #expect(renewal == .failure(.invalidRequest))
        #expect(Self.settle(&window, [Self.word(0, 4, .accept)], by: "a") == .none)
        #expect(Self.settle(&window, [Self.word(0, 4, .accept)], by: "a", write: 2) == .invalidRecordState)
    }

    @Test func aRecordIsArchivedWhenItWasDeliveredAsOftenAsAllowed() {
        var window = Self.window()
        for round in 1...3 {
            let now = Self.instant(Int64(round) * 10_000)
            #expect(window.nextReadOffset == 0)
            let acquired = window.acquire(
                [Self.batch(0, 0)], from: 0, owner: "a", recordsMax: 1, isStrict: false, now: now)
            #expect(acquired.map(\.deliveryCount) == [Int16(round)])
            #expect(window.expireLocks(now: now) == false)
            #expect(window.expireLocks(now: now.advanced(byMilliseconds: 1000)) == true)
        }
        #expect(window.startOffset == 1 && window.takeTally().exhausted == 1)
        // The start offset is stored although no record is left to say so.
        #expect(window.makeWrite(1)?.startOffset == 1)
    }

    @Test func aRenewedLockHoldsLonger() {
        var window = Self.window()
        _ = window.acquire(
            [Self.batch(0, 1)], from: 0, owner: "a", recordsMax: 9, isStrict: false, now: Self.instant(0))
        let outcome = window.acknowledge(
            [Self.word(0, 0, .renew)], by: "a", write: 1, allowsRenewal: true, now: Self.instant(900))
        #expect(outcome == .success(.init(needsWrite: false)))
        #expect(window.expireLocks(now: Self.instant(1000)) == true)
        #expect(window.lockedCount == 1)
        #expect(window.nextReadOffset == 1 && window.nextDeadline == Self.instant(1900))
    }

    @Test func noMoreIsInFlightThanAllowed() {
        var window = Self.window()
        _ = window.acquire(
            [Self.batch(0, 15)], from: 0, owner: "a", recordsMax: 9, isStrict: false, now: Self.instant(0))
        #expect(window.hasRoom)
        // A batch that begins below the bound is taken whole.
        _ = window.acquire(
            [Self.batch(16, 24)], from: 16, owner: "a", recordsMax: 9, isStrict: false, now: Self.instant(0))
        #expect(!window.hasRoom && window.recordCount == 25)
        let more = window.acquire(
            [Self.batch(25, 30)], from: 25, owner: "b", recordsMax: 9, isStrict: false, now: Self.instant(0))
        #expect(more.isEmpty && window.endOffset == 25)
        // What is given back can be had all the same.
        #expect(window.release(owner: "a") == true)
        #expect(window.hasRoom)
        let again = window.acquire(
            [Self.batch(0, 15)], from: 0, owner: "b", recordsMax: 9, isStrict: true, now: Self.instant(0))
        // What a member had when it went does not count as delivered.
        #expect(again == [AcquiredRange(first: 0, last: 8, deliveryCount: 1)])
    }

    @Test func recordsThatWereDeletedDoNotMatter() {
        var window = Self.window()
        _ = window.acquire(
            [Self.batch(0, 9)], from: 0, owner: "a", recordsMax: 9, isStrict: false, now: Self.instant(0))
        window.moveLogStart(to: 5)
        #expect(window.startOffset == 5 && window.lockedCount == 5)
        #expect(Self.settle(&window, [Self.word(0, 9, .accept)], by: "a") == .none)
        #expect(window.startOffset == 10)
        window.moveLogStart(to: 50)
        #expect(window.startOffset == 50 && window.endOffset == 50 && window.nextReadOffset == 50)
    }

    @Test func aNewLeaderGoesOnWithWhatWasStored() {
        let batches = [
            ShareStateBatch(firstOffset: 3, lastOffset: 4, state: .acknowledged, deliveryCount: 1),
            ShareStateBatch(firstOffset: 6, lastOffset: 7, state: .available, deliveryCount: 2),
        ]
        let window = Self.window(from: 3, batches)
        #expect(window.startOffset == 5 && window.endOffset == 8 && window.nextReadOffset == 5)
        #expect(window.ranges.map(\.deliveryCount) == [0, 2] && window.lockedCount == 0)
    }
}
