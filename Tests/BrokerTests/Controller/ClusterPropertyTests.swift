// SPDX-License-Identifier: Apache-2.0
//
// ClusterPropertyTests.swift
// Random sequences of commands: what must hold after each, and that a replay gives the same state.

import Model
import Testing

@testable import Broker

@Suite struct ClusterPropertyTests {
    @Test(arguments: 0..<6) func invariantsHoldUnderRandomCommands(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var source = RandomCommands()
        var state = ClusterState()
        var history = OperationHistory()
        var groups: Set<GroupID> = []
        var producers: Set<Int64> = []
        for step in 0..<500 {
            let entry = ClusterEntry(
                time: WallTime(milliseconds: Int64(step)), actor: "test",
                command: source.next(state, using: &random))
            let before = state
            let change = state.apply(entry)
            history.operations.append(ClusterOperation(id: state.lastOperation, entry: entry))
            #expect(state.lastOperation == before.lastOperation + 1)
            if case .refused = change {
                #expect(state.differences(from: before) == ["last operation"], "a refused command changed the state")
            }
            for group in newGroups(change) { #expect(groups.insert(group).inserted, "\(group) was used twice") }
            if case .producerIDsAllocated(let first, let count) = change {
                for id in first..<first + count { #expect(producers.insert(id).inserted) }
            }
            check(state, "seed \(seed), step \(step)")
        }
        try history.verify(against: state)
        #expect(!state.topics.isEmpty && !groups.isEmpty)
    }

    @Test func entriesThatWereEncodedGiveTheSameState() throws {
        var random = SeededRandom(seed: 77)
        var source = RandomCommands()
        var (one, other) = (ClusterState(), ClusterState())
        for step in 0..<2_000 {
            let entry = ClusterEntry(
                time: WallTime(milliseconds: Int64(step)), actor: "a\(step)",
                command: source.next(one, using: &random))
            #expect(one.apply(entry) == other.apply(try ClusterEntry(decoding: entry.encoded())))
        }
        #expect(one == other)
    }

    @Test func aHistoryThatWasChangedIsFound() throws {
        var random = SeededRandom(seed: 5)
        var source = RandomCommands()
        var state = ClusterState()
        var history = OperationHistory()
        for step in 0..<200 {
            let entry = ClusterEntry(
                time: WallTime(milliseconds: Int64(step)), actor: "", command: source.next(state, using: &random))
            _ = state.apply(entry)
            history.operations.append(ClusterOperation(id: state.lastOperation, entry: entry))
        }
        var gap = history
        gap.operations.remove(at: 100)
        #expect(throws: OperationHistory.Finding.gap(after: 100, found: 102)) { try gap.verify(against: state) }
        var other = history
        other.operations.append(
            ClusterOperation(
                id: 201,
                entry: ClusterEntry(
                    time: WallTime(milliseconds: 0), actor: "",
                    command: .allocateProducerIDs(first: state.nextProducerID, count: 1))))
        #expect(throws: OperationHistory.Finding.differs(["last operation", "next producer id"])) {
            try other.verify(against: state)
        }
        // A history may begin at a later state.
        let middle = try OperationHistory(operations: Array(history.operations.prefix(120))).replayed()
        try OperationHistory(base: middle, operations: Array(history.operations.dropFirst(120))).verify(against: state)
    }

    private func newGroups(_ change: ClusterChange) -> [GroupID] {
        switch change {
        case .topicCreated(let topic): topic.partitions.map(\.group)
        case .partitionsAdded(let topic, let indices):
            indices.map { topic.partitions[Int($0.rawValue)].group }
        default: []
        }
    }

    private func check(_ state: ClusterState, _ context: String) {
        var groups: Set<GroupID> = []
        for topic in state.topics.values {
            #expect(state.topicIDs[topic.name] == topic.id, "\(context)")
            for (number, partition) in topic.partitions.enumerated() {
                groups.insert(partition.group)
                let location = PartitionLocation(topic: topic.id, index: PartitionIndex(rawValue: Int32(number)))
                #expect(state.locations[partition.group] == location, "\(context)")
                #expect(partition.group < state.nextGroup, "\(context)")
                check(partition, state, context)
            }
        }
        #expect(groups == Set(state.locations.keys), "\(context)")
    }

    private func check(_ partition: PartitionRecord, _ state: ClusterState, _ context: String) {
        let lists = [partition.replicas, partition.reassignment?.target ?? partition.replicas]
        for list in lists {
            #expect(!list.isEmpty && Set(list).count == list.count, "\(context)")
            #expect(list.allSatisfy { state.brokers[$0] != nil }, "\(context): an unknown broker in \(list)")
        }
        #expect(partition.preferredLeader.map(partition.replicas.contains) == true, "\(context)")
        #expect(state.reassigning.contains(partition.group) == (partition.reassignment != nil), "\(context)")
        #expect(Set(partition.rejoining).count == partition.rejoining.count, "\(context)")
        #expect(partition.rejoining.allSatisfy(partition.hosts.contains), "\(context): \(partition)")
        if let membership = partition.membership {
            #expect(Set(membership.members).count == membership.members.count, "\(context)")
            #expect(membership.members.allSatisfy(partition.hosts.contains), "\(context)")
        }
    }
}
