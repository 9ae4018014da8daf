// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorStateTests.swift
// Commands and records: round trips, refusal of anything else, and a state that records can rebuild.

import Model
import Testing

@testable import Broker

@Suite struct CoordinatorStateTests {
    static let snapshot = GroupSnapshot(
        protocolType: "consumer", generation: 7, protocolName: "range", leaderID: "m1", changedAt: wall(99),
        members: [
            GroupSnapshot.Member(
                id: "m1", instanceID: nil, clientID: "c", clientHost: "/10.0.0.1", sessionTimeoutMilliseconds: 45_000,
                rebalanceTimeoutMilliseconds: 300_000,
                protocols: [GroupProtocol(name: "range", metadata: [0, 1]), GroupProtocol(name: "rr", metadata: [])],
                assignment: [1, 2, 3]),
            GroupSnapshot.Member(
                id: "m2", instanceID: "däge", clientID: "", clientHost: "", sessionTimeoutMilliseconds: 6_000,
                rebalanceTimeoutMilliseconds: 6_000, protocols: [], assignment: []),
        ])
    static let emptied = GroupSnapshot(
        protocolType: "consumer", generation: 8, protocolName: nil, leaderID: nil, changedAt: wall(200), members: [])
    static let batch = OffsetCommitBatch(
        group: "g", committedAt: wall(1_000), expiresAt: wall(5_000),
        entries: [
            OffsetCommitBatch.Entry(partition: partition("t", 0), offset: 5, leaderEpoch: 3, metadata: "ünit"),
            OffsetCommitBatch.Entry(partition: partition("t", 1), offset: .max),
            OffsetCommitBatch.Entry(partition: partition("u", 0), offset: 0),
            OffsetCommitBatch.Entry(partition: partition("t", 2), offset: 9),
        ])
    static let commands: [CoordinatorCommand] = [
        .groupMetadata(group: "g", snapshot: snapshot), .groupMetadata(group: "h", snapshot: emptied),
        .deleteGroup(group: "g"), .removeIdleGroup(group: "g"), .commitOffsets(batch),
        .commitOffsets(OffsetCommitBatch(group: "", committedAt: wall(0), expiresAt: nil, entries: [])),
        .deleteOffsets(group: "g", partitions: [partition("t", 0), partition("u", 0)]),
        .expireOffsets(group: "g", offsets: [ExpiredOffset(partition: partition("t", 1), committedAt: wall(1_000))]),
        .forgetTopics(["t", "u"]),
        .consumerGroup(consumerChange),
        .consumerGroup(
            ConsumerGroupChange(
                group: "new", header: ConsumerGroupHeader(revision: 2, epoch: 4), updated: [], removed: ["m1"])),
        TransactionStateTests.open, .pendingOffsets(TransactionStateTests.offsets), TransactionStateTests.committed,
        .expireTransactions([ExpiredTransactionalID(id: "x", changedAt: wall(100))]),
        .shareGroup(shareChange),
        .shareState(.lead(shareKey, leaderEpoch: 4)),
        .shareState(
            .write(
                ShareStateChange(
                    key: shareKey, stateEpoch: 0, leaderEpoch: 4, number: 3, startOffset: 9,
                    batches: [ShareStateBatch(firstOffset: 9, lastOffset: 12, state: .archived, deliveryCount: 5)]))),
        .shareState(.restart(group: "s", [ShareStart(topicID: shareKey.topicID, partition: 5, startOffset: 1)])),
        .shareState(.delete(group: "s", topics: [TopicID(high: 1, low: 1)])),
        .shareState(.forget(topics: [TopicID(high: 5, low: 6)])),
        .shareGroup(
            ShareGroupChange(
                group: "s", header: ShareGroupHeader(revision: 2, epoch: 4), updated: [], removed: ["m1"])),
        .shareState(.forget(topics: [TopicID(high: 1, low: 1)])),
    ]
    static let shareKey = ShareKey(groupID: "s", topicID: TopicID(high: 1, low: 2), partition: 5)
    static let shareChange: ShareGroupChange = {
        var member = ShareGroupMember(id: "m1", rackID: "räck", clientID: "c", clientHost: "/h", topicNames: ["t"])
        member.epoch = 3
        member.previousEpoch = 2
        member.assigned = PartitionSet([TopicID(high: 1, low: 2): [0, 5], TopicID(high: 1, low: 1): [7]])
        return ShareGroupChange(
            group: "s", header: ShareGroupHeader(revision: 1, epoch: 3, topicsHash: .max - 2), updated: [member],
            removed: ["gone"])
    }()
    static let consumerChange: ConsumerGroupChange = {
        var member = ConsumerGroupMember(
            id: "m1", instanceID: "ïnst", rackID: "r", clientID: "c", clientHost: "/h",
            rebalanceTimeoutMilliseconds: 300_000, topicNames: ["t", "u"], pattern: "v.*", assignor: "range")
        member.epoch = 3
        member.previousEpoch = 2
        member.state = .unrevoked
        member.assigned = PartitionSet([TopicID(high: 1, low: 2): [0, 5], TopicID(high: 1, low: 1): [7]])
        member.revoking = PartitionSet([TopicID(high: 1, low: 2): [1]])
        member.target = PartitionSet([TopicID(high: 9, low: 0): [0]])
        let header = ConsumerGroupHeader(
            revision: 1, epoch: 3, assignor: "range", topicsHash: .max - 1, changedAt: wall(77))
        let plain = ConsumerGroupMember(
            id: "m2", instanceID: nil, rackID: nil, clientID: "", clientHost: "", rebalanceTimeoutMilliseconds: 0,
            topicNames: [], pattern: nil, assignor: nil)
        return ConsumerGroupChange(group: "new", header: header, updated: [member, plain], removed: ["gone"])
    }()

    @Test(arguments: commands)
    func commandsComeBack(_ command: CoordinatorCommand) throws {
        #expect(try CoordinatorCommand(decoding: command.encoded()) == command)
    }

    @Test(arguments: commands)
    func everyTruncationIsRefused(_ command: CoordinatorCommand) {
        let bytes = command.encoded()
        for length in 0..<bytes.count {
            #expect(throws: BinaryCodingError.self) { try CoordinatorCommand(decoding: Array(bytes[..<length])) }
        }
        #expect(throws: BinaryCodingError.trailingBytes(count: 1)) { try CoordinatorCommand(decoding: bytes + [0]) }
    }

    @Test(arguments: commands)
    func damagedBytesNeverTrap(_ command: CoordinatorCommand) {
        var random = SeededRandom(seed: 1)
        let bytes = command.encoded()
        for _ in 0..<2_000 {
            var damaged = bytes
            damaged[Int.random(in: damaged.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            if let command = try? CoordinatorCommand(decoding: damaged) {
                #expect((try? CoordinatorCommand(decoding: command.encoded())) == command)
            }
        }
    }

    @Test func otherVersionsAndKindsAreRefused() {
        #expect(throws: BinaryCodingError.unknownVersion(2)) { try CoordinatorCommand(decoding: [2, 3]) }
        #expect(throws: BinaryCodingError.unknownKind(99)) { try CoordinatorCommand(decoding: [1, 99]) }
        #expect(throws: BinaryCodingError.unknownVersion(9)) { try CoordinatorValue.decodeSnapshot([9]) }
        #expect(throws: BinaryCodingError.unknownVersion(9)) { try CoordinatorValue.decodeOffset([9]) }
    }

    @Test func keysComeBackAndKeepShardsApart() throws {
        let prefix = CoordinatorKey.prefix(of: .coordinator)
        for key in [
            CoordinatorKey.group("g"), .offset(group: "g", partition("t", 300)), .consumerGroup("g"),
            .consumerMember(group: "g", member: "m"),
            CoordinatorKey.group("g"), .offset(group: "g", partition("t", 300)), .transaction("x"),
            .pendingOffset(transactionalID: "x", group: "g", partition("t", 300)), .shareGroup("g"),
            .shareMember(group: "g", member: "m"), .shareState(Self.shareKey),
        ] {
            let bytes = key.encoded(prefix: prefix)
            #expect(try CoordinatorKey(decoding: bytes, prefix: prefix) == key)
            for length in 0..<bytes.count {
                #expect(throws: BinaryCodingError.self) {
                    try CoordinatorKey(decoding: Array(bytes[..<length]), prefix: prefix)
                }
            }
            #expect(throws: BinaryCodingError.malformed(at: 0)) {
                try CoordinatorKey(decoding: bytes, prefix: CoordinatorKey.prefix(of: GroupID(rawValue: 3)))
            }
        }
        // Names that only differ in where they end have different keys.
        #expect(
            CoordinatorKey.offset(group: "ab", partition("c", 0)).encoded(prefix: [])
                != CoordinatorKey.offset(group: "a", partition("bc", 0)).encoded(prefix: []))
    }

    private func apply(_ commands: [CoordinatorCommand]) -> (state: CoordinatorState, records: [[UInt8]: [UInt8]]) {
        var state = CoordinatorState()
        var records: [[UInt8]: [UInt8]] = [:]
        for command in commands {
            var writes: [CoordinatorWrite] = []
            state.apply(command, into: &writes)
            for write in writes { records[write.key] = write.value }
        }
        return (state, records)
    }

    @Test(arguments: 0...commands.count)
    func recordsRebuildTheState(prefix: Int) throws {
        let (state, records) = apply(Array((Self.commands.filter { $0 != .deleteGroup(group: "g") }).prefix(prefix)))
        var loaded = CoordinatorState()
        for (key, value) in records { try loaded.load(key: key, value: value) }
        #expect(loaded.groups == state.groups && loaded.transactions == state.transactions)
        var copied = CoordinatorState()
        for record in state.records() {
            try copied.load(key: record.key, value: try #require(record.value))
        }
        #expect(copied.groups == state.groups && copied.transactions == state.transactions)
    }

    @Test func changesOfAConsumerGroupApplyOnlyToWhatTheyWereMadeFor() {
        var change = Self.consumerChange
        let (created, records) = apply([.consumerGroup(change)])
        #expect(created.groups["new"]?.consumer?.members.count == 2)
        #expect(records.count == 3)
        let (again, _) = apply([.consumerGroup(change), .consumerGroup(change)])
        #expect(again.groups == created.groups, "the revision is not the next one")
        change.header.revision = 3
        #expect(apply([.consumerGroup(change)]).state.groups.isEmpty, "nor here")
        let (deleted, rest) = apply([.consumerGroup(Self.consumerChange), .deleteGroup(group: "new")])
        #expect(deleted.groups.isEmpty && rest.isEmpty)
        let kept = apply([.consumerGroup(Self.consumerChange), .removeIdleGroup(group: "new")]).state
        #expect(kept.groups["new"] != nil, "it has members")
        let (classic, stored) = apply([
            .consumerGroup(Self.consumerChange), .groupMetadata(group: "new", snapshot: Self.snapshot),
        ])
        #expect(classic.groups["new"]?.consumer == nil && stored.count == 1)
        let (consumer, left) = apply([
            .groupMetadata(group: "new", snapshot: Self.emptied), .consumerGroup(Self.consumerChange),
        ])
        #expect(consumer.groups["new"]?.snapshot == nil && left.count == 3)
    }

    @Test func deletingAGroupRemovesEveryRecord() {
        let (state, records) = apply([
            .commitOffsets(Self.batch), .groupMetadata(group: "g", snapshot: Self.snapshot), .deleteGroup(group: "g"),
        ])
        #expect(state.groups.isEmpty)
        #expect(records.isEmpty)
    }

    @Test func commitsCreateAGroupAndItsLastOffsetEndsIt() {
        let (created, _) = apply([.commitOffsets(Self.batch)])
        #expect(created.fetch(group: "g", partition("t", 0)).metadata == "ünit")
        #expect(created.fetch(group: "g", partition("t", 9)) == .missing)
        #expect(created.fetch(group: "none", partition("t", 0)) == .missing)
        #expect(created.fetchAll(group: "g").count == 4)
        #expect(created.offsetCount == 4)
        let (ended, records) = apply([.commitOffsets(Self.batch), .forgetTopics(["t", "u"])])
        #expect(ended.groups.isEmpty)
        #expect(records.isEmpty)
    }

    @Test func anIdleGroupIsRemovedOnlyIfItIsIdle() {
        let remove = CoordinatorCommand.removeIdleGroup(group: "g")
        let emptied = CoordinatorCommand.groupMetadata(group: "g", snapshot: Self.emptied)
        let members = CoordinatorCommand.groupMetadata(group: "g", snapshot: Self.snapshot)
        #expect(apply([emptied, remove]).state.groups.isEmpty)
        #expect(!apply([members, remove]).state.groups.isEmpty)
        #expect(!apply([emptied, .commitOffsets(Self.batch), remove]).state.groups.isEmpty)
    }

    @Test func aLaterCommitSurvivesTheExpiryOfAnEarlierOne() {
        var again = Self.batch
        again.committedAt = wall(2_000)
        let expire = CoordinatorCommand.expireOffsets(
            group: "g", offsets: [ExpiredOffset(partition: partition("t", 0), committedAt: wall(1_000))])
        let first = CoordinatorCommand.commitOffsets(Self.batch)
        #expect(apply([first, expire]).state.groups["g"]?.offsets.count == 3)
        #expect(apply([first, .commitOffsets(again), expire]).state.groups["g"]?.offsets.count == 4)
    }
}
