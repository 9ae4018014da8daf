// SPDX-License-Identifier: Apache-2.0
//
// PeerRequestTests.swift
// Requests between brokers, and every way in which one can end.

import Model
import NIOCore
import Synchronization
import Telemetry
import Testing

@testable import Replication

@Suite(.timeLimit(.minutes(2))) struct PeerRequestTests {
    @Test func everyOutcome() async throws {
        let brokers = try await PeerTestBroker.cluster(2) { $0.requestsInFlightMax = 4 }
        let (one, two) = (brokers[0], brokers[1])
        let parked = Mutex<[PeerRequestTable.Answer]>([])
        two.table.serve(.probeBroker) { request, answer in
            answer(.success(ByteBuffer(string: "\(request.from): \(String(buffer: request.body))")))
        }
        two.table.serve(.proposeClusterCommand) { _, answer in answer(.failure(.failed("the disk is full"))) }
        two.table.serve(.registerBroker) { _, answer in
            two.log.note("parked")
            parked.withLock { $0.append(answer) }
        }
        two.table.serve(.brokerHeartbeat, deadline: .milliseconds(30)) { _, _ in }
        #expect(await one.call(.probeBroker, "hello", to: 2) == "1: hello")
        #expect(await one.call(.leadersSnapshot, "", to: 2) == "\(PeerCallError.unknownType)")
        #expect(await one.call(.proposeClusterCommand, "", to: 2) == "the disk is full")
        #expect(await one.call(.registerBroker, "", to: 2, timeout: .milliseconds(30)) == "\(PeerCallError.timedOut)")
        // The table's deadline is shorter than the caller's.
        #expect(await one.call(.brokerHeartbeat, "", to: 2) == "\(PeerCallError.timedOut)")
        // An answer after the deadline is not taken for another request's.
        for answer in parked.withLock({ $0 }) { answer(.success(ByteBuffer(string: "late"))) }
        #expect(await one.call(.probeBroker, "again", to: 2) == "1: again")
        #expect(await one.call(.probeBroker, "", to: 7) == "\(PeerCallError.unknownPeer)")
        let outcomes = await withTaskGroup(of: String.self) { tasks in
            for _ in 0..<6 { tasks.addTask { await one.call(.registerBroker, "", to: 2) } }
            await two.log.wait(for: "parked", times: 5)
            await two.transport.stop()
            return await tasks.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
        }
        #expect(outcomes == ["\(PeerCallError.busy)": 2, "\(PeerCallError.disconnected)": 4])
        await one.log.wait(for: "down 2")
        #expect(await one.call(.probeBroker, "", to: 2) == "\(PeerCallError.notConnected)")
        await one.transport.stop()
    }

    /// Other requests go on beside one that takes long, and large bodies come through whole on either lane.
    @Test(arguments: [PeerRequestType.forwardKafkaRequest, .snapshotRange])
    func largeBodies(_ type: PeerRequestType) async throws {
        let brokers = try await PeerTestBroker.cluster(2)
        brokers[1].table.serve(type) { request, answer in
            var body = request.body
            body.writeImmutableBuffer(request.body)
            let twice = body
            answer(.success(twice))
        }
        let body = PeerSamples.bytes(5 << 20)
        let answer = await withCheckedContinuation { continuation in
            brokers[0].transport.call(type, body, to: brokers[1].node, timeout: .seconds(60)) {
                continuation.resume(returning: $0)
            }
        }
        var expected = body
        expected.writeImmutableBuffer(body)
        #expect(try answer.get() == expected)
        let lane = type == .snapshotRange ? "bulk" : "control"
        #expect(brokers[0].value("goulette_peer_received_bytes_total{lane=\"\(lane)\"}") > 10 << 20)
        for broker in brokers { await broker.transport.stop() }
    }

    @Test func bodiesAreBounded() async throws {
        let brokers = try await PeerTestBroker.cluster(2) { $0.frameBytesMax = 20_000 }
        brokers[1].table.serve(.probeBroker) { request, answer in
            answer(.success(ByteBuffer(repeating: 1, count: 15_000 + request.body.readableBytes)))
        }
        #expect(await brokers[0].call(.probeBroker, "", to: 2).count == 15_000)
        #expect(
            await brokers[0].call(.probeBroker, String(repeating: "x", count: 10_000), to: 2)
                == "\(PeerCallError.tooLarge)")
        #expect(
            await brokers[0].call(.probeBroker, String(repeating: "x", count: 20_000), to: 2)
                == "\(PeerCallError.tooLarge)")
        for broker in brokers { await broker.transport.stop() }
    }

    /// A broker that is not registered may ask for that, and for nothing else.
    @Test func strangersMayRegister() async throws {
        let member = PeerTestBroker(1)
        let stranger = PeerTestBroker(2)
        for broker in [member, stranger] { try await broker.start() }
        stranger.transport.setPeers([member.node: [member.address]])
        await stranger.log.wait(for: "up 1")
        member.table.serve(.registerBroker, access: .anyone) { _, answer in
            answer(.success(ByteBuffer(string: "welcome")))
        }
        member.table.serve(.proposeClusterCommand) { _, answer in answer(.success(ByteBuffer())) }
        #expect(await stranger.call(.registerBroker, "", to: 1) == "welcome")
        #expect(await stranger.call(.proposeClusterCommand, "", to: 1) == "\(PeerCallError.notPermitted)")
        member.transport.setPeers([stranger.node: [stranger.address]])
        #expect(await stranger.call(.proposeClusterCommand, "", to: 1) == "")
        for broker in [member, stranger] { await broker.transport.stop() }
    }

    @Test func requestsAreCounted() {
        let registry = MetricRegistry()
        let table = PeerRequestTable(metrics: registry)
        table.serve(.probeBroker) { _, answer in answer(.success(ByteBuffer())) }
        for type in [1007, 1007, 9, 1001] as [UInt16] {
            table.carryOut(type, ByteBuffer(), from: NodeID(rawValue: 1), isMember: true, timeout: .seconds(1)) { _ in }
        }
        table.carryOut(1007, ByteBuffer(), from: NodeID(rawValue: 1), isMember: false, timeout: .seconds(1)) { _ in }
        let text = registry.prometheusText()
        for line in [
            "goulette_interbroker_requests_total{type=\"probe_broker\",status=\"ok\"} 2",
            "goulette_interbroker_requests_total{type=\"probe_broker\",status=\"not_permitted\"} 1",
            "goulette_interbroker_requests_total{type=\"unknown\",status=\"unknown_type\"} 2",
            "goulette_interbroker_request_duration_seconds_count{type=\"probe_broker\"} 2",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
    }
}
