// SPDX-License-Identifier: Apache-2.0
//
// RequestForwarderTests.swift
// Passing requests on: their form between brokers, when they are sent again, and when they are not.

import KafkaProtocol
import Model
import NIOCore
import NIOEmbedded
import Replication
import Synchronization
import Telemetry
import Testing

@testable import Broker

@Suite struct RequestForwarderTests {
    /// Answers calls with what the test prepared, and remembers them.
    private final class ScriptedLink: PeerLink {
        struct State {
            var answers: [Result<ByteBuffer, PeerCallError>] = []
            var calls: [(node: NodeID, body: ByteBuffer)] = []
        }

        let state = Mutex(State())

        func send(_ messages: [PeerMessage], to peer: NodeID) {}
        func announce(_ leaders: [GroupLeader], to peer: NodeID) {}

        func call(
            _ type: PeerRequestType, _ body: ByteBuffer, to peer: NodeID, timeout: Duration,
            then: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
        ) {
            #expect(type == .forwardKafkaRequest)
            let answer = state.withLock { state in
                state.calls.append((peer, body))
                return state.answers.isEmpty ? .failure(.notConnected) : state.answers.removeFirst()
            }
            then(answer)
        }
    }

    private static let me = NodeID(rawValue: 1)
    private static let other = NodeID(rawValue: 2)

    /// What became of one forwarded request.
    private struct Ending: Equatable {
        var answers: [String] = []
        var servedHere = 0
        var closed = 0
    }

    private func forward(
        leader: @escaping @Sendable (Int) -> NodeID?, answers: [Result<ByteBuffer, PeerCallError>],
        pausing milliseconds: Int64 = 1000
    ) throws -> (outcome: Ending, calls: [NodeID]) {
        let loop = EmbeddedEventLoop()
        let link = ScriptedLink()
        link.state.withLock { $0.answers = answers }
        let clock = ManualClock()
        let outcome = Mutex(Ending())
        let asked = Atomic<Int>(0)
        let forwarder = RequestForwarder(
            node: Self.me, link: link, clock: clock.clock, forwarded: Counter(),
            leader: { _ in leader(asked.add(1, ordering: .relaxed).oldValue) })
        let answer = Answer(
            send: { body in
                outcome.withLock { $0.answers.append(body.map { String(buffer: $0.contiguous()) } ?? "nil") }
            },
            close: { _ in outcome.withLock { $0.closed += 1 } }, onDisconnect: { _ in })
        let call = Call(
            header: RequestHeader(apiKey: 19, version: 5, correlationID: 3, clientID: "c"), loop: loop,
            advertised: BrokerAddress(id: Self.me, host: "h", port: 1), peer: "10.0.0.1",
            receivedAt: clock.clock.now(), answer: answer)
        forwarder.forward(call, body: ByteBuffer(string: "body")) { end in
            if case .serveHere = end { outcome.withLock { $0.servedHere += 1 } }
        }
        for _ in 0..<20 {
            clock.advance(milliseconds: milliseconds)
            loop.advanceTime(by: .milliseconds(milliseconds))
        }
        try loop.close()
        return (outcome.withLock { $0 }, link.state.withLock { $0.calls.map(\.node) })
    }

    @Test func theLeadersAnswerIsPassedBackUnread() throws {
        let (outcome, calls) = try forward(
            leader: { _ in Self.other }, answers: [.success(ByteBuffer(string: "answer"))])
        #expect(outcome == Ending(answers: ["answer"]) && calls == [Self.other])
    }

    @Test func aBrokerThatLeadsServesItself() throws {
        let (outcome, calls) = try forward(leader: { _ in Self.me }, answers: [])
        #expect(outcome == Ending(servedHere: 1) && calls.isEmpty)
    }

    /// Nothing was done, so it may be sent again, to whoever leads by then.
    @Test(arguments: [
        PeerCallError.notConnected, .unknownPeer, .busy, .failed(RequestForwarder.notLeader),
    ])
    func whatWasNotDoneIsTriedAgain(error: PeerCallError) throws {
        let third = NodeID(rawValue: 3)
        let (outcome, calls) = try forward(
            leader: { attempt in [Self.other, nil, third][min(attempt, 2)] },
            answers: [.failure(error), .success(ByteBuffer(string: "answer"))])
        #expect(outcome == Ending(answers: ["answer"]) && calls == [Self.other, third])
    }

    /// What may have been done is not done twice: the connection is closed, and the client decides.
    @Test(arguments: [PeerCallError.disconnected, .timedOut, .failed("broken")])
    func whatMayHaveBeenDoneIsNotSentAgain(error: PeerCallError) throws {
        let (outcome, calls) = try forward(leader: { _ in Self.other }, answers: [.failure(error)])
        #expect(outcome == Ending(closed: 1) && calls.count == 1)
    }

    @Test(arguments: [PeerCallError.unknownType, .tooLarge, .notPermitted])
    func whatCannotBePassedOnIsRefusedHere(error: PeerCallError) throws {
        let (outcome, calls) = try forward(leader: { _ in Self.other }, answers: [.failure(error)])
        #expect(outcome == Ending(servedHere: 1) && calls.count == 1)
    }

    @Test func aLeaderIsNotLookedForForever() throws {
        let (outcome, calls) = try forward(leader: { _ in nil }, answers: [])
        #expect(outcome == Ending(servedHere: 1) && calls.isEmpty)
    }

    @Test(arguments: [nil, "", "client"] as [String?]) func requestsAreReadAsTheyWereWritten(clientID: String?) throws {
        let header = RequestHeader(apiKey: 20, version: 4, correlationID: -9, clientID: clientID)
        let request = ForwardedRequest(header: header, peer: "::1", body: ByteBuffer(bytes: [0, 1, 2, 255]))
        let encoded = request.encoded()
        #expect(try ForwardedRequest(decoding: encoded) == request)
        for length in 0..<(encoded.readableBytes - 4) {
            #expect(throws: BinaryCodingError.self) {
                try ForwardedRequest(decoding: ByteBuffer(bytes: encoded.readableBytesView.prefix(length)))
            }
        }
    }
}
