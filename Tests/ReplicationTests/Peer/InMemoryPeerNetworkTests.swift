// SPDX-License-Identifier: Apache-2.0
//
// InMemoryPeerNetworkTests.swift
// The network that other tests rely on does what its switches say.

import Model
import NIOCore
import NIOEmbedded
import PeerTestSupport
import Raft
import Replication
import Synchronization
import Testing

@Suite struct InMemoryPeerNetworkTests {
    /// What one broker heard.
    private final class Ears: Sendable {
        let heard = Mutex<[String]>([])
        var events: PeerEvents {
            PeerEvents(
                messages: { from, messages in self.note("\(messages.count) from \(from)") },
                leaders: { from, leaders in self.note("\(leaders.count) leaders from \(from)") },
                peer: { peer, state in self.note("\(peer) \(state == .down ? "down" : "up")") })
        }
        func note(_ text: String) { heard.withLock { $0.append(text) } }
        func take() -> [String] {
            heard.withLock { heard in
                defer { heard = [] }
                return heard
            }
        }
    }

    private let one = NodeID(rawValue: 1)
    private let two = NodeID(rawValue: 2)
    private let message = PeerMessage(group: GroupID(rawValue: 1024), term: Term(3), body: .campaignNow)

    @Test func deliversCutsAndHeals() {
        let loop = EmbeddedEventLoop()
        let network = InMemoryPeerNetwork(loop: loop)
        let (first, second) = (Ears(), Ears())
        let link = network.join(one, events: first.events)
        _ = network.join(two, events: second.events)
        loop.run()
        #expect(first.take() == ["2 up"] && second.take() == ["1 up"])
        link.send([message, message], to: two)
        link.announce([GroupLeader(group: message.group, term: message.term, leader: one)], to: two)
        loop.run()
        #expect(second.take() == ["2 from 1", "1 leaders from 1"])
        network.isolate(two)
        link.send([message], to: two)
        loop.run()
        #expect(first.take() == ["2 down"] && second.take() == ["1 down"])
        network.heal()
        link.send([message], to: two)
        loop.run()
        #expect(first.take() == ["2 up"] && second.take() == ["1 up", "1 from 1"])
        #expect(network.delivered == 3 && network.dropped == 1)
    }

    @Test func answersCallsOnce() {
        let loop = EmbeddedEventLoop()
        let network = InMemoryPeerNetwork(loop: loop)
        let table = PeerRequestTable()
        table.serve(.probeBroker) { request, answer in answer(.success(request.body)) }
        table.serve(.registerBroker) { _, _ in }
        let link = network.join(one, events: Ears().events)
        _ = network.join(two, events: Ears().events, requests: table)
        let ears = Ears()
        func call(_ type: PeerRequestType, to node: NodeID) {
            link.call(type, ByteBuffer(string: "hi"), to: node, timeout: .seconds(1)) { result in
                switch result {
                case .success(let body): ears.note(String(buffer: body))
                case .failure(let error): ears.note("\(error)")
                }
            }
        }
        call(.probeBroker, to: two)
        call(.leadersSnapshot, to: two)
        call(.probeBroker, to: NodeID(rawValue: 3))
        call(.registerBroker, to: two)
        loop.run()
        #expect(Set(ears.take()) == ["hi", "\(PeerCallError.unknownType)", "\(PeerCallError.unknownPeer)"])
        loop.advanceTime(by: .seconds(1))
        #expect(ears.take() == ["\(PeerCallError.timedOut)"])
    }
}
