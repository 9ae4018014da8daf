// SPDX-License-Identifier: Apache-2.0
//
// MiniBroker.swift
// Just enough of a broker, behind a ScriptedServer, to see what a producer and a consumer do.

import KafkaProtocol
import Model
import NIOCore
import Records
import Synchronization

@testable import KafkaClient

/// One topic `t` with some partitions, kept as whole batches in memory; checks the sequences of idempotent producers.
final class MiniBroker: Sendable {
    struct State {
        var logs: [[ByteBuffer]]
        var ends: [Int64]
        var starts: [Int64]
        var nextSequences: [Int32]
        /// The offsets that batches of idempotent producers were given, by partition and first sequence number.
        var accepted: [[Int32: Int64]]
        /// Answered to the next produce requests, one each, before any is accepted again.
        var produceErrors: [KafkaErrorCode] = []
        /// Answered to the next fetch requests, one each.
        var fetchErrors: [KafkaErrorCode] = []
        /// The aborted transactions, named in every answer to a fetch.
        var aborted: [FetchResponse.AbortedTransaction]?
        var produceRequests = 0
        var address = BrokerAddress(host: "127.0.0.1", port: 1)
    }

    let state: Mutex<State>

    init(partitions: Int) {
        state = Mutex(
            State(
                logs: Array(repeating: [], count: partitions), ends: Array(repeating: 0, count: partitions),
                starts: Array(repeating: 0, count: partitions), nextSequences: Array(repeating: 0, count: partitions),
                accepted: Array(repeating: [:], count: partitions)))
    }

    /// The values in a partition, in order.
    func values(_ partition: Int) throws -> [String] {
        try state.withLock { $0.logs[partition] }.flatMap { try RecordBatch($0).allRecords() }
            .map { String(buffer: $0.value ?? ByteBuffer()) }
    }

    /// Answers a request; nil for what it does not know.
    func reply(to request: KafkaRequest) -> ScriptedReply? {
        switch request {
        case .apiVersions: .answer(ApiVersionsResponse.served())
        case .metadata:
            .answer(state.withLock { KafkaClientTests.metadata(of: ["t": $0.logs.count], at: $0.address) })
        case .initProducerID: .answer(InitProducerIDResponse(producerID: 77, producerEpoch: 0))
        case .produce(let request): produce(request)
        case .fetch(let request): fetch(request)
        case .listOffsets(let request): listOffsets(request)
        default: nil
        }
    }

    private func produce(_ request: ProduceRequest) -> ScriptedReply {
        let response = state.withLock { state in
            state.produceRequests += 1
            let failure = state.produceErrors.isEmpty ? KafkaErrorCode.none : state.produceErrors.removeFirst()
            return ProduceResponse(
                topics: request.topics.map { topic in
                    .init(
                        name: topic.name,
                        partitions: topic.partitions.map { partition in
                            let (code, offset) =
                                failure == .none ? Self.append(partition, to: &state) : (failure, Int64(-1))
                            return .init(index: partition.index, errorCode: code, baseOffset: offset)
                        })
                })
        }
        return request.acks == 0 ? .silence : .answer(response)
    }

    private static func append(
        _ partition: ProduceRequest.Partition, to state: inout State
    ) -> (KafkaErrorCode, Int64) {
        let index = Int(partition.index)
        guard var bytes = partition.records, let batch = try? RecordBatch.produced(in: bytes),
            (try? batch.verifyChecksum()) != nil
        else { return (.corruptMessage, -1) }
        if batch.hasProducer {
            let sequence = batch.header.baseSequence
            if let offset = state.accepted[index][sequence] { return (.none, offset) }
            guard sequence == state.nextSequences[index] else { return (.outOfOrderSequenceNumber, -1) }
            state.nextSequences[index] += batch.header.recordCount
            state.accepted[index][sequence] = state.ends[index]
        }
        let base = state.ends[index]
        bytes.setInteger(base, at: bytes.readerIndex)
        state.logs[index].append(bytes)
        state.ends[index] += Int64(batch.recordCount)
        return (.none, base)
    }

    private func fetch(_ request: FetchRequest) -> ScriptedReply {
        let (response, isEmpty) = state.withLock { state -> (FetchResponse, Bool) in
            let failure = state.fetchErrors.isEmpty ? KafkaErrorCode.none : state.fetchErrors.removeFirst()
            let topics = request.topics.map { topic in
                FetchResponse.Topic(
                    name: topic.name, partitions: topic.partitions.map { Self.read($0, failure, from: state) })
            }
            let isEmpty = topics.allSatisfy { $0.partitions.allSatisfy { $0.records.isEmpty && $0.errorCode == .none } }
            return (FetchResponse(topics: topics), isEmpty)
        }
        // An empty answer is parked until the test moves on.
        return isEmpty ? .held(response) : .answer(response)
    }

    private static func read(
        _ partition: FetchRequest.Partition, _ failure: KafkaErrorCode, from state: State
    ) -> FetchResponse.Partition {
        let index = Int(partition.index)
        let end = state.ends[index]
        var code = failure
        if code == .none, !(state.starts[index]...end).contains(partition.fetchOffset) { code = .offsetOutOfRange }
        guard code == .none else { return .init(index: partition.index, errorCode: code, highWatermark: -1) }
        var batches = state.logs[index].filter { bytes in
            (try? RecordBatch(bytes)).map { $0.nextOffset.rawValue > partition.fetchOffset } ?? true
        }
        if partition.partitionMaxBytes == 1 { batches = Array(batches.prefix(1)) }
        return .init(
            index: partition.index, highWatermark: end, abortedTransactions: state.aborted,
            records: RecordSlices(batches))
    }

    private func listOffsets(_ request: ListOffsetsRequest) -> ScriptedReply {
        .answer(
            state.withLock { state in
                ListOffsetsResponse(
                    topics: request.topics.map { topic in
                        .init(
                            name: topic.name,
                            partitions: topic.partitions.map {
                                let isStart = $0.timestamp == ListOffsetsTimestamp.earliest
                                let index = Int($0.index)
                                return .init(
                                    index: $0.index, timestamp: -1,
                                    offset: isStart ? state.starts[index] : state.ends[index])
                            })
                    })
            })
    }
}

/// Runs `body` with a broker and a client of it.
func withMiniBroker(
    partitions: Int = 1, override: @escaping @Sendable (KafkaRequest) -> ScriptedReply? = { _ in nil },
    configure: (inout ClientSettings) -> Void = { _ in },
    _ body: (MiniBroker, ScriptedServer, KafkaClient) async throws -> Void
) async throws {
    let broker = MiniBroker(partitions: partitions)
    try await withScriptedServer(
        { _, request in override(request) ?? broker.reply(to: request) ?? .close }, configure: configure
    ) { server, client in
        broker.state.withLock { $0.address = client.settings.bootstrap[0] }
        try await body(broker, server, client)
    }
}
