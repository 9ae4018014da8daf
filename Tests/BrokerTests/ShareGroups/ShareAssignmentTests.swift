// SPDX-License-Identifier: Apache-2.0
//
// ShareAssignmentTests.swift
// The assignor of share groups: everything is read, nobody is idle, shares are equal, and little moves.

import Model
import Testing

@testable import Broker

@Suite struct ShareAssignmentTests {
    private let topic = TopicID(high: 0, low: 1)

    private func members(_ count: Int, _ topics: Set<TopicID>) -> [AssignmentRequest.Member] {
        (0..<count).map { .init(id: "m\(1_000 + $0)", instanceID: nil, topics: topics, current: PartitionSet()) }
    }

    @Test(arguments: [(1, 1), (3, 1), (1, 7), (3, 7), (7, 3), (200, 3), (5, 5), (11, 4)])
    func everythingIsReadAndSharesAreEqual(members count: Int, partitions: Int32) {
        let given = ShareAssignment.make(
            AssignmentRequest(members: members(count, [topic]), partitionCounts: [topic: partitions]))
        #expect(given.count == count)
        let sizes = given.values.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1 && sizes.min() ?? 0 >= 1)
        let readers = (0..<partitions).map { index in given.values.count { $0.contains(topic, index) } }
        #expect((readers.max() ?? 0) - (readers.min() ?? 0) <= 1 && readers.min() ?? 0 >= 1)
    }

    @Test func withoutPartitionsOrMembersThereIsNothing() {
        #expect(ShareAssignment.make(AssignmentRequest(members: [], partitionCounts: [topic: 3])).isEmpty)
        let idle = ShareAssignment.make(AssignmentRequest(members: members(2, [topic]), partitionCounts: [topic: 0]))
        #expect(idle.values.allSatisfy(\.isEmpty) && idle.count == 2)
        let none = ShareAssignment.make(AssignmentRequest(members: members(2, []), partitionCounts: [:]))
        #expect(none.values.allSatisfy(\.isEmpty) && none.count == 2)
    }

    @Test func membersOnlyGetWhatTheySubscribedTo() {
        var random = SeededRandom(seed: 11)
        let topics = (0..<5).map { TopicID(high: 1, low: UInt64($0)) }
        for _ in 0..<200 {
            let counts = Dictionary(
                uniqueKeysWithValues: topics.map { ($0, Int32.random(in: 0...4, using: &random)) })
            let all = (0..<Int.random(in: 1...12, using: &random)).map { number in
                AssignmentRequest.Member(
                    id: "m\(100 + number)", instanceID: nil,
                    topics: Set(topics.filter { _ in Bool.random(using: &random) }), current: PartitionSet())
            }
            let given = ShareAssignment.make(AssignmentRequest(members: all, partitionCounts: counts))
            var read: Set<TopicID> = []
            for member in all {
                let own = given[member.id] ?? PartitionSet()
                #expect(member.topics.isSuperset(of: own.topics.keys))
                #expect(own.isEmpty == member.topics.allSatisfy { counts[$0] == 0 })
                read.formUnion(member.topics)
            }
            for topic in read {
                for index in 0..<(counts[topic] ?? 0) {
                    #expect(given.values.contains { $0.contains(topic, index) })
                }
            }
        }
    }

    @Test func whoHasAPartitionKeepsIt() {
        var all = members(5, [topic])
        let first = ShareAssignment.make(AssignmentRequest(members: all, partitionCounts: [topic: 2]))
        for place in all.indices { all[place].current = first[all[place].id] ?? PartitionSet() }
        #expect(ShareAssignment.make(AssignmentRequest(members: all, partitionCounts: [topic: 2])) == first)
        all.removeFirst()
        let second = ShareAssignment.make(AssignmentRequest(members: all, partitionCounts: [topic: 2]))
        let moved = all.filter { second[$0.id] != $0.current }
        #expect(moved.count <= 1)
    }
}
