// SPDX-License-Identifier: Apache-2.0
//
// InspectFixture.swift
// A store with a partition of several segments and a state machine's log, closed, for the inspector to look at.

import CrashScenario
import Foundation
import Model
import NIOCore
import RocksKV
import Testing

@testable import LogStore

/// A closed store: partition `orders/0` with thirty records in frames of their own, about seven to a segment, in two
/// terms; the controller's log with five commands.
final class InspectFixture {
    let fixture: LogFixture
    var root: String { fixture.directory.path }
    static let group = LogFixture.group
    static let label = GroupLabel(
        topicID: TopicID(high: 1, low: 2), topic: "orders", partition: PartitionIndex(rawValue: 0))

    /// Closed, compacted before if `compacts`, or stopped as if the process had been killed; in that case `adjust` may keep everything in the journal.
    init(
        journal: StoreSettings.JournalMode = .off, frames: Int = 30, closes: Bool = true, compacts: Bool = false,
        _ adjust: (inout StoreSettings) -> Void = { _ in }
    ) throws {
        fixture = try LogFixture(journal: journal, adjust)
        fixture.groupSettings = GroupLogSettings(segmentBytes: 2048, compressesFrames: false)
        let recovered = try fixture.store.recoverPartition(
            Self.group, settings: fixture.groupSettings, label: Self.label)
        let log = fixture.store.partitionLog(recovered, owner: fixture.owner)
        log.persist(term: 1)
        try log.append(LogFixture.draft(log, kind: .noop))
        for number in 1..<frames {
            let term = Term(number < frames / 2 ? 1 : 2)
            try fixture.append(1, to: log, term: term, bytes: 150, timestamp: Int64(1_000 + number))
        }
        log.persist(term: 2)
        try fixture.settle(log)
        log.saveProducerSnapshot([1, 0, 0, 0, 0], at: log.logEndOffset)
        let commands = fixture.store.commandLog(try fixture.store.recoverCommandLog(.controller), owner: fixture.owner)
        for number in 1...5 {
            try commands.append(
                FrameDraft(
                    kind: .command, term: Term(1), index: commands.lastIndex.next, baseOffset: .zero, recordCount: 0,
                    maxTimestamp: -1, payload: ByteBuffer(bytes: [UInt8(number)])))
        }
        commands.persist(term: 1)
        try fixture.loop.turn { commands.flushedIndex == commands.lastIndex }
        if closes { fixture.checkpoint() }
        if compacts {
            var isDone = false
            log.onCompacted = { _ in isDone = true }
            let bounds = CompactionBounds(end: log.logEndOffset, committed: log.lastIndex)
            log.compactIfDue(
                now: WallTime(milliseconds: 1_000_000), settings: CompactionSettings(dirtyRatioMin: 0),
                bounds: { bounds })
            try fixture.loop.turn { isDone }
        }
        if closes {
            log.close()
            commands.close()
            try fixture.loop.turn { self.fixture.store.core.openLogs == 0 }
        } else {
            fixture.crash()
        }
        fixture.store.close()
    }

    // MARK: Files

    /// The segments, oldest first.
    var segments: [String] {
        let folder = Segment.directory(of: Self.group, root: root)
        let names = (try? PosixFileSystem().list(folder)) ?? []
        return names.sorted().map { folder + "/" + $0 }
    }

    /// Below the data directory, as findings name it.
    func relative(_ path: String) -> String { String(path.dropFirst(root.count + 1)) }

    /// Inverts bits of one byte.
    static func flip(_ path: String, _ position: Int) throws {
        let file = try PosixFileSystem().open(path, .update)
        var byte = ByteBuffer()
        _ = try file.read(1, at: position, into: &byte)
        let flipped = ByteBuffer(bytes: [(byte.readInteger(as: UInt8.self) ?? 0) ^ 0x10])
        try file.write(flipped.readableBytesSpan, at: position)
    }

    /// The frames of a segment and where they begin, its footer included.
    func headers(_ path: String) throws -> [(position: Int, header: FrameHeader)] {
        let file = try PosixFileSystem().open(path, .read)
        var cursor = FrameCursor(file, from: 0, upTo: try file.size())
        var headers: [(Int, FrameHeader)] = []
        while case .frame(let header, _) = try cursor.peek() {
            headers.append((cursor.position, header))
            cursor.skip(header)
        }
        return headers
    }

    /// Changes records of the index.
    func change(_ body: (inout IndexBatch) throws -> Void) throws {
        let index = try IndexDatabase(at: root + "/rocksdb")
        var batch = try index.makeBatch()
        try body(&batch)
        try batch.commit(durability: .synced)
        index.close()
    }

    /// The facts of the partition.
    func meta(of group: GroupID = InspectFixture.group) throws -> GroupMeta {
        let index = try IndexDatabase(at: root + "/rocksdb")
        defer { index.close() }
        return try #require(try index.groupMeta(of: group))
    }

    // MARK: Looking

    func reader() throws -> StoreReader { try StoreReader(root, scratch: NSTemporaryDirectory()) }

    func verify(_ depth: WalkDepth = .records) throws -> WalkFindings {
        let reader = try reader()
        defer { reader.close() }
        return try reader.verify(depth).findings
    }

    /// Every file with its length, time of change and content, and every directory with its names.
    func fingerprint() throws -> [String: String] {
        var prints: [String: String] = [:]
        let files = FileManager.default
        for name in try files.subpathsOfDirectory(atPath: root) + [""] {
            let path = root + "/" + name
            let facts = try files.attributesOfItem(atPath: path)
            let changed = (facts[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            var print = "\(facts[.type] ?? "") \(changed) \(facts[.posixPermissions] ?? "")"
            if let content = files.contents(atPath: path) { print += " \(content.count) \(content.hashValue)" }
            prints[name] = print
        }
        return prints
    }
}

extension GroupLog {
    /// Sets a term without waiting.
    fileprivate func persist(term: UInt64) {
        try? persist(hardState: HardStateRecord(term: Term(term), votedFor: NodeID(rawValue: 1))) {}
    }
}

extension WalkFindings {
    /// What tests compare.
    var kinds: [Damage.Kind] { damage.map(\.kind) }
    var warned: [StoreWarning.Kind] { warnings.map(\.kind) }
}
