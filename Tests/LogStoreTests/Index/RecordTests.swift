// SPDX-License-Identifier: Apache-2.0
//
// RecordTests.swift
// Every value round-trips, has its documented bytes, and is refused when cut, extended or of another version.

import Model
import Testing

@testable import LogStore

@Suite struct RecordTests {
    static let position = SegmentPosition(segment: LogIndex(0x0102), position: 0x0304_0506)
    static let place = FramePlace(
        at: position, storedLength: 17, baseOffset: Offset(1000), recordCount: 25, payloadCRC: 0xDEAD_BEEF)

    static var fullMeta: GroupMeta {
        var meta = GroupMeta()
        meta.firstIndex = LogIndex(10)
        meta.previousTerm = Term(3)
        meta.firstOffset = Offset(90)
        meta.logStartOffset = Offset(95)
        meta.cut = CutMarker(from: LogIndex(20), at: position, number: 2)
        meta.closed = CleanEnd(
            lastIndex: LogIndex(30), lastTerm: Term(4), end: position, nextOffset: Offset(200), lastFrameChecksum: 7)
        meta.label = GroupLabel(
            topicID: TopicID(high: 1, low: 2), topic: "orders-é", partition: PartitionIndex(rawValue: 6))
        meta.configurations = [1, 2, 3]
        meta.isAmnesiac = true
        meta.isDamaged = true
        meta.floor = JoinFloor(term: Term(8), index: LogIndex(9))
        meta.chain = 0xC0FF_EE00
        meta.unindexedFrom = LogIndex(17)
        return meta
    }

    /// Checks one value; `isOpen` says that it ends in bytes of any number.
    private func check<Value: StoredValue & Equatable>(_ value: Value, isOpen: Bool = false, minimum: Int = 0) {
        let bytes = value.encoded
        let decoded = try? Value(decoding: bytes.span.bytes)
        #expect(decoded == value)
        let closedCount = isOpen ? minimum : bytes.count
        for count in 0..<closedCount {
            #expect(throws: RecordDamage.self, "\(Value.self) of \(count) bytes") {
                try Value(decoding: Array(bytes.prefix(count)).span.bytes)
            }
        }
        if !isOpen {
            #expect(throws: RecordDamage.trailingBytes(1)) { try Value(decoding: (bytes + [0]).span.bytes) }
        }
        var other = bytes
        other[0] = Value.version + 1
        #expect(throws: RecordDamage.unknownVersion(Value.version + 1)) { try Value(decoding: other.span.bytes) }
    }

    @Test func raftRecords() {
        check(HardStateRecord(term: Term(5), votedFor: NodeID(rawValue: 2)))
        check(HardStateRecord(term: Term(.max), votedFor: nil))
        check(HardStateRecord(term: .zero, votedFor: NodeID(rawValue: 0)))
        check(EntryPointer(term: Term(9), kind: 1, content: .segment(Self.place)))
        check(EntryPointer(term: Term(9), kind: 4, content: .inline([1, 2, 3])), isOpen: true, minimum: 12)
        check(EntryPointer(term: Term(9), kind: 2, content: .inline([])), isOpen: true, minimum: 12)
        check(TermStartValue(TermStart(term: Term(1), firstIndex: LogIndex(2), firstOffset: Offset(3))))
    }

    @Test func groupMeta() {
        check(GroupMeta())
        check(Self.fullMeta)
        for field in 0..<8 {
            var meta = Self.fullMeta
            switch field {
            case 0: meta.cut = nil
            case 1: meta.closed = nil
            case 2: meta.label = nil
            case 3: meta.isAmnesiac = false
            case 4: meta.floor = nil
            case 5: meta.chain = nil
            case 6: meta.unindexedFrom = nil
            default: meta.isDamaged = false
            }
            check(meta)
        }
    }

    @Test func indexRecords() {
        check(FrameReference(index: LogIndex(1), at: Self.position))
        check(FrameReference(index: LogIndex(1), at: Self.position, segmentMaxTimestamp: 7))
        let snapshot = ProducerSnapshot(offset: Offset(1), index: LogIndex(2), bytes: [1, 2])
        check(ProducerSnapshotValue(snapshot), isOpen: true, minimum: 9)
        let manifest = SnapshotManifest(index: LogIndex(1), term: Term(2), bytes: [3])
        check(SnapshotManifestValue(manifest), isOpen: true, minimum: 9)
        check(AppliedPosition(index: LogIndex(5), term: Term(6)))
    }

    @Test func storeRecords() {
        let time = WallTime(milliseconds: 1_700_000_000_000)
        check(StoreIdentity(formatVersion: 1, nodeID: NodeID(rawValue: 3), clusterID: "c", createdAt: time))
        check(StoreIdentity(formatVersion: 1, nodeID: NodeID(rawValue: 3), clusterID: "", createdAt: time))
        check(CleanShutdown(closedAt: time, journal: JournalPosition(rawValue: 9), sequence: 10))
        check(JournalPosition(rawValue: .max))
    }

    @Test func recordsHaveTheirDocumentedBytes() {
        let state = HardStateRecord(term: Term(0x0102), votedFor: NodeID(rawValue: 3))
        #expect(state.encoded == [1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3])
        let pointer = EntryPointer(term: Term(9), kind: 1, content: .segment(Self.place))
        let head: [UInt8] = [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9]
        let position: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
        let rest: [UInt8] = [0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 3, 232, 0, 0, 0, 25, 0xDE, 0xAD, 0xBE, 0xEF]
        #expect(pointer.encoded == head + position + rest)
        let reference = FrameReference(index: LogIndex(1), at: Self.position)
        #expect(reference.encoded == [1, 0, 0, 0, 0, 0, 0, 0, 1] + position)
        let timed = FrameReference(index: LogIndex(1), at: Self.position, segmentMaxTimestamp: 7)
        #expect(timed.encoded == [2, 0, 0, 0, 0, 0, 0, 0, 1] + position + [0, 0, 0, 0, 0, 0, 0, 7])
        let inline = EntryPointer(term: Term(9), kind: 4, content: .inline([8]))
        #expect(inline.encoded == [1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 9, 8])
        #expect(GroupMeta().encoded.count == 38)
    }

    @Test func impossibleFieldsAreRefused() {
        var state = HardStateRecord(term: Term(1), votedFor: nil).encoded
        state[1] = 2
        #expect(throws: RecordDamage.self) { try HardStateRecord(decoding: state.span.bytes) }
        var pointer = EntryPointer(term: Term(1), kind: 1, content: .segment(Self.place)).encoded
        pointer[1] = 2
        #expect(throws: RecordDamage.self) { try EntryPointer(decoding: pointer.span.bytes) }
        pointer[1] = 0
        pointer[3] = 1
        #expect(throws: RecordDamage.self) { try EntryPointer(decoding: pointer.span.bytes) }
        var meta = GroupMeta().encoded
        meta[1] = 128
        #expect(throws: RecordDamage.self) { try GroupMeta(decoding: meta.span.bytes) }
        var long = GroupMeta().encoded
        long[34] = 0xFF
        #expect(throws: RecordDamage.truncated) { try GroupMeta(decoding: long.span.bytes) }
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededRandom(seed: 42)
        for _ in 0..<5_000 {
            var bytes = (0..<Int.random(in: 0..<120, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if !bytes.isEmpty { bytes[0] = 1 }
            _ = try? HardStateRecord(decoding: bytes.span.bytes)
            _ = try? EntryPointer(decoding: bytes.span.bytes)
            _ = try? GroupMeta(decoding: bytes.span.bytes)
            _ = try? TermStartValue(decoding: bytes.span.bytes)
            _ = try? FrameReference(decoding: bytes.span.bytes)
            _ = try? ProducerSnapshotValue(decoding: bytes.span.bytes)
            _ = try? SnapshotManifestValue(decoding: bytes.span.bytes)
            _ = try? AppliedPosition(decoding: bytes.span.bytes)
            _ = try? StoreIdentity(decoding: bytes.span.bytes)
            _ = try? CleanShutdown(decoding: bytes.span.bytes)
            _ = try? JournalPosition(decoding: bytes.span.bytes)
        }
    }
}
