// SPDX-License-Identifier: Apache-2.0
//
// ConsumerProtocolTests.swift
// The bytes that consumers exchange through the coordinator.

import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct ConsumerProtocolTests {
    private static let subscription = ConsumerProtocolSubscription(
        topics: ["a", "b"], userData: [1, 2],
        ownedPartitions: [ConsumerTopicPartitions(name: "a", partitions: [0, 3])], generationID: 8, rackID: "r1")

    @Test func subscriptionBytesAreAsLaidOut() {
        let expected =
            "0003"  // version
            + "00000002" + "000161" + "000162"  // topics
            + "00000002" + "0102"  // user data
            + "00000001" + "000161" + "00000002" + "00000000" + "00000003"  // owned partitions
            + "00000008"  // generation
            + "00027231"  // rack
        #expect(Self.subscription.encoded(version: 3).hex == expected)
    }

    @Test(arguments: Int16(0)...3)
    func subscriptionsKeepWhatTheVersionHas(_ version: Int16) throws {
        var expected = Self.subscription
        if version < 3 { expected.rackID = nil }
        if version < 2 { expected.generationID = -1 }
        if version < 1 { expected.ownedPartitions = [] }
        #expect(try ConsumerProtocolSubscription(decoding: Self.subscription.encoded(version: version)) == expected)
    }

    @Test func laterVersionsAreReadAsFarAsWeKnowThem() throws {
        var bytes = Self.subscription.encoded(version: 3)
        bytes[1] = 9
        #expect(try ConsumerProtocolSubscription(decoding: bytes + [1, 2, 3]) == Self.subscription)
        bytes[0] = 0xFF
        #expect(throws: WireError.self) { try ConsumerProtocolSubscription(decoding: bytes) }
    }

    @Test(arguments: Int16(0)...3)
    func assignmentsRoundTrip(_ version: Int16) throws {
        let assignment = ConsumerProtocolAssignment(
            assignedPartitions: [ConsumerTopicPartitions(name: "a", partitions: [1])], userData: nil)
        let bytes = assignment.encoded(version: version)
        #expect(bytes.hex == "000\(version)" + "00000001" + "000161" + "00000001" + "00000001" + "ffffffff")
        #expect(try ConsumerProtocolAssignment(decoding: bytes) == assignment)
    }

    @Test func noBytesAreNoPartitions() throws {
        #expect(try ConsumerProtocolAssignment(decoding: []) == ConsumerProtocolAssignment())
    }

    @Test func truncationsThrow() {
        let bytes = Self.subscription.encoded(version: 3)
        for length in 0..<bytes.count {
            #expect(throws: WireError.self) { try ConsumerProtocolSubscription(decoding: Array(bytes.prefix(length))) }
        }
    }

    @Test func aSubscriptionOfLibrdkafkaDecodes() throws {
        let frame = try #require(
            try VectorFile.samples("captured-librdkafka").first { $0.title.hasPrefix("JoinGroup") })
        var body = frame.buffer
        let header = try RequestHeader.read(from: &body)
        guard case .joinGroup(let join) = try RequestDecoder.decode(header, body: body) else {
            Issue.record("not a join")
            return
        }
        #expect(join.protocolType == ConsumerProtocol.protocolType)
        #expect(join.protocols.map(\.name) == ["range", "roundrobin"])
        let subscription = try ConsumerProtocolSubscription(decoding: join.protocols[0].metadata)
        #expect(subscription.topics == ["events"])
    }
}
