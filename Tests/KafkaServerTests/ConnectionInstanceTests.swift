// SPDX-License-Identifier: Apache-2.0
//
// ConnectionInstanceTests.swift
// The rules of a connection without sockets: order, limits, time.

import KafkaProtocol
import Model
import NIOCore
import Testing

@testable import KafkaServer

@Suite struct ConnectionInstanceTests {
    private func instance(requests: Int = 3, bytes: Int = 100) -> ConnectionInstance {
        ConnectionInstance(
            limits: ConnectionLimits(
                requestsMax: requests, bytesMax: bytes, idleMilliseconds: 1000, partialFrameMilliseconds: 500),
            now: at(0))
    }

    private func at(_ milliseconds: UInt64) -> Instant { Instant(nanoseconds: (1 + milliseconds) * 1_000_000) }

    private func drain(_ instance: inout ConnectionInstance) -> [String] {
        var names: [String] = []
        while let outcome = instance.nextOutcome() {
            switch outcome {
            case .response(let body): names.append(String(buffer: body.contiguous()))
            case .nothing: names.append("-")
            case .close(let reason): names.append("close " + reason)
            }
        }
        return names
    }

    private func response(_ name: String) -> ConnectionInstance.Outcome {
        .response(ResponseBody(pieces: [ByteBuffer(string: name)]))
    }

    /// Every order in which four requests can be completed gives the responses in the order of the requests.
    @Test func everyOrderOfCompletion() {
        func permutations(_ values: [UInt64]) -> [[UInt64]] {
            values.isEmpty
                ? [[]]
                : values.flatMap { first in
                    permutations(values.filter { $0 != first }).map { [first] + $0 }
                }
        }
        for order in permutations([0, 1, 2, 3]) {
            var instance = instance(requests: 10)
            for slot: UInt64 in 0..<4 { #expect(instance.admit(byteCount: 1) == slot) }
            var sent: [String] = []
            for slot in order {
                #expect(instance.isWaiting(slot))
                #expect(instance.complete(slot, slot == 2 ? .nothing : response("\(slot)")) == 1)
                #expect(!instance.isWaiting(slot))
                sent += drain(&instance)
            }
            #expect(sent == ["0", "1", "-", "3"])
            #expect(instance.isQuiet && instance.inflightBytes == 0 && instance.incomplete == 0)
        }
    }

    @Test func requestLimitCountsUntilTheResponseLeaves() {
        var instance = instance(requests: 2)
        let first = instance.admit(byteCount: 1)
        #expect(instance.mayContinue)
        let second = instance.admit(byteCount: 1)
        #expect(instance.pauses == .requests)
        _ = instance.complete(second, response("b"))
        #expect(instance.pauses == .requests)
        _ = instance.complete(first, response("a"))
        #expect(drain(&instance) == ["a", "b"])
        #expect(instance.mayContinue)
    }

    @Test func byteLimitLetsOneRequestThrough() {
        var instance = instance(requests: 10, bytes: 100)
        let slot = instance.admit(byteCount: 1000)
        #expect(instance.pauses == .bytes)
        #expect(instance.complete(slot, .nothing) == 1000)
        #expect(instance.mayContinue)
        _ = instance.admit(byteCount: 60)
        #expect(instance.mayContinue)
        _ = instance.admit(byteCount: 60)
        #expect(instance.pauses == .bytes)
        #expect(instance.abandon() == 120)
        #expect(instance.isQuiet && !instance.mayContinue)
    }

    @Test func pausesAreIndependent() {
        var instance = instance()
        #expect(instance.pause(.throttle) == true)
        #expect(instance.pause(.throttle) == false)
        #expect(instance.pause(.broker) == true)
        instance.resume(.throttle)
        #expect(!instance.mayContinue)
        instance.resume(.broker)
        #expect(instance.mayContinue)
    }

    @Test func idleConnectionsExpire() {
        var instance = instance()
        #expect(instance.expired(at: at(999)) == nil)
        #expect(instance.expired(at: at(1000)) == .idle)
        instance.received(10, isPartial: false, at: at(900))
        #expect(instance.expired(at: at(1899)) == nil)
        let slot = instance.admit(byteCount: 1)
        #expect(instance.expired(at: at(5000)) == nil, "a parked request keeps its connection")
        _ = instance.complete(slot, .nothing)
        _ = instance.nextOutcome()
        instance.answered(at: at(5000))
        #expect(instance.expired(at: at(5999)) == nil)
        #expect(instance.expired(at: at(6000)) == .idle)
    }

    @Test func slowRequestsExpire() {
        var instance = instance()
        instance.received(2, isPartial: true, at: at(0))
        #expect(instance.expired(at: at(499)) == nil)
        #expect(instance.expired(at: at(500)) == .slowRequest)
        instance.received(20_000, isPartial: true, at: at(400))
        #expect(instance.expired(at: at(500)) == nil, "16 KiB/s is kept")
        #expect(instance.expired(at: at(2000)) == .slowRequest)
        instance.frameCompleted()
        #expect(instance.expired(at: at(600)) == nil)
    }

    @Test func timeOfAPartialRequestStandsStillWhileWeDoNotRead() {
        var instance = instance()
        instance.received(2, isPartial: true, at: at(0))
        _ = instance.pause(.throttle)
        #expect(instance.expired(at: at(10_000)) == nil)
        instance.resume(.throttle)
        #expect(instance.expired(at: at(10_499)) == nil)
        #expect(instance.expired(at: at(10_500)) == .slowRequest)
    }
}
