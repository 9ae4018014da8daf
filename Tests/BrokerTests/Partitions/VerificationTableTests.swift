// SPDX-License-Identifier: Apache-2.0
//
// VerificationTableTests.swift
// What waits for coordinators of transactions: how much, how long, and who is told.

import Model
import NIOCore
import Records
import Testing

@testable import Broker

@Suite struct VerificationTableTests {
    private func waiting(_ producer: Int64, sequence: Int32 = 0, bytes: Int = 10) throws -> WaitingBatch {
        var builder = RecordBatchBuilder(
            producer: ProducerFields(id: ProducerID(rawValue: producer), epoch: 0, baseSequence: sequence),
            isTransactional: true)
        builder.append(key: nil, value: ByteBuffer(repeating: 1, count: bytes), timestamp: 0)
        let records = try builder.build()
        let batch = try RecordBatch.produced(in: records)
        var rules = ProduceRules()
        rules.batchBytesMax = 64 << 20
        let summary = try batch.validate(rules, context: CompressionContext())
        let now = Clock.system.now()
        let call = ProduceCall(
            records: records, acks: -1, version: 8, receivedAt: now, wallTime: WallTime(milliseconds: 0), deadline: now,
            request: PendingProduce(count: 1) { _ in }, slot: 0, transactionalID: "t")
        return WaitingBatch(checked: CheckedBatch(batch: batch, summary: summary), call: call)
    }

    @Test func eachProducerIsAskedAboutOnce() throws {
        var table = VerificationTable()
        let now = Clock.system.now()
        let first = table.add(try waiting(1), now: now)
        let second = table.add(try waiting(1, sequence: 1), now: now)
        let other = table.add(try waiting(2), now: now)
        #expect([first?.isFirst, second?.isFirst, other?.isFirst] == [true, false, true])
        #expect(first?.number == second?.number && first?.number != other?.number)
        let number = try #require(first?.number)
        let question = table.take(ProducerID(rawValue: 1), number: number)
        #expect(question?.batches.map(\.checked.batch.header.baseSequence) == [0, 1])
        let again = table.take(ProducerID(rawValue: 1), number: number)
        #expect(again?.batches.count == nil, "a second answer")
        let wrong = table.take(ProducerID(rawValue: 2), number: number)
        #expect(wrong?.batches.count == nil, "an answer to another question")
        #expect(table.count == 1)
        let dropped = table.removeAll()
        #expect(dropped.count == 1)
        #expect(table.count == 0 && table.bytes == 0)
    }

    @Test func roomIsLimited() throws {
        var table = VerificationTable()
        let now = Clock.system.now()
        for number in 0..<VerificationTable.batchesMax { _ = table.add(try waiting(Int64(number % 7)), now: now) }
        let refused = table.add(try waiting(1), now: now)
        #expect(refused?.number == nil)
        #expect(table.count == VerificationTable.batchesMax)
        _ = table.removeAll()
        var added = 0
        while table.add(try waiting(1, bytes: 4 << 20), now: now) != nil { added += 1 }
        #expect(added == 7, "seven of 4 MiB and their headers fit into 32 MiB")
        #expect(table.bytes <= VerificationTable.bytesMax)
    }

    @Test func coordinatorsThatDoNotAnswerAreGivenUp() throws {
        var table = VerificationTable()
        let now = Clock.system.now()
        _ = table.add(try waiting(1), now: now)
        _ = table.add(try waiting(2), now: now.advanced(byMilliseconds: 10))
        let limit = VerificationTable.timeoutMilliseconds
        let early = table.takeExpired(now: now.advanced(byMilliseconds: limit - 1))
        #expect(early.isEmpty)
        let expired = table.takeExpired(now: now.advanced(byMilliseconds: limit))
        #expect(expired.count == 1)
        #expect(!table.isAsking(ProducerID(rawValue: 1)) && table.isAsking(ProducerID(rawValue: 2)))
        let later = table.takeExpired(now: now.advanced(byMilliseconds: limit + 10))
        #expect(later.count == 1)
        #expect(table.count == 0 && table.bytes == 0)
    }
}
