// SPDX-License-Identifier: Apache-2.0
//
// CompactionRuleTests.swift
// The values of compaction: which file counts, when a log is due and where a pass goes on, the map of keys, names.

import Model
import Records
import Testing

@testable import LogStore

@Suite struct CompactionRuleTests {
    private static func name(_ base: UInt64, _ generation: UInt16) -> LogIndex {
        Segment.name(LogIndex(base), generation: generation)
    }

    @Test func fileNamesAreReadBack() {
        for (base, generation) in [(UInt64(1), UInt16(0)), (42, 1), (1 << 47, .max)] {
            let name = Self.name(base, generation)
            #expect(Segment.name(ofFileName: Segment.fileName(name)) == name)
            #expect(Segment.base(of: name) == LogIndex(base) && Segment.generation(of: name) == generation)
        }
        #expect(Segment.fileName(Self.name(42, 3)) == "00000000000000000042-00003.seg")
        let digits = "00000000000000000042"
        for wrong in ["1.seg", digits + "-3.seg", digits + "-00000.seg", digits + ".log"] {
            #expect(Segment.name(ofFileName: wrong) == nil)
        }
    }

    @Test func theYoungestCoverCounts() {
        let covers: [LogIndex: LogIndex] = [
            Self.name(1, 1): LogIndex(10), Self.name(1, 2): LogIndex(30), Self.name(11, 1): LogIndex(20),
            Self.name(31, 65_535): LogIndex(40), Self.name(31, 1): LogIndex(50),
        ]
        let names = [(1, 0), (1, 1), (1, 2), (11, 1), (21, 0), (31, 0), (31, 1), (31, 65_535), (41, 0), (51, 0)]
            .map { Self.name($0.0, $0.1) }
        let found = SegmentNames(names) { covers[$0] }
        #expect(found.current == [Self.name(1, 2), Self.name(31, 1), Self.name(51, 0)])
        #expect(found.replaced.count == 7)
        // A cover that cannot be read covers nothing.
        let unknown = SegmentNames([Self.name(1, 0), Self.name(1, 1)]) { _ in LogIndex?.none }
        #expect(unknown.replaced.isEmpty)
    }

    @Test func theMapHoldsWhatItHasRoomFor() {
        var map = KeyOffsets(byteCountMax: 4096 * KeyOffsets.slotBytes)
        #expect(map.countMax == 3072)
        var last: [UInt64: Int64] = [:]
        var random = SeededRandom(seed: 1)
        for offset in Int64(0)..<20_000 {
            let number = UInt64.random(in: 0..<3000, using: &random)
            let isIn = map.put(KeyDigest(high: number, low: number % 7), Offset(offset))
            #expect(isIn)
            last[number] = offset
        }
        #expect(map.count == last.count)
        for (number, offset) in last { #expect(map.newest(KeyDigest(high: number, low: number % 7)) == Offset(offset)) }
        #expect(map.newest(KeyDigest(high: 9999, low: 1)) == nil)
        var added: UInt64 = 0
        while map.put(KeyDigest(high: 10_000 + added, low: added), Offset(50_000)) { added += 1 }
        #expect(map.count == map.countMax)
        let known = map.put(KeyDigest(high: 10_000, low: 0), Offset(60_000))
        #expect(known, "a key that is in it has room")
        let forced = map.put(KeyDigest(high: 1, low: 99), Offset(60_000), isForced: true)
        #expect(forced)
    }

    /// Segments of ten entries and 100 bytes, some compacted.
    private static func segments(_ through: [Int64?], horizon: Int64? = nil) -> [SegmentInfo] {
        through.enumerated().map { place, through in
            let base = LogIndex(UInt64(place * 10 + 1))
            let segment = Segment(
                group: GroupID(rawValue: 1024), base: Segment.name(base, generation: through == nil ? 0 : 1), salt: 1,
                root: "/")
            return SegmentInfo(
                segment: segment, baseOffset: Offset(Int64(place * 10)), lastIndex: base + 9, lastTerm: Term(1),
                endOffset: Offset(Int64(place * 10 + 10)), end: 100, maxTimestamp: 500,
                openedAt: WallTime(milliseconds: 400), isSealed: place + 1 < 8,
                compacted: through.map { CompactionMark(keysThrough: Offset($0), horizon: horizon) })
        }
    }

    private static func choice(
        _ segments: [SegmentInfo], _ settings: CompactionSettings = CompactionSettings(), end: Int64 = 1_000,
        last: UInt64 = 1_000, now: Int64 = 600
    ) -> CompactionChoice? {
        CompactionChoice(
            segments, settings: settings, bounds: CompactionBounds(end: Offset(end), committed: LogIndex(last)),
            last: LogIndex(last), now: WallTime(milliseconds: now))
    }

    @Test func aLogIsDueWhenEnoughIsNew() {
        let clean = Self.segments([50, 50, 50, 50, 50, nil, nil, nil])
        #expect(Self.choice(clean) == nil)
        let found = Self.choice(clean, CompactionSettings(dirtyRatioMin: 0.25))
        #expect(found?.sources == 7 && found?.from == 0 && found?.dirtyFrom == Offset(50))
        #expect(Self.choice(clean, CompactionSettings(lagMillisecondsMax: 100)) != nil)
        #expect(Self.choice(clean, CompactionSettings(dirtyRatioMin: 0, lagMillisecondsMin: 101)) == nil)
        #expect(Self.choice(clean, CompactionSettings(dirtyRatioMin: 0), end: 69)?.sources == 6)
        #expect(Self.choice(clean, CompactionSettings(dirtyRatioMin: 0), last: 69)?.sources == 6)
        #expect(Self.choice(clean, CompactionSettings(dirtyRatioMin: 0), last: 59) == nil, "nothing of it is new")
        #expect(Self.choice(Self.segments([nil]), CompactionSettings(dirtyRatioMin: 0)) == nil)
        let expired = Self.segments([50, 50, 50, 50, 50, nil, nil, nil], horizon: 600)
        #expect(Self.choice(expired) != nil && Self.choice(expired, now: 599) == nil)
    }

    @Test func aPassThatWasInterruptedGoesOn() {
        // In what was clean before: the first two segments know of more keys.
        let inClean = Self.choice(Self.segments([70, 70, 40, 40, nil, nil, nil, nil]))
        #expect(inClean?.from == 2 && inClean?.keysThrough == Offset(70) && inClean?.dirtyFrom == Offset(40))
        // In what was new: what is behind the last one was not rewritten yet.
        let inDirty = Self.choice(Self.segments([70, 70, 70, 70, 70, nil, nil, nil]))
        #expect(inDirty?.from == 5 && inDirty?.keysThrough == Offset(70) && inDirty?.dirtyFrom == Offset(50))
        let done = CompactionChoice.Progress(Self.segments([70, 70, 70, 70, 70, 70, 70, nil]))
        #expect(done.pass == nil && done.dirtyFrom == Offset(70))
    }

    @Test func segmentsAreGatheredUpToTheirSize() {
        let all = Self.segments([nil, nil, nil, nil, nil, nil])[...]
        #expect(CompactionChoice.group(all, from: 0, bytesMax: 250) == 0..<2)
        #expect(CompactionChoice.group(all, from: 4, bytesMax: 1_000) == 4..<6)
        #expect(CompactionChoice.group(all, from: 1, bytesMax: 1) == 1..<2)
    }
}
