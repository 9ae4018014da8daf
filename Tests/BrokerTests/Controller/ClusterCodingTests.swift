// SPDX-License-Identifier: Apache-2.0
//
// ClusterCodingTests.swift
// Entries of the controller's log: round trips, golden bytes, and those of the first format, which stay readable.

import LogStore
import Model
import Testing

@testable import Broker

@Suite struct ClusterCodingTests {
    static let topicID = TopicID(high: 0x0102_0304_0506_0708, low: 0x1112_1314_1516_1718)
    static let registration = BrokerRegistration(
        id: NodeID(rawValue: 3), incarnation: 0xAABB, storeID: 0xCC,
        kafka: BrokerEndpoint(host: "a.example", port: 9092), peer: BrokerEndpoint(host: "10.0.0.3", port: 9192),
        rack: "r1")

    static func nodes(_ ids: Int32...) -> [NodeID] { ids.map { NodeID(rawValue: $0) } }
    static func group(_ number: UInt64) -> GroupID { GroupID(rawValue: number) }

    static let topic = TopicRecord(
        name: "orders", id: topicID,
        partitions: [
            PartitionRecord(group: group(1024), replicas: nodes(1)),
            PartitionRecord(group: group(1025), replicas: nodes(1)),
        ], configuration: ["retention.ms": "1000", "cleanup.policy": "delete"])

    static let moving = PartitionRecord(
        group: group(1026), replicas: nodes(1, 2),
        reassignment: Reassignment(target: nodes(2, 3), phase: .copying, since: WallTime(milliseconds: 5)))

    /// Bytes that the first release wrote, with what they say.
    static let firstFormat: [(hex: String, command: ClusterCommand)] = [
        (
            "01010000001671383376456a5257654a43727a6538534e465a346b41",
            .initialize(clusterID: "q83vEjRWeJCrze8SNFZ4kA")
        ),
        (
            "0102000000066f7264657273010203040506070811121314151617180000000200000000000004000000000100000001"
                + "0000000000000401000000010000000100000002"
                + "0000000e636c65616e75702e706f6c6963790000000664656c657465"
                + "0000000c726574656e74696f6e2e6d730000000431303030",
            .createTopic(topic)
        ),
        ("010301020304050607081112131415161718", .deleteTopic(topicID)),
        (
            "0104010203040506070811121314151617180000000100000000000004020000000100000001",
            .addPartitions(topic: topicID, [PartitionRecord(group: group(1026), replicas: nodes(1))])
        ),
        (
            "010501020304050607081112131415161718000000010000000c726574656e74696f6e2e6d730000000135",
            .setConfiguration(topic: topicID, ["retention.ms": "5"])
        ),
        ("010600000000000003e800000000000003e8", .allocateProducerIDs(first: 1000, count: 1000)),
    ]

    /// Every kind of command of this release, as `time 7, actor "me"`, after the ten bytes that all share.
    static let present: [(hex: String, command: ClusterCommand)] = [
        ("0100000003616263", .initialize(clusterID: "abc")),
        ("0301020304050607081112131415161718", .deleteTopic(topicID)),
        (
            "0401020304050607081112131415161718000000010000000000000402000000020000000100000002"
                + "0102000000000000000500000002" + "0000000200000003",
            .addPartitions(topic: topicID, [moving])
        ),
        (
            "0700000003000000000000aabb00000000000000cc" + "00000009612e6578616d706c6500002384"
                + "0000000831302e302e302e33000023e8" + "01000000027231" + "00",
            .registerBroker(registration)
        ),
        ("080000000300", .unregisterBroker(NodeID(rawValue: 3), retiring: nil)),
        ("080000000301" + "00000000000000cc", .unregisterBroker(NodeID(rawValue: 3), retiring: 0xCC)),
        ("0900000003000000000000aabb", .fenceBroker(NodeID(rawValue: 3), incarnation: 0xAABB)),
        ("0a00000003000000000000aabb", .unfenceBroker(NodeID(rawValue: 3), incarnation: 0xAABB)),
        ("0b0000000303", .drainBroker(NodeID(rawValue: 3), .decommission)),
        ("0c00000003", .resumeBroker(NodeID(rawValue: 3))),
        ("14", .settleBalance),
        (
            "16" + "0000000567726f7570" + "00000001" + "0000001873686172652e73657373696f6e2e74696d656f75742e6d73"
                + "0000000439303030",
            .configureGroup("group", ["share.session.timeout.ms": "9000"])
        ),
        ("16" + "0000000167" + "00000000", .configureGroup("g", [:])),
        ("15000000000000040000000002", .loseReplica(group(1024), NodeID(rawValue: 2))),
        ("0d000000000000040000000002", .preferLeader(group(1024), NodeID(rawValue: 2))),
        ("0e0000000000000400000000020000000200000001", .updateAssignment(group(1024), nodes(2, 1))),
        (
            "0f00000001000000000000040000000001" + "00000002",
            .beginReassignment([ReassignmentTarget(group: group(1024), replicas: nodes(2))])
        ),
        ("10000000000000040002", .stepReassignment(group(1024), from: .copying)),
        ("110000000000000400", .cancelReassignment(group(1024))),
        ("12000000000000040000", .finishReassignment(group(1024), floor: nil)),
        (
            "120000000000000400" + "0100000000000000030000000000000009",
            .finishReassignment(group(1024), floor: floor)
        ),
        ("1300000000000004000000000200", .rejoinReplica(group(1024), NodeID(rawValue: 2), floor: nil)),
        (
            "13000000000000040000000002" + "0100000000000000030000000000000009",
            .rejoinReplica(group(1024), NodeID(rawValue: 2), floor: floor)
        ),
        (
            "0401020304050607081112131415161718000000010000000000000402000000020000000100000002"
                + "0800000000000000030000000000000009",
            .addPartitions(
                topic: topicID, [PartitionRecord(group: group(1026), replicas: nodes(1, 2), floor: floor)])
        ),
    ]

    static let floor = JoinFloor(term: Term(3), index: LogIndex(9))

    /// What the second format had otherwise: it knew no floors and no empty directories.
    static let secondFormat: [(hex: String, command: ClusterCommand)] = [
        (
            "0700000003000000000000aabb00000000000000cc" + "00000009612e6578616d706c6500002384"
                + "0000000831302e302e302e33000023e8" + "01000000027231",
            .registerBroker(registration)
        ),
        ("0800000003", .unregisterBroker(NodeID(rawValue: 3), retiring: nil)),
        ("120000000000000400", .finishReassignment(group(1024), floor: nil)),
        ("13000000000000040000000002", .rejoinReplica(group(1024), NodeID(rawValue: 2), floor: nil)),
        (
            "0401020304050607081112131415161718000000010000000000000402000000020000000100000002"
                + "0102000000000000000500000002" + "0000000200000003",
            .addPartitions(topic: topicID, [moving])
        ),
    ]

    @Test(arguments: firstFormat) func readsTheFirstFormat(hex: String, command: ClusterCommand) throws {
        let entry = try ClusterEntry(decoding: bytes(hex))
        #expect(entry == ClusterEntry(time: WallTime(milliseconds: 0), actor: "", command: command))
    }

    @Test func theFirstFormatHasNoLaterCommands() {
        #expect(throws: BinaryCodingError.unknownKind(8)) { try ClusterEntry(decoding: bytes("010800000003")) }
    }

    @Test(arguments: secondFormat) func readsTheSecondFormat(hex: String, command: ClusterCommand) throws {
        let entry = try ClusterEntry(decoding: bytes("02" + "0000000000000007" + "000000026d65" + hex))
        #expect(entry == ClusterEntry(time: WallTime(milliseconds: 7), actor: "me", command: command))
    }

    @Test(arguments: present) func writesAndReadsThisFormat(hex: String, command: ClusterCommand) throws {
        let entry = ClusterEntry(time: WallTime(milliseconds: 7), actor: "me", command: command)
        let golden = bytes("03" + "0000000000000007" + "000000026d65" + hex)
        #expect(entry.encoded() == golden)
        #expect(try ClusterEntry(decoding: golden) == entry)
    }

    @Test(arguments: present.map(\.command) + firstFormat.map(\.command))
    func nothingButAWholeEntryIsRead(command: ClusterCommand) throws {
        let entry = ClusterEntry(time: WallTime(milliseconds: -1), actor: "", command: command)
        let bytes = entry.encoded()
        #expect(try ClusterEntry(decoding: bytes) == entry)
        for length in 0..<bytes.count {
            #expect(throws: BinaryCodingError.self) { try ClusterEntry(decoding: Array(bytes.prefix(length))) }
        }
        #expect(throws: BinaryCodingError.self) { try ClusterEntry(decoding: bytes + [0]) }
    }

    @Test func damagedEntriesAreRefusedOrReadButNeverTrap() {
        var random = SeededRandom(seed: 0xC0DE)
        for (_, command) in Self.present + Self.firstFormat {
            let whole = ClusterEntry(time: WallTime(milliseconds: 1), actor: "x", command: command).encoded()
            for _ in 0..<200 {
                var bytes = whole
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                _ = try? ClusterEntry(decoding: bytes)
            }
        }
    }
}

/// The bytes that a hexadecimal text names.
func bytes(_ hex: String) -> [UInt8] {
    var result: [UInt8] = []
    var rest = Substring(hex)
    while let byte = UInt8(rest.prefix(2), radix: 16), !rest.isEmpty {
        result.append(byte)
        rest = rest.dropFirst(2)
    }
    return result
}
