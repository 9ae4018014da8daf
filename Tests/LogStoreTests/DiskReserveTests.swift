// SPDX-License-Identifier: Apache-2.0
//
// DiskReserveTests.swift
// What of the free space is free: data, the state machines and the controller stop taking it one after the other.

import CrashScenario
import Model
import NIOCore
import Telemetry
import Testing

@testable import LogStore

@Suite struct DiskReserveTests {
    private static let mebibyte = 1 << 20

    private static func fixture(_ disk: FaultyFileSystem = FaultyFileSystem()) throws -> LogFixture {
        try LogFixture(system: disk) { settings in
            settings.diskReserve = .mebibytes(80)
            settings.journalFile = .mebibytes(1)
            settings.ballastMax = ByteCount(0)
            settings.recycledSegments = 4
            settings.checkpointMilliseconds = 1_000_000
        }
    }

    private static func command(_ fixture: LogFixture, _ id: GroupID) throws -> CommandLog {
        fixture.store.commandLog(try fixture.store.recoverCommandLog(id), owner: fixture.owner)
    }

    @Test func eachGivesWayInItsTurn() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        let log = try fixture.log()
        let groups = try Self.command(fixture, .coordinator)
        let controller = try Self.command(fixture, .controller)
        func refused(_ free: Int) -> [Bool] {
            // The applier samples as well, whenever it wakes.
            disk.arrange { $0.free = free }
            fixture.store.core.sampledFreeBytes(free)
            return [log.refusal(for: 100), groups.refusal(for: 100), controller.refusal(for: 100)].map { $0 != nil }
        }
        // The journal's ring of 2 MiB is not there yet, so it counts as taken.
        #expect(refused(83 * Self.mebibyte) == [false, false, false])
        #expect(fixture.store.diskFull == nil)
        #expect(refused(81 * Self.mebibyte) == [true, false, false])
        #expect(fixture.store.diskFull != nil && fixture.store.metrics.diskReserveReached.value == 1)
        #expect(refused(89 * Self.mebibyte) == [true, false, false], "a tenth more must be free")
        #expect(refused(91 * Self.mebibyte) == [false, false, false])
        #expect(refused(10 * Self.mebibyte) == [true, false, false])
        #expect(refused(10 * Self.mebibyte - 1) == [true, true, false])
        #expect(refused(0) == [true, true, false])
        #expect(refused(91 * Self.mebibyte) == [false, false, false])
        groups.close()
        controller.close()
    }

    @Test func whatCameSinceTheLastSampleIsNotFree() throws {
        let disk = FaultyFileSystem()
        let fixture = try Self.fixture(disk)
        let core = fixture.store.core
        disk.arrange { $0.free = 90 * Self.mebibyte }
        core.sampledFreeBytes(90 * Self.mebibyte)
        #expect(core.refusal(for: 7 * Self.mebibyte) == nil)
        #expect(core.refusal(for: 9 * Self.mebibyte) != nil, "it would reach into the reserve by itself")
        core.addPending(7 * Self.mebibyte)
        #expect(core.refusal(for: 2 * Self.mebibyte) != nil)
        // It is on its way when the next sample is taken, and still not in its segment.
        core.sampledFreeBytes(90 * Self.mebibyte)
        #expect(core.refusal(for: 2 * Self.mebibyte) != nil)
        core.addPending(-7 * Self.mebibyte)
        core.sampledFreeBytes(90 * Self.mebibyte)
        #expect(core.refusal(for: 2 * Self.mebibyte) == nil)
    }

    @Test func filesKeptForReuseAreGivenBack() throws {
        let fixture = try Self.fixture()
        fixture.groupSettings = GroupLogSettings(segmentBytes: 3_000, compressesFrames: false)
        let log = try fixture.log()
        try fixture.append(40, to: log, bytes: 500)
        try fixture.settle(log)
        let files = fixture.store.core.files
        let folder = fixture.settings.directory + "/recycled"
        try log.trim(to: Offset(10))
        fixture.checkpoint()
        #expect(try !fixture.system.list(folder).isEmpty)
        try files.setRecycling(false)
        #expect(try fixture.system.list(folder).isEmpty)
        try files.setRecycling(true)
        try log.trim(to: Offset(30))
        fixture.checkpoint()
        #expect(try !fixture.system.list(folder).isEmpty)
        try fixture.append(5, to: log, bytes: 500)
        #expect(log.failure == nil)
    }
}
