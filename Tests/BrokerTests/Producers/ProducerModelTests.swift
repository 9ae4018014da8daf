// SPDX-License-Identifier: Apache-2.0
//
// ProducerModelTests.swift
// The producer table against a model that keeps the whole log and reads it again for every question; snapshots.

import Model
import Testing

@testable import Broker

/// Answers from the log alone.
private struct NaiveProducers {
    var log: [ProducerBatch] = []

    func check(_ batch: ProducerBatch) -> ProducerVerdict {
        let mine = log.filter { $0.producerID == batch.producerID }
        guard let last = mine.last else { return .append }
        if batch.epoch < last.epoch { return .error(.invalidProducerEpoch) }
        if batch.epoch > last.epoch { return batch.baseSequence == 0 ? .append : .error(.outOfOrderSequence) }
        let lastRun = mine.reversed().prefix { $0.epoch == last.epoch }
        for old in lastRun.prefix(5)
        where old.baseSequence == batch.baseSequence && old.lastOffsetDelta == batch.lastOffsetDelta {
            return .duplicate(baseOffset: old.baseOffset, lastOffset: old.lastOffset, timestamp: old.maxTimestamp)
        }
        let next = (Int64(last.baseSequence) + Int64(last.lastOffsetDelta) + 1) % (Int64(Int32.max) + 1)
        return Int64(batch.baseSequence) == next ? .append : .error(.outOfOrderSequence)
    }

    var endOffset: Offset { log.last.map { $0.lastOffset + 1 } ?? .zero }
}

@Suite struct ProducerModelTests {
    private static let now = WallTime(milliseconds: 5)

    private func replayed(
        _ log: [ProducerBatch], onto table: ProducerStateTable = ProducerStateTable()
    )
        -> ProducerStateTable
    {
        var table = table
        for one in log { table.replay(one, at: Self.now) }
        return table
    }

    /// A batch that mostly fits: the next one, an old one again, one from nearby, sometimes another epoch.
    private func candidate(_ model: NaiveProducers, using random: inout SeededRandom) -> ProducerBatch {
        let producer = Int64.random(in: 0..<4, using: &random)
        let mine = model.log.filter { $0.producerID.rawValue == producer }
        var next = batch(producer, sequence: .max - 20, count: Int32.random(in: 1...4, using: &random))
        next.maxTimestamp = Int64.random(in: 0..<100, using: &random)
        guard let last = mine.last else { return next }
        next.epoch = last.epoch
        next.baseSequence = ProducerSequence.advanced(last.lastSequence, by: 1)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<4:
            let again = mine.suffix(7).randomElement(using: &random) ?? last
            next.epoch = again.epoch
            next.baseSequence = again.baseSequence
            next.lastOffsetDelta = again.lastOffsetDelta
        case 4: next.baseSequence = Int32.random(in: 0..<10, using: &random)
        case 5:
            next.epoch += 1
            next.baseSequence = 0
        case 6: next.epoch = max(0, next.epoch - 1)
        default: break
        }
        return next
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func agreesWithTheModel(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var model = NaiveProducers()
        var table = ProducerStateTable()
        var verdicts: Set<String> = []
        for _ in 0..<400 {
            var next = candidate(model, using: &random)
            let verdict = table.check(next)
            #expect(verdict == model.check(next), "for \(next)")
            verdicts.insert("\(verdict)".prefix(12).description)
            if verdict == .append {
                next.baseOffset = model.endOffset
                model.log.append(next)
                table.record(next, at: Self.now)
            }
            switch Int.random(in: 0..<40, using: &random) {
            case 0:
                model.log.removeLast(min(model.log.count, Int.random(in: 1...8, using: &random)))
                if table.truncate(to: model.endOffset) == .needsRebuild { table = replayed(model.log) }
            case 1:
                // A snapshot of an earlier end, and replay of the rest.
                let kept = Int.random(in: 0...model.log.count, using: &random)
                let end = kept == 0 ? Offset.zero : model.log[kept - 1].lastOffset + 1
                let restored = try ProducerStateTable(decoding: table.encodeSnapshot(upTo: end))
                table = replayed(Array(model.log[kept...]), onto: restored)
            default: break
            }
        }
        #expect(verdicts.count >= 3)
    }

    @Test func snapshotsComeBackAndAreRepeatable() throws {
        var table = ProducerStateTable()
        for id in 0..<50 as Range<Int64> {
            for sequence in 0..<Int32(id % 8) {
                let offset = id * 10 + Int64(sequence)
                table.record(batch(id, sequence: sequence, offset: offset, timestamp: id), at: Self.now)
            }
        }
        let bytes = table.encodeSnapshot(upTo: Offset(1_000))
        let restored = try ProducerStateTable(decoding: bytes)
        #expect(restored.encodeSnapshot(upTo: Offset(1_000)) == bytes)
        #expect(restored.count == table.count)
        #expect(restored.check(batch(7, sequence: 7)) == .append)
    }

    @Test func everyTruncatedSnapshotIsRefused() {
        let table = replayed((0..<3).map { batch(sequence: $0, offset: Int64($0)) })
        let bytes = table.encodeSnapshot(upTo: Offset(10))
        for length in 0..<bytes.count {
            #expect(throws: BinaryCodingError.self) { try ProducerStateTable(decoding: Array(bytes[..<length])) }
        }
        #expect(throws: BinaryCodingError.trailingBytes(count: 1)) { try ProducerStateTable(decoding: bytes + [0]) }
        #expect(throws: BinaryCodingError.unknownVersion(9)) { try ProducerStateTable(decoding: [9]) }
    }

    @Test func damagedSnapshotsNeverTrap() {
        let table = replayed((0..<9).map { batch(sequence: $0, offset: Int64($0)) })
        let bytes = table.encodeSnapshot(upTo: Offset(10))
        var random = SeededRandom(seed: 9)
        for _ in 0..<5_000 {
            var damaged = bytes
            damaged[Int.random(in: damaged.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            if let table = try? ProducerStateTable(decoding: damaged) { _ = table.check(batch(sequence: 9)) }
        }
    }
}

@Suite struct ProducerIDAllocatorTests {
    @Test func handsOutEveryIDOnceAndAsksInTime() {
        var allocator = ProducerIDAllocator()
        var controller: Int64 = 5_000
        var seen: Set<Int64> = []
        var waits = 0
        for _ in 0..<3_500 {
            if allocator.shouldRequestBlock() {
                #expect(allocator.shouldRequestBlock() == false, "one request at a time")
                allocator.granted(ProducerIDBlock(first: controller))
                controller += ProducerIDBlock.size
            }
            if let id = allocator.take() { #expect(seen.insert(id.rawValue).inserted) } else { waits += 1 }
        }
        #expect(waits == 0)
        #expect(seen.min() == 5_000)
        #expect(seen.max() == 8_499)
    }

    @Test func runsDryAndAsksAgainAfterAFailure() {
        var allocator = ProducerIDAllocator()
        #expect(allocator.take() == nil)
        #expect(allocator.shouldRequestBlock() == true)
        allocator.requestFailed()
        #expect(allocator.shouldRequestBlock() == true)
        allocator.granted(ProducerIDBlock(first: 7, count: 1))
        #expect(allocator.available == 1)
        #expect(allocator.take() == ProducerID(rawValue: 7))
        #expect(allocator.take() == nil)
        #expect(allocator.shouldRequestBlock() == true)
    }
}
