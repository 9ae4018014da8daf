// SPDX-License-Identifier: Apache-2.0
//
// BrokerClusterTests.swift
// A cluster of three brokers end to end without clients' sockets: topics by any broker, produce, lost and stopped leaders.

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import Broker

@Suite(.serialized) struct BrokerClusterTests {
    private func createTopic(_ name: String, _ partitions: Int32, at broker: BrokerHarness) async throws {
        let topic = CreateTopicsRequest.Topic(
            name: name, partitionCount: partitions, replicationFactor: 3, assignments: [],
            configs: [.init(name: "min.insync.replicas", value: "2")])
        let request = CreateTopicsRequest(topics: [topic], timeoutMilliseconds: 20_000, validateOnly: false)
        let answer = try await broker.call(request, version: 5).topics[0]
        #expect(answer.errorCode == .none, "\(answer.errorMessage ?? "")")
    }

    /// Writes through everything that happens to leaders, as an idempotent producer; everything is there once, in order.
    @Test(arguments: [true, false]) func recordsSurviveTheirLeader(gracefully: Bool) async throws {
        let cluster = try await BrokerCluster.start()
        // Whichever broker a client asks, the controller's leader creates it.
        for node in cluster.members { try await createTopic("t\(node)", 2, at: cluster[node]) }
        let id = try await cluster.eventually(
            "a producer id", InitProducerIDRequest(transactionalID: nil, transactionTimeoutMilliseconds: 1000),
            version: 2
        ) { $0.errorCode == .none }
        func send(_ sequence: Int32) async throws {
            let producer = ProducerFields(id: ProducerID(rawValue: id.producerID), epoch: 0, baseSequence: sequence)
            let answer = try await cluster.produce(["\(sequence)"], to: "t1", partition: 0, producer: producer)
            #expect(answer.errorCode == .none && answer.baseOffset == Int64(sequence))
        }
        for sequence in Int32(0)..<50 { try await send(sequence) }
        let former = try await cluster.leaders(of: "t1")[0]
        try await cluster.stop(former, gracefully: gracefully)
        for sequence in Int32(50)..<100 { try await send(sequence) }
        let leader = try await cluster.leaders(of: "t1")[0]
        #expect(leader != former)
        let answer = try await cluster[leader].fetch("t1", from: 0)
        #expect(try cluster[leader].values(answer) == (0..<100).map { "\($0)" })
        let question = MetadataRequest(topics: [.init(name: "t1")])
        let described = try await cluster.eventually("two in sync", question, version: 8) {
            $0.topics[0].partitions[0].isrNodes.count == 2
        }
        #expect(described.topics[0].partitions[0].replicaNodes.count == 3)
        try await cluster.stop()
    }

    /// Who writes to or reads from a broker that does not lead is told who does, and where that is (KIP-951).
    @Test func whoAsksTheWrongBrokerIsToldOfTheLeader() async throws {
        let cluster = try await BrokerCluster.start()
        try await createTopic("t", 1, at: cluster[cluster.members[0]])
        let leader = try await cluster.leaders(of: "t")[0]
        let other = try #require(cluster.running.first { $0 != leader })
        var builder = RecordBatchBuilder()
        builder.append(key: nil, value: ByteBuffer(string: "x"), timestamp: Clock.system.wallTime().milliseconds)
        let produce = ProduceRequest(
            acks: -1, timeoutMilliseconds: 1000,
            topics: [.init(name: "t", partitions: [.init(index: 0, records: try builder.build())])])
        for (version, isTold) in [(Int16(9), false), (10, true)] {
            let answer = try await cluster[other].call(produce, version: version)
            let partition = answer.topics[0].partitions[0]
            #expect(partition.errorCode == .notLeaderOrFollower)
            #expect(partition.currentLeader?.leaderID == (isTold ? leader.rawValue : nil))
            #expect(answer.nodeEndpoints.map(\.nodeID) == (isTold ? [leader.rawValue] : []))
        }
        let id = try await cluster[leader].call(MetadataRequest(topics: [.init(name: "t")]), version: 12)
            .topics[0].topicID
        for version in [Int16(12), 16] {
            let partition = FetchRequest.Partition(
                index: 0, currentLeaderEpoch: 0, fetchOffset: 0, partitionMaxBytes: 1000)
            let request = FetchRequest(
                maxWaitMilliseconds: 0, minBytes: 0, isolationLevel: 0,
                topics: [.init(name: "t", topicID: version == 16 ? id : .zero, partitions: [partition])])
            let answer = try await cluster[leader].call(request, version: version)
            let told = answer.topics[0].partitions[0]
            #expect(told.errorCode == .fencedLeaderEpoch && told.currentLeader?.leaderID == leader.rawValue)
            #expect(answer.nodeEndpoints.map(\.nodeID) == (version == 16 ? [leader.rawValue] : []))
        }
        try await cluster.stop()
    }

    /// A group's offsets go on at another broker.
    @Test func committedOffsetsSurviveTheirCoordinator() async throws {
        let cluster = try await BrokerCluster.start()
        try await createTopic("t", 1, at: cluster[cluster.members[0]])
        func coordinator() async throws -> NodeID {
            let found = try await cluster.eventually("a coordinator", FindCoordinatorRequest(key: "g"), version: 2) {
                $0.errorCode == .none && cluster.running.map(\.rawValue).contains($0.nodeID)
            }
            return NodeID(rawValue: found.nodeID)
        }
        let first = try await coordinator()
        let commit = OffsetCommitRequest(
            groupID: "g", generationID: -1, memberID: "",
            topics: [.init(name: "t", partitions: [.init(index: 0, committedOffset: 42, committedMetadata: "m")])])
        let committed = try await cluster[first].call(commit, version: 5)
        #expect(committed.topics[0].partitions[0].errorCode == .none)
        try await cluster.stop(first, gracefully: false)
        for _ in 0..<500 {
            let next = try await coordinator()
            guard next != first else { continue }
            let fetch = OffsetFetchRequest(groupID: "g", topics: [.init(name: "t", partitionIndexes: [0])])
            let answer = try await cluster[next].call(fetch, version: 5)
            guard answer.errorCode == .none else { continue }
            #expect(answer.topics[0].partitions[0].committedOffset == 42)
            break
        }
        try await cluster.stop()
    }
}
