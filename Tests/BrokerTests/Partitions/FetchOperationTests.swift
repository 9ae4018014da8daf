// SPDX-License-Identifier: Apache-2.0
//
// FetchOperationTests.swift
// A fetch over partitions of several loops, woken in the moment in which it parks.

import Dispatch
import KafkaProtocol
import Model
import NIOCore
import NIOPosix
import Testing

@testable import Broker

@Suite struct FetchOperationTests {
    /// The first partition answers "nothing new", takes a record, and only then does the second one answer: the fetch
    /// parks on the first and is woken by it at once, while the second is still to be parked on.
    @Test func aCommitBetweenReadingAndParkingIsNotMissed() async throws {
        let broker = try await BrokerHarness.start(loops: 2)
        #expect(try await broker.createTopic("a", partitions: 2) == .none)
        let gate = DispatchSemaphore(value: 0)
        Array(broker.group.makeIterator())[1].execute { gate.wait() }
        let fetching = begin(fetchOfBoth(), version: 11, on: broker)
        #expect(try await broker.produce(["new"], to: "a", partition: 0).errorCode == .none)
        gate.signal()
        let body = try #require(try await fetching.get())
        let answer = try ResponseDecoder.decode(FetchResponse.self, from: body.contiguous(), version: 11)
        #expect(answer.topics[0].partitions.map(\.errorCode) == [.none, .none])
        #expect(try broker.values(answer.topics[0].partitions[0]) == ["new"])
        #expect(answer.topics[0].partitions[1].records.isEmpty)
        try await broker.stop()
    }

    private func fetchOfBoth() -> FetchRequest {
        var request = FetchRequest(maxWaitMilliseconds: 60_000, minBytes: 1, isolationLevel: 0)
        request.maxBytes = 1 << 20
        let partitions = (Int32(0)...1).map {
            FetchRequest.Partition(
                index: $0, currentLeaderEpoch: -1, fetchOffset: 0, lastFetchedEpoch: -1, logStartOffset: -1,
                partitionMaxBytes: 1 << 20)
        }
        request.topics = [FetchRequest.Topic(name: "a", partitions: partitions)]
        return request
    }

    /// Puts a request on the first loop before this returns, so that what is sent later is handled later.
    private func begin<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, on harness: BrokerHarness
    ) -> EventLoopFuture<ResponseBody?> {
        var writer = WireWriter()
        request.encode(to: &writer, version: version)
        let body = RecordSlices(writer.finish()).contiguous()
        let loop = Array(harness.group.makeIterator())[0]
        let promise = loop.makePromise(of: ResponseBody?.self)
        let answer = Answer(
            send: { promise.succeed($0) }, close: { promise.fail(BrokerHarness.Closed(description: $0)) },
            onDisconnect: { _ in })
        let call = Call(
            header: RequestHeader(
                apiKey: Request.apiKey.rawValue, version: version, correlationID: 7, clientID: "test"),
            loop: loop, advertised: BrokerAddress(id: NodeID(rawValue: 1), host: "localhost", port: 9092),
            peer: "127.0.0.1", receivedAt: Clock.system.now(), answer: answer)
        loop.execute { harness.broker.handle(call, body: body) }
        return promise.futureResult
    }
}
