// SPDX-License-Identifier: Apache-2.0
//
// TailWindowTests.swift
// How much of the newest data stays in memory, as a value and in a log.

import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct TailWindowTests {
    private let start = Instant(nanoseconds: 1_000)
    private func after(_ seconds: UInt64) -> Instant { Instant(nanoseconds: 1_000 + seconds * 1_000_000_000) }

    @Test func nobodyReads() {
        var window = TailWindow(budget: 256 << 20, now: start)
        #expect(window.target == TailWindow.floorBytes)
        window.advance(to: after(100))
        #expect(window.target == TailWindow.floorBytes)
    }

    @Test func aReaderHasTwiceItsDistance() {
        var window = TailWindow(budget: 256 << 20, now: start)
        window.read(distance: 20 << 20, now: after(1))
        #expect(window.target == 40 << 20)
        window.read(distance: 1 << 20, now: after(2))
        #expect(window.target == 40 << 20)
    }

    @Test func theBudgetIsNeverExceeded() {
        var window = TailWindow(budget: 64 << 20, now: start)
        window.read(distance: .max, now: after(1))
        #expect(window.target == 64 << 20)
        let small = TailWindow(budget: 4096, now: start)
        #expect(small.target == 4096 && small.floor == 4096)
    }

    /// A place is remembered for ten to twenty seconds.
    @Test(arguments: [(9, true), (12, true), (18, true), (21, false), (1000, false)] as [(UInt64, Bool)])
    func placesAreForgotten(seconds: UInt64, isKnown: Bool) {
        var window = TailWindow(budget: 256 << 20, now: start)
        window.read(distance: 50 << 20, now: start)
        if seconds > 10 { window.advance(to: after(10)) }
        window.advance(to: after(seconds))
        #expect(window.target == (isKnown ? 100 << 20 : TailWindow.floorBytes))
    }
}
