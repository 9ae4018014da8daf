// SPDX-License-Identifier: Apache-2.0
//
// ServerAssignorTests.swift
// What both assignors promise: complete, balanced, and for `uniform` that little changes hands.

import Model
import Testing

@testable import Broker

@Suite struct ServerAssignorTests {
    private static func topic(_ number: Int) -> TopicID { TopicID(high: 1, low: UInt64(number)) }

    private static func request(
        _ members: [(String, Set<TopicID>)], _ counts: [TopicID: Int32], current: [String: PartitionSet] = [:]
    ) -> AssignmentRequest {
        AssignmentRequest(
            members: members.sorted { $0.0 < $1.0 }.map {
                .init(id: $0.0, instanceID: nil, topics: $0.1, current: current[$0.0] ?? PartitionSet())
            },
            partitionCounts: counts)
    }

    /// Every partition that someone reads has exactly one owner, who reads it.
    private func expectComplete(_ result: [String: PartitionSet], _ request: AssignmentRequest) {
        var owners: [TopicID: [Int32: String]] = [:]
        for member in request.members {
            for (topic, partitions) in result[member.id]?.topics ?? [:] {
                #expect(member.topics.contains(topic))
                for partition in partitions {
                    #expect(owners[topic]?[partition] == nil, "two owners")
                    owners[topic, default: [:]][partition] = member.id
                }
            }
        }
        for topic in request.subscribedTopics {
            #expect(Set(owners[topic]?.keys.map { $0 } ?? []) == Set(request.partitions(of: topic)))
        }
        #expect(Set(result.keys) == Set(request.members.map(\.id)))
    }

    private func randomRequest(
        _ random: inout SeededRandom, isHomogeneous: Bool, current: [String: PartitionSet]
    ) -> AssignmentRequest {
        var counts: [TopicID: Int32] = [:]
        for number in 1...Int.random(in: 1...5, using: &random) {
            counts[Self.topic(number)] = Int32.random(in: 1...12, using: &random)
        }
        let all = Set(counts.keys)
        let members = (0..<Int.random(in: 1...7, using: &random)).map { number in
            let topics = isHomogeneous ? all : all.filter { _ in Bool.random(using: &random) }
            return ("m\(number)", topics)
        }
        return Self.request(members, counts, current: current)
    }

    @Test(arguments: ServerAssignor.allCases, [true, false])
    func everyPartitionHasOneOwner(_ assignor: ServerAssignor, isHomogeneous: Bool) {
        var random = SeededRandom(seed: 11)
        var current: [String: PartitionSet] = [:]
        for _ in 0..<500 {
            let request = randomRequest(&random, isHomogeneous: isHomogeneous, current: current)
            current = assignor.assign(request)
            expectComplete(current, request)
        }
    }

    @Test func uniformSharesDifferByOneAtMostWhenAllReadTheSame() {
        var random = SeededRandom(seed: 12)
        var current: [String: PartitionSet] = [:]
        for _ in 0..<500 {
            let request = randomRequest(&random, isHomogeneous: true, current: current)
            current = ServerAssignor.uniform.assign(request)
            let sizes = current.values.map(\.count)
            #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
        }
    }

    @Test func noSingleMoveMakesSharesMoreEqual() {
        var random = SeededRandom(seed: 13)
        var current: [String: PartitionSet] = [:]
        for _ in 0..<500 {
            let request = randomRequest(&random, isHomogeneous: false, current: current)
            current = ServerAssignor.uniform.assign(request)
            for owner in request.members {
                let load = current[owner.id]?.count ?? 0
                for topic in (current[owner.id]?.topics ?? [:]).keys {
                    for other in request.members where other.topics.contains(topic) {
                        #expect(load <= (current[other.id]?.count ?? 0) + 1)
                    }
                }
            }
        }
    }

    /// Nobody who stays loses more than equal shares ask for, and what is right is left alone.
    @Test func uniformMovesAsLittleAsItCan() {
        let counts = [Self.topic(1): Int32(12), Self.topic(2): 7]
        let topics = Set(counts.keys)
        var current = ServerAssignor.uniform.assign(Self.request((0..<4).map { ("m\($0)", topics) }, counts))
        #expect(
            ServerAssignor.uniform.assign(
                Self.request((0..<4).map { ("m\($0)", topics) }, counts, current: current)) == current)

        let joined = ServerAssignor.uniform.assign(
            Self.request((0..<5).map { ("m\($0)", topics) }, counts, current: current))
        for member in 0..<4 {
            #expect(joined["m\(member)"]?.isSubset(of: current["m\(member)"] ?? PartitionSet()) == true)
        }
        #expect(joined["m4"]?.count == 3)

        let left = ServerAssignor.uniform.assign(
            Self.request((1..<5).map { ("m\($0)", topics) }, counts, current: joined))
        for member in 1..<5 {
            #expect(joined["m\(member)"]?.isSubset(of: left["m\(member)"] ?? PartitionSet()) == true)
        }
        current = left
        #expect(current.values.map(\.count).sorted() == [4, 5, 5, 5])
    }

    @Test func rangeGivesNeighboursAndTheSameNumbersOfEveryTopic() {
        let counts = [Self.topic(1): Int32(7), Self.topic(2): 7, Self.topic(3): 2]
        let result = ServerAssignor.range.assign(
            Self.request([("a", Set(counts.keys)), ("b", Set(counts.keys)), ("c", Set(counts.keys))], counts))
        for topic in [Self.topic(1), Self.topic(2)] {
            #expect(result["a"]?.topics[topic] == [0, 1, 2])
            #expect(result["b"]?.topics[topic] == [3, 4])
            #expect(result["c"]?.topics[topic] == [5, 6])
        }
        #expect(result["a"]?.topics[Self.topic(3)] == [0])
        #expect(result["b"]?.topics[Self.topic(3)] == [1])
        #expect(result["c"]?.topics[Self.topic(3)] == nil)
    }

    @Test func rangeKeepsThePlaceOfAStaticMemberThatComesBackWithAnotherID() {
        let counts = [Self.topic(1): Int32(4)]
        func assign(_ ids: (String, String)) -> [String: PartitionSet] {
            let members = [(ids.0, "one"), (ids.1, "two")].sorted { $0.0 < $1.0 }
            return ServerAssignor.range.assign(
                AssignmentRequest(
                    members: members.map {
                        .init(id: $0.0, instanceID: $0.1, topics: Set(counts.keys), current: PartitionSet())
                    }, partitionCounts: counts))
        }
        #expect(assign(("x", "y"))["x"]?.topics[Self.topic(1)] == [0, 1])
        #expect(assign(("z", "y"))["z"]?.topics[Self.topic(1)] == [0, 1])
    }

    @Test func aThousandMembersAndTenThousandPartitions() {
        let counts = Dictionary(uniqueKeysWithValues: (0..<100).map { (Self.topic($0), Int32(100)) })
        let members = (0..<1_000).map { ("m\($0)", Set(counts.keys)) }
        let first = Self.request(members, counts)
        let current = ServerAssignor.uniform.assign(first)
        expectComplete(current, first)
        #expect(Set(current.values.map(\.count)) == [10])
    }
}
