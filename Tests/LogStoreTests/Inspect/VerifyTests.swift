// SPDX-License-Identifier: Apache-2.0
//
// VerifyTests.swift
// Each kind of damage to segments and files is found, named exactly, and does not hide what stands behind it.

import CrashScenario
import Foundation
import Model
import NIOCore
import Records
import Testing

@testable import LogStore

@Suite struct VerifyTests {
    @Test(arguments: [WalkDepth.headers, .checksums, .records]) func aWholeStoreIsClean(depth: WalkDepth) throws {
        let store = try InspectFixture()
        #expect(store.segments.count >= 4)
        let reader = try store.reader()
        defer { reader.close() }
        let result = try reader.verify(depth)
        #expect(result.findings.damage == [] && result.findings.warnings == [] && result.findings.skipped == [])
        #expect(result.partitions == 1 && result.commandLogs == 1 && result.findings.frames == 35 && !result.isLive)
        #expect(result.findings.bytes > 30 * 150)
    }

    @Test func whatCompactionComparedWithMustBeThere() throws {
        let store = try InspectFixture(compacts: true)
        let reader = try store.reader()
        let result = try reader.verify(.records)
        let group = try #require(try reader.group(InspectFixture.group))
        let segments = try reader.segments(of: group)
        reader.close()
        #expect(result.findings.isClean && result.findings.warnings == [])
        let last = try #require(segments.last?.lastIndex)
        let compacted = segments.filter { $0.generation > 0 }
        #expect(!compacted.isEmpty && compacted.count < segments.count)
        #expect(compacted.allSatisfy { $0.committedThrough == last })
        #expect(compacted.allSatisfy { $0.keysThrough ?? .zero >= $0.endOffset ?? .zero })
        #expect(segments.allSatisfy { $0.generation > 0 || $0.committedThrough == nil && $0.keysThrough == nil })
        // A footer that tells of an entry which the log does not have.
        let path = store.root + "/" + compacted[0].file
        var (position, footer) = try #require(try store.headers(path).last)
        footer.committed = last.next
        footer.seal()
        try PosixFileSystem().open(path, .update).writeFooter(footer, at: position)
        let found = try store.verify()
        #expect(found.isClean && found.warnings.map(\.kind) == [.compactedAhead])
    }

    @Test func aStoreThatWasKilledIsClean() throws {
        for journal in [StoreSettings.JournalMode.on, .off] {
            let store = try InspectFixture(journal: journal, closes: false)
            let found = try store.verify()
            #expect(found.damage == [] && found.frames == 35)
        }
    }

    @Test func aFlippedPayloadIsNamed() throws {
        let store = try InspectFixture()
        let path = store.segments[1]
        let frames = try store.headers(path)
        try InspectFixture.flip(path, frames[2].position + FrameHeader.byteCount + 20)
        let found = try store.verify()
        let damage = try #require(found.damage.first)
        #expect(found.damageCount == 1 && damage.kind == .payload && damage.file == store.relative(path))
        #expect(damage.position == frames[2].position && damage.index == frames[2].header.index)
        #expect(damage.offset == frames[2].header.baseOffset && damage.group == InspectFixture.group)
        #expect(damage.label.map { "\($0)" } == "orders/0")
        #expect(found.skipped.map(\.bytes) == [frames[2].header.frameBytes])
        #expect(found.skipped.map(\.kind) == [.undecodable])
        // Everything else is still read.
        #expect(found.frames == 34)
        // Headers alone do not show it.
        #expect(try store.verify(.headers).isClean)
    }

    @Test(arguments: [0, 3, 5, 20, 33, 60, 92]) func aFlippedHeaderIsNamed(byte: Int) throws {
        let store = try InspectFixture()
        let path = store.segments[1]
        let frames = try store.headers(path)
        try InspectFixture.flip(path, frames[1].position + byte)
        for depth in [WalkDepth.headers, .records] {
            let found = try store.verify(depth)
            let damage = try #require(found.damage.first)
            #expect(found.damageCount == 1 && damage.kind == .frame && damage.position == frames[1].position)
            #expect(damage.index == frames[1].header.index && damage.offset == frames[1].header.baseOffset)
            #expect(found.skipped.map(\.bytes) == [frames[1].header.frameBytes])
            #expect(found.skipped.map(\.position) == [frames[1].position])
            #expect(found.frames == 34)
        }
    }

    @Test func theFirstFrameOfASegmentIsNamed() throws {
        let store = try InspectFixture()
        for path in store.segments { try InspectFixture.flip(path, 9) }
        let found = try store.verify()
        #expect(found.kinds == store.segments.map { _ in .frame })
        #expect(found.damage.map(\.file) == store.segments.map(store.relative))
        #expect(found.damage.allSatisfy { $0.position == 0 })
        #expect(found.frames == 35 - store.segments.count)
    }

    @Test func severalPlacesAreAllNamed() throws {
        let store = try InspectFixture()
        let path = store.segments[1]
        let frames = try store.headers(path)
        try InspectFixture.flip(path, frames[0].position + 100)
        try InspectFixture.flip(path, frames[2].position + 4)
        try InspectFixture.flip(path, frames[3].position + 4)
        try InspectFixture.flip(store.segments[2], 150)
        let found = try store.verify()
        #expect(found.kinds == [.payload, .frame, .payload])
        #expect(found.damage.map(\.position) == [0, frames[2].position, 0])
        #expect(found.frames == 31)
    }

    @Test func damageAtTheEndOfASegmentDoesNotHideItsFooter() throws {
        let store = try InspectFixture()
        let path = store.segments[1]
        let last = try store.headers(path).dropLast().last
        try InspectFixture.flip(path, (last?.position ?? 0) + 2)
        let found = try store.verify()
        #expect(found.kinds == [.frame] && found.damage.first?.position == last?.position)
        #expect(found.damage.first?.index == last?.header.index && found.frames == 34)
    }

    @Test func footersAreChecked() throws {
        for byte in [0, 5, 33, 50, 92] {
            let store = try InspectFixture()
            let path = store.segments[0]
            let footer = try #require(try store.headers(path).last)
            try InspectFixture.flip(path, footer.position + byte)
            let found = try store.verify()
            #expect(found.kinds == [.footer] && found.damage.first?.position == footer.position)
            #expect(found.damage.first?.file == store.relative(path) && found.frames == 35)
        }
        let store = try InspectFixture()
        let footer = try #require(try store.headers(store.segments[1]).last)
        try PosixFileSystem().open(store.segments[1], .update).truncate(to: footer.position)
        #expect(try store.verify().kinds == [.footer])
    }

    @Test func aFooterThatOtherBytesFollowIsReported() throws {
        let store = try InspectFixture()
        let file = try PosixFileSystem().open(store.segments[0], .update)
        try file.truncate(to: try file.size() + 512)
        #expect(try store.verify().kinds == [.footer])
    }

    @Test func aMissingSegmentIsNamed() throws {
        for number in [0, 1, 2] {
            let store = try InspectFixture()
            let path = store.segments[number]
            let frames = try store.headers(path).count - 1
            let first = try #require(try store.headers(path).first).header.index
            try PosixFileSystem().remove(path)
            let found = try store.verify()
            #expect(found.kinds == [.segmentMissing], "\(found.damage)")
            #expect(found.damage.first?.index == first && found.damage.first?.file == store.relative(path))
            #expect(found.frames == 35 - frames)
        }
    }

    @Test func theMissingLastSegmentIsReported() throws {
        let store = try InspectFixture()
        let path = try #require(store.segments.last)
        let first = try #require(try store.headers(path).first).header.index
        try PosixFileSystem().remove(path)
        let found = try store.verify()
        #expect(found.kinds == [.segmentMissing] && found.damage.first?.index == first)
    }

    @Test func allSegmentsMissing() throws {
        let store = try InspectFixture()
        for path in store.segments { try PosixFileSystem().remove(path) }
        let found = try store.verify()
        #expect(found.kinds == [.segmentMissing] && found.damage.first?.index == LogIndex(1) && found.frames == 5)
    }

    @Test func aShortenedSegmentIsNamedOnce() throws {
        for cut in [0, 8, 100, 300] {
            let store = try InspectFixture()
            let path = try #require(store.segments.last)
            let frames = try store.headers(path)
            try PosixFileSystem().open(path, .update).truncate(to: frames[1].position + cut)
            let found = try store.verify()
            #expect(found.damageCount == 1 && found.damage.first?.position == frames[1].position, "\(found.damage)")
            #expect(found.damage.first?.index == frames[1].header.index)
        }
    }

    @Test func aSwappedSegmentIsReported() throws {
        let store = try InspectFixture()
        let bytes = try #require(FileManager.default.contents(atPath: store.segments[0]))
        try bytes.write(to: URL(filePath: store.segments[1]))
        let found = try store.verify()
        #expect(found.kinds == [.frame] && found.damage.first?.position == 0)
        #expect(found.damage.first?.file == store.relative(store.segments[1]))
    }

    @Test func wholeFramesWithWrongBatchesAreReported() throws {
        let store = try InspectFixture()
        let path = store.segments[1]
        let frame = try store.headers(path)[1]
        let file = try PosixFileSystem().open(path, .update)
        var payload = ByteBuffer()
        _ = try file.read(Int(frame.header.storedLength), at: frame.position + FrameHeader.byteCount, into: &payload)
        payload.setInteger(UInt8(0xFF), at: 80)
        var header = frame.header
        header.payloadCRC = CRC32C.checksum(payload)
        header.seal()
        try file.writeFooter(header, at: frame.position)
        try file.write(payload.readableBytesSpan, at: frame.position + FrameHeader.byteCount)
        let found = try store.verify()
        #expect(found.kinds.contains(.batch), "\(found.damage)")
        #expect(found.damage.first { $0.kind == .batch }?.index == frame.header.index)
    }

    @Test func whatBelongsToNothingIsAWarning() throws {
        let store = try InspectFixture()
        let system = PosixFileSystem()
        try system.makeDirectory(store.root + "/groups/9999")
        for name in ["notes.txt", "groups/1024/readme", "recycled/x", "groups/9999/a", "groups/oddly"] {
            try system.makeDirectory(store.root + "/recycled")
            try system.open(store.root + "/" + name, .readWrite).allocate(10)
        }
        try store.change {
            $0.putHardState(HardStateRecord(term: Term(3), votedFor: nil), of: GroupID(rawValue: 7777))
        }
        let found = try store.verify()
        #expect(found.isClean)
        let files = Set(found.warnings.filter { $0.kind == .unknownFile }.compactMap(\.file))
        #expect(files == ["notes.txt", "groups/1024/readme", "recycled/x", "groups/oddly"])
        #expect(found.warnings.filter { $0.kind == .orphanFiles }.map(\.file) == ["groups/9999"])
        #expect(found.warnings.filter { $0.kind == .orphanRecords }.map(\.group) == [GroupID(rawValue: 7777)])
    }

    @Test func aDamagedJournalIsNamed() throws {
        let fixture = try LogFixture(journal: .on) { $0.checkpointMilliseconds = 1_000_000 }
        for _ in 0..<5 { try fixture.append(1) }
        fixture.crash()
        fixture.store.close()
        try InspectFixture.flip(fixture.directory.path + "/journal/0.jnl", 4096 + 20)
        let reader = try StoreReader(fixture.directory.path, scratch: NSTemporaryDirectory())
        defer { reader.close() }
        let damage = try #require(try reader.verify(.records).findings.damage.first)
        #expect(damage.kind == .journal && damage.file == "journal/0.jnl" && damage.position == 4096)
    }
}

/// What is in a segment file besides the log's frames.
@Suite struct LeftoverTests {
    @Test func bytesOfAnEarlierLifeAreTold() throws {
        let store = try InspectFixture()
        let path = try #require(store.segments.last)
        let file = try PosixFileSystem().open(path, .update)
        let end = try #require(try store.headers(path).last).header.frameBytes * (try store.headers(path).count)
        // As in a file of another segment that was used again.
        var old = ByteBuffer()
        let former = try PosixFileSystem().open(store.segments[0], .read)
        _ = try former.read(1 << 16, at: 0, into: &old)
        try file.write(old.readableBytesSpan, at: end)
        let found = try store.verify()
        #expect(found.isClean && found.skipped.map(\.kind) == [.formerLife] && found.skipped.first?.position == end)
        #expect(found.frames == 35)
    }

    @Test func aTornFrameBehindTheEndIsTold() throws {
        let store = try InspectFixture(closes: false)
        let path = try #require(store.segments.last)
        let end = try #require(try store.headers(path).last).header.frameBytes * (try store.headers(path).count)
        let file = try PosixFileSystem().open(path, .update)
        try file.write(ByteBuffer(repeating: 7, count: 100).readableBytesSpan, at: end)
        let found = try store.verify()
        #expect(found.isClean && found.skipped.map(\.kind) == [.notDurable] && found.frames == 35)
    }

    @Test func segmentsOutsideTheLogAreWarnings() throws {
        let store = try InspectFixture(closes: false)
        let folder = Segment.directory(of: InspectFixture.group, root: store.root)
        try FileManager.default.copyItem(
            atPath: store.segments[0], toPath: folder + "/" + Segment.fileName(LogIndex(900)))
        let copied = try store.verify()
        // A process that was killed may not have come to its footers.
        #expect(copied.warned.filter { $0 != .footerPending } == [.leftoverSegment], "\(copied.warned)")
        var meta = try store.meta()
        let second = try #require(try store.headers(store.segments[1]).first).header
        meta.firstIndex = second.index
        meta.firstOffset = second.baseOffset
        meta.logStartOffset = second.baseOffset
        meta.previousTerm = Term(1)
        try store.change { $0.putGroupMeta(meta, of: InspectFixture.group) }
        let found = try store.verify()
        let warned = found.warned.filter { $0 != .footerPending }
        #expect(found.isClean && warned == [.leftoverSegment, .leftoverSegment], "\(found.warned) \(found.damage)")
    }
}
