// SPDX-License-Identifier: Apache-2.0
//
// StoreReaderTests.swift
// Looking changes nothing, shows what is there, and refuses what is no store.

import CrashScenario
import Foundation
import Model
import NIOCore
import RocksKV
import Testing

@testable import LogStore

@Suite struct StoreReaderTests {
    /// Uses everything the reader has.
    private func lookAtEverything(_ root: String) throws {
        let reader = try StoreReader(root, scratch: NSTemporaryDirectory())
        defer { reader.close() }
        _ = try reader.census()
        _ = try reader.families()
        try reader.forEachGroup { group throws(StoreError) in
            _ = try reader.segmentFiles(of: group)
            _ = try reader.segments(of: group)
            _ = try reader.walk(group, WalkOptions(depth: .records, unpacks: true))
            try reader.offsetIndex(of: group) { _ in true }
            try reader.timeIndex(of: group) { _ in true }
            try reader.pointers(of: group) { _ in true }
            try reader.commands(of: group) { _, _, _, _ in true }
            _ = try reader.producerSnapshots(of: group)
            _ = try reader.applied(of: group)
            return true
        }
        try reader.refresh()
        _ = try reader.verify(.records)
    }

    @Test(arguments: [true, false]) func lookingChangesNothing(closes: Bool) throws {
        let store = try InspectFixture(journal: closes ? .off : .on, closes: closes)
        let before = try store.fingerprint()
        try lookAtEverything(store.root)
        #expect(try store.fingerprint() == before)
    }

    @Test func lookingAtADamagedStoreChangesNothing() throws {
        let store = try InspectFixture()
        for path in store.segments { try InspectFixture.flip(path, 200) }
        try PosixFileSystem().remove(store.segments[1])
        let before = try store.fingerprint()
        try lookAtEverything(store.root)
        #expect(try store.fingerprint() == before)
    }

    @Test func lookingAtAnOpenStoreChangesNothing() throws {
        let fixture = try LogFixture(journal: .on) { $0.checkpointMilliseconds = 1_000_000 }
        try fixture.append(20)
        try fixture.settle(try fixture.log())
        let files = ["LOCK", "journal/0.jnl", "groups/1024/" + Segment.fileName(LogIndex(1)), "rocksdb/CURRENT"]
        func contents() -> [Data?] {
            files.map { FileManager.default.contents(atPath: fixture.directory.path + "/" + $0) }
        }
        func names() throws -> [String] {
            try FileManager.default.subpathsOfDirectory(atPath: fixture.directory.path).sorted()
        }
        let before = (contents(), try names())
        try lookAtEverything(fixture.directory.path)
        #expect(contents() == before.0)
        #expect(try names() == before.1)
        try fixture.append(5)
        #expect(try fixture.readAll(try fixture.log()).count == 25)
        try fixture.closeLogs()
        fixture.store.close()
    }

    @Test func aReaderFollowsAnOpenStore() throws {
        let fixture = try LogFixture(journal: .on)
        try fixture.append(10)
        let reader = try StoreReader(fixture.directory.path, scratch: NSTemporaryDirectory())
        defer { reader.close() }
        var group = try #require(try reader.group(LogFixture.group))
        #expect(reader.lastIndex(of: group) == LogIndex(10))
        #expect(try reader.walk(group).frames == 10)
        try fixture.append(7)
        try reader.refresh()
        group = try #require(try reader.group(LogFixture.group))
        #expect(reader.lastIndex(of: group) == LogIndex(17))
        #expect(try reader.verify(.records).findings.damage == [])
        try fixture.closeLogs()
        fixture.store.close()
    }

    @Test func whatIsInTheJournalOnlyIsShown() throws {
        let fixture = try LogFixture(journal: .on) { $0.checkpointMilliseconds = 1_000_000 }
        try fixture.append(10)
        try fixture.settle(try fixture.log())
        fixture.crash()
        fixture.store.close()
        // As after a power failure that took what was not flushed.
        try PosixFileSystem().remove(fixture.directory.path + "/groups/1024/" + Segment.fileName(LogIndex(1)))
        let reader = try StoreReader(fixture.directory.path, scratch: NSTemporaryDirectory())
        defer { reader.close() }
        let group = try #require(try reader.group(LogFixture.group))
        var payloads = 0
        let found = try reader.walk(group, WalkOptions(unpacks: true)) {
            #expect($0.isInJournal)
            payloads += $0.payload == nil ? 0 : 1
            return true
        }
        #expect(found.isClean && found.frames == 10 && payloads == 10)
        #expect(reader.journalFacts.frames == 10)
        #expect(try reader.verify(.records).findings.damage == [])
    }

    @Test func walkingFromAnOffsetSkipsWholeSegments() throws {
        let store = try InspectFixture()
        let reader = try store.reader()
        defer { reader.close() }
        let group = try #require(try reader.group(named: "orders/0"))
        var seen: [Offset] = []
        let found = try reader.walk(group, WalkOptions(unpacks: true, from: Offset(20))) {
            seen.append($0.baseOffset)
            return true
        }
        #expect(found.isClean && seen == (20..<29).map { Offset($0) } && found.frames < 30)
        #expect(try reader.offsetFloor(of: group, time: 1_015) <= Offset(14))
    }

    @Test func groupsHaveTheirNames() throws {
        let store = try InspectFixture()
        var meta = try store.meta()
        meta.label = nil
        try store.change { $0.putGroupMeta(meta, of: GroupID(rawValue: 1025)) }
        let reader = try store.reader()
        defer { reader.close() }
        var names: [String] = []
        try reader.forEachGroup {
            names.append($0.name)
            return true
        }
        #expect(names == ["controller", "orders/0", "group 1025"])
        #expect(try reader.group(named: "1024")?.name == "orders/0")
        #expect(try reader.group(named: "group 1025")?.id == GroupID(rawValue: 1025))
        #expect(try reader.group(named: "orders/1") == nil)
    }

    @Test func segmentsTellHowTheyEnd() throws {
        let store = try InspectFixture()
        let reader = try store.reader()
        defer { reader.close() }
        let group = try #require(try reader.group(named: "orders/0"))
        let segments = try reader.segments(of: group)
        #expect(segments.dropLast().allSatisfy { $0.end == .sealed } && segments.last?.end == .active)
        #expect(segments.reduce(0) { $0 + $1.frames } == 30 && segments.first?.firstTimestamp == 1_001)
        #expect(segments.last?.endOffset == Offset(29) && segments.last?.maxTimestamp == 1_029)
        let files = try reader.census().files
        #expect(files.segments.files == segments.count && files.unknown.files == 0 && files.index.files > 0)
    }

    @Test func whatIsNoStoreIsRefused() throws {
        let scratch = ScratchDirectory()
        func failure() throws -> StoreError? {
            do throws(StoreError) {
                try StoreReader(scratch.path, scratch: NSTemporaryDirectory()).close()
                return nil
            } catch {
                return error
            }
        }
        #expect(try failure() == .file(operation: "open", path: scratch.path, errno: 2))
        try PosixFileSystem().makeDirectory(scratch.path)
        guard case .formatVersion(let found, 1)? = try failure(), found.hasPrefix("none") else {
            Issue.record("an empty directory was taken for a store")
            return
        }
        try PosixFileSystem().makeDirectory(scratch.path + "/groups/1024")
        guard case .formatVersion(let groups, 1)? = try failure(), groups.hasPrefix("groups") else {
            Issue.record("groups without an index were not told")
            return
        }
    }

    @Test func newerFormatsAreRefused() throws {
        let store = try InspectFixture()
        let identity = store.fixture.store.identity
        try store.change {
            $0.putIdentity(
                StoreIdentity(
                    formatVersion: 2, nodeID: identity.nodeID, clusterID: "", createdAt: identity.createdAt))
        }
        #expect(throws: StoreError.formatVersion(found: "2", supported: 1)) { try store.reader() }
        try store.change {
            $0.batch.put(KeySpace.key(.identity).span, [7, 0, 0].span, in: IndexFamily.store.family)
        }
        #expect(throws: StoreError.formatVersion(found: "7", supported: 1)) { try store.reader() }
    }
}
