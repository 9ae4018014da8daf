// SPDX-License-Identifier: Apache-2.0
//
// BrokerHarness.swift
// A broker without sockets: real store, real event loops, requests and answers as bytes.

import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import Records
import Settings
import Telemetry
import TestSupport

@testable import Broker

/// A broker on a directory of its own, which goes with the last of its users.
final class BrokerHarness: Sendable {
    let scratch: Scratch
    let group: MultiThreadedEventLoopGroup
    let validators: MultiThreadedEventLoopGroup
    let threads: NIOThreadPool
    let store: LogStore
    let broker: Broker
    let registry: MetricRegistry

    private init(
        scratch: Scratch, group: MultiThreadedEventLoopGroup, validators: MultiThreadedEventLoopGroup,
        threads: NIOThreadPool, store: LogStore, broker: Broker, registry: MetricRegistry
    ) {
        self.validators = validators
        self.registry = registry
        self.scratch = scratch
        self.group = group
        self.threads = threads
        self.store = store
        self.broker = broker
    }

    static func start(
        in scratch: Scratch? = nil, loops: Int = 2, options: [(key: String, value: String)] = [],
        on loopGroup: MultiThreadedEventLoopGroup? = nil, cluster: ClusterParts? = nil
    ) async throws -> BrokerHarness {
        let scratch = try scratch ?? Scratch(inMemory: true)
        let group = loopGroup ?? MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let validators = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        let resolved = try SettingsLoader.load(
            path: nil, commandLine: [("groups.initial_rebalance_delay", "0s")] + options)
        let registry = MetricRegistry()
        let logger = Logger.silent
        let store = try LogStore.openScratch(at: scratch.path("store"), metrics: registry)
        let parts = BrokerParts(
            settings: resolved, store: store,
            loops: group.makeIterator().map { $0 }, validators: validators.makeIterator().map { $0 },
            registry: registry, clock: .system,
            runBlocking: { body in threads.submit { state in if state == .active { body() } } },
            logger: { _ in logger }, onStorageFailure: { _ in }, cluster: cluster)
        let broker = try await withCheckedThrowingContinuation { done in
            Broker.start(parts) { result in done.resume(with: result.mapError { $0 as any Error }) }
        }
        return BrokerHarness(
            scratch: scratch, group: group, validators: validators, threads: threads, store: store, broker: broker,
            registry: registry)
    }

    /// Runs `body` against a broker and stops it cleanly.
    static func withBroker(
        loops: Int = 2, options: [(key: String, value: String)] = [], _ body: (BrokerHarness) async throws -> Void
    ) async throws {
        let harness = try await start(loops: loops, options: options)
        try await body(harness)
        try await harness.stop()
    }

    /// Stops the broker as SIGTERM does, and then its network.
    func stop(network: () async -> Void = {}) async throws {
        await withCheckedContinuation { done in broker.stop { done.resume() } }
        await network()
        store.close()
        try await threads.shutdownGracefully()
        try await validators.shutdownGracefully()
        try await group.shutdownGracefully()
    }

    /// Sends a request as a connection on the loop `loop` would, and decodes the answer.
    func call<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, loop: Int = 0, on connection: ConnectionEnd? = nil
    ) async throws -> Request.Response {
        let body = try await raw(request, version: version, loop: loop, on: connection)
        guard let body else { throw HarnessError.closed }
        return try ResponseDecoder.decode(Request.Response.self, from: body.contiguous(), version: version)
    }

    /// Sends requests one behind the other, none waiting for an answer, as a connection on the first loop would.
    func callAll<Request: KafkaRequestMessage>(_ requests: [Request], version: Int16) async throws -> [Request.Response]
    {
        let header = RequestHeader(
            apiKey: Request.apiKey.rawValue, version: version, correlationID: 7, clientID: "test")
        let bodies = requests.map { request in
            var writer = WireWriter()
            request.encode(to: &writer, version: version)
            return RecordSlices(writer.finish()).contiguous()
        }
        let loop = group.any()
        let promises = requests.map { _ in loop.makePromise(of: ResponseBody?.self) }
        loop.execute { [broker] in
            for (body, promise) in zip(bodies, promises) {
                let answer = Answer(
                    send: { promise.succeed($0) }, close: { promise.fail(Closed(description: $0)) },
                    onDisconnect: { _ in })
                broker.handle(
                    Call(
                        header: header, loop: loop,
                        advertised: BrokerAddress(id: NodeID(rawValue: 1), host: "localhost", port: 9092),
                        peer: "127.0.0.1", receivedAt: Clock.system.now(), answer: answer), body: body)
            }
        }
        var responses: [Request.Response] = []
        for promise in promises {
            guard let body = try await promise.futureResult.get() else { throw HarnessError.closed }
            responses.append(
                try ResponseDecoder.decode(Request.Response.self, from: body.contiguous(), version: version))
        }
        return responses
    }

    enum HarnessError: Error { case closed }

    /// Nil when the broker closed the connection instead.
    func raw<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, loop: Int = 0, on connection: ConnectionEnd? = nil
    ) async throws -> ResponseBody? {
        var writer = WireWriter()
        request.encode(to: &writer, version: version)
        let body = RecordSlices(writer.finish()).contiguous()
        return try? await raw(apiKey: Request.apiKey.rawValue, version: version, body, loop: loop, on: connection).get()
    }

    /// Why the broker closed the connection.
    struct Closed: Error, CustomStringConvertible {
        var description: String
    }

    /// Sends whatever bytes, and returns the answer or why the connection was closed.
    func raw(
        apiKey: Int16, version: Int16, _ body: ByteBuffer, loop: Int = 0, on connection: ConnectionEnd? = nil
    ) async -> Result<ResponseBody?, Closed> {
        let header = RequestHeader(apiKey: apiKey, version: version, correlationID: 7, clientID: "test")
        let eventLoop = Array(group.makeIterator())[loop]
        return await withCheckedContinuation { done in
            let answer = Answer(
                send: { done.resume(returning: .success($0)) },
                close: { done.resume(returning: .failure(Closed(description: $0))) }, onDisconnect: { _ in })
            let call = Call(
                header: header, loop: eventLoop,
                advertised: BrokerAddress(id: NodeID(rawValue: 1), host: "localhost", port: 9092), peer: "127.0.0.1",
                receivedAt: Clock.system.now(), answer: answer, connection: connection)
            eventLoop.execute { self.broker.handle(call, body: body) }
        }
    }

    /// The value of a metric's series, named with its labels; 0 when there is none.
    func metric(_ series: String) -> Double {
        let line = registry.prometheusText().split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { Double($0.dropFirst(series.count + 1)) } ?? 0
    }

    // MARK: Short forms

    func createTopic(
        _ name: String, partitions: Int32 = 1, configs: [String: String] = [:]
    ) async throws -> KafkaErrorCode {
        let topic = CreateTopicsRequest.Topic(
            name: name, partitionCount: partitions, replicationFactor: 1, assignments: [],
            configs: configs.map { .init(name: $0.key, value: $0.value) })
        let request = CreateTopicsRequest(topics: [topic], timeoutMilliseconds: 10_000, validateOnly: false)
        return try await call(request, version: 5).topics[0].errorCode
    }

    func produce(
        _ values: [String], to topic: String, partition: Int32 = 0, producer: ProducerFields = .none, acks: Int16 = -1,
        timestamp: Int64 = Clock.system.wallTime().milliseconds
    ) async throws -> ProduceResponse.Partition {
        var builder = RecordBatchBuilder(producer: producer)
        for value in values { builder.append(key: nil, value: ByteBuffer(string: value), timestamp: timestamp) }
        let records = try builder.build()
        let request = ProduceRequest(
            acks: acks, timeoutMilliseconds: 10_000,
            topics: [.init(name: topic, partitions: [.init(index: partition, records: records)])])
        return try await call(request, version: 8).topics[0].partitions[0]
    }

    func fetch(
        _ topic: String, partition: Int32 = 0, from offset: Int64, wait: Int32 = 0, minBytes: Int32 = 1,
        maxBytes: Int32 = 1 << 20, loop: Int = 0
    ) async throws -> FetchResponse.Partition {
        let partition = FetchRequest.Partition(
            index: partition, currentLeaderEpoch: -1, fetchOffset: offset, lastFetchedEpoch: -1, logStartOffset: -1,
            partitionMaxBytes: maxBytes)
        var request = FetchRequest(maxWaitMilliseconds: wait, minBytes: minBytes, isolationLevel: 0)
        request.maxBytes = maxBytes
        request.topics = [FetchRequest.Topic(name: topic, partitions: [partition])]
        return try await call(request, version: 11, loop: loop).topics[0].partitions[0]
    }

    /// The values of all records in a fetch answer, from `offset` on.
    func values(_ answer: FetchResponse.Partition, from offset: Int64 = 0) throws -> [String] {
        var values: [String] = []
        var cursor = RecordBatchCursor(answer.records.contiguous())
        while let batch = try cursor.next() {
            for record in try batch.allRecords() where record.offset.rawValue >= offset {
                values.append(record.value.map { String(buffer: $0) } ?? "")
            }
        }
        return values
    }
}
