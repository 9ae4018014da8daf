// SPDX-License-Identifier: Apache-2.0
//
// HangingTransactionTests.swift
// A transaction that no coordinator knows: shown to operators, and ended by them and by nobody else (KIP-664).

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import Broker

@Suite struct HangingTransactionTests {
    /// Makes what a broker without verification could have made: the partition believes that the batch belongs to a
    /// transaction, and no coordinator knows of one.
    private func hang(_ broker: BrokerHarness, producer: Int64, epoch: Int16 = 0) async throws {
        for number in 0..<broker.broker.shards.count {
            broker.broker.shards.execute(on: number) { shard in
                shard.transactionVerifier = TransactionVerifier { _, then in then(.none) }
            }
        }
        let answer = try await produce(broker, producer: producer, epoch: epoch, sequence: 0)
        #expect(answer == .none)
    }

    private func produce(
        _ broker: BrokerHarness, producer: Int64, epoch: Int16, sequence: Int32
    ) async throws -> KafkaErrorCode {
        let fields = ProducerFields(id: ProducerID(rawValue: producer), epoch: epoch, baseSequence: sequence)
        var builder = RecordBatchBuilder(producer: fields, isTransactional: true)
        builder.append(key: nil, value: ByteBuffer(string: "lost"), timestamp: Clock.system.wallTime().milliseconds)
        let request = ProduceRequest(
            transactionalID: "x", acks: -1, timeoutMilliseconds: 10_000,
            topics: [.init(name: "t", partitions: [.init(index: 0, records: try builder.build())])])
        return try await broker.call(request, version: 11).topics[0].partitions[0].errorCode
    }

    private func producers(_ broker: BrokerHarness) async throws -> [DescribeProducersResponse.Producer] {
        let request = DescribeProducersRequest(topics: [.init(name: "t", partitionIndexes: [0])])
        return try await broker.call(request, version: 0).topics[0].partitions[0].producers
    }

    private func end(
        _ broker: BrokerHarness, producer: Int64, epoch: Int16 = 0, isCommit: Bool = false, version: Int16 = 1
    ) async throws -> KafkaErrorCode {
        let marker = WriteTxnMarkersRequest.Marker(
            producerID: producer, producerEpoch: epoch, committed: isCommit,
            topics: [.init(name: "t", partitionIndexes: [0])], coordinatorEpoch: 0, transactionVersion: 2)
        let answer = try await broker.call(WriteTxnMarkersRequest(markers: [marker]), version: version)
        return answer.markers[0].topics[0].partitions[0].errorCode
    }

    private func stable(_ broker: BrokerHarness) async throws -> Int64 {
        try await broker.fetch("t", from: 0).lastStableOffset
    }

    @Test(arguments: [1, 2] as [Int16])
    func anOperatorEndsWhatHangs(version: Int16) async throws {
        try await BrokerHarness.withBroker { broker in
            #expect(try await broker.createTopic("t") == .none)
            try await hang(broker, producer: 77)
            #expect(try await producers(broker).map(\.currentTransactionStartOffset) == [0])
            #expect(try await broker.call(ListTransactionsRequest(), version: 1).transactions.isEmpty)
            #expect(try await stable(broker) == 0)
            #expect(try await end(broker, producer: 77, version: version) == .none)
            #expect(try await stable(broker) == 2)
            #expect(try await producers(broker).map(\.currentTransactionStartOffset) == [-1])
            // The answer may have been lost.
            #expect(try await end(broker, producer: 77, version: version) == .none)
            #expect(try await stable(broker) == 2, "no second marker")
        }
    }

    @Test func nobodyButACoordinatorMayDoMore() async throws {
        try await BrokerHarness.withBroker { broker in
            #expect(try await broker.createTopic("t") == .none)
            try await hang(broker, producer: 77, epoch: 4)
            #expect(try await end(broker, producer: 77, epoch: 4, isCommit: true) == .clusterAuthorizationFailed)
            #expect(try await end(broker, producer: 77, epoch: 3) == .invalidProducerEpoch)
            #expect(try await end(broker, producer: 77, epoch: 5) == .invalidTxnState, "nobody is fenced with it")
            #expect(try await end(broker, producer: 78, epoch: 0) == .invalidTxnState)
            #expect(try await stable(broker) == 0)
            #expect(try await produce(broker, producer: 77, epoch: 4, sequence: 1) == .none)
        }
    }
}
