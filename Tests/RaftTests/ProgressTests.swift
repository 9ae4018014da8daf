// SPDX-License-Identifier: Apache-2.0
//
// ProgressTests.swift
// The leader's view of a peer, and the window of what is in flight.

import Model
import Testing

@testable import Raft

@Suite struct InflightsTests {
    @Test func agreesWithNaive() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<200 {
            let messagesMax = Int.random(in: 1...5, using: &random)
            let bytesMax = Int.random(in: 1...20, using: &random)
            var window = Raft.Inflights(messagesMax: messagesMax, bytesMax: bytesMax)
            var naive: [(last: UInt64, bytes: Int)] = []
            var last: UInt64 = 0
            for _ in 0..<60 {
                if window.isFull || Bool.random(using: &random) {
                    let confirmed = UInt64.random(in: 0...last, using: &random)
                    window.free(through: LogIndex(confirmed))
                    naive.removeAll { $0.last <= confirmed }
                } else {
                    last += UInt64.random(in: 1...3, using: &random)
                    let bytes = Int.random(in: 0...30, using: &random)
                    window.add(last: LogIndex(last), bytes: bytes)
                    naive.append((last, bytes))
                }
                let bytes = naive.reduce(0) { $0 + $1.bytes }
                #expect(window.count == naive.count && window.bytes == bytes)
                #expect(window.isFull == (naive.count >= messagesMax || bytes >= bytesMax))
            }
            window.free(through: LogIndex(last))
            #expect(window.count == 0 && window.bytes == 0)
        }
    }

    @Test func oversizedMessagePassesAlone() {
        var window = Raft.Inflights(messagesMax: 4, bytesMax: 10)
        #expect(!window.isFull)
        window.add(last: LogIndex(1), bytes: 1_000)
        #expect(window.isFull)
        window.free(through: LogIndex(1))
        #expect(!window.isFull && window.bytes == 0)
    }
}

@Suite struct ProgressTests {
    private func progress(next: UInt64) -> Raft.Progress {
        Raft.Progress(id: NodeID(rawValue: 2), next: LogIndex(next), settings: Raft.Settings())
    }

    @Test func probeSendsOneAtATime() {
        var peer = progress(next: 5)
        #expect(!peer.isPaused)
        peer.sent(through: LogIndex(6), bytes: 10)
        #expect(peer.isPaused && peer.next == LogIndex(5) && peer.inflights.count == 0)
        _ = peer.confirm(appended: LogIndex(6), flushed: LogIndex(4))
        peer.becomeReplicate()
        #expect(!peer.isPaused && peer.next == LogIndex(7) && peer.match == LogIndex(4))
        peer.checkInvariants()
    }

    @Test func replicateSendsAheadOfConfirmation() {
        var peer = progress(next: 1)
        peer.becomeReplicate()
        peer.sent(through: LogIndex(3), bytes: 10)
        peer.sent(through: LogIndex(4), bytes: 20)
        #expect(peer.next == LogIndex(5) && peer.inflights.bytes == 30)
        let first = peer.confirm(appended: LogIndex(4), flushed: LogIndex(3))
        #expect(first && peer.inflights.bytes == 20)
        // An old answer changes nothing.
        let second = peer.confirm(appended: LogIndex(2), flushed: LogIndex(1))
        #expect(!second && peer.match == LogIndex(3) && peer.appended == LogIndex(4) && peer.next == LogIndex(5))
    }

    @Test func doubtDropsTheWindow() {
        var peer = progress(next: 1)
        peer.becomeReplicate()
        peer.sent(through: LogIndex(9), bytes: 10)
        _ = peer.confirm(appended: LogIndex(2), flushed: LogIndex(2))
        peer.becomeProbe(next: LogIndex(1))
        #expect(peer.next == LogIndex(3), "never below what is confirmed")
        #expect(peer.inflights.bytes == 0 && !peer.isPaused)
        peer.checkInvariants()
    }

    @Test func distrustVoidsConfirmations() {
        var peer = progress(next: 1)
        peer.becomeReplicate()
        _ = peer.confirm(appended: LogIndex(7), flushed: LogIndex(7))
        peer.setTrusted(false)
        #expect(peer.match == .zero && !peer.isTrusted && peer.state == .probe)
        peer.checkInvariants()
    }

    @Test func waitingForASnapshotIsPaused() {
        var peer = progress(next: 4)
        peer.becomeSnapshot(pending: nil)
        #expect(peer.isPaused)
        _ = peer.confirm(appended: LogIndex(9), flushed: LogIndex(9))
        peer.becomeReplicate()
        #expect(peer.next == LogIndex(10) && !peer.isPaused)
    }
}
