// SPDX-License-Identifier: Apache-2.0
//
// ClusterRequestTests.swift
// Requests between controllers and brokers as bytes: golden forms, round trips, hostile input; and load reports.

import LogStore
import Model
import NIOCore
import Testing

@testable import Broker

@Suite struct ClusterRequestTests {
    private static let group = ClusterCodingTests.group(1024)
    private static let start = ReplicaStart(
        group: group, topic: "t", topicID: ClusterCodingTests.topicID, partition: PartitionIndex(rawValue: 2),
        founders: ClusterCodingTests.nodes(1, 2), joins: true, isAlone: false)

    private static var beat: BrokerHeartbeat {
        var load = BrokerLoad()
        load.replicas = 3
        load.leaders = 1
        load.recordsPerSecond = 7
        load.storedBytes = 9
        load.busiest = [GroupLoad(group: group, recordsPerSecond: 7)]
        return BrokerHeartbeat(node: NodeID(rawValue: 3), incarnation: 5, isReady: true, operation: 6, load: load)
    }

    @Test func requestsAboutReplicasAreTheseBytes() {
        check(
            StartReplicaRequest(start: Self.start, configuration: ["a": "b"], operation: 9, campaigns: true),
            "020000000000000400" + "0000000174" + "01020304050607081112131415161718" + "00000002"
                + "000000020000000100000002" + "0100" + "00000001000000016100000001" + "62" + "000000000000000901")
        check(StopReplicaRequest(group: Self.group, operation: 9), "0200000000000004000000000000000009")
        check(ReplicaAnswer(.storageFailed, "x"), "02050000000178")
        check(TransferRequest(group: Self.group, target: NodeID(rawValue: 2)), "02000000000000040000000002")
    }

    @Test func proposalsAreTheseBytes() {
        let command = ClusterCommand.resumeBroker(NodeID(rawValue: 3))
        check(ProposalRequest(actor: "me", command: command), "02000000026d650c00000003")
        check(ProposalAnswer.applied, "0200")
        check(ProposalAnswer.producerIDs(first: 1, count: 2), "020100000000000000010000000000000002")
        check(ProposalAnswer.notController(nil), "0202ffffffff")
        check(ProposalAnswer.refused(code: 3, message: "no"), "02030003000000026e6f")
    }

    @Test func requestsAboutBrokersAreTheseBytes() {
        check(MembershipAnswer.accepted(clusterID: "c"), "02000000000163")
        check(MembershipAnswer.notController(NodeID(rawValue: 2)), "020100000002")
        check(MembershipAnswer.unknownBroker, "0202")
        check(MembershipAnswer.refused("no"), "0203000000026e6f")
        check(ProbeRequest(), "02")
        check(
            ProbeAnswer(
                node: NodeID(rawValue: 1), incarnation: 2,
                word: ClusterWord(groups: [OwnGroupWord(group: .controller, term: Term(4), last: LogIndex(5))]),
                operation: 3, isReady: true),
            "02000000010000000000000002" + "00" + "00000001" + "0000000000000001" + "0000000000000004"
                + "0000000000000005" + "0000000000000003" + "01")
        check(
            Self.beat,
            "0200000003" + "0000000000000005" + "01" + "0000000000000006" + "0000000300000001" + "0000000000000007"
                + "0000000000000009" + "00000001" + "00000000000004000000000000000007")
        check(
            RegisterRequest(clusterID: "c", registration: ClusterCodingTests.registration),
            "02010000000163" + "00000003000000000000aabb00000000000000cc" + "00000009612e6578616d706c6500002384"
                + "0000000831302e302e302e33000023e8" + "01000000027231" + "00")
    }

    @Test func requestsAboutPlacesAreTheseBytes() {
        check(PlaceRequest(node: NodeID(rawValue: 3), incarnation: 5), "02000000030000000000000005")
        let floors = [GroupID.controller: ClusterCodingTests.floor]
        check(PlaceAnswer.ready(floors), "020000000001" + "0000000000000001" + "00000000000000030000000000000009")
        check(PlaceAnswer.leaving, "0201")
        check(PlaceAnswer.unknownBroker, "0202")
        check(PlaceAnswer.notController(NodeID(rawValue: 2)), "020300000002")
    }

    private func check<Body: PeerBody & Equatable>(_ body: Body, _ hex: String) {
        let golden = bytes(hex)
        #expect(Array(body.buffer.readableBytesView) == golden, "\(Body.self)")
        #expect((try? Body(decoding: ByteBuffer(bytes: golden))) == body)
        for length in 0..<golden.count {
            #expect(throws: BinaryCodingError.self, "\(Body.self) of \(length) bytes") {
                try Body(decoding: ByteBuffer(bytes: golden.prefix(length)))
            }
        }
        #expect(throws: BinaryCodingError.self) { try Body(decoding: ByteBuffer(bytes: golden + [0])) }
        var random = SeededRandom(seed: UInt64(golden.count))
        for _ in 0..<200 {
            var damaged = golden
            damaged[Int.random(in: 0..<damaged.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            _ = try? Body(decoding: ByteBuffer(bytes: damaged))
        }
    }

    @Test func loadIsMeasuredBetweenTwoLooks() {
        var meter = LoadMeter()
        let handles = (0..<3).map { number in
            PartitionHandle(
                topic: "t", index: PartitionIndex(rawValue: Int32(number)),
                group: ClusterCodingTests.group(1024 + UInt64(number)), shard: 0)
        }
        func publish(_ end: Int64) {
            for handle in handles.prefix(2) {
                handle.publish(leaderEpoch: 1)
                handle.publish(highWatermark: Offset(end), logStart: .zero, logEnd: Offset(end), sizeBytes: 100)
            }
        }
        publish(10)
        let first = meter.measure(handles, at: Instant(nanoseconds: 1_000_000_000))
        #expect(first.replicas == 3 && first.leaders == 2 && first.recordsPerSecond == 0 && first.storedBytes == 200)
        publish(50)
        let second = meter.measure(handles, at: Instant(nanoseconds: 3_000_000_000))
        #expect(second.recordsPerSecond == 40 && second.busiest.map(\.recordsPerSecond) == [20, 20])
    }
}
