// SPDX-License-Identifier: Apache-2.0
//
// BatchControllerTests.swift
// The adaptive batcher: when a frame closes, and how its target follows the disk.

import Model
import Testing

@testable import Broker

@Suite struct BatchControllerTests {
    private let limits = BatchController.Limits(
        bytesMax: 1 << 20, batchesMax: 100, waitMax: 1_000_000, framesInFlightMax: 4)
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test func closesAtOnceWhileNothingIsInFlight() {
        let batcher = BatchController(limits: limits)
        #expect(batcher.decide(bytes: 1, batches: 1, openedAt: start, now: start) == .close)
    }

    @Test func growsWhileAnAppendIsInFlight() {
        var batcher = BatchController(limits: limits)
        batcher.appended()
        let deadline = Instant(nanoseconds: start.nanoseconds + limits.waitMax)
        #expect(batcher.decide(bytes: 1, batches: 1, openedAt: start, now: start) == .holdUntil(deadline))
        #expect(batcher.decide(bytes: 1 << 20, batches: 1, openedAt: start, now: start) == .close)
        #expect(batcher.decide(bytes: 1, batches: 100, openedAt: start, now: start) == .close)
        #expect(batcher.decide(bytes: 1, batches: 1, openedAt: start, now: deadline) == .close)
        batcher.completed(nanoseconds: 1)
        #expect(batcher.decide(bytes: 1, batches: 1, openedAt: start, now: start) == .close)
    }

    @Test func holdsWhenTooManyAreInFlight() {
        var batcher = BatchController(limits: limits)
        for _ in 0..<4 { batcher.appended() }
        #expect(batcher.decide(bytes: 1 << 20, batches: 100, openedAt: start, now: start) == .hold)
    }

    @Test func targetFallsOnASlowDiskAndRisesOnAFastOne() {
        var batcher = BatchController(limits: limits)
        func window(_ milliseconds: UInt64, _ batcher: inout BatchController) {
            for _ in 0..<BatchController.windowAppends {
                batcher.appended()
                batcher.completed(nanoseconds: milliseconds * 1_000_000)
            }
        }
        window(101, &batcher)
        #expect(batcher.targetBytes == (1 << 20) - (1 << 20) / 5)
        window(75, &batcher)
        #expect(batcher.targetBytes == (1 << 20) - (1 << 20) / 5)
        for _ in 0..<100 { window(200, &batcher) }
        #expect(batcher.targetBytes == BatchController.targetBytesMin)
        for _ in 0..<100 { window(1, &batcher) }
        #expect(batcher.targetBytes == limits.bytesMax)
    }
}
