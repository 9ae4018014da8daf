// SPDX-License-Identifier: Apache-2.0
//
// InventoryTests.swift
// DescribeTopicPartitions page by page, ListConfigResources, DescribeCluster; several groups in one request.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct InventoryTests {
    /// The pages of `limit` partitions, as `topic: range`, until there is no further one.
    private func pages(_ topics: [(name: String, partitionCount: Int?)], limit: Int) -> [[String]] {
        var pages: [[String]] = []
        var cursor: TopicPartitionCursor?
        repeat {
            let page = PartitionPage(topics, from: cursor, limit: limit)
            pages.append(page.topics.map { "\($0.name): \($0.partitions.map { "\($0)" } ?? "none")" })
            cursor = page.next
        } while cursor != nil && pages.count < 100
        return pages
    }

    @Test func pagesHoldEveryPartitionOnce() {
        let topics: [(name: String, partitionCount: Int?)] = [("a", 3), ("b", nil), ("c", 2)]
        #expect(pages(topics, limit: 100) == [["a: 0..<3", "b: none", "c: 0..<2"]])
        #expect(pages(topics, limit: 2) == [["a: 0..<2"], ["a: 2..<3", "b: none"], ["c: 0..<2"]])
        #expect(pages(topics, limit: 3) == [["a: 0..<3"], ["b: none", "c: 0..<2"]])
        let single = ["a: 0..<1", "a: 1..<2", "a: 2..<3", "b: none", "c: 0..<1", "c: 1..<2"]
        #expect(pages(topics, limit: 0) == single.map { [$0] })
        #expect(pages([], limit: 5) == [[]])
    }

    @Test func aCursorMayPointBehindWhatThereIs() {
        let page = PartitionPage([("a", 3), ("b", 1)], from: .init(topicName: "a", partitionIndex: 9), limit: 10)
        #expect(page.topics.map(\.partitions) == [3..<3, 0..<1] && page.next == nil)
        let behind = PartitionPage([("a", 3)], from: .init(topicName: "z", partitionIndex: 0), limit: 10)
        #expect(behind.topics.isEmpty && behind.next == nil)
    }

    @Test func pagesOfTopics() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a", partitions: 3)
            _ = try await broker.createTopic("b", partitions: 1)
            var request = DescribeTopicPartitionsRequest(responsePartitionLimit: 2)
            let first = try await broker.call(request, version: 0)
            #expect(first.topics.map(\.name) == ["a"] && first.topics[0].partitions.map(\.index) == [0, 1])
            #expect(first.topics[0].partitions.allSatisfy { $0.leaderID == 1 && $0.isrNodes == [1] })
            #expect(first.topics[0].topicID != .zero)
            request.cursor = first.nextCursor
            let second = try await broker.call(request, version: 0)
            #expect(second.topics.map { $0.partitions.map(\.index) } == [[2], [0]] && second.nextCursor == nil)
            request = DescribeTopicPartitionsRequest(topics: [.init(name: "nothing"), .init(name: "a b")])
            let unknown = try await broker.call(request, version: 0)
            #expect(unknown.topics.map(\.errorCode) == [.invalidTopicException, .unknownTopicOrPartition])
            request.cursor = .init(topicName: "a", partitionIndex: -1)
            let refused = try await broker.call(request, version: 0)
            #expect(refused.topics.map(\.errorCode) == [.invalidRequest, .invalidRequest])
        }
    }

    @Test func resourcesAndBrokers() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            func list(_ types: [Int8], version: Int16 = 1) async throws -> ListConfigResourcesResponse {
                try await broker.call(ListConfigResourcesRequest(resourceTypes: types), version: version)
            }
            let all = try await list([]).configResources
            #expect(all.map(\.resourceName) == ["a", "1"] && all.map(\.resourceType) == [2, 4])
            #expect(try await list([2]).configResources.map(\.resourceName) == ["a"])
            #expect(try await list([16, 32]).configResources.isEmpty)
            #expect(try await list([3]).errorCode == .unsupportedVersion)
            #expect(try await list([], version: 0).configResources.isEmpty)

            func describe(_ type: Int8, fenced: Bool = false) async throws -> DescribeClusterResponse {
                try await broker.call(
                    DescribeClusterRequest(endpointType: type, includeFencedBrokers: fenced), version: 2)
            }
            #expect(try await describe(1, fenced: true).brokers.map(\.brokerID) == [1])
            #expect(try await describe(1).brokers.allSatisfy { !$0.isFenced })
            #expect(try await describe(2).errorCode == .mismatchedEndpointType)
            #expect(try await describe(3).errorCode == .unsupportedEndpointType)
        }
    }

    @Test func severalGroupsInOneRequest() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a", partitions: 2)
            for (group, offset) in [("g", Int64(5)), ("h", 7)] {
                let commit = OffsetCommitRequest(
                    groupID: group, memberID: "",
                    topics: [.init(name: "a", partitions: [.init(index: 0, committedOffset: offset)])])
                _ = try await broker.call(commit, version: 8)
            }
            let asked = OffsetFetchRequest(groups: [
                .init(groupID: "g", topics: [.init(name: "a", partitionIndexes: [0, 1])]), .init(groupID: "h"),
                .init(groupID: "nobody"),
            ])
            let groups = try await broker.call(asked, version: 8).groups
            #expect(groups.map(\.groupID) == ["g", "h", "nobody"] && groups.allSatisfy { $0.errorCode == .none })
            #expect(groups.map { $0.topics.flatMap { $0.partitions.map(\.committedOffset) } } == [[5, -1], [7], []])

            let found = try await broker.call(FindCoordinatorRequest(coordinatorKeys: ["g", "h"]), version: 4)
            #expect(found.coordinators.map(\.key) == ["g", "h"])
            #expect(found.coordinators.allSatisfy { $0.errorCode == .none && $0.nodeID == 1 && $0.port == 9092 })

            let described = try await broker.call(DescribeGroupsRequest(groupIDs: ["g", "nobody"]), version: 6)
            #expect(described.groups.map(\.errorCode) == [.none, .groupIDNotFound])
            #expect(described.groups[1].groupState == "Dead" && described.groups[1].errorMessage != nil)
            for (types, count) in [([], 2), (["Classic"], 2), (["consumer"], 0), (["consumer", "classic"], 2)] {
                let listed = try await broker.call(ListGroupsRequest(typesFilter: types), version: 5)
                #expect(listed.groups.count == count && listed.groups.allSatisfy { $0.groupType == "classic" })
            }
        }
    }
}
