// SPDX-License-Identifier: Apache-2.0
//
// CompactionReadTests.swift
// Reads that were asked for before segments were replaced and are served afterwards, and those that follow them.

import CrashScenario
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct CompactionReadTests {
    private static let keys = 6

    /// A log of segments with one keyed record an entry, on a store that moves when it is told to.
    private static func log(_ machine: SteppedStore, entries: Int) throws -> PartitionLog {
        let settings = GroupLogSettings(segmentBytes: 2 << 10, segmentMilliseconds: nil)
        let log = machine.store.partitionLog(
            try machine.store.recoverPartition(LogFixture.group, settings: settings),
            owner: CompletionOwner(eventLoop: machine.loop))
        for number in 0..<entries {
            var builder = RecordBatchBuilder(codec: .none)
            builder.append(
                key: ByteBuffer(string: "key \(number % keys)"),
                value: ByteBuffer(string: "\(number) " + String(repeating: "v", count: 150)), timestamp: 1_000)
            var batch = try builder.build()
            RecordBatch.patch(
                baseOffset: log.logEndOffset, leaderEpoch: Term(1).leaderEpoch, in: &batch, at: batch.readerIndex)
            try log.append(
                FrameDraft(
                    kind: .data, term: Term(1), index: log.lastIndex.next, baseOffset: log.logEndOffset,
                    recordCount: 1, maxTimestamp: 1_000, payload: batch))
            machine.settle()
        }
        machine.store.checkpoint()
        machine.settle()
        _ = log.evictTail(through: log.lastIndex)
        return log
    }

    /// Lets everything happen but reads.
    private static func settleWithoutReads(_ machine: SteppedStore) {
        for _ in 0..<40 {
            for worker in StoreSteps.Worker.allCases where worker != .read && machine.steps.hasWork(worker) {
                machine.steps.run(worker)
            }
            machine.loop.turn()
        }
    }

    /// The offsets of a read's records.
    private static func offsets(_ result: ReadResult) throws -> [Int64] {
        try result.slices.flatMap { try RecordBatch.batches(in: $0) }
            .flatMap { try $0.allRecords().map(\.offset.rawValue) }
    }

    @Test(arguments: [400, 1_500, 5_000])
    func aReadThatCompactionOvertakesLeavesNothingBehind(bytesMax: Int) throws {
        let machine = try SteppedStore(journal: .on)
        let log = try Self.log(machine, entries: 60)
        var early: Result<ReadResult, StoreError>?
        log.read(from: .zero, upTo: log.logEndOffset, maxBytes: bytesMax) { early = $0 }
        let bounds = CompactionBounds(end: log.logEndOffset, committed: log.lastIndex)
        #expect(
            log.compactIfDue(
                now: WallTime(milliseconds: 1_000_000), settings: CompactionSettings(dirtyRatioMin: 0),
                bounds: { bounds }))
        Self.settleWithoutReads(machine)
        #expect(early == nil && log.segments[0].compacted != nil)
        machine.settle()
        // What it was asked for is what there was then.
        let found = try Self.offsets(try #require(try early?.get()))
        #expect(found.first == 0 && found == Array(0..<Int64(found.count)))
        // A consumer goes on: each record once, in order, and only what is left.
        let newest = Set((log.logEndOffset.rawValue - Int64(Self.keys))..<log.logEndOffset.rawValue)
        for start in [0, Int64(found.count)] {
            var next = Offset(start)
            var seen: [Int64] = []
            while next < log.logEndOffset {
                var answer: Result<ReadResult, StoreError>?
                log.read(from: next, upTo: log.logEndOffset, maxBytes: bytesMax) { answer = $0 }
                machine.settle()
                let result = try #require(try answer?.get())
                let offsets = try Self.offsets(result)
                #expect(offsets == offsets.sorted() && Set(offsets).count == offsets.count)
                seen += offsets
                try #require(result.nextOffset > next)
                next = result.nextOffset
            }
            #expect(seen == seen.sorted() && Set(seen).count == seen.count && newest.isSubset(of: seen))
            let compacted = try #require(log.segments.last { $0.compacted != nil }).endOffset
            let left = Array((compacted.rawValue - Int64(Self.keys))..<compacted.rawValue)
            #expect(
                seen.filter { $0 < compacted.rawValue } == left.filter { $0 >= start },
                "a frame of a file that has gone is read again")
        }
        log.close()
        machine.settle()
        machine.store.close()
    }

    @Test func aCollectorTakesEachOffsetOnce() throws {
        func batch(_ base: Int64, _ count: Int) throws -> ByteBuffer {
            var builder = RecordBatchBuilder(codec: .none)
            for _ in 0..<count { builder.append(key: nil, value: ByteBuffer(string: "v"), timestamp: 1) }
            var buffer = try builder.build()
            RecordBatch.patch(
                baseOffset: Offset(base), leaderEpoch: Term(1).leaderEpoch, in: &buffer, at: buffer.readerIndex)
            return buffer
        }
        var collector = BatchCollector(from: Offset(10), upTo: Offset(40), bytesMax: 1 << 20)
        collector.add(try batch(10, 5), base: Offset(10), frameEnd: Offset(15))
        var wide = try batch(5, 5)
        for part in [try batch(10, 5), try batch(15, 5)] { wide.writeImmutableBuffer(part) }
        collector.add(wide, base: Offset(5), frameEnd: Offset(20))
        #expect(try Self.offsets(collector.result) == Array(10..<20))
        #expect(collector.result.nextOffset == Offset(20))
    }
}
