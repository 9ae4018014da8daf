// SPDX-License-Identifier: Apache-2.0
//
// FooterTests.swift
// A sealed segment has the same bytes on every replica, whatever its log went through while it was open.

import Model
import NIOCore
import RocksKV
import Testing

@testable import LogStore

@Suite struct FooterTests {
    /// What happens to a log in the middle of a segment.
    enum Event: CaseIterable {
        case nothing, cleanRestart, kill, killWithoutTimestamps
        case cut, cutOnDisk, cutSealed, reopen
        case cutThenKill, cutOnDiskThenRestart
    }

    /// Frames of the segment before the event: the first has its newest timestamp, and the sparse index reaches past it.
    private static let before = 40
    /// The second segment: the first has entries 1 to 3.
    private static let base = LogIndex(4)

    @Test(arguments: StoreSettings.JournalMode.allCases)
    func segmentsDoNotDependOnWhatHappenedToTheLog(mode: StoreSettings.JournalMode) throws {
        let expected = try Self.segment(after: .nothing, mode)
        let footer = try #require(Self.footer(of: expected))
        #expect(footer.kind == .footer && footer.maxTimestamp == 3_000)
        for event in Event.allCases {
            let found = try Self.segment(after: event, mode)
            #expect(Self.footer(of: found)?.maxTimestamp == footer.maxTimestamp, "\(event)")
            #expect(found == expected, "\(event)")
        }
    }

    private static func footer(of bytes: ByteBuffer) -> FrameHeader? {
        guard bytes.readableBytes > FrameHeader.byteCount,
            case .header(let header) = FrameHeader.probe(
                bytes.readableBytesSpan, at: bytes.readableBytes - FrameHeader.byteCount)
        else { return nil }
        return header
    }

    /// The bytes of the second segment, in whose middle `event` happened.
    private static func segment(after event: Event, _ mode: StoreSettings.JournalMode) throws -> ByteBuffer {
        let fixture = try LogFixture(journal: mode)
        fixture.groupSettings = GroupLogSettings(compressesFrames: false)
        // The newest timestamp of the log is not in the segment.
        try fixture.append(3, timestamp: 9_000)
        try fixture.log().roll()
        try fixture.append(1, bytes: 1500, timestamp: 3_000)
        try fixture.append(before - 1, bytes: 1500, timestamp: 2_000)
        try happen(event, fixture)
        let log = try fixture.log()
        for _ in 0..<3 {
            var draft = LogFixture.draft(log, term: Term(2), bytes: 1500)
            draft.segmentStart = .decided(false)
            try log.append(draft)
        }
        log.roll()
        try fixture.append(1, term: Term(2))
        let segment = try #require(log.segments.first { $0.segment.base == base }).segment
        #expect(log.segments.count == 3 && log.lastIndex == base + before + 3)
        try fixture.restart()
        let file = try fixture.system.open(segment.path, .read)
        var bytes = ByteBuffer()
        _ = try file.read(try file.size(), at: 0, into: &bytes)
        return bytes
    }

    private static func happen(_ event: Event, _ fixture: LogFixture) throws {
        switch event {
        case .nothing: break
        case .cleanRestart: try fixture.restart()
        case .kill: try fixture.restart(cleanly: false)
        case .killWithoutTimestamps:
            try fixture.settle(fixture.log())
            try forgetTimestamps(fixture)
            try fixture.restart(cleanly: false)
        case .cut: try cut(fixture)
        case .cutOnDisk: try cut(fixture, onDisk: true)
        case .cutSealed: try cut(fixture, isSealed: true)
        case .reopen:
            try fixture.log().roll()
            try fixture.append(1, timestamp: 7_000)
            try fixture.log().truncate(from: base + before)
        case .cutThenKill:
            try cut(fixture)
            fixture.checkpoint()
            try fixture.restart(cleanly: false)
        case .cutOnDiskThenRestart:
            try cut(fixture, onDisk: true)
            try fixture.restart()
        }
    }

    /// Appends entries that were not committed, and cuts them.
    private static func cut(_ fixture: LogFixture, onDisk: Bool = false, isSealed: Bool = false) throws {
        let log = try fixture.log()
        try fixture.append(30, bytes: 1500, timestamp: 7_000)
        if isSealed {
            log.roll()
            try fixture.append(1, timestamp: 8_000)
        }
        if onDisk {
            try fixture.settle(log)
            _ = log.evictTail(through: log.lastIndex)
        }
        try log.truncate(from: base + before)
        #expect(log.segments.last?.maxTimestamp == 3_000)
    }

    /// Leaves the offset index as version 1 of its values has it.
    private static func forgetTimestamps(_ fixture: LogFixture) throws {
        fixture.checkpoint()
        let index = fixture.store.core.index
        var batch = try index.makeBatch()
        var entries: [OffsetIndexEntry] = []
        try index.forEachOffsetIndexEntry(of: LogFixture.group) {
            entries.append($0)
            return true
        }
        #expect(entries.contains { $0.segmentMaxTimestamp == 3_000 })
        for var entry in entries {
            entry.segmentMaxTimestamp = nil
            batch.putOffsetIndex(entry, of: LogFixture.group)
        }
        try batch.commit(durability: .synced)
    }
}
