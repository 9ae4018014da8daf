// SPDX-License-Identifier: Apache-2.0
//
// DiskFullTests.swift
// The disk has no space in spite of the reserve: what waits for some, what goes another way, what lets space go, and where
// the store stops.

import CrashScenario
import Model
import NIOCore
import Telemetry
import Testing

@testable import LogStore

@Suite struct DiskFullTests {
    private static func fixture(
        _ disk: FaultyFileSystem, journal: StoreSettings.JournalMode = .on, file: Int = 1 << 20, files: Int = 2,
        reserve: Int = 0, segment: Int = 1 << 30
    ) throws -> LogFixture {
        let fixture = try LogFixture(journal: journal, system: disk) { settings in
            settings.diskReserve = ByteCount(reserve)
            settings.journalFile = ByteCount(file)
            settings.journalFiles = files
            settings.recycledSegments = 0
            settings.checkpointMilliseconds = 1_000_000
        }
        fixture.groupSettings = GroupLogSettings(segmentBytes: segment, compressesFrames: false)
        return fixture
    }

    /// Takes all the space that is left but `left` bytes.
    private static func fill(_ disk: FaultyFileSystem, left: Int = 0) {
        disk.arrange { $0.capacity = $0.used + left }
    }

    private static func expectWhole(_ fixture: LogFixture, _ log: PartitionLog) throws {
        let batches = try fixture.readAll(log, fromDisk: true)
        #expect(LogFixture.problem(with: batches, from: log.logStartOffset, to: log.logEndOffset) == nil)
    }

    /// A log with frames that are durable and have no room in their segment.
    private static func waitingLog(_ fixture: LogFixture, _ disk: FaultyFileSystem) throws -> PartitionLog {
        let log = try fixture.log()
        try fixture.append(5, to: log)
        try fixture.settle(log)
        fill(disk)
        try fixture.append(100, to: log, bytes: 1_000)
        fixture.checkpoint()
        #expect(fixture.store.core.marks.value.deferredFrom != nil && log.progress.applied < log.lastIndex)
        #expect(fixture.store.failure == nil)
        return log
    }

    @Test func journaledFramesWaitForRoom() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        let log = try Self.waitingLog(fixture, disk)
        let core = fixture.store.core
        #expect(core.marks.value.deferredBytes > 20_000 && core.marks.value.unappliedBytes == 0)
        #expect(log.refusal(for: 1) != nil && core.reserveSpent != nil)
        #expect(log.flushedIndex == log.lastIndex)
        // The tail stays in memory until it is on the disk.
        #expect(!log.evictTail(through: log.lastIndex))
        #expect(try LogFixture.problem(with: fixture.readAll(log), from: .zero, to: log.logEndOffset) == nil)
        disk.arrange { $0.capacity = .max }
        try fixture.settle(log)
        fixture.checkpoint()
        #expect(core.marks.value.deferredFrom == nil && core.marks.value.deferredBytes == 0)
        try core.sampleFreeBytes()
        #expect(log.refusal(for: 1) == nil && core.reserveSpent == nil)
        try Self.expectWhole(fixture, log)
        try fixture.append(10, to: log)
        try fixture.restart()
        #expect(fixture.store.wasClean)
        #expect(try fixture.log().lastIndex == LogIndex(115))
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test(arguments: [true, false]) func noCheckpointPassesWhatWaits(cleanly: Bool) throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        _ = try Self.waitingLog(fixture, disk)
        if cleanly { try fixture.closeLogs() } else { fixture.crash() }
        fixture.store.close()
        // A start finds no more room than the run before, says so, and changes nothing.
        #expect { try fixture.restart() } throws: { error in
            if case .diskFull = error as? StoreError { true } else { false }
        }
        disk.arrange { $0.capacity = .max }
        try fixture.restart()
        #expect(!fixture.store.wasClean)
        #expect(try fixture.log().lastIndex == LogIndex(105))
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test func segmentsEndWhenThereIsRoom() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, segment: 30_000)
        let log = try Self.waitingLog(fixture, disk)
        #expect(log.segments.count > 3)
        disk.arrange { $0.capacity = .max }
        try fixture.settle(log)
        fixture.checkpoint()
        try Self.expectWhole(fixture, log)
        try log.trim(to: Offset(60))
        fixture.checkpoint()
        #expect(log.firstIndex > LogIndex(30))
        try fixture.restart(cleanly: false)
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test func aDeletedGroupMakesRoomForAnother() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        let other = GroupID(rawValue: 2048)
        let large = try fixture.log(other)
        try fixture.append(5, to: large, bytes: 40_000)
        try fixture.settle(large)
        let log = try Self.waitingLog(fixture, disk)
        large.close()
        try fixture.store.deleteGroup(other)
        try fixture.settle(log)
        fixture.checkpoint()
        #expect(fixture.store.core.marks.value.deferredFrom == nil)
        try Self.expectWhole(fixture, log)
    }

    @Test func whatWaitsGoesWithItsGroup() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        let log = try Self.waitingLog(fixture, disk)
        log.close()
        try fixture.store.deleteGroup(LogFixture.group)
        fixture.checkpoint()
        #expect(fixture.store.core.marks.value.deferredFrom == nil && fixture.store.failure == nil)
        disk.arrange { $0.capacity = .max }
        fixture.forgetLogs()
        try fixture.restart(cleanly: false)
        #expect(try fixture.store.groups() == [])
    }

    @Test func aDirectRoundTakesTheJournal() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, journal: .auto, file: 8 << 20)
        let log = try fixture.log()
        try fixture.append(1, to: log)
        try fixture.append(2, to: log, bytes: 300_000)
        try fixture.settle(log)
        let before = fixture.store.metrics.journalBytes.value
        Self.fill(disk)
        try fixture.append(3, to: log, bytes: 300_000)
        #expect(fixture.store.metrics.journalBytes.value > before + 500_000)
        #expect(log.refusal(for: 1) != nil && log.failure == nil)
        disk.arrange { $0.capacity = .max }
        try fixture.settle(log)
        try fixture.append(3, to: log, bytes: 300_000)
        try Self.expectWhole(fixture, log)
        try fixture.restart(cleanly: false)
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test func whatNoJournalTakesStopsTheStore() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, journal: .off)
        let log = try fixture.log()
        try fixture.append(5, to: log)
        Self.fill(disk)
        #expect(throws: StoreError.self) { try fixture.append(100, to: log, bytes: 1_000) }
        guard case .diskFailed(let reason) = fixture.store.failure else {
            Issue.record("the store goes on")
            return
        }
        #expect(reason.contains("reserve"))
        let flushed = log.flushedIndex
        disk.arrange { $0.capacity = .max }
        fixture.forgetLogs()
        try fixture.restart(cleanly: false)
        #expect(try fixture.log().lastIndex >= flushed)
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test func aTruncationBehindWhatWaitsStopsTheStore() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        let log = try Self.waitingLog(fixture, disk)
        try log.truncate(from: LogIndex(100))
        try fixture.loop.turn { log.failure != nil }
        disk.arrange { $0.capacity = .max }
        fixture.forgetLogs()
        try fixture.restart(cleanly: false)
        // Nothing was cut, which the consensus will ask for again.
        #expect(try fixture.log().lastIndex == LogIndex(105))
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test func aFullRingStopsTheStore() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, file: 128 << 10)
        let log = try fixture.log()
        try fixture.append(150, to: log, bytes: 1_000)
        try fixture.settle(log)
        fixture.checkpoint()
        Self.fill(disk)
        // Nobody asks for a refusal here, so this goes on until nothing of the journal may be overwritten.
        #expect(throws: StoreError.self) {
            for _ in 0..<1_000 { try fixture.append(1, to: log, bytes: 1_000) }
        }
        let flushed = log.flushedIndex
        #expect(flushed > LogIndex(200))
        disk.arrange { $0.capacity = .max }
        fixture.forgetLogs()
        try fixture.restart(cleanly: false)
        #expect(try fixture.log().lastIndex >= flushed)
        try Self.expectWhole(fixture, fixture.log())
    }

    @Test func theRingStaysShortWithoutRoom() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, file: 128 << 10, files: 4)
        let log = try fixture.log()
        let folder = fixture.settings.directory + "/journal"
        while try disk.list(folder).count < 2 { try fixture.append(1, to: log, bytes: 1_000) }
        try fixture.settle(log)
        fixture.checkpoint()
        // Room for the segment, none for a journal file.
        Self.fill(disk, left: 100 << 10)
        for _ in 0..<4 {
            try fixture.append(20, to: log, bytes: 1_000)
            try fixture.settle(log)
            fixture.checkpoint()
        }
        #expect(try disk.list(folder).count == 2)
        #expect(fixture.store.failure == nil && fixture.store.core.marks.value.unallocatedBytes == 0)
        disk.arrange { $0.capacity = .max }
        try fixture.restart(cleanly: false)
        try fixture.append(400, bytes: 1_000)
        // How far it grows is a matter of how soon the applier frees what is full.
        #expect(try disk.list(folder).count > 2)
        try Self.expectWhole(fixture, fixture.log())
    }

    // MARK: Ballast

    private static let reserve = 8 << 20

    @Test func ballastIsHeldAndGivenBack() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, reserve: Self.reserve)
        let core = fixture.store.core
        let path = fixture.settings.directory + "/ballast"
        // The applier samples as well; both come to the same.
        func sample(_ free: Int) throws {
            disk.arrange { $0.free = free }
            try core.sampleFreeBytes()
        }
        try sample(1 << 40)
        #expect(core.ballast.heldBytes == 1 << 20)
        #expect(try disk.open(path, .read).size() == 1 << 20)
        #expect(fixture.store.metrics.ballastBytes.value == 1 << 20)
        try sample(Self.reserve / 16)
        #expect(disk.exists(path) && !fixture.store.isBallastReleased)
        try sample(Self.reserve / 16 - 1)
        #expect(!disk.exists(path) && fixture.store.isBallastReleased)
        #expect(fixture.store.metrics.ballastBytes.value == 0)
        // Groups wait until it is held again: their changes would only use it up.
        try sample(Self.reserve / 8)
        #expect(core.reserveSpent != nil)
        try sample(Self.reserve)
        #expect(disk.exists(path) && !fixture.store.isBallastReleased && core.reserveSpent == nil)
    }

    @Test func aStartGivesTheBallastBackFirst() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, reserve: Self.reserve)
        try fixture.append(10)
        try fixture.store.core.sampleFreeBytes()
        #expect(fixture.store.core.ballast.heldBytes > 0)
        disk.arrange { $0.free = 0 }
        // The ballast went with the sample; that of an earlier run is left by a kill before it.
        try fixture.restart(cleanly: false)
        let path = fixture.settings.directory + "/ballast"
        #expect(!disk.exists(path))
        try disk.open(path, .readWrite).allocate(1 << 20)
        try fixture.restart()
        #expect(!disk.exists(path))
        #expect(try fixture.log().lastIndex == LogIndex(10))
    }

    @Test func ballastMakesRoomForARound() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, journal: .off, reserve: Self.reserve)
        let log = try fixture.log()
        try fixture.append(5, to: log)
        try fixture.store.core.sampleFreeBytes()
        #expect(fixture.store.core.ballast.heldBytes > 0)
        // What is said to be free is too old to help.
        disk.arrange { $0.capacity = $0.used }
        try fixture.append(100, to: log, bytes: 1_000)
        #expect(fixture.store.isBallastReleased && log.failure == nil && log.refusal(for: 1) != nil)
        try Self.expectWhole(fixture, log)
    }

    @Test func aDiskWithoutRoomHoldsNoBallast() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk, reserve: Self.reserve)
        let core = fixture.store.core
        disk.arrange { $0.free = 0 }
        try core.sampleFreeBytes()
        #expect(core.ballast.heldBytes == 0)
        disk.arrange { $0.errors["allocate"] = 28 }
        disk.arrange { $0.free = 1 << 40 }
        try core.sampleFreeBytes()
        #expect(core.ballast.heldBytes == 0 && !disk.exists(fixture.settings.directory + "/ballast"))
        #expect(fixture.store.failure == nil)
    }
}
