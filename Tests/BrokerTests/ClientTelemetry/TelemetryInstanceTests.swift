// SPDX-License-Identifier: Apache-2.0
//
// TelemetryInstanceTests.swift
// When a client may ask for its subscription and push, and when it is forgotten (KIP-714).

import KafkaProtocol
import Model
import Settings
import Testing

@testable import Broker

/// A table under a clock of its own, with a subscription of one push in 1000 ms.
private struct TelemetryScript {
    var table = TelemetryInstanceTable()
    var subscription: TelemetrySubscription
    var now = Instant(nanoseconds: 1_000_000_000)
    let client = TelemetryClient(clientID: "app", software: "librdkafka")

    init(instancesMax: Int = 10) {
        subscription = TelemetrySubscription(BrokerSettings.defaults.telemetry)
        subscription.pushIntervalMilliseconds = 1000
        subscription.prefixes = ["*"]
        subscription.instancesMax = instancesMax
    }

    mutating func wait(_ milliseconds: Int64) { now = now.advanced(byMilliseconds: milliseconds) }

    mutating func get(_ id: UInt64) -> KafkaErrorCode? {
        table.get(UniqueID(high: 1, low: id), client, subscription, at: now)
    }

    /// Pushes, and when it is taken says that it could be read.
    mutating func push(
        _ id: UInt64, subscriptionID: Int32? = nil, terminating: Bool = false, compression: Int8 = 0, bytes: Int = 10,
        readError: KafkaErrorCode? = nil
    ) -> KafkaErrorCode? {
        let instance = UniqueID(high: 1, low: id)
        let push = TelemetryPush(
            instance: instance, subscriptionID: subscriptionID ?? subscription.id(for: instance),
            terminating: terminating, compressionType: compression, byteCount: bytes)
        if let refusal = table.push(push, client, subscription, at: now) { return refusal }
        table.finish(instance, terminating: terminating, error: readError)
        return readError
    }
}

@Suite struct TelemetryInstanceTests {
    @Test func pushesComeAtTheirInterval() {
        var script = TelemetryScript()
        #expect(script.get(1) == nil)
        #expect(script.get(1) == .throttlingQuotaExceeded)
        script.wait(400)
        // Clients spread their first pushes.
        #expect(script.push(1) == nil)
        script.wait(999)
        #expect(script.push(1) == .throttlingQuotaExceeded)
        script.wait(1)
        #expect(script.push(1) == nil)
        // Another client has its own times, and one that this broker never saw may push at once.
        #expect(script.push(2) == nil)
        #expect(script.push(2) == .throttlingQuotaExceeded)
        #expect(script.get(2) == .throttlingQuotaExceeded)
        script.wait(1000)
        #expect(script.get(2) == nil)
        #expect(script.push(2) == nil)
    }

    @Test func aSubscriptionThatChangedIsAskedForAgain() {
        var script = TelemetryScript()
        #expect(script.get(1) == nil)
        let former = script.subscription.id(for: UniqueID(high: 1, low: 1))
        script.subscription.prefixes = ["org.apache.kafka.producer."]
        #expect(script.subscription.id(for: UniqueID(high: 1, low: 1)) != former)
        #expect(script.push(1, subscriptionID: former) == .unknownSubscriptionID)
        script.wait(1)
        #expect(script.get(1) == nil)
        #expect(script.push(1) == nil)
        script.wait(1000)
        #expect(script.push(1, compression: 5) == .unsupportedCompressionType)
        script.wait(1)
        #expect(script.get(1) == nil)
        #expect(script.push(1, compression: 4, bytes: 1 << 20) == nil)
        script.wait(1000)
        #expect(script.push(1, bytes: 1 << 20 + 1) == .telemetryTooLarge)
    }

    @Test func onlyALastPushThatIsTakenEndsAClient() {
        var script = TelemetryScript()
        #expect(script.get(1) == nil)
        #expect(script.push(1) == nil)
        // It need not wait, and one that is refused, or cannot be read, may be sent again, a few times.
        #expect(script.push(1, subscriptionID: 0, terminating: true) == .unknownSubscriptionID)
        #expect(script.push(1, terminating: true, readError: .invalidRecord) == .invalidRecord)
        #expect(script.push(1, terminating: true) == nil)
        #expect(script.push(1, terminating: true) == .invalidRequest)
        script.wait(5000)
        #expect(script.push(1) == .invalidRequest)
        // Ending is no way to push more often.
        #expect(script.push(2) == nil)
        for _ in 0..<TelemetryInstanceTable.earlyEndingsMax {
            #expect(script.push(2, terminating: true, readError: .invalidRecord) == .invalidRecord)
        }
        #expect(script.push(2, terminating: true) == .throttlingQuotaExceeded)
    }

    @Test func silentClientsMakeRoom() {
        var script = TelemetryScript(instancesMax: 2)
        #expect(script.get(1) == nil)
        script.wait(30_000)
        #expect(script.get(2) == nil)
        #expect(script.get(3) == .throttlingQuotaExceeded)
        #expect(script.push(3) == .throttlingQuotaExceeded)
        #expect(script.table.count == 2)
        script.wait(TelemetryInstanceTable.silenceMillisecondsMin - 30_000)
        let expired = script.table.expire(script.subscription, at: script.now)
        #expect(expired.map(\.instance) == [UniqueID(high: 1, low: 1)] && expired.map(\.isLast) == [false])
        #expect(script.get(3) == nil)
        // Long intervals give a client more time.
        script.subscription.pushIntervalMilliseconds = 300_000
        script.wait(800_000)
        #expect(script.table.expire(script.subscription, at: script.now).isEmpty)
        script.wait(200_000)
        // Both have the same labels.
        #expect(script.table.expire(script.subscription, at: script.now).map(\.isLast) == [false, true])
    }

    @Test func subscriptionsAreKnownByTheirContent() {
        let subscription = TelemetrySubscription(BrokerSettings.defaults.telemetry)
        #expect(subscription.prefixes.isEmpty)
        let ids = (0..<100).map { subscription.id(for: UniqueID(high: 7, low: $0)) }
        #expect(Set(ids).count == 100)
        #expect(ids == (0..<100).map { subscription.id(for: UniqueID(high: 7, low: $0)) })
        // The number is the same in every process: it stands for itself.
        #expect(subscription.id(for: UniqueID(high: 1, low: 2)) == TelemetryInstanceTests.known)
    }

    /// Of the default settings and the instance (1, 2).
    private static let known: Int32 = -1_059_649_789
}
