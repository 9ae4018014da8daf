// SPDX-License-Identifier: Apache-2.0
//
// OpenTransactionTests.swift
// Which transactions hang: against constructed ones, and against a scripted broker on which some end meanwhile.

import KafkaProtocol
import Model
import Synchronization
import Testing

@testable import KafkaClient

@Suite struct OpenTransactionTests {
    private static let partition = TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 0))

    private static func open(_ producer: Int64, epoch: Int16 = 3, at offset: Int64 = 7) -> OpenTransaction {
        OpenTransaction(
            partition: partition, producerID: ProducerID(rawValue: producer), producerEpoch: epoch,
            coordinatorEpoch: 2, startOffset: Offset(offset), lastMilliseconds: 1_000)
    }

    private static func known(
        _ state: String, producer: Int64 = 5, epoch: Int16 = 3, partitions: [TopicPartition] = [partition]
    ) -> TransactionDescription {
        TransactionDescription(
            id: "x", producerID: ProducerID(rawValue: producer), epoch: epoch, state: state, timeoutMilliseconds: 1,
            startMilliseconds: 1, coordinator: NodeID(rawValue: 1), partitions: partitions)
    }

    @Test func aCoordinatorEndsWhatItKnows() {
        let open = Self.open(5)
        #expect(open.isAwaited(by: Self.known("Ongoing")))
        #expect(open.isAwaited(by: Self.known("PrepareCommit")))
        #expect(open.isAwaited(by: Self.known("PrepareAbort", epoch: 4)), "its end has raised the epoch")
        #expect(!open.isAwaited(by: Self.known("Ongoing", epoch: 4)), "that is a later transaction")
        #expect(!open.isAwaited(by: Self.known("PrepareCommit", epoch: 2)))
        #expect(!open.isAwaited(by: Self.known("Ongoing", producer: 6)))
        #expect(!open.isAwaited(by: Self.known("Ongoing", partitions: [])))
        #expect(!open.isAwaited(by: Self.known("CompleteCommit", partitions: [])))
    }

    /// A broker on which producer 5 has a transaction that is known, 6 one that hangs, and 7 one that ends before the
    /// partition is asked again.
    private final class Script: Sendable {
        struct State {
            var asked = 0
            var markers: [WriteTxnMarkersRequest.Marker] = []
            var coordinator = [KafkaErrorCode.coordinatorNotAvailable]
        }
        let state = Mutex(State())

        func reply(to request: KafkaRequest) -> ScriptedReply? {
            switch request {
            case .findCoordinator: .answer(FindCoordinatorResponse(nodeID: 1, host: "127.0.0.1", port: 1))
            case .describeProducers: .answer(describeProducers())
            case .listTransactions(let request):
                .answer(
                    ListTransactionsResponse(
                        transactions: request.producerIDFilters.contains(5)
                            ? [.init(transactionalID: "five", producerID: 5, state: "Ongoing")] : []))
            case .describeTransactions(let request): .answer(describe(request.transactionalIDs.first ?? ""))
            case .writeTxnMarkers(let request): .answer(end(request))
            default: nil
            }
        }

        private func describeProducers() -> DescribeProducersResponse {
            let asked = state.withLock { state in
                state.asked += 1
                return state.asked
            }
            let producers = (Int64(5)...8).filter { asked == 1 || $0 != 7 }.map {
                DescribeProducersResponse.Producer(
                    producerID: $0, producerEpoch: 3, lastTimestamp: 1_000, coordinatorEpoch: -1,
                    currentTransactionStartOffset: $0 == 8 ? -1 : 10 + $0)
            }
            return DescribeProducersResponse(
                topics: [.init(name: "t", partitions: [.init(index: 0, producers: producers)])])
        }

        private func describe(_ id: String) -> DescribeTransactionsResponse {
            guard id == "five" else {
                let code = state.withLock { $0.coordinator.popLast() ?? .transactionalIDNotFound }
                return DescribeTransactionsResponse(transactions: [
                    .init(
                        errorCode: code, transactionalID: id, state: "", timeoutMilliseconds: 0,
                        startTimeMilliseconds: -1, producerID: -1, producerEpoch: -1)
                ])
            }
            return DescribeTransactionsResponse(transactions: [
                .init(
                    transactionalID: id, state: "Ongoing", timeoutMilliseconds: 1, startTimeMilliseconds: 1,
                    producerID: 5, producerEpoch: 3, topics: [.init(name: "t", partitionIndexes: [0])])
            ])
        }

        private func end(_ request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
            state.withLock { $0.markers += request.markers }
            let code = state.withLock { $0.markers.count } == 1 ? KafkaErrorCode.notEnoughReplicas : .none
            return WriteTxnMarkersResponse(
                markers: request.markers.map { marker in
                    .init(
                        producerID: marker.producerID,
                        topics: [.init(name: "t", partitions: [.init(index: 0, errorCode: code)])])
                })
        }
    }

    @Test func whatHangsIsFoundAndEnded() async throws {
        let script = Script()
        try await withMiniBroker(override: { script.reply(to: $0) }) { _, _, client in
            let open = try await client.openTransactions(in: [Self.partition])
            #expect(open.map(\.producerID.rawValue) == [5, 6, 7], "8 has none")
            let hanging = try await client.hanging(among: open)
            #expect(hanging.map(\.producerID.rawValue) == [6])
            #expect(hanging.map(\.startOffset.rawValue) == [16])
            #expect(script.state.withLock { $0.coordinator.isEmpty }, "without a coordinator nothing is said")
            try await client.abandon(hanging[0])
            let markers = script.state.withLock { $0.markers }
            #expect(markers.count == 2, "once more after an error that passes")
            for marker in markers {
                #expect(marker.producerID == 6 && marker.producerEpoch == 3 && !marker.committed)
                #expect(marker.coordinatorEpoch == 0)
            }
        }
    }
}
