// SPDX-License-Identifier: Apache-2.0
//
// ReplicaHandlerTests.swift
// The APIs about replicas and leaders, as a broker that is alone answers them.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct ReplicaHandlerTests {
    private func withTopic(_ body: (BrokerHarness) async throws -> Void) async throws {
        try await BrokerHarness.withBroker { broker in
            _ = try await broker.createTopic("a", partitions: 2)
            try await body(broker)
        }
    }

    @Test func aLoneReplicaNeedsNoElection() async throws {
        try await withTopic { broker in
            let request = ElectLeadersRequest(topics: [
                .init(name: "a", partitionIndexes: [0, 9]), .init(name: "b", partitionIndexes: [0]),
            ])
            let answer = try await broker.call(request, version: 2)
            #expect(answer.topics[0].partitions.map(\.errorCode) == [.electionNotNeeded, .unknownTopicOrPartition])
            #expect(answer.topics[1].partitions.map(\.errorCode) == [.unknownTopicOrPartition])
            #expect(try await broker.call(ElectLeadersRequest(), version: 2).topics.isEmpty)
        }
    }

    @Test func partitionsCannotMoveAwayFromTheOnlyBroker() async throws {
        try await withTopic { broker in
            let request = AlterPartitionReassignmentsRequest(topics: [
                .init(
                    name: "a",
                    partitions: [.init(index: 0, replicas: [1]), .init(index: 1, replicas: [2]), .init(index: 7)]),
                .init(name: "a", partitions: [.init(index: 0)]),
            ])
            let answer = try await broker.call(request, version: 1)
            let codes = answer.topics.map { $0.partitions.map(\.errorCode) }
            #expect(codes[0] == [.none, .invalidReplicaAssignment, .unknownTopicOrPartition])
            #expect(codes[1] == [.noReassignmentInProgress])
            #expect(try await broker.call(ListPartitionReassignmentsRequest(), version: 0).topics.isEmpty)
        }
    }

    @Test func logDirectoriesNameTheirPartitionsAndSizes() async throws {
        try await withTopic { broker in
            _ = try await broker.produce([String(repeating: "x", count: 1000)], to: "a", partition: 1)
            let all = try await broker.call(DescribeLogDirsRequest(), version: 4)
            #expect(all.errorCode == .none && all.directories.count == 1)
            let partitions = try #require(all.directories.first?.topics.first?.partitions)
            #expect(partitions.map(\.index) == [0, 1])
            #expect(partitions[1].sizeBytes > 0 && partitions[1].offsetLag == 0)
            let one = DescribeLogDirsRequest(topics: [
                .init(name: "a", partitionIndexes: [1, 5]), .init(name: "b", partitionIndexes: [0]),
            ])
            let topics = try await broker.call(one, version: 1).directories[0].topics
            #expect(topics.map(\.name) == ["a"] && topics[0].partitions.map(\.index) == [1])
        }
    }

    @Test func theQuorumOfALoneControllerIsItself() async throws {
        try await withTopic { broker in
            let request = DescribeQuorumRequest(topics: [
                .init(name: "__cluster_metadata", partitions: [.init(index: 0)]),
                .init(name: "a", partitions: [.init(index: 0)]),
            ])
            let answer = try await broker.call(request, version: 1)
            let quorum = answer.topics[0].partitions[0]
            #expect(quorum.errorCode == .none && quorum.leaderID == 1 && quorum.leaderEpoch > 0)
            #expect(quorum.currentVoters.map(\.replicaID) == [1] && quorum.observers.isEmpty)
            #expect(quorum.highWatermark == quorum.currentVoters[0].logEndOffset)
            #expect(answer.topics[1].partitions[0].errorCode == .unknownTopicOrPartition)
        }
    }

    /// The leader table does not go around before a topic is reported as created: every loop names its leader at once.
    @Test(arguments: [0, 1]) func leadersAreKnownOnEveryLoop(loop: Int) async throws {
        try await withTopic { broker in
            _ = try await broker.createTopic("b", partitions: 4)
            let answer = try await broker.call(MetadataRequest(topics: [.init(name: "b")]), version: 8, loop: loop)
            let partitions = answer.topics[0].partitions
            #expect(partitions.allSatisfy { $0.errorCode == .none && $0.leaderID == 1 && $0.leaderEpoch > 0 })
            #expect(partitions.allSatisfy { $0.isrNodes == [1] && $0.replicaNodes == [1] })
            #expect(partitions.allSatisfy { $0.offlineReplicas.isEmpty })
            #expect(answer.brokers.map(\.nodeID) == [1] && answer.controllerID == 1)
        }
    }
}
