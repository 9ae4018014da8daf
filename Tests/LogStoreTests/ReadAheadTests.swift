// SPDX-License-Identifier: Apache-2.0
//
// ReadAheadTests.swift
// A reader thread reads ahead of a sequential consumer only while nobody waits for it.

import Model
import Testing

@testable import LogStore

@Suite struct ReadAheadTests {
    @Test func whoWaitsIsServedFirst() throws {
        let fixture = try LogFixture()
        fixture.groupSettings = GroupLogSettings(compressesFrames: false)
        let log = try fixture.log()
        let core = fixture.store.core
        try fixture.append(8, bytes: core.settings.unbufferedBytesMin)
        try fixture.settle(log)
        let info = try #require(log.segments.first)
        let range = SegmentRange(
            segment: info.segment, baseOffset: info.baseOffset, endOffset: info.endOffset, start: 0, end: info.end,
            isLong: true)
        // A read of one frame of one record.
        func job(at offset: Int64) -> ReadJob {
            ReadJob(
                handle: log.handle, ticket: 0, ranges: [range],
                query: .batches(from: Offset(offset), upTo: log.logEndOffset, bytesMax: 1))
        }
        let reader = ReaderThread(core)
        let queue = Mailbox<ReadJob>()
        #expect(reader.work(on: [job(at: 0)], of: queue))
        #expect(core.readCache.frame(log.id, at: Offset(0)) != nil)
        queue.post(job(at: 7))
        // The second is sequential: it goes on where the first ended.
        #expect(reader.work(on: [job(at: 1)], of: queue))
        #expect(core.readCache.frame(log.id, at: Offset(1)) != nil)
        #expect(core.readCache.frame(log.id, at: Offset(2)) == nil)
        #expect(reader.step(queue) && queue.isEmpty)
        #expect(reader.work(on: [job(at: 1)], of: queue))
        #expect(core.readCache.frame(log.id, at: Offset(2)) != nil)
    }
}
