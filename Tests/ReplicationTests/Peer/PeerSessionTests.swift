// SPDX-License-Identifier: Apache-2.0
//
// PeerSessionTests.swift
// Introductions and what is refused, requests and their deadlines, signs of life: without sockets.

import Model
import NIOCore
import Testing

@testable import Replication

@Suite struct PeerSessionTests {
    private let start = Instant(nanoseconds: 1_000_000_000)
    private let address = PeerAddress(host: "here", port: 1)

    private func limits(_ change: (inout PeerTransportSettings) -> Void = { _ in }) -> PeerSession.Limits {
        var settings = PeerTransportSettings(node: PeerSamples.node(1), incarnation: 1, listen: address)
        change(&settings)
        return PeerSession.Limits(settings)
    }

    private func identity(_ node: Int32, cluster: String = "kluster") -> PeerIdentity {
        PeerIdentity(clusterID: cluster, node: PeerSamples.node(node), incarnation: UInt64(node) * 100)
    }

    private func session(
        _ side: PeerSession.Side, _ local: PeerIdentity, _ change: (inout PeerTransportSettings) -> Void = { _ in }
    ) -> PeerSession {
        PeerSession(side: side, local: local, address: address, limits: limits(change), now: start)
    }

    /// Runs frames between two sessions until both are silent, through the codec; returns what they told their shells.
    private func run(
        _ one: inout PeerSession, _ other: inout PeerSession, _ first: [PeerSession.Directive], at now: Instant? = nil
    ) throws -> (one: [String], other: [String]) {
        var (fromOne, fromOther) = (first, [PeerSession.Directive]())
        var (toldOne, toldOther): ([String], [String]) = ([], [])
        while !fromOne.isEmpty || !fromOther.isEmpty {
            let (sentByOne, sentByOther) = (fromOne, fromOther)
            (fromOne, fromOther) = ([], [])
            for directive in sentByOne {
                guard let frame = Self.frame(directive) else {
                    toldOne.append(Self.text(directive))
                    continue
                }
                let decoded = try PeerFrameDecoder.decode(PeerSamples.encoded(frame))
                other.receive(decoded, at: now ?? start, &fromOther)
            }
            for directive in sentByOther {
                guard let frame = Self.frame(directive) else {
                    toldOther.append(Self.text(directive))
                    continue
                }
                let decoded = try PeerFrameDecoder.decode(PeerSamples.encoded(frame))
                one.receive(decoded, at: now ?? start, &fromOne)
            }
        }
        return (toldOne, toldOther)
    }

    private static func frame(_ directive: PeerSession.Directive) -> PeerFrame? {
        if case .send(let frame) = directive { frame } else { nil }
    }

    private static func text(_ directive: PeerSession.Directive) -> String {
        switch directive {
        case .send: "send"
        case .established(let remote, let lane): "established \(remote.node) \(remote.incarnation) \(lane)"
        case .messages(let messages): "messages \(messages.count)"
        case .heartbeats(let roster): "heartbeats \(roster.messages.count)"
        case .leaders(let leaders): "leaders \(leaders.count)"
        case .request(let id, let type, let timeout, let body):
            "request \(id) \(type) \(timeout.milliseconds) \(body.readableBytes)"
        case .answered(let id, .success(let body)): "answered \(id) \(String(buffer: body))"
        case .answered(let id, .failure(let error)): "failed \(id) \(error)"
        case .close(let reason): "close \(reason)"
        }
    }

    /// Two sessions that were introduced: the dialer of broker 1, and the acceptor of broker 2.
    private func introduced(
        _ change: (inout PeerTransportSettings) -> Void = { _ in }
    ) throws -> (dialer: PeerSession, acceptor: PeerSession) {
        var dialer = session(.dialer(to: PeerSamples.node(2), .control), identity(1), change)
        var acceptor = session(.acceptor, identity(2), change)
        var directives: [PeerSession.Directive] = []
        dialer.begin(&directives)
        let told = try run(&dialer, &acceptor, directives)
        #expect(told.one == ["established 2 200 control"] && told.other == ["established 1 100 control"])
        return (dialer, acceptor)
    }

    // MARK: Introductions

    @Test func twoBrokersAreIntroduced() throws {
        let (dialer, acceptor) = try introduced()
        #expect(dialer.isEstablished && acceptor.isEstablished && acceptor.remote == identity(1))
    }

    struct Case: Sendable {
        var dialer: PeerIdentity
        var acceptor: PeerIdentity
        var target: Int32 = 2
        var certified: Set<NodeID>?
        var status: PeerWelcome.Status
    }

    private static func someone(_ node: Int32, _ cluster: String = "kluster") -> PeerIdentity {
        PeerIdentity(clusterID: cluster, node: PeerSamples.node(node), incarnation: 5)
    }

    private static let cases: [Case] = [
        Case(dialer: someone(1), acceptor: someone(2), status: .accepted),
        // A new broker does not know its cluster yet, nor does a new cluster.
        Case(dialer: someone(1, ""), acceptor: someone(2), status: .accepted),
        Case(dialer: someone(1), acceptor: someone(2, ""), status: .accepted),
        Case(dialer: someone(1, "other"), acceptor: someone(2), status: .wrongCluster),
        Case(dialer: someone(1), acceptor: someone(3), status: .wrongNode),
        Case(dialer: someone(2), acceptor: someone(2), status: .ownID),
        Case(dialer: someone(1), acceptor: someone(2), certified: [PeerSamples.node(1)], status: .accepted),
        Case(dialer: someone(1), acceptor: someone(2), certified: [PeerSamples.node(3)], status: .wrongCertificate),
        Case(dialer: someone(1), acceptor: someone(2), certified: [], status: .wrongCertificate),
    ]

    @Test(arguments: cases.indices)
    func introductionsAreChecked(_ place: Int) throws {
        let one = Self.cases[place]
        var dialer = session(.dialer(to: PeerSamples.node(one.target), .bulk), one.dialer)
        var acceptor = session(.acceptor, one.acceptor)
        acceptor.certified = one.certified
        var directives: [PeerSession.Directive] = []
        dialer.begin(&directives)
        let told = try run(&dialer, &acceptor, directives)
        if one.status == .accepted {
            #expect(dialer.isEstablished && acceptor.isEstablished)
        } else {
            #expect(told.one == ["close refusedByPeer(Replication.PeerWelcome.Status.\(one.status))"])
            #expect(told.other == ["close refused(Replication.PeerWelcome.Status.\(one.status))"])
            #expect(dialer.isClosed && acceptor.isClosed)
        }
    }

    /// The dialing side believes an acceptor no more than the other way round.
    @Test(
        arguments: [
            (someone(3), nil, PeerWelcome.Status.wrongNode), (someone(2, "other"), nil, .wrongCluster),
            (someone(1), nil, .wrongNode), (someone(2), [PeerSamples.node(4)], .wrongCertificate),
        ] as [(PeerIdentity, Set<NodeID>?, PeerWelcome.Status)])
    func welcomesAreChecked(_ remote: PeerIdentity, _ certified: Set<NodeID>?, _ status: PeerWelcome.Status) {
        var dialer = session(.dialer(to: PeerSamples.node(2), .control), identity(1))
        dialer.certified = certified
        var directives: [PeerSession.Directive] = []
        dialer.receive(
            .welcome(PeerWelcome(status: .accepted, identity: remote, version: 1)), at: start, &directives)
        #expect(directives.map(Self.text) == ["close \(PeerClosure.refused(status))"])
    }

    @Test(arguments: [(2...9, true), (1...9, false), (0...0, true)] as [(ClosedRange<UInt8>, Bool)])
    func versionsMustOverlap(_ versions: ClosedRange<UInt8>, _ isRefused: Bool) {
        var acceptor = session(.acceptor, identity(2))
        var hello = PeerSamples.hello
        hello.versions = versions
        var directives: [PeerSession.Directive] = []
        acceptor.receive(.hello(hello), at: start, &directives)
        #expect(acceptor.isClosed == isRefused)
        guard case .send(.welcome(let welcome))? = directives.first else {
            Issue.record("no welcome")
            return
        }
        #expect(welcome.status == (isRefused ? .unknownVersion : .accepted) && welcome.version == (isRefused ? 0 : 1))
        var dialer = session(.dialer(to: PeerSamples.node(2), .control), identity(1))
        var answer = welcome
        (answer.status, answer.version, answer.identity) = (.accepted, 7, identity(2))
        dialer.receive(.welcome(answer), at: start, &directives)
        #expect(dialer.isClosed)
    }

    @Test(arguments: PeerSamples.frames.indices)
    func framesOutOfTurnEndTheConnection(_ place: Int) throws {
        let frame = PeerSamples.frames[place]
        var directives: [PeerSession.Directive] = []
        var fresh = session(.acceptor, identity(2))
        fresh.receive(frame, at: start, &directives)
        let isHello = if case .hello = frame { true } else { false }
        #expect(fresh.isEstablished == isHello && fresh.isClosed == !isHello)
        var (dialer, acceptor) = try introduced()
        dialer.receive(frame, at: start, &directives)
        acceptor.receive(frame, at: start, &directives)
        let (forDialer, forAcceptor) =
            switch frame {
            case .messages, .leaders, .heartbeats, .ping, .request: (false, true)
            case .pong, .heartbeatReset, .response: (true, false)
            case .hello, .welcome: (false, false)
            }
        #expect(dialer.isEstablished == forDialer && acceptor.isEstablished == forAcceptor)
    }

    @Test func introductionsHaveADeadline() {
        for side in [PeerSession.Side.acceptor, .dialer(to: PeerSamples.node(2), .bulk)] {
            var one = session(side, identity(1))
            #expect(one.nextTick == start.advanced(byMilliseconds: 5000))
            var directives: [PeerSession.Directive] = []
            one.tick(at: start.advanced(byMilliseconds: 4999), &directives)
            #expect(directives.isEmpty)
            one.tick(at: start.advanced(byMilliseconds: 5000), &directives)
            #expect(directives.map(Self.text) == ["close handshakeTimeout"])
        }
    }

    // MARK: Requests

    @Test func requestsAreAnsweredOrExpire() throws {
        var (dialer, acceptor) = try introduced()
        var directives: [PeerSession.Directive] = []
        func ask(_ timeout: Duration, _ text: String) throws -> UInt64 {
            let next = dialer.ask(timeout, at: start)
            let id = try #require(next)
            directives.append(
                .send(
                    .request(
                        id: id, type: 1007, timeoutMilliseconds: UInt32(timeout.milliseconds),
                        body: ByteBuffer(string: text))))
            return id
        }
        let (first, second, third) = (try ask(.seconds(1), "a"), try ask(.seconds(3), "b"), try ask(.seconds(2), "c"))
        let told = try run(&dialer, &acceptor, directives)
        #expect(told.other == ["request 1 1007 1000 1", "request 2 1007 3000 1", "request 3 1007 2000 1"])
        directives = []
        acceptor.answer(second, .success(ByteBuffer(string: "yes")), &directives)
        acceptor.answer(third, .failure(.failed("no")), &directives)
        acceptor.answer(third, .success(ByteBuffer()), &directives)
        #expect(directives.count == 2)
        #expect(try run(&acceptor, &dialer, directives).other == ["answered 2 yes", "failed 3 no"])
        #expect(dialer.nextTick == start.advanced(byMilliseconds: 1000))
        directives = []
        dialer.tick(at: start.advanced(byMilliseconds: 1000), &directives)
        #expect(directives.map(Self.text) == ["failed \(first) \(PeerCallError.timedOut)"])
        directives = []
        acceptor.tick(at: start.advanced(byMilliseconds: 1000), &directives)
        acceptor.answer(first, .success(ByteBuffer()), &directives)
        // Told once, and nobody waits for it any more.
        #expect(directives.count == 1)
        #expect(try run(&acceptor, &dialer, directives).other.isEmpty)
    }

    @Test func requestsAreBounded() throws {
        var (dialer, acceptor) = try introduced {
            $0.requestsInFlightMax = 3
            $0.requestBytesInFlightMax = 100
        }
        #expect((0..<5).filter { _ in dialer.ask(.seconds(1), at: start) != nil }.count == 3)
        var directives: [PeerSession.Directive] = []
        func request(_ id: UInt64, _ bytes: Int) -> String {
            directives = []
            acceptor.receive(
                .request(id: id, type: 1, timeoutMilliseconds: 10, body: PeerSamples.bytes(bytes)), at: start,
                &directives)
            guard case .send(.response(_, let status, _))? = directives.first else { return "taken" }
            return status == PeerCallStatus.busy.rawValue ? "busy" : "other"
        }
        #expect(request(1, 500) == "taken" && request(2, 1) == "busy" && request(1, 0) == "busy")
        acceptor.answer(1, .success(ByteBuffer()), &directives)
        #expect(["taken", "taken", "busy"] == [request(3, 60), request(4, 40), request(5, 1)])
    }

    @Test func anAnswerMayBeTooLarge() throws {
        var (_, acceptor) = try introduced { $0.frameBytesMax = 1000 }
        var directives: [PeerSession.Directive] = []
        acceptor.receive(
            .request(id: 1, type: 1, timeoutMilliseconds: 10, body: ByteBuffer()), at: start, &directives)
        directives = []
        acceptor.answer(1, .success(PeerSamples.bytes(1000)), &directives)
        guard case .send(.response(1, PeerCallStatus.tooLarge.rawValue, let body))? = directives.first else {
            Issue.record("no such answer")
            return
        }
        #expect(body.readableBytes == 0)
    }

    // MARK: Signs of life

    @Test func silenceEndsTheConnection() throws {
        var (dialer, acceptor) = try introduced()
        var closed: [String] = []
        for step in 1...6 as ClosedRange<Int64> {
            let now = start.advanced(byMilliseconds: step * 2000)
            var directives: [PeerSession.Directive] = []
            dialer.tick(at: now, &directives)
            // For two ticks the pings arrive and are answered; then nothing does.
            if step <= 2 {
                #expect(directives.count == 1)
                _ = try run(&dialer, &acceptor, directives, at: now)
                acceptor.tick(at: now, &directives)
            } else {
                closed += directives.map(Self.text).filter { $0 != "send" }
            }
        }
        #expect(closed.isEmpty)
        var directives: [PeerSession.Directive] = []
        dialer.tick(at: start.advanced(byMilliseconds: 14_000), &directives)
        acceptor.tick(at: start.advanced(byMilliseconds: 8000), &directives)
        acceptor.tick(at: start.advanced(byMilliseconds: 12_000), &directives)
        acceptor.tick(at: start.advanced(byMilliseconds: 14_000), &directives)
        #expect(directives.map(Self.text) == ["close silent", "close silent"])
    }

    /// A process that stood still itself knows nothing about its peer.
    @Test func aLateTickAccusesNobody() throws {
        var (dialer, _) = try introduced()
        var directives: [PeerSession.Directive] = []
        dialer.tick(at: start.advanced(byMilliseconds: 240_000), &directives)
        #expect(directives.map(Self.text) == ["send"] && dialer.isEstablished)
    }

    // MARK: Vectors

    @Test func aVectorThatIsMissedIsSentInFull() throws {
        var (dialer, acceptor) = try introduced()
        let rows = PeerSamples.rows(10)
        func exchange() throws -> [String] {
            let vectors = dialer.vectors(.heartbeats, rows)
            return try run(&dialer, &acceptor, vectors.map { .send(.heartbeats($0)) }).other
        }
        #expect(try exchange() == ["heartbeats 10"])
        _ = dialer.vectors(.heartbeats, rows)
        #expect(try exchange() == [])
        #expect(try exchange() == ["heartbeats 10"])
        // Another connection of the same dialer begins anew.
        let (fresh, other) = try introduced()
        (dialer, acceptor) = (fresh, other)
        #expect(try exchange() == ["heartbeats 10"])
        #expect(try exchange() == ["heartbeats 10"])
    }
}
