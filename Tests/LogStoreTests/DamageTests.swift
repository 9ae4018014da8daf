// SPDX-License-Identifier: Apache-2.0
//
// DamageTests.swift
// Damage on the disk: what was durable is reported, never cut; what a crash tore is cut, never reported.

import CrashScenario
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct DamageTests {
    /// A store whose one segment holds `count` frames, closed; and the file.
    private func closedLog(_ count: Int, crash: Bool) throws -> (LogFixture, String, [Int]) {
        // Without a journal, whose replay would mend what the tests damage.
        let fixture = try LogFixture(journal: .off)
        fixture.groupSettings = GroupLogSettings(compressesFrames: false)
        let log = try fixture.log()
        for _ in 0..<count { try fixture.append(1, bytes: 150) }
        try fixture.settle(log)
        fixture.checkpoint()
        let path = log.segments[0].segment.path
        let ends = (0..<count).map { ($0 + 1) * (log.segments[0].end / count) }
        if crash { fixture.crash() } else { try fixture.closeLogs() }
        fixture.store.close()
        return (fixture, path, ends)
    }

    private func reopen(_ fixture: LogFixture) throws -> RecoveredGroup {
        fixture.store = try LogStore.open(fixture.settings, metrics: nil, logger: LogFixture.logger)
        return try fixture.store.recoverPartition(LogFixture.group, settings: fixture.groupSettings)
    }

    @Test(arguments: [0, 8, 50, 95, 96, 200, 300]) func provenBytesAreReported(byte: Int) throws {
        let (fixture, path, ends) = try closedLog(5, crash: true)
        let start = ends[3]
        guard start + byte < ends[4] - 8 else { return }
        try flip(path, start + byte)
        let group = try reopen(fixture)
        let damage = try #require(group.damage)
        #expect(damage.group == LogFixture.group && damage.file == path && damage.position == start)
        #expect(damage.index == LogIndex(5) && damage.offset == Offset(4))
        // The log keeps its length: what is missing can be fetched from a peer.
        #expect(group.lastIndex == LogIndex(5) && group.logEndOffset == Offset(5))
        let log = fixture.store.partitionLog(group, owner: fixture.owner)
        #expect(throws: StoreError.corrupt(damage)) { try log.append(LogFixture.draft(log)) }
        fixture.store.close()
    }

    @Test func coldReadsReportDamage() throws {
        let (fixture, path, ends) = try closedLog(5, crash: false)
        try flip(path, ends[1] + 120)
        let group = try reopen(fixture)
        #expect(group.damage == nil)
        let log = fixture.store.partitionLog(group, owner: fixture.owner)
        #expect(try fixture.read(log, from: .zero, maxBytes: 1).nextOffset == Offset(1))
        var answer: Result<ReadResult, StoreError>?
        var told: [Corruption] = []
        log.onDamage = { told.append($0) }
        log.read(from: Offset(2), upTo: Offset(5), maxBytes: 1000) { answer = $0 }
        try fixture.loop.turn { answer != nil }
        guard case .failure(.corrupt(let damage)) = answer else {
            Issue.record("the damage was not seen")
            return
        }
        #expect(damage.position == ends[1] && damage.index == LogIndex(3))
        #expect(told == [damage])
    }

    @Test func aTornTailIsCut() throws {
        let (fixture, path, ends) = try closedLog(5, crash: true)
        // Half a frame behind the last pointer, as an interrupted write leaves it.
        let file = try PosixFileSystem().open(path, .update)
        var frame = ByteBuffer()
        _ = try file.read(ends[0], at: 0, into: &frame)
        frame.moveWriterIndex(to: 100)
        try file.write(frame.readableBytesSpan, at: ends[4])
        var group = try reopen(fixture)
        #expect(group.damage == nil && group.lastIndex == LogIndex(5) && group.cutBytes > 0)
        let log = fixture.store.partitionLog(group, owner: fixture.owner)
        try log.append(LogFixture.draft(log))
        try fixture.loop.turn { log.flushedIndex == log.lastIndex }
        fixture.crash()
        fixture.store.close()
        group = try reopen(fixture)
        #expect(group.lastIndex == LogIndex(6) && group.damage == nil)
        fixture.store.close()
    }

    @Test func missingSegmentsAreReported() throws {
        let (fixture, path, _) = try closedLog(5, crash: true)
        try PosixFileSystem().remove(path)
        let group = try reopen(fixture)
        #expect(group.damage != nil && group.lastIndex == LogIndex(5))
        fixture.store.close()
    }

    @Test(arguments: [true, false]) func aMissingSegmentInTheMiddleIsReported(clean: Bool) throws {
        let fixture = try LogFixture(journal: .off)
        let log = try fixture.log()
        for _ in 0..<3 {
            try fixture.append(3)
            log.roll()
        }
        try fixture.append(1)
        try fixture.settle(log)
        fixture.checkpoint()
        let path = log.segments[1].segment.path
        if clean { try fixture.closeLogs() } else { fixture.crash() }
        fixture.store.close()
        try PosixFileSystem().remove(path)
        let group = try reopen(fixture)
        #expect(group.damage?.index == LogIndex(4) && group.lastIndex == LogIndex(10))
        fixture.store.close()
    }

    /// A misdirected write: a whole frame of this very segment, in the place of another one.
    @Test func aFrameOfAnotherPlaceIsNotServed() throws {
        let (fixture, path, ends) = try closedLog(5, crash: false)
        let file = try PosixFileSystem().open(path, .update)
        var frame = ByteBuffer()
        _ = try file.read(ends[0], at: ends[0], into: &frame)
        try file.write(frame.readableBytesSpan, at: ends[1])
        let group = try reopen(fixture)
        let log = fixture.store.partitionLog(group, owner: fixture.owner)
        var batches: Result<ReadResult, StoreError>?
        log.read(from: Offset(2), upTo: Offset(5), maxBytes: 1000) { batches = $0 }
        var entries: Result<[StoredEntry], StoreError>?
        log.readEntries(from: LogIndex(3), through: LogIndex(5), maxBytes: 1000) { entries = $0 }
        try fixture.loop.turn { batches != nil && entries != nil }
        guard case .failure(.corrupt) = batches, case .failure(.corrupt) = entries else {
            Issue.record("served: \(String(describing: batches)), \(String(describing: entries))")
            return
        }
    }

    @Test func aDamagedJournalIsReported() throws {
        let fixture = try LogFixture(journal: .on) { $0.checkpointMilliseconds = 1_000_000 }
        for _ in 0..<5 { try fixture.append(1) }
        fixture.crash()
        fixture.store.close()
        // The second block; later ones prove that it was whole.
        try flip(fixture.directory.path + "/journal/0.jnl", 4096 + 20)
        var thrown: StoreError?
        do {
            fixture.store = try LogStore.open(fixture.settings, metrics: nil, logger: LogFixture.logger)
        } catch {
            thrown = error
        }
        guard case .corrupt(let damage) = thrown else {
            Issue.record("opened in spite of the damage: \(String(describing: thrown))")
            return
        }
        #expect(damage.position == 4096 && damage.group == nil)
    }

    @Test func failedFlushesAreFinal() throws {
        let system = FaultyFileSystem()
        let fixture = try LogFixture(journal: .off, system: system)
        let log = try fixture.log()
        try fixture.append(2)
        var failed: StoreError?
        log.onFailed = { failed = $0 }
        system.arrange { $0.errors["flush"] = 5 }
        try log.append(LogFixture.draft(log))
        try fixture.loop.turn { failed != nil }
        #expect(log.flushedIndex == LogIndex(2))
        system.arrange { $0.errors = [:] }
        #expect(throws: StoreError.self) { try log.append(LogFixture.draft(log)) }
        #expect(throws: StoreError.self) { _ = try fixture.store.recoverPartition(GroupID(rawValue: 5000)) }
        guard case .diskFailed = fixture.store.failure else {
            Issue.record("the store did not fail")
            return
        }
        fixture.store.close()
    }

    private func flip(_ path: String, _ position: Int) throws {
        let file = try PosixFileSystem().open(path, .update)
        var byte = ByteBuffer()
        _ = try file.read(1, at: position, into: &byte)
        let value = byte.readInteger(as: UInt8.self) ?? 0
        let flipped = ByteBuffer(bytes: [value ^ 0x10])
        try file.write(flipped.readableBytesSpan, at: position)
    }
}
