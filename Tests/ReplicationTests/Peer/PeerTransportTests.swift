// SPDX-License-Identifier: Apache-2.0
//
// PeerTransportTests.swift
// Brokers that speak over loopback: delivery, lanes, reconnection, refusals, limits.

import LogStore
import Model
import NIOCore
import NIOPosix
import Raft
import Synchronization
import Testing

@testable import Replication

@Suite(.timeLimit(.minutes(2))) struct PeerTransportTests {
    private func message(_ group: UInt64) -> PeerMessage {
        PeerMessage(group: GroupID(rawValue: group), term: Term(1), body: .campaignNow)
    }

    private func heartbeats(_ groups: Range<UInt64>, round: UInt64) -> [PeerMessage] {
        groups.map { group in
            PeerMessage(
                group: GroupID(rawValue: group), term: Term(1),
                body: .heartbeat(Raft.Heartbeat(committed: LogIndex(group), round: round, session: 1)))
        }
    }

    private func stop(_ brokers: [PeerTestBroker]) async {
        for broker in brokers { await broker.transport.stop() }
    }

    // MARK: Delivery

    @Test func everyKindArrives() async throws {
        let brokers = try await PeerTestBroker.cluster(3)
        for from in brokers {
            for to in brokers where to !== from {
                from.transport.send(PeerSamples.messages + heartbeats(1024..<1034, round: 7), to: to.node)
                from.transport.announce(
                    [GroupLeader(group: PeerSamples.group, term: Term(1), leader: from.node)], to: to.node)
            }
        }
        let expected = (PeerSamples.messages + heartbeats(1024..<1034, round: 7)).map(PeerSamples.text).sorted()
        for broker in brokers {
            for other in brokers where other !== broker {
                await broker.log.wait(for: "from \(other.node)", times: expected.count + 1)
            }
            #expect(broker.messages.map(PeerSamples.text).sorted() == (expected + expected).sorted())
            #expect(broker.lanesInUse)
            for reason in ["full", "disconnected", "stranger"] {
                #expect(broker.value("goulette_peer_messages_dropped_total{reason=\"\(reason)\"}") == 0)
            }
        }
        await stop(brokers)
    }

    @Test func messagesOfALaneKeepTheirOrder() async throws {
        let brokers = try await PeerTestBroker.cluster(2)
        for group in 0..<2000 as Range<UInt64> { brokers[0].transport.send([message(group)], to: brokers[1].node) }
        await brokers[1].log.wait(for: "message 1999 ")
        #expect(brokers[1].messages.map(\.group.rawValue) == Array(0..<2000))
        await stop(brokers)
    }

    @Test func anEntryOf100MiB() async throws {
        let brokers = try await PeerTestBroker.cluster(2)
        let part = PeerSamples.bytes(1 << 20)
        var payload = ByteBufferAllocator().buffer(capacity: 100 << 20)
        for _ in 0..<100 { payload.writeImmutableBuffer(part) }
        let large = PeerSamples.append([PeerSamples.entry(7, payload: payload)])
        brokers[0].transport.send([large, message(5)], to: brokers[1].node)
        await brokers[1].log.wait(for: "from 1", times: 2)
        // The small one did not wait for the large one.
        #expect(brokers[1].messages.map(\.group.rawValue) == [5, PeerSamples.group.rawValue])
        #expect(brokers[1].messages.last.map(PeerSamples.text) == PeerSamples.text(large))
        await stop(brokers)
    }

    @Test func idleGroupsCostNoBytes() async throws {
        let brokers = try await PeerTestBroker.cluster(2)
        for round in 0..<20 as Range<UInt64> {
            brokers[0].transport.send(heartbeats(1024..<1524, round: round), to: brokers[1].node)
        }
        await brokers[1].log.wait(for: "message 1523 ", times: 20)
        let expected = (0..<20 as Range<UInt64>).flatMap { heartbeats(1024..<1524, round: $0) }
        #expect(brokers[1].messages.map(PeerSamples.text) == expected.map(PeerSamples.text))
        #expect(brokers[0].value("goulette_peer_heartbeat_vectors_total{form=\"full\"}") == 1)
        #expect(brokers[0].value("goulette_peer_heartbeat_vectors_total{form=\"changes\"}") == 19)
        #expect(brokers[0].value("goulette_peer_sent_bytes_total{lane=\"control\"}") < 10_000)
        await stop(brokers)
    }

    // MARK: Connections

    @Test func addressesThatAreNotAllowedAreRefused() async throws {
        let first = PeerTestBroker(1) { $0.accepts = { address in address != "127.0.0.1" } }
        let second = PeerTestBroker(2)
        for broker in [first, second] { try await broker.start() }
        PeerTestBroker.introduce([first, second])
        // The other way is open, and the refused side goes on trying.
        await first.log.wait(for: "up 2")
        await first.log.wait(for: "is not allowed remote=127.0.0.1", times: 2)
        await stop([first, second])
    }

    @Test func aBrokerThatComesBackIsReached() async throws {
        let first = PeerTestBroker(1)
        let second = PeerTestBroker(2, incarnation: 70)
        for broker in [first, second] { try await broker.start() }
        let address = second.address
        PeerTestBroker.introduce([first, second])
        await first.log.wait(for: "up 2 70")
        first.transport.send(heartbeats(1..<10, round: 1), to: second.node)
        await second.log.wait(for: "message 9 ")
        await second.transport.stop()
        await first.log.wait(for: "down 2")
        let before = first.value("goulette_peer_messages_dropped_total{reason=\"disconnected\"}")
        first.transport.send([message(1)], to: second.node)
        #expect(first.value("goulette_peer_messages_dropped_total{reason=\"disconnected\"}") == before + 1)
        let again = PeerTestBroker(2, incarnation: 71) { $0.listen = address }
        again.transport.setPeers([first.node: [first.address]])
        try await again.start()
        await first.log.wait(for: "up 2 71")
        // The first vector on the new connection is whole.
        first.transport.send(heartbeats(1..<10, round: 2), to: again.node)
        await again.log.wait(for: "message 9 ")
        #expect(again.messages.map(PeerSamples.text) == heartbeats(1..<10, round: 2).map(PeerSamples.text))
        await stop([first, again])
    }

    @Test func peersComeAndGo() async throws {
        let brokers = try await PeerTestBroker.cluster(3)
        brokers[0].transport.setPeers([brokers[1].node: [brokers[1].address]])
        await brokers[0].log.wait(for: "down 3")
        #expect(await brokers[0].call(.probeBroker, "", to: 3) == "\(PeerCallError.unknownPeer)")
        // What is left of it is not listened to.
        brokers[2].transport.send([message(1)], to: brokers[0].node)
        brokers[1].transport.send([message(2)], to: brokers[0].node)
        await brokers[0].log.wait(for: "message 2 from 2")
        // Broker 3 is somewhere else now: there the wrong broker answers.
        brokers[0].transport.setPeers([brokers[1].node: [brokers[2].address]])
        await brokers[0].log.wait(for: "down 2")
        await brokers[0].log.wait(for: "refusedByPeer(Replication.PeerWelcome.Status.wrongNode)")
        brokers[0].transport.setPeers([brokers[1].node: [brokers[1].address]])
        await brokers[0].log.wait(for: "up 2", times: 2)
        await stop(brokers)
    }

    /// At the first address of broker 2 another broker answers, at the second nobody, at the third it does itself.
    @Test func everyAddressOfAPeerIsTried() async throws {
        let brokers = try await PeerTestBroker.cluster(3)
        let nobody = PeerAddress(host: "127.0.0.1", port: 1)
        brokers[0].transport.setPeers([brokers[1].node: [brokers[2].address, nobody, brokers[1].address]])
        await brokers[0].log.wait(for: "down 2")
        await brokers[0].log.wait(for: "refusedByPeer(Replication.PeerWelcome.Status.wrongNode)")
        await brokers[0].log.wait(for: "up 2", times: 2)
        // Further addresses are no reason to close a connection; another first one is.
        brokers[0].transport.setPeers([brokers[1].node: [brokers[2].address, brokers[1].address]])
        #expect(await brokers[0].call(.probeBroker, "", to: 2) == "\(PeerCallError.unknownType)")
        brokers[0].transport.setPeers([brokers[1].node: [nobody, brokers[1].address]])
        await brokers[0].log.wait(for: "down 2", times: 2)
        await brokers[0].log.wait(for: "up 2", times: 3)
        await stop(brokers)
    }

    @Test(arguments: ["wrongCluster", "ownID"])
    func strangersAreRefused(_ status: String) async throws {
        let first = PeerTestBroker(1)
        let second = PeerTestBroker(status == "ownID" ? 1 : 2) {
            if status == "wrongCluster" { $0.clusterID = "other" }
        }
        for broker in [first, second] { try await broker.start() }
        first.transport.setPeers([NodeID(rawValue: status == "ownID" ? 9 : 2): [second.address]])
        await second.log.wait(
            for: "refused(Replication.PeerWelcome.Status.\(status == "ownID" ? "wrongNode" : status))")
        await first.log.wait(for: "refusedByPeer")
        #expect(first.value("goulette_peers_up") == 0)
        await stop([first, second])
    }

    /// Brokers that did not know their cluster are told apart once they do.
    @Test func theClusterIDMayComeLater() async throws {
        let brokers = try await PeerTestBroker.cluster(2) { $0.clusterID = "" }
        brokers[1].transport.setClusterID("one")
        brokers[0].transport.setClusterID("one")
        #expect(await brokers[0].call(.probeBroker, "", to: 2) == "\(PeerCallError.unknownType)")
        let third = PeerTestBroker(3) { $0.clusterID = "two" }
        try await third.start()
        PeerTestBroker.introduce(brokers + [third])
        await third.log.wait(for: "refusedByPeer(Replication.PeerWelcome.Status.wrongCluster)")
        await stop(brokers + [third])
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n\r\n", "zzzzzzzzzzzzzzzz", "\u{10}\u{0}\u{0}\u{0}0123456789abcdef"])
    func foreignBytesEndTheConnection(_ text: String) async throws {
        // The bytes are to end it, and not the time that they take on a busy machine.
        let broker = PeerTestBroker(1) { $0.handshakeTimeout = .seconds(600) }
        try await broker.start()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: broker.address.port).get()
        // The broker may have closed before the write is reported.
        try? await channel.writeAndFlush(ByteBuffer(string: text))
        try await channel.closeFuture.get()
        await broker.log.wait(for: "log connection between brokers was refused")
        await broker.transport.stop()
    }

    @Test func connectionsAreBounded() async throws {
        let broker = PeerTestBroker(1) {
            $0.inboundConnectionsMax = 2
            $0.handshakeTimeout = .seconds(600)
        }
        try await broker.start()
        var channels: [any Channel] = []
        for _ in 0..<3 {
            channels.append(
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: broker.address.port).get())
        }
        try await channels[2].closeFuture.get()
        await broker.log.wait(for: "too many connections of brokers")
        // They may have been given up meanwhile.
        for channel in channels.dropLast() { try? await channel.close() }
        await broker.transport.stop()
    }

    /// Somebody connects and says nothing.
    @Test func introductionsAreNotWaitedForForEver() async throws {
        let broker = PeerTestBroker(1) { $0.handshakeTimeout = .milliseconds(50) }
        try await broker.start()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: broker.address.port).get()
        try await channel.closeFuture.get()
        await broker.log.wait(for: "handshakeTimeout")
        await broker.transport.stop()
    }

    @Test func startFailsWhereNobodyCanListen() async throws {
        let broker = PeerTestBroker(1)
        try await broker.start()
        let other = PeerTestBroker(2) { $0.listen = broker.address }
        await #expect(throws: PeerTransportError.self) { try await other.start() }
        await #expect(throws: PeerTransportError.alreadyStarted) { try await broker.start() }
        await broker.transport.stop()
    }

    // MARK: Limits

    /// A peer that takes nothing: what waits is bounded, the rest is dropped and counted, and in the end it is given up.
    @Test func aPeerThatTakesNothing() async throws {
        var output = PeerOutput()
        let identity = PeerIdentity(clusterID: "kluster", node: NodeID(rawValue: 2), incarnation: 3)
        output.write(.welcome(PeerWelcome(status: .accepted, identity: identity, version: 1)))
        let welcome = output.take()[0]
        let deaf = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.closeFuture.whenComplete { _ in }
                channel.eventLoop.execute { channel.writeAndFlush(welcome, promise: nil) }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let broker = PeerTestBroker(1) {
            $0.bulkOutboxBytesMax = 8 << 20
            $0.pingInterval = .milliseconds(50)
            $0.silenceLimit = .milliseconds(1500)
        }
        try await broker.start()
        let address = PeerAddress(host: "127.0.0.1", port: try #require(deaf.localAddress?.port))
        broker.transport.setPeers([identity.node: [address]])
        await broker.log.wait(for: "up 2 3")
        await broker.waitForLanes(to: identity.node)
        let payload = PeerSamples.bytes(1 << 20)
        let append = PeerSamples.append([PeerSamples.entry(7, payload: payload)])
        let dropped = "goulette_peer_messages_dropped_total{reason=\"full\"}"
        // What the outbox holds, and what the system's buffers take of it, is far less.
        for _ in 0..<200 {
            broker.transport.send([append], to: identity.node)
            #expect(broker.value("goulette_peer_outbox_bytes{lane=\"bulk\"}") <= 8 << 20)
        }
        #expect(broker.value(dropped) > 100)
        // Votes and requests have their own lane; here nobody answers either. On a slow machine the peer is given up by now.
        let ends = [PeerCallError.timedOut, .disconnected, .notConnected].map { "\($0)" }
        #expect(ends.contains(await broker.call(.probeBroker, "x", to: 2, timeout: .milliseconds(30))))
        await broker.log.wait(for: "down 2")
        await broker.log.wait(for: "reason=silent")
        await broker.transport.stop()
        #expect(broker.value("goulette_peer_outbox_bytes{lane=\"bulk\"}") == 0)
        try await deaf.close()
    }
}

extension PeerTestBroker {
    /// Whether bytes came on both lanes.
    fileprivate var lanesInUse: Bool {
        value("goulette_peer_received_bytes_total{lane=\"control\"}") > 0
            && value("goulette_peer_received_bytes_total{lane=\"bulk\"}") > 20_000
    }
}
