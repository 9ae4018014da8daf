// SPDX-License-Identifier: Apache-2.0
//
// ProducerStateTableTests.swift
// Idempotent producers: cases by hand, a naive model, snapshots.

import Model
import Records
import Testing

@testable import Broker

func batch(
    _ producer: Int64 = 1, epoch: Int16 = 0, sequence: Int32, count: Int32 = 1, offset: Int64 = 0, timestamp: Int64 = 0
) -> ProducerBatch {
    ProducerBatch(
        producerID: ProducerID(rawValue: producer), epoch: epoch, baseSequence: sequence, lastOffsetDelta: count - 1,
        baseOffset: Offset(offset), maxTimestamp: timestamp)
}

private let now = WallTime(milliseconds: 1_000)

@Suite struct ProducerStateTableTests {
    /// A table that took these batches.
    private func table(_ batches: [ProducerBatch]) -> ProducerStateTable {
        var table = ProducerStateTable()
        for one in batches { table.record(one, at: now) }
        return table
    }

    @Test func anUnknownProducerMayBeginAnywhere() {
        #expect(table([]).check(batch(sequence: 4_711)) == .append)
    }

    @Test func sequencesFollowEachOther() {
        let table = table([batch(sequence: 10, count: 5, offset: 100)])
        #expect(table.check(batch(sequence: 15)) == .append)
        #expect(table.check(batch(sequence: 16)) == .error(.outOfOrderSequence))
        #expect(table.check(batch(sequence: 14)) == .error(.outOfOrderSequence), "overlaps a batch")
        #expect(table.check(batch(sequence: 10, count: 6)) == .error(.outOfOrderSequence), "overlaps and goes on")
        #expect(table.check(batch(2, sequence: 3)) == .append, "another producer")
    }

    @Test func aDuplicateGetsTheOriginalsAnswer() {
        let table = table([batch(sequence: 10, count: 5, offset: 100, timestamp: 77)])
        #expect(
            table.check(batch(sequence: 10, count: 5))
                == .duplicate(baseOffset: Offset(100), lastOffset: Offset(104), timestamp: 77))
    }

    @Test func theLastFiveBatchesAreRemembered() {
        let table = table((0..<6).map { batch(sequence: $0, offset: Int64($0)) })
        #expect(table.check(batch(sequence: 0)) == .error(.outOfOrderSequence))
        for sequence in 1..<6 as Range<Int32> {
            guard case .duplicate = table.check(batch(sequence: sequence)) else {
                Issue.record("batch \(sequence) is forgotten")
                continue
            }
        }
    }

    @Test func sequencesWrapToZero() {
        let last = table([batch(sequence: .max, offset: 5)])
        #expect(last.check(batch(sequence: 0)) == .append)
        let across = table([batch(sequence: .max - 1, count: 4, offset: 5)])
        #expect(across.check(batch(sequence: 2)) == .append)
        #expect(across.check(batch(sequence: 1)) == .error(.outOfOrderSequence))
        #expect(
            across.check(batch(sequence: .max - 1, count: 4))
                == .duplicate(baseOffset: Offset(5), lastOffset: Offset(8), timestamp: 0))
        #expect(ProducerSequence.advanced(.max, by: .max) == Int32.max - 1)
        #expect(ProducerSequence.distance(from: .max, to: 0) == 1)
    }

    @Test func aNewEpochBeginsAtZeroAndFencesTheOldOne() {
        var table = table([batch(epoch: 3, sequence: 10, offset: 0)])
        #expect(table.check(batch(epoch: 4, sequence: 11)) == .error(.outOfOrderSequence))
        #expect(table.check(batch(epoch: 4, sequence: 0)) == .append)
        #expect(table.check(batch(epoch: 2, sequence: 11)) == .error(.invalidProducerEpoch))
        table.record(batch(epoch: 4, sequence: 0, offset: 1), at: now)
        #expect(table.epoch(of: ProducerID(rawValue: 1)) == 4)
        #expect(table.check(batch(epoch: 3, sequence: 10)) == .error(.invalidProducerEpoch), "no duplicate any more")
        #expect(table.check(batch(epoch: 4, sequence: 1)) == .append)
    }

    @Test func malformedProducerFieldsAreRefused() {
        let table = table([])
        #expect(table.check(batch(epoch: -1, sequence: 0)) == .error(.invalidProducerEpoch))
        #expect(table.check(batch(sequence: -1)) == .error(.invalidRecord))
    }

    @Test func truncationForgetsWhatWasCut() {
        var cut = table([batch(sequence: 0, count: 2, offset: 0), batch(sequence: 2, count: 2, offset: 2)])
        #expect(cut.truncate(to: Offset(4)) == .exact)
        #expect(cut.check(batch(sequence: 4)) == .append)
        #expect(cut.truncate(to: Offset(2)) == .exact)
        #expect(cut.check(batch(sequence: 2, count: 2)) == .append)
        #expect(cut.truncate(to: .zero) == .exact)
        #expect(cut.count == 0)
    }

    @Test func truncationSaysWhenItCannotKnow() {
        var overflown = table((0..<6).map { batch(sequence: $0, offset: Int64($0)) })
        #expect(overflown.truncate(to: Offset(6)) == .exact)
        #expect(overflown.truncate(to: Offset(5)) == .needsRebuild)
        var fenced = table([batch(sequence: 0, offset: 0), batch(epoch: 1, sequence: 0, offset: 1)])
        #expect(fenced.truncate(to: Offset(1)) == .needsRebuild)
        #expect(fenced.count == 0)
    }

    /// A client sends up to five batches at once: when the first is refused, those behind it must not take its place.
    @Test func whatWasTakenBackComesAgainBeforeAnythingElse() {
        var fenced = table([batch(sequence: 0, offset: 0), batch(epoch: 1, sequence: 0, count: 3, offset: 1)])
        #expect(fenced.takeBack(from: Offset(1)) == .needsRebuild)
        #expect(fenced.check(batch(epoch: 1, sequence: 3)) == .error(.outOfOrderSequence), "sent behind it")
        #expect(fenced.check(batch(epoch: 0, sequence: 1)) == .error(.invalidProducerEpoch))
        #expect(fenced.check(batch(epoch: 1, sequence: 0, count: 3)) == .append)
        fenced.record(batch(epoch: 1, sequence: 0, count: 3, offset: 1), at: now)
        #expect(fenced.check(batch(epoch: 1, sequence: 3)) == .append)
        var newcomer = table([batch(sequence: 7, count: 2, offset: 4)])
        #expect(newcomer.takeBack(from: Offset(4)) == .needsRebuild)
        #expect(newcomer.check(batch(sequence: 9)) == .error(.outOfOrderSequence))
        #expect(newcomer.check(batch(sequence: 7, count: 2)) == .append)
        var known = table((0..<8).map { batch(sequence: $0, offset: Int64($0)) })
        #expect(known.takeBack(from: Offset(6)) == .exact)
        #expect(known.check(batch(sequence: 7)) == .error(.outOfOrderSequence))
        #expect(known.check(batch(sequence: 6)) == .append)
    }

    /// Four batches can be on their way behind the refused one; what else is out of order is a gap.
    @Test func whatWasSentBehindARefusedBatchIsExcused() {
        var table = table((0..<3).map { batch(sequence: $0, offset: Int64($0)) })
        func excused(_ sequence: Int32, epoch: Int16 = 0) -> Bool {
            table.excuses(batch(epoch: epoch, sequence: sequence))
        }
        #expect(!excused(9))
        _ = table.takeBack(from: Offset(1))
        #expect(!excused(9, epoch: 1), "of another epoch")
        #expect((Int32(2)..<7).map { excused($0) } == [true, true, true, true, false])
        _ = table.takeBack(from: Offset(0))
        table.record(batch(sequence: 0, offset: 0), at: now)
        #expect(!excused(2), "it has come again")
    }

    /// What the former leader refused is sent again, but perhaps not first: a new leader waits for it.
    @Test func aNewLeaderExcusesWhatComesBeforeWhatWasRefused() {
        var table = table((0..<3).map { batch(sequence: $0, offset: Int64($0)) })
        func excused(_ sequence: Int32) -> Bool { table.excuses(batch(sequence: sequence)) }
        table.expectStragglers()
        #expect(table.check(batch(sequence: 9)) == .error(.outOfOrderSequence))
        #expect((Int32(9)..<15).map { excused($0) } == [true, true, true, true, true, false])
        table.expectStragglers()
        table.record(batch(sequence: 3, offset: 3), at: now)
        #expect(!excused(9), "what was refused has come")
    }

    @Test func idleProducersAreForgottenAfterADay() {
        var table = ProducerStateTable()
        table.record(batch(1, sequence: 0, timestamp: -1), at: WallTime(milliseconds: 0))
        table.record(batch(2, sequence: 0, timestamp: -1), at: WallTime(milliseconds: 1))
        #expect(table.expire(now: WallTime(milliseconds: 86_399_999)) == 0)
        #expect(table.expire(now: WallTime(milliseconds: 86_400_000)) == 1)
        #expect(table.check(batch(2, sequence: 5)) == .error(.outOfOrderSequence))
        #expect(table.check(batch(1, sequence: 5)) == .append)
    }

    @Test func theOldestMakeRoom() {
        var table = ProducerStateTable(settings: .init(producersMax: 32))
        for id in 0..<33 as Range<Int64> { table.record(batch(id, sequence: 9, offset: 100 - id), at: now) }
        #expect(table.count == 30)
        #expect(table.epoch(of: ProducerID(rawValue: 32)) == 0, "the newcomer stays, whatever its offset")
        #expect(table.epoch(of: ProducerID(rawValue: 31)) == nil)
        #expect(table.epoch(of: ProducerID(rawValue: 0)) == 0)
    }

    @Test func replayIsIdempotentAndTakesMarkers() {
        var table = ProducerStateTable()
        for one in (0..<3).map({ batch(sequence: $0, offset: Int64($0)) }) {
            table.replay(one, at: now)
            table.replay(one, at: now)
        }
        table.replay(batch(sequence: 1, offset: 1), at: now)
        #expect(table.producers[1]?.count == 3)
        table.end(marker(.abort, epoch: 2), at: Offset(3), now: now)
        #expect(table.epoch(of: ProducerID(rawValue: 1)) == 2)
        #expect(table.check(batch(epoch: 2, sequence: 0)) == .append)
        #expect(table.check(batch(epoch: 2, sequence: 3)) == .error(.outOfOrderSequence))
        table.replay(batch(-1, epoch: -1, sequence: -1, offset: 4), at: now)
        #expect(table.count == 1)
    }

    @Test func anEntryIsSmall() {
        #expect(MemoryLayout<ProducerEntry>.stride <= 160)
    }
}
