// SPDX-License-Identifier: Apache-2.0
//
// UnpackQueueTests.swift
// Entries on their way to the producers' state of a follower: bounded, and forgotten when the log was cut.

import Model
import Testing

@testable import Broker

@Suite struct UnpackQueueTests {
    @Test func entriesComeAndGo() {
        var queue = UnpackQueue()
        #expect(queue.isEmpty && queue.end == nil)
        let tickets = [queue.add(bytes: 10, end: Offset(5)), queue.add(bytes: 20, end: Offset(9))].compactMap { $0 }
        #expect(tickets.count == 2 && queue.count == 2 && queue.bytes == 30 && queue.end == Offset(9))
        let isFirstWanted = queue.finish(tickets[0], bytes: 10)
        #expect(isFirstWanted && queue.end == Offset(9))
        let isSecondWanted = queue.finish(tickets[1], bytes: 20)
        #expect(isSecondWanted && queue.isEmpty && queue.bytes == 0 && queue.end == nil)
    }

    @Test func thereIsNoRoomForEverything() {
        var queue = UnpackQueue()
        let large = queue.add(bytes: 2 * UnpackQueue.bytesMax, end: Offset(1))
        #expect(large != nil, "one entry always fits")
        let small = queue.add(bytes: 1, end: Offset(2))
        #expect(small == nil && queue.end == Offset(1), "what did not fit is not waited for")
    }

    @Test func whatWasForgottenDoesNotCount() {
        var queue = UnpackQueue()
        let old = queue.add(bytes: 10, end: Offset(5)) ?? .max
        queue.removeAll()
        let new = queue.add(bytes: 7, end: Offset(3)) ?? .max
        let isOldWanted = queue.finish(old, bytes: 10)
        #expect(!isOldWanted && queue.bytes == 7)
        let isNewWanted = queue.finish(new, bytes: 7)
        #expect(isNewWanted && queue.isEmpty)
    }
}
