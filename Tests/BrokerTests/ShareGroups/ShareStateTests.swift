// SPDX-License-Identifier: Apache-2.0
//
// ShareStateTests.swift
// How far share groups are: what a write changes, who is refused, what goes with groups and topics.

import KafkaProtocol
import Model
import NIOCore
import Testing

@testable import Broker

@Suite struct ShareStateTests {
    private static let topic = TopicID(high: 3, low: 4)
    private static let key = ShareKey(groupID: "g", topicID: topic, partition: 1)

    private static func batch(
        _ first: Int64, _ last: Int64, _ state: ShareDeliveryState = .acknowledged, _ count: Int16 = 1
    ) -> ShareStateBatch {
        ShareStateBatch(firstOffset: first, lastOffset: last, state: state, deliveryCount: count)
    }

    private static func change(
        start: Int64 = -1, _ batches: [ShareStateBatch] = [], leader: Int32 = 5, epoch: Int32 = 0,
        number: UInt64 = 1
    ) -> ShareStateChange {
        ShareStateChange(
            key: key, stateEpoch: epoch, leaderEpoch: leader, number: number, startOffset: start, batches: batches)
    }

    /// A coordinator with one share group that has one member, or none any more.
    private static func coordinator(members: Bool = true) -> CoordinatorState {
        var state = CoordinatorState()
        var writes: [CoordinatorWrite] = []
        var member = ShareGroupMember(id: "m", rackID: nil, clientID: "c", clientHost: "/h")
        member.assigned = PartitionSet([topic: [0, 1]])
        let header = ShareGroupHeader(revision: 1, epoch: 1, topicsHash: 9)
        state.apply(
            .shareGroup(ShareGroupChange(group: "g", header: header, updated: [member], removed: [])), into: &writes)
        if !members {
            let next = ShareGroupHeader(revision: 2, epoch: 2, topicsHash: 9)
            state.apply(
                .shareGroup(ShareGroupChange(group: "g", header: next, updated: [], removed: ["m"])), into: &writes)
        }
        return state
    }

    private func run(_ command: ShareStateCommand, on state: inout CoordinatorState) -> ShareStateOutcome {
        var writes: [CoordinatorWrite] = []
        state.apply(.shareState(command), into: &writes)
        return state.shareOutcome
    }

    // MARK: One partition

    @Test func aWriteReplacesTheStateOfItsRecordsOnly() {
        var state = ShareState(stateEpoch: 0, leaderEpoch: 1, startOffset: 10, batches: [])
        state.apply(Self.change([Self.batch(10, 19, .available), Self.batch(20, 29)]))
        state.apply(Self.change([Self.batch(12, 13), Self.batch(18, 21, .archived, 3)]))
        #expect(
            state.batches == [
                Self.batch(10, 11, .available), Self.batch(12, 13), Self.batch(14, 17, .available),
                Self.batch(18, 21, .archived, 3), Self.batch(22, 29),
            ])
        #expect(state.leaderEpoch == 5 && state.doneCount == 2 + 4 + 8)
        state.apply(Self.change(start: 20, [Self.batch(30, 31)]))
        #expect(state.batches == [Self.batch(20, 21, .archived, 3), Self.batch(22, 31)])
        state.apply(Self.change(start: 12))
        #expect(state.startOffset == 20, "it never falls")
        state.apply(Self.change(start: 40))
        #expect(state.batches.isEmpty && state.startOffset == 40 && state.doneCount == 0)
    }

    @Test func writesAgreeWithOneStateForEachRecord() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<300 {
            var state = ShareState.initial
            var plain: [Int64: ShareStateBatch] = [:]
            var start: Int64 = 0
            for _ in 0..<20 {
                var batches: [ShareStateBatch] = []
                var next: Int64 = start + Int64.random(in: 0...5, using: &random)
                while Bool.random(using: &random) {
                    let last = next + Int64.random(in: 0...6, using: &random)
                    let kind: ShareDeliveryState = Bool.random(using: &random) ? .available : .archived
                    batches.append(Self.batch(next, last, kind, Int16.random(in: 0...2, using: &random)))
                    next = last + 1 + Int64.random(in: 0...3, using: &random)
                }
                if Bool.random(using: &random) { start += Int64.random(in: 0...4, using: &random) }
                let change = Self.change(start: start, batches)
                #expect(state.refusal(of: change) == nil)
                state.apply(change)
                for batch in batches { for offset in batch.firstOffset...batch.lastOffset { plain[offset] = batch } }
                plain = plain.filter { $0.key >= start }
                let listed = state.batches.reduce(into: [Int64: ShareStateBatch]()) { all, batch in
                    for offset in batch.firstOffset...batch.lastOffset { all[offset] = batch }
                }
                #expect(listed.mapValues(\.state) == plain.mapValues(\.state))
                #expect(listed.mapValues(\.deliveryCount) == plain.mapValues(\.deliveryCount))
                #expect(zip(state.batches, state.batches.dropFirst()).allSatisfy { $0.lastOffset < $1.firstOffset })
            }
        }
    }

    @Test func writesThatAreNoneAreRefused() {
        let state = ShareState(stateEpoch: 2, leaderEpoch: 5, startOffset: 0, batches: [])
        #expect(state.refusal(of: Self.change(leader: 4, epoch: 2)) == .fencedLeaderEpoch)
        #expect(state.refusal(of: Self.change(leader: 5, epoch: 1)) == .fencedStateEpoch)
        #expect(state.refusal(of: Self.change(leader: 6, epoch: 2)) == nil)
        for batches in [
            [Self.batch(5, 4)], [Self.batch(-1, 4)], [Self.batch(1, 4), Self.batch(4, 5)], [Self.batch(1, .max)],
            [Self.batch(1, 2, .available, -1)],
        ] {
            #expect(state.refusal(of: Self.change(batches, epoch: 2)) == .invalidRequest)
        }
        #expect(state.refusal(of: Self.change(start: -2, epoch: 2)) == .invalidRequest)
        let many = (0..<Int64(ShareState.batchesMax / 2 + 1)).map { Self.batch($0 * 2, $0 * 2) }
        #expect(state.refusal(of: Self.change(many, epoch: 2)) == .recordListTooLarge)
        #expect(state.refusal(of: Self.change(many.dropLast(), epoch: 2)) == nil)
    }

    // MARK: In the coordinator

    @Test func leadersFenceEachOther() throws {
        var state = Self.coordinator()
        #expect(try run(.lead(Self.key, leaderEpoch: 3), on: &state).get().startOffset == -1)
        #expect(try run(.lead(Self.key, leaderEpoch: 5), on: &state).get().leaderEpoch == 5)
        #expect(run(.lead(Self.key, leaderEpoch: 4), on: &state) == .failure(.fencedLeaderEpoch))
        #expect(run(.write(Self.change(leader: 4)), on: &state) == .failure(.fencedLeaderEpoch))
        #expect(try run(.write(Self.change(start: 7, [Self.batch(8, 9)])), on: &state).get().startOffset == 7)
        #expect(try state.shareState(Self.key).get().batches == [Self.batch(8, 9)])
        var other = Self.key
        other.partition = 2
        #expect(run(.lead(other, leaderEpoch: 1), on: &state) == .failure(.unknownTopicOrPartition))
        other.groupID = "none"
        #expect(run(.lead(other, leaderEpoch: 1), on: &state) == .failure(.groupIDNotFound))
    }

    /// Sent again, it is not judged by the ranges that it has made itself.
    @Test func aLargeChangeMayBeSentAgain() throws {
        var state = Self.coordinator()
        _ = run(.lead(Self.key, leaderEpoch: 5), on: &state)
        let many = (0..<Int64(ShareState.batchesMax / 2)).map { Self.batch($0 * 2, $0 * 2) }
        let change = Self.change(many, number: 3)
        #expect(try run(.write(change), on: &state).get().batches.count == many.count)
        #expect(try run(.write(change), on: &state).get().batches.count == many.count)
        #expect(run(.write(Self.change(many, number: 4)), on: &state) == .failure(.recordListTooLarge))
    }

    @Test func aChangeThatWasGivenUpDoesNotComeBehindALaterOne() throws {
        var state = Self.coordinator()
        _ = run(.lead(Self.key, leaderEpoch: 5), on: &state)
        let given = Self.change([Self.batch(8, 9, .available, 2)], number: 3)
        let later = Self.change([Self.batch(8, 9)], number: 4)
        #expect(try run(.write(later), on: &state).get().batches == [Self.batch(8, 9)])
        #expect(run(.write(given), on: &state) == .failure(.fencedStateEpoch))
        #expect(try state.shareState(Self.key).get().batches == [Self.batch(8, 9)], "what was acknowledged stays")
        // Sent again, as its sender heard nothing.
        var writes: [CoordinatorWrite] = []
        state.apply(.shareState(.write(later)), into: &writes)
        #expect(try state.shareOutcome.get().lastChange == 4 && writes.isEmpty)
        // Another leader counts for itself.
        let other = Self.change([Self.batch(10, 10)], leader: 6, number: 1)
        #expect(try run(.lead(Self.key, leaderEpoch: 6), on: &state).get().lastChange == 0)
        #expect(try run(.write(other), on: &state).get().batches == [Self.batch(8, 10)])
    }

    @Test func operatorsChangeGroupsWithoutMembers() throws {
        var used = Self.coordinator()
        let starts = [ShareStart(topicID: Self.topic, partition: 1, startOffset: 100)]
        #expect(run(.restart(group: "g", starts), on: &used) == .failure(.nonEmptyGroup))
        #expect(run(.delete(group: "g", topics: [Self.topic]), on: &used) == .failure(.nonEmptyGroup))
        #expect(run(.delete(group: "none", topics: []), on: &used) == .failure(.groupIDNotFound))

        var state = Self.coordinator(members: false)
        _ = run(.write(Self.change(start: 7, [Self.batch(8, 9)])), on: &state)
        #expect(try run(.restart(group: "g", starts), on: &state).get() == .initial)
        let restarted = try state.shareState(Self.key).get()
        #expect(restarted.startOffset == 100 && restarted.batches.isEmpty && restarted.stateEpoch == 1)
        #expect(run(.write(Self.change(start: 8)), on: &state) == .failure(.fencedStateEpoch))
        #expect(try run(.write(Self.change(start: 101, epoch: 1, number: 2)), on: &state).get().startOffset == 101)
        _ = run(.delete(group: "g", topics: [Self.topic]), on: &state)
        #expect(state.shareState(Self.key) == .failure(.unknownTopicOrPartition))
        #expect(state.shareTopics.isEmpty)
    }

    @Test func statesGoWithTheirTopicAndTheirGroup() throws {
        var state = Self.coordinator(members: false)
        var writes: [CoordinatorWrite] = []
        state.apply(.removeIdleGroup(group: "g"), into: &writes)
        #expect(state.groups["g"] != nil, "how far it is stays")
        #expect(state.shareTopics == [Self.topic])
        _ = run(.forget(topics: [Self.topic, TopicID(high: 0, low: 9)]), on: &state)
        #expect(state.shareTopics.isEmpty)
        state.apply(.removeIdleGroup(group: "g"), into: &writes)
        #expect(state.groups.isEmpty && state.records().isEmpty)

        state = Self.coordinator()
        let stored = Set(state.records().map(\.key))
        #expect(stored.count == 4, "the group, its member, two partitions")
        writes = []
        state.apply(.deleteGroup(group: "g"), into: &writes)
        #expect(state.groups.isEmpty && Set(writes.filter { $0.value == nil }.map(\.key)).isSuperset(of: stored))
    }

    @Test func membersOfAnotherKindOfGroupAreNotTaken() {
        var state = CoordinatorState()
        var writes: [CoordinatorWrite] = []
        state.apply(.commitOffsets(CoordinatorStateTests.batch), into: &writes)
        let header = ShareGroupHeader(revision: 1, epoch: 1, topicsHash: 0)
        state.apply(.shareGroup(ShareGroupChange(group: "g", header: header, updated: [], removed: [])), into: &writes)
        #expect(state.groups["g"]?.share == nil && state.groups["g"]?.offsets.isEmpty == false)
    }

    // MARK: Between brokers

    @Test func questionsAndAnswersComeBack() throws {
        let requests: [ShareStateRequest] = [
            .read(Self.key, leaderEpoch: 7), .write(Self.change(start: 4, [Self.batch(5, 6, .available, 2)])),
        ]
        for request in requests {
            let bytes = request.encoded()
            #expect(try ShareStateRequest(decoding: bytes) == request)
            for length in 0..<bytes.readableBytes {
                #expect(throws: BinaryCodingError.self) {
                    try ShareStateRequest(decoding: try #require(bytes.getSlice(at: 0, length: length)))
                }
            }
        }
        let state = ShareState(stateEpoch: 1, leaderEpoch: 2, startOffset: 3, batches: [Self.batch(4, 5)])
        for outcome: ShareStateOutcome in [.success(state), .failure(.fencedStateEpoch)] {
            #expect(ShareStateRequest.decodeOutcome(ShareStateRequest.encode(outcome)) == outcome)
        }
        #expect(ShareStateRequest.decodeOutcome(.init(bytes: [0, 0, 1])) == .failure(.unknownServerError))
    }

    @Test func keysOfTheCoordinatorAreRead() {
        let key = ShareKey(coordinatorKey: "a:b:\(Self.topic):1")
        #expect(key == ShareKey(groupID: "a:b", topicID: Self.topic, partition: 1))
        for text in ["", "g", "g:1", ":\(Self.topic):1", "g:\(Self.topic):-1", "g:\(Self.topic):x", "g:short:1"] {
            #expect(ShareKey(coordinatorKey: text) == nil)
        }
    }
}
