// SPDX-License-Identifier: Apache-2.0
//
// ConnectionHandlerTests.swift
// A connection on an embedded loop: drip feeding, order, backpressure, timers, the end.

import KafkaProtocol
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import KafkaServer

@Suite struct ConnectionHandlerTests {
    /// Answers each request at once with its number.
    private static let echo: RequestHandler = { request, reply in
        reply.complete(Frames.response(request.header.correlationID))
    }

    @Test(arguments: [1, 3, 17, 100, 1 << 20])
    func dripFeeding(_ step: Int) throws {
        let harness = try ConnectionHarness(handler: Self.echo)
        var stream = Frames.requests(0..<50, padding: 40)
        while let chunk = stream.readSlice(length: min(step, max(1, stream.readableBytes))) {
            try harness.receive(chunk)
        }
        #expect(try harness.sentNumbers() == Array(0..<50))
    }

    @Test func aBurstLeavesInOneWrite() throws {
        let harness = try ConnectionHarness(handler: Self.echo)
        try harness.receive(Frames.requests(0..<100))
        #expect(harness.counter.flushes == 1)
        #expect(try harness.channel.readOutbound(as: ByteBuffer.self)?.readableBytes == 800)
        #expect(try harness.channel.readOutbound(as: ByteBuffer.self) == nil)
    }

    @Test func largePiecesArePassedThrough() throws {
        let harness = try ConnectionHarness(handler: { request, reply in
            reply.complete(Frames.response(request.header.correlationID, padding: 10_000))
        })
        try harness.receive(Frames.requests(0..<3))
        #expect(try harness.sentNumbers() == [0, 1, 2])
    }

    @Test func repliesWaitForTheirTurn() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.requests(0..<4))
        let requests = harness.recorder.take()
        #expect(requests.map(\.request.header.correlationID) == [0, 1, 2, 3])
        requests[2].reply.complete(Frames.response(2))
        requests[1].reply.complete(nil)
        #expect(try harness.sentNumbers() == [])
        requests[0].reply.complete(Frames.response(0))
        #expect(try harness.sentNumbers() == [0, 2])
        requests[3].reply.complete(Frames.response(3))
        #expect(try harness.sentNumbers() == [3])
        #expect(harness.metric("goulette_requests_inflight{listener=\"test\"} 0"))
    }

    @Test func repliesOfOneTaskLeaveTogether() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.requests(0..<3))
        let before = harness.counter.flushes
        for entry in harness.recorder.take() { entry.reply.complete(Frames.response(1)) }
        #expect(try harness.sentNumbers() == [1, 1, 1])
        #expect(harness.counter.flushes == before + 1)
    }

    @Test func requestLimitStopsReadingAndGoesOn() throws {
        let harness = try ConnectionHarness { $0.inflightRequestsPerConnectionMax = 2 }
        try harness.receive(Frames.requests(0..<5))
        var requests = harness.recorder.take()
        #expect(requests.count == 2)
        harness.channel.pipeline.read()
        #expect(harness.counter.reads == 0)
        try harness.receive(Frames.request(5))
        #expect(harness.recorder.take().isEmpty)
        for number: Int32 in 0..<6 {
            requests.removeFirst().reply.complete(Frames.response(number))
            #expect(try harness.sentNumbers() == [number])
            requests += harness.recorder.take()
        }
        #expect(requests.isEmpty)
        #expect(harness.counter.reads == 1)
        #expect(harness.metric("goulette_connection_read_pauses_total{listener=\"test\",reason=\"requests\"} 5"))
    }

    @Test func handlersThatAnswerAtOnceAreNotStoppedByTheLimit() throws {
        let harness = try ConnectionHarness({ $0.inflightRequestsPerConnectionMax = 2 }, handler: Self.echo)
        try harness.receive(Frames.requests(0..<1000))
        #expect(try harness.sentNumbers() == Array(0..<1000))
    }

    @Test func brokerBudgetStopsReading() throws {
        let harness = try ConnectionHarness { $0.inflightBytesMax = 50 }
        try harness.receive(Frames.requests(0..<3, padding: 60))
        let first = harness.recorder.take()
        #expect(first.count == 1)
        #expect(harness.metric("goulette_connection_read_pauses_total{listener=\"test\",reason=\"broker_bytes\"} 1"))
        first[0].reply.complete(Frames.response(0))
        #expect(try harness.sentNumbers() == [0])
        #expect(harness.recorder.take().count == 1)
    }

    @Test func throttleStopsReadingForItsTime() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.request(0))
        harness.recorder.take()[0].reply.complete(Frames.response(0), throttleMilliseconds: 1500)
        #expect(try harness.sentNumbers() == [0])
        try harness.receive(Frames.request(1))
        harness.channel.pipeline.read()
        #expect(harness.recorder.take().isEmpty)
        harness.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1499))
        #expect(harness.recorder.take().isEmpty)
        harness.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        harness.channel.embeddedEventLoop.run()
        #expect(harness.recorder.take().count == 1)
        #expect(harness.counter.reads == 1)
    }

    @Test func clientThatDoesNotReadIsNotServedFurther() throws {
        let harness = try ConnectionHarness()
        harness.channel.isWritable = false
        harness.channel.pipeline.fireChannelWritabilityChanged()
        try harness.receive(Frames.request(0))
        #expect(harness.recorder.take().isEmpty)
        harness.channel.isWritable = true
        harness.channel.pipeline.fireChannelWritabilityChanged()
        harness.channel.embeddedEventLoop.run()
        #expect(harness.recorder.take().count == 1)
    }

    @Test func idleConnectionIsClosed() throws {
        let harness = try ConnectionHarness { $0.idleTimeoutMilliseconds = 10_000 }
        harness.advance(seconds: 9)
        #expect(harness.channel.isActive)
        try harness.receive(Frames.request(0))
        harness.advance(seconds: 60)
        #expect(harness.channel.isActive, "its request is parked")
        harness.recorder.take()[0].reply.complete(Frames.response(0))
        #expect(try harness.sentNumbers() == [0])
        harness.advance(seconds: 9)
        #expect(harness.channel.isActive)
        harness.advance(seconds: 2)
        #expect(!harness.channel.isActive)
        #expect(harness.metric("goulette_connections_closed_total{listener=\"test\",reason=\"idle\"} 1"))
        #expect(harness.metric("goulette_connections{listener=\"test\"} 0"))
    }

    @Test func slowLorisIsClosed() throws {
        let harness = try ConnectionHarness { $0.partialFrameTimeoutMilliseconds = 5000 }
        var stream = Frames.request(0, padding: 100)
        for _ in 0..<7 where harness.channel.isActive {
            guard let byte = stream.readSlice(length: 1) else { break }
            try harness.receive(byte)
            harness.advance(seconds: 1)
        }
        #expect(!harness.channel.isActive)
        #expect(harness.metric("goulette_connections_closed_total{listener=\"test\",reason=\"slow_request\"} 1"))
    }

    @Test func impossibleSizeCloses() throws {
        let harness = try ConnectionHarness(handler: Self.echo)
        var stream = Frames.request(0)
        stream.writeInteger(Int32(-5))
        try harness.receive(stream)
        #expect(!harness.channel.isActive)
        #expect(harness.metric("goulette_connections_closed_total{listener=\"test\",reason=\"invalid_frame\"} 1"))
    }

    @Test func truncatedHeaderCloses() throws {
        let harness = try ConnectionHarness()
        try harness.receive(ByteBuffer(bytes: [0, 0, 0, 3, 0, 18, 0]))
        #expect(!harness.channel.isActive)
        #expect(harness.recorder.take().isEmpty)
    }

    @Test func refusalComesAfterEarlierResponses() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.requests(0..<3))
        let requests = harness.recorder.take()
        requests[1].reply.closeConnection("unsupported version")
        #expect(try harness.sentNumbers() == [])
        #expect(harness.channel.isActive)
        requests[0].reply.complete(Frames.response(0))
        #expect(try harness.sentNumbers() == [0])
        #expect(!harness.channel.isActive)
        requests[2].reply.complete(Frames.response(2))
        #expect(try harness.sentNumbers() == [])
        #expect(harness.metric("goulette_requests_inflight{listener=\"test\"} 0"))
    }

    @Test func parkedRequestsAreReleasedWhenTheClientLeaves() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.requests(0..<3))
        let requests = harness.recorder.take()
        let log = ReleaseLog()
        for (index, entry) in requests.enumerated() { entry.reply.onDisconnect { log.add(index) } }
        requests[1].reply.complete(Frames.response(1))
        _ = try? harness.channel.finish(acceptAlreadyClosed: true)
        #expect(log.all == [0, 2])
        requests[0].reply.complete(Frames.response(0))
        requests[0].reply.onDisconnect { log.add(9) }
        #expect(log.all == [0, 2, 9], "the connection has gone already")
    }

    @Test func drainAnswersWhatWasBegun() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.requests(0..<2))
        let done = harness.connections.drain(deadline: .uptimeNanoseconds(0) + .seconds(100))
        try harness.receive(Frames.request(2))
        let requests = harness.recorder.take()
        #expect(requests.count == 2)
        for entry in requests { entry.reply.complete(Frames.response(entry.request.header.correlationID)) }
        #expect(try harness.sentNumbers() == [0, 1])
        #expect(!harness.channel.isActive)
        #expect(throws: Never.self) { try done.wait() }
    }

    @Test func drainClosesWhatDoesNotEnd() throws {
        let harness = try ConnectionHarness()
        try harness.receive(Frames.request(0))
        _ = harness.connections.drain(deadline: .uptimeNanoseconds(0) + .seconds(100))
        harness.advance(seconds: 99)
        #expect(harness.channel.isActive)
        harness.advance(seconds: 2)
        #expect(!harness.channel.isActive)
        #expect(harness.metric("goulette_connections_closed_total{listener=\"test\",reason=\"shutdown\"} 1"))
    }
}

/// What was released, in order.
private final class ReleaseLog: Sendable {
    private let entries = Mutex<[Int]>([])
    func add(_ entry: Int) { entries.withLock { $0.append(entry) } }
    var all: [Int] { entries.withLock { $0 } }
}
