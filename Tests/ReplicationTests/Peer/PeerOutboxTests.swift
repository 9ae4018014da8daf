// SPDX-License-Identifier: Apache-2.0
//
// PeerOutboxTests.swift
// What waits for a peer is bounded, and what is dropped is told.

import Model
import NIOCore
import Testing

@testable import Replication

@Suite struct PeerOutboxTests {
    private func append(_ bytes: Int) -> PeerMessage {
        PeerSamples.append([PeerSamples.entry(7, payload: PeerSamples.bytes(bytes))])
    }

    private func call(_ bytes: Int) -> PeerCall {
        PeerCall(type: .probeBroker, body: PeerSamples.bytes(bytes), timeout: .seconds(1)) { _ in }
    }

    @Test func nothingIsTakenWithoutAConnection() {
        var outbox = PeerOutbox(bytesMax: 1000)
        #expect(outbox.offer([append(1), append(1)]) == .init(dropped: 2, refusal: .disconnected))
        #expect(outbox.offer(.heartbeats, PeerSamples.rows(5)) == .init(dropped: 5, refusal: .disconnected))
        #expect(outbox.offer(call(1)).refusal == .disconnected)
        #expect(outbox.byteCount == 0 && outbox.take().isEmpty)
    }

    @Test func whatExceedsTheLimitIsDropped() {
        var outbox = PeerOutbox(bytesMax: 10_000)
        outbox.open()
        #expect(outbox.offer([append(4000)]) == .init(wakes: true))
        #expect(outbox.offer([append(4000), append(4000), append(10)]) == .init(dropped: 2, refusal: .full))
        #expect(outbox.offer(.answers, PeerSamples.rows(1000)) == .init(dropped: 1000, refusal: .full))
        #expect(outbox.offer(.answers, PeerSamples.rows(10)) == .init())
        let taken = outbox.take().reduce(0) { $0 + $1.byteCount }
        #expect(taken == outbox.byteCount)
        // What was taken is not gone before it has left.
        #expect(outbox.offer([append(4000)]).dropped == 1)
        outbox.sent(taken)
        #expect(outbox.byteCount == 0 && outbox.offer([append(4000)]) == .init(wakes: true))
    }

    /// An entry larger than the whole limit must get through some day.
    @Test func oneMessageAlwaysFits() {
        var outbox = PeerOutbox(bytesMax: 1000)
        outbox.open()
        #expect(outbox.offer([append(5000), append(1)]) == .init(wakes: true, dropped: 1, refusal: .full))
        outbox.sent(outbox.take().reduce(0) { $0 + $1.byteCount })
        #expect(outbox.offer([append(5000)]) == .init(wakes: true))
    }

    @Test func whatNoFrameHoldsIsDropped() {
        var outbox = PeerOutbox(bytesMax: 1000, messageBytesMax: 4000)
        outbox.open()
        #expect(outbox.offer([append(5000)]) == .init(dropped: 1, refusal: .tooLarge))
        #expect(outbox.offer([append(10), append(5000)]) == .init(wakes: true, dropped: 1, refusal: .tooLarge))
    }

    @Test func callsComeBackWhenTheConnectionEnds() {
        var outbox = PeerOutbox(bytesMax: 10_000)
        outbox.open()
        _ = outbox.offer(call(10))
        _ = outbox.offer([append(10)])
        _ = outbox.offer(call(20))
        #expect(outbox.close().map(\.body.readableBytes) == [10, 20])
        #expect(outbox.byteCount == 0 && !outbox.isOpen && outbox.take().isEmpty)
    }
}
