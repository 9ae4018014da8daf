// SPDX-License-Identifier: Apache-2.0
//
// PolicyTests.swift
// The values that decide: which way a round goes, whether a frame is compressed, how far a log's frames have come.

import Model
import Testing

@testable import LogStore

@Suite struct PolicyTests {
    @Test func modesDecideAlone() {
        let large = FlushRound(frames: 1, bytes: 4 << 20, segments: 1)
        #expect(FlushPolicy(mode: .on).choose(large) == .journal)
        #expect(FlushPolicy(mode: .off).choose(FlushRound(frames: 9, bytes: 900, segments: 9)) == .direct)
    }

    @Test func smallFramesAndManySegmentsUseTheJournal() {
        let policy = FlushPolicy(mode: .auto)
        #expect(policy.choose(FlushRound(frames: 64, bytes: 64 << 14, segments: 64)) == .journal)
        #expect(policy.choose(FlushRound(frames: 1, bytes: 1024, segments: 1)) == .journal)
        #expect(policy.choose(FlushRound(frames: 32, bytes: 8 << 20, segments: 32)) == .journal)
        #expect(policy.choose(FlushRound(frames: 1, bytes: 1 << 20, segments: 1, hasOthers: true)) == .journal)
        #expect(policy.choose(FlushRound(frames: 2, bytes: 2 << 20, segments: 1)) == .direct)
    }

    @Test func measuredCostTurnsTheChoice() {
        var policy = FlushPolicy(mode: .auto)
        let round = FlushRound(frames: 2, bytes: 2 << 20, segments: 1)
        #expect(policy.choose(round) == .direct)
        for _ in 0..<200 { policy.completed(.direct, round, nanoseconds: 40_000_000) }
        #expect(policy.choose(round) == .journal)
        for _ in 0..<200 { policy.completed(.journal, round, nanoseconds: 80_000_000) }
        #expect(policy.choose(round) == .direct)
    }

    @Test func compressionBacksOffAndProbes() {
        var policy = CompressionPolicy(level: 1, bytesMin: 1000)
        let decisions = [999, 1000].map { policy.decide(byteCount: $0, queueDepth: 0) }
        #expect(decisions == [nil, 1])
        for _ in 0..<20 { policy.observed(raw: 1000, stored: 1000) }
        var tries = 0
        for _ in 0..<10_000 where policy.decide(byteCount: 5000, queueDepth: 0) != nil {
            tries += 1
            policy.observed(raw: 5000, stored: 5000)
        }
        #expect(tries > 3 && tries < 50)
        // One frame that compresses ends the pause.
        while policy.decide(byteCount: 5000, queueDepth: 0) == nil {}
        policy.observed(raw: 5000, stored: 2000)
        let decision = policy.decide(byteCount: 5000, queueDepth: 0)
        #expect(decision == 1)
    }

    @Test func compressionShedsLoad() {
        var policy = CompressionPolicy(level: 3, bytesMin: 1)
        let decisions = [10, 100, 1000].map { policy.decide(byteCount: 5000, queueDepth: $0) }
        #expect(decisions == [3, CompressionPolicy.pressureLevel, nil])
        var off = CompressionPolicy(level: 0, bytesMin: 1)
        let none = off.decide(byteCount: 5000, queueDepth: 0)
        #expect(none == nil)
    }

    @Test func progressCountsUpToTheCut() {
        var progress = LogProgress(last: LogIndex(5))
        var moved = progress.noteFlushed(LogIndex(8), generation: 0)
        #expect(moved)
        progress.noteApplied(LogIndex(8), generation: 0)
        progress.cut(from: LogIndex(7))
        #expect(progress.flushed == LogIndex(6) && progress.applied == LogIndex(6))
        // A completion of frames that were cut says nothing new.
        moved = progress.noteFlushed(LogIndex(12), generation: 0)
        #expect(!moved)
        moved = progress.noteFlushed(LogIndex(9), generation: 1)
        #expect(moved)
        progress.noteApplied(LogIndex(12), generation: 0)
        #expect(progress.applied == LogIndex(6))
    }

    @Test func allocationDoublesUpToSixteenMebibytes() {
        #expect(Segment.allocation(for: 100, allocated: 0) == 64 << 10)
        #expect(Segment.allocation(for: 70_000, allocated: 64 << 10) == 128 << 10)
        #expect(Segment.allocation(for: (64 << 20) + 1, allocated: 64 << 20) == 80 << 20)
        #expect(Segment.allocation(for: 10, allocated: 100) == 100)
    }

    @Test func configurationsRoundTrip() {
        let records = [
            ConfigurationRecord(index: LogIndex(3), bytes: [1, 2]),
            ConfigurationRecord(index: LogIndex(900), bytes: []),
        ]
        #expect([ConfigurationRecord](decoding: records.encoded) == records)
        #expect([ConfigurationRecord](decoding: [1, 2, 3]) == nil)
    }
}
