// SPDX-License-Identifier: Apache-2.0
//
// TransactionTableTests.swift
// Transactions of one partition: who may append what, what markers do, what is stable and what was aborted; by hand.

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import Broker

private let now = WallTime(milliseconds: 1_000)

func transactional(
    _ producer: Int64 = 1, epoch: Int16 = 0, sequence: Int32, count: Int32 = 1, offset: Int64 = 0
) -> ProducerBatch {
    var one = batch(producer, epoch: epoch, sequence: sequence, count: count, offset: offset)
    one.isTransactional = true
    return one
}

func marker(
    _ outcome: ControlRecord.Kind = .commit, _ producer: Int64 = 1, epoch: Int16 = 0, coordinator: Int32 = 0,
    version: Int8 = 1
) -> TransactionMarker {
    TransactionMarker(
        producerID: ProducerID(rawValue: producer), producerEpoch: epoch, outcome: outcome,
        coordinatorEpoch: coordinator, transactionVersion: version)
}

@Suite struct TransactionTableTests {
    /// A table with one open transaction, of two batches from offset 10 on.
    private var begun: ProducerStateTable {
        var table = ProducerStateTable()
        table.record(transactional(sequence: 0, count: 2, offset: 10), at: now)
        table.record(transactional(sequence: 2, count: 2, offset: 12), at: now)
        return table
    }

    // MARK: Batches

    @Test func onlyTheFirstBatchOfATransactionIsVerified() {
        #expect(ProducerStateTable().check(transactional(sequence: 0)) == .verify)
        #expect(begun.check(transactional(sequence: 4)) == .append)
        #expect(begun.check(transactional(2, sequence: 0)) == .verify)
        var ended = begun
        ended.end(marker(), at: Offset(14), now: now)
        #expect(ended.check(transactional(sequence: 4)) == .verify)
        #expect(ended.check(batch(sequence: 4)) == .append)
    }

    @Test func duplicatesAreRecognisedAlsoAfterTheEnd() {
        let original = ProducerVerdict.duplicate(baseOffset: Offset(12), lastOffset: Offset(13), timestamp: 0)
        #expect(begun.check(transactional(sequence: 2, count: 2)) == original)
        var ended = begun
        ended.end(marker(), at: Offset(14), now: now)
        #expect(ended.check(transactional(sequence: 2, count: 2)) == original)
    }

    @Test func whatDoesNotBelongToTheOpenTransactionIsRefused() {
        #expect(begun.check(batch(sequence: 4)) == .error(.invalidTxnState), "no transaction")
        #expect(begun.check(transactional(sequence: 5)) == .error(.outOfOrderSequence))
        #expect(begun.check(transactional(epoch: 1, sequence: 0)) == .error(.invalidTxnState), "the old one is open")
        var fenced = begun
        fenced.end(marker(.abort, epoch: 3), at: Offset(14), now: now)
        #expect(fenced.check(transactional(epoch: 2, sequence: 0)) == .error(.invalidProducerEpoch))
        #expect(fenced.check(transactional(epoch: 3, sequence: 4)) == .error(.outOfOrderSequence))
        #expect(fenced.check(transactional(epoch: 3, sequence: 0)) == .verify, "a new epoch begins at 0")
    }

    @Test func inVersion2EveryTransactionBeginsAtSequence0() {
        func enrolling(epoch: Int16 = 0, sequence: Int32) -> ProducerBatch {
            var one = transactional(epoch: epoch, sequence: sequence)
            one.enrolsPartition = true
            return one
        }
        #expect(ProducerStateTable().check(enrolling(sequence: 0)) == .verify)
        #expect(ProducerStateTable().check(enrolling(sequence: 5)) == .error(.outOfOrderSequence))
        #expect(ProducerStateTable().check(transactional(sequence: 5)) == .verify, "in version 1 its state may be lost")
        #expect(begun.check(enrolling(epoch: 1, sequence: 0)) == .verifyBehindOpen)
        #expect(begun.check(enrolling(epoch: 1, sequence: 4)) == .error(.outOfOrderSequence))
        var ended = begun
        ended.end(marker(.commit, epoch: 1, version: 2), at: Offset(14), now: now)
        #expect(ended.check(enrolling(epoch: 1, sequence: 4)) == .error(.outOfOrderSequence))
        #expect(ended.check(enrolling(epoch: 1, sequence: 0)) == .verify)
        #expect(ended.check(enrolling(sequence: 4)) == .error(.invalidProducerEpoch), "late")
    }

    /// Whoever is no coordinator may abort what is open, and repeat that.
    @Test func operatorsMayAbortWhatIsOpen() {
        var table = begun
        #expect(table.checkOperators(marker(.commit)) == .error(.invalidTxnState))
        #expect(table.checkOperators(marker(.abort, epoch: 1)) == .error(.invalidTxnState))
        #expect(table.checkOperators(marker(.abort, 2)) == .error(.invalidTxnState))
        #expect(table.checkOperators(marker(.abort)) == .append)
        table.end(marker(.abort), at: Offset(14), now: now)
        #expect(table.checkOperators(marker(.abort)) == .repeated(offset: Offset(14)))
        #expect(table.checkOperators(marker(.abort, coordinator: 3)) == .error(.invalidTxnState))
    }

    // MARK: Markers

    @Test func aMarkerOfVersion1HasTheEpochOfItsTransactionOrAHigherOne() {
        var table = ProducerStateTable()
        table.record(transactional(epoch: 4, sequence: 0), at: now)
        #expect(table.check(marker(epoch: 4)) == .append)
        #expect(table.check(marker(epoch: 5)) == .append)
        #expect(table.check(marker(epoch: 3)) == .error(.invalidProducerEpoch))
        #expect(table.check(marker(epoch: -1)) == .error(.invalidProducerEpoch))
        #expect(table.check(marker(.abort, 2, epoch: 4)) == .append, "a producer that is not known")
    }

    @Test func aLateMarkerOfVersion2NeverEndsALaterTransaction() {
        var table = ProducerStateTable()
        table.record(transactional(epoch: 4, sequence: 0, offset: 0), at: now)
        let late = marker(.abort, epoch: 5, version: 2)
        #expect(table.check(marker(.abort, epoch: 4, version: 2)) == .error(.invalidProducerEpoch))
        #expect(table.check(late) == .append)
        table.end(late, at: Offset(1), now: now)
        #expect(table.check(late) == .repeated(offset: Offset(1)), "the same once more")
        table.record(transactional(epoch: 5, sequence: 0, offset: 2), at: now)
        #expect(table.check(late) == .error(.invalidProducerEpoch), "the next transaction is open")
        table.end(marker(epoch: 6, version: 2), at: Offset(3), now: now)
        #expect(table.check(late) == .error(.invalidProducerEpoch), "and ended")
    }

    @Test func repetitionsAreAnsweredWithTheFirst() {
        var table = begun
        table.end(marker(), at: Offset(14), now: now)
        #expect(table.check(marker()) == .repeated(offset: Offset(14)))
        table.commit(upTo: Offset(15))
        #expect(table.check(marker()) == .repeated(offset: nil), "it is committed")
        #expect(table.check(marker(coordinator: 1)) == .append, "a new coordinator makes itself known")
    }

    @Test func coordinatorsThatWereReplacedAreFenced() {
        var table = begun
        table.end(marker(coordinator: 7), at: Offset(14), now: now)
        table.record(transactional(sequence: 4, offset: 15), at: now)
        #expect(table.check(marker(.abort, coordinator: 6)) == .error(.transactionCoordinatorFenced))
        #expect(table.check(marker(.abort, epoch: 1, coordinator: 6)) == .error(.transactionCoordinatorFenced))
        #expect(table.check(marker(.abort, coordinator: 7)) == .append)
        #expect(table.transactions.isOpen(1))
    }

    @Test func aMarkerWithoutATransactionRaisesTheEpoch() {
        var table = ProducerStateTable()
        table.end(marker(.abort, epoch: 3), at: Offset(0), now: now)
        #expect(table.check(transactional(epoch: 2, sequence: 0)) == .error(.invalidProducerEpoch))
        #expect(table.transactions.abortedCount == 0)
        #expect(table.transactions.firstUnstable() == nil)
    }

    // MARK: What is stable

    @Test func aTransactionIsUnstableUntilItsMarkerIsCommitted() {
        var table = begun
        table.record(transactional(2, sequence: 0, offset: 14), at: now)
        #expect(table.transactions.firstUnstable() == 10)
        table.end(marker(), at: Offset(15), now: now)
        #expect(table.transactions.firstUnstable() == 10, "the marker may yet be cut")
        table.commit(upTo: Offset(15))
        #expect(table.transactions.firstUnstable() == 10)
        table.commit(upTo: Offset(16))
        #expect(table.transactions.firstUnstable() == 14)
        table.end(marker(.abort, 2), at: Offset(16), now: now)
        table.commit(upTo: Offset(17))
        #expect(table.transactions.firstUnstable() == nil)
    }

    @Test func abortedTransactionsAreFoundByRange() {
        var table = ProducerStateTable()
        // Producer 1: 0...5 aborted. Producer 2: 1...4 committed. Producer 3: 2...9 aborted. Producer 1: 6...7 aborted.
        for (id, offset) in [(1, 0), (2, 1), (3, 2)] as [(Int64, Int64)] {
            table.record(transactional(id, sequence: 0, offset: offset), at: now)
        }
        table.end(marker(.commit, 2), at: Offset(4), now: now)
        table.end(marker(.abort, 1), at: Offset(5), now: now)
        table.record(transactional(1, sequence: 1, offset: 6), at: now)
        table.end(marker(.abort, 1), at: Offset(7), now: now)
        table.end(marker(.abort, 3), at: Offset(9), now: now)
        func found(_ from: Int64, _ upTo: Int64) -> [[Int64]] {
            table.transactions.aborted(from: Offset(from), upTo: Offset(upTo)).map { [$0.producerID, $0.firstOffset] }
        }
        #expect(found(0, 10) == [[1, 0], [3, 2], [1, 6]], "by first offset")
        #expect(found(0, 2) == [[1, 0]])
        #expect(found(0, 3) == [[1, 0], [3, 2]], "one that ends far behind the range")
        #expect(found(6, 7) == [[3, 2], [1, 6]])
        #expect(found(8, 10) == [[3, 2]])
        #expect(found(10, 20).isEmpty && found(3, 3).isEmpty)
        table.transactions.trim(to: Offset(6))
        #expect(found(0, 10) == [[3, 2], [1, 6]], "what lies before the log's start is forgotten")
        table.transactions.trim(to: Offset(10))
        #expect(table.transactions.abortedCount == 0)
    }

    @Test func silentProducersStayWhileTheirTransactionIsOpen() {
        var table = ProducerStateTable(settings: .init(expirationMilliseconds: 10, producersMax: 32))
        table.record(transactional(1_000, sequence: 0, offset: 0), at: now)
        for id in 0..<40 as Range<Int64> { table.record(batch(id, sequence: 0, offset: 1 + id), at: now) }
        #expect(table.epoch(of: ProducerID(rawValue: 1_000)) == 0)
        table.expire(now: WallTime(milliseconds: 10_000))
        #expect(table.count == 1)
        table.end(marker(.commit, 1_000), at: Offset(50), now: now)
        table.expire(now: WallTime(milliseconds: 10_000))
        #expect(table.count == 0)
    }

    @Test func whatCompactionTookAwayIsForgotten() {
        var table = begun
        table.end(marker(.abort), at: Offset(14), now: now)
        table.record(transactional(sequence: 4, offset: 15), at: now)
        table.end(marker(.abort), at: Offset(16), now: now)
        #expect(table.transactions.aborted(before: Offset(15)).map(\.firstOffset) == [10])
        // Its marker stands behind, as it does where another transaction began in between and is open.
        #expect(table.transactions.aborted(before: Offset(16)).map(\.firstOffset) == [10, 15])
        table.transactions.forget(markersAt: [14, 99])
        #expect(table.transactions.aborted(before: Offset(20)).map(\.firstOffset) == [15])
    }

    /// The marker of a transaction without records may be gone: who was told of it would leave out what comes behind.
    @Test func onlyTransactionsWithRecordsAreNamed() throws {
        func data(_ producer: Int64, at offset: Int64) throws -> ByteBuffer {
            var builder = RecordBatchBuilder(
                producer: ProducerFields(id: ProducerID(rawValue: producer), epoch: 0, baseSequence: 0),
                isTransactional: true)
            builder.append(key: nil, value: nil, timestamp: 0)
            var bytes = try builder.build()
            bytes.setInteger(offset, at: bytes.readerIndex)
            return bytes
        }
        let ranges: [(Int64, Int64, Int64)] = [(1, 0, 5), (1, 6, 9), (2, 7, 12)]
        let aborted = ranges.map { producer, first, last in
            AbortedTransaction(producerID: producer, firstOffset: first, lastOffset: last, stableOffset: last + 1)
        }
        let slices = [try data(1, at: 5), try data(1, at: 8), try data(3, at: 9)]
        #expect(aborted.holding(slices).map { [$0.producerID, $0.firstOffset] } == [[1, 6]])
        #expect(aborted.holding([]).isEmpty)
        let emptied = ProducerBatch(
            try RecordBatch(try data(1, at: 0)).emptied(), baseOffset: .zero, maxTimestamp: 0)
        #expect(!emptied.isTransactional)
    }

    // MARK: Cutting back

    @Test func aCutTakesMarkersBack() {
        var table = begun
        table.end(marker(.abort, epoch: 3, coordinator: 9), at: Offset(14), now: now)
        table.record(transactional(epoch: 3, sequence: 0, offset: 15), at: now)
        #expect(table.truncate(to: Offset(14)) == .exact)
        #expect(table.transactions.isOpen(1) && table.transactions.abortedCount == 0)
        #expect(table.check(transactional(sequence: 4)) == .append, "the old epoch goes on")
        #expect(table.check(marker(coordinator: 8)) == .append)
        #expect(table.truncate(to: Offset(10)) == .exact)
        #expect(!table.transactions.isOpen(1))
        #expect(table.count == 0)
    }

    @Test func framesThatAreTakenBackBringTheTransactionBack() {
        var table = begun
        table.end(marker(epoch: 1, version: 2), at: Offset(14), now: now)
        #expect(table.takeBack(from: Offset(14)) == .exact)
        #expect(table.check(marker(epoch: 1, version: 2)) == .append)
        #expect(table.check(transactional(sequence: 4)) == .append)
        #expect(table.transactions.firstUnstable() == 10)
    }

    @Test func aCutBehindMoreMarkersThanAreRememberedNeedsARebuild() {
        var table = ProducerStateTable()
        let markers = TransactionTable.pendingMax + 10
        for number in 0..<markers {
            table.record(transactional(sequence: Int32(number), offset: Int64(number * 2)), at: now)
            table.end(marker(), at: Offset(Int64(number * 2 + 1)), now: now)
        }
        #expect(table.transactions.pendingCount == TransactionTable.pendingMax)
        #expect(table.transactions.firstUnstable() == 0)
        #expect(!table.transactions.canCut(to: Offset(19)) && table.transactions.canCut(to: Offset(20)))
        var cut = table
        #expect(cut.truncate(to: Offset(19)) == .needsRebuild)
        table.commit(upTo: Offset(Int64(markers * 2)))
        #expect(table.transactions.firstUnstable() == nil && table.transactions.canCut(to: .zero))
    }

    // MARK: Bytes

    @Test func snapshotsOfTheFirstVersionAreRead() throws {
        // Version 1, one producer: id 7, epoch 3, nothing forgotten, last write 5, one batch.
        var writer = BinaryWriter([1])
        writer.write(UInt32(1))
        writer.write(Int64(7))
        writer.write(Int16(3))
        writer.write(UInt8(0))
        writer.write(Int64(5))
        writer.write(UInt8(1))
        writer.write(Int32(0))
        writer.write(Int32(1))
        writer.write(Int64(40))
        writer.write(Int64(99))
        let table = try ProducerStateTable(decoding: writer.bytes)
        #expect(table.check(batch(7, epoch: 3, sequence: 2)) == .append)
        #expect(table.check(marker(.commit, 7, epoch: 3)) == .append, "no coordinator is known")
        #expect(table.transactions.open.isEmpty && table.transactions.abortedCount == 0)
    }

    @Test func snapshotsHoldTransactions() throws {
        var table = begun
        table.record(transactional(2, sequence: 0, offset: 14), at: now)
        table.end(marker(.abort, coordinator: 4), at: Offset(15), now: now)
        table.commit(upTo: Offset(16))
        let bytes = table.encodeSnapshot(upTo: Offset(16))
        var restored = try ProducerStateTable(decoding: bytes)
        #expect(restored.encodeSnapshot(upTo: Offset(16)) == bytes)
        #expect(restored.transactions.firstUnstable() == 14)
        #expect(Array(restored.transactions.aborted) == Array(table.transactions.aborted))
        #expect(restored.check(marker(coordinator: 3)) == .error(.transactionCoordinatorFenced))
        for length in 0..<bytes.count {
            #expect(throws: BinaryCodingError.self) { try ProducerStateTable(decoding: Array(bytes[..<length])) }
        }
    }

    @Test func aMarkerComesBackFromTheLog() throws {
        let control = ControlRecord(kind: .abort, coordinatorEpoch: 12)
        let bytes = try control.batch(producerID: ProducerID(rawValue: 7), producerEpoch: 3, time: now)
        let read = try #require(TransactionMarker(RecordBatch(bytes)))
        #expect(read == marker(.abort, 7, epoch: 3, coordinator: 12, version: 0))
        var builder = RecordBatchBuilder(
            producer: ProducerFields(id: ProducerID(rawValue: 7), epoch: 3, baseSequence: 0), isTransactional: true)
        builder.append(key: nil, value: ByteBuffer(string: "data"), timestamp: 0)
        #expect(TransactionMarker(try RecordBatch(builder.build())) == nil)
    }
}
