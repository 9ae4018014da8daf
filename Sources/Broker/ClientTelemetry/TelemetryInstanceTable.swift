// SPDX-License-Identifier: Apache-2.0
//
// TelemetryInstanceTable.swift
// Which clients push metrics, and whether one may do so now (KIP-714). A value: time and ids are parameters.

import KafkaProtocol
import Model

/// How the series of a client's metrics are labelled.
struct TelemetryClient: Hashable, Sendable {
    /// The longest label, in bytes.
    static let labelBytesMax = 128

    let clientID: String
    let software: String

    init(clientID: String, software: String) {
        self.clientID = Self.cut(clientID)
        self.software = Self.cut(software)
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > labelBytesMax else { return text }
        var cut = ""
        for scalar in text.unicodeScalars {
            guard cut.utf8.count + UTF8.width(scalar) <= labelBytesMax else { break }
            cut.unicodeScalars.append(scalar)
        }
        return cut
    }
}

/// The clients that asked for their subscription, or pushed, lately.
struct TelemetryInstanceTable {
    /// A client that ends may push before its time, but not for ever: so often between two pushes in time.
    static let earlyEndingsMax = 3
    /// A client is forgotten after so many push intervals of silence, and not before ``silenceMillisecondsMin``.
    static let silentIntervals: Int64 = 3
    static let silenceMillisecondsMin: Int64 = 60_000
    /// How often silent clients are looked for.
    static let sweepMilliseconds: Int64 = 5000

    fileprivate struct Instance {
        let client: TelemetryClient
        var subscriptionID: Int32
        var lastGet: Instant?
        var lastPush: Instant?
        var lastSeen: Instant
        var lastError = KafkaErrorCode.none
        var earlyEndings = 0
        var hasEnded = false
    }

    private var instances: [UniqueID: Instance] = [:]
    /// How many instances have the same labels.
    private var counts: [TelemetryClient: Int] = [:]
    private var nextSweep: Instant?

    /// How many clients are known.
    var count: Int { instances.count }

    // MARK: Requests

    /// A client asks for its subscription; answers with the reason why not.
    ///
    /// Before the next push is due that is refused, unless the client was told to ask again, or the subscription is
    /// another one than it knows.
    mutating func get(
        _ id: UniqueID, _ client: TelemetryClient, _ subscription: TelemetrySubscription, at now: Instant
    ) -> KafkaErrorCode? {
        let subscriptionID = subscription.id(for: id)
        guard var instance = instances[id] ?? admit(client, subscriptionID, subscription, at: now) else {
            return .throttlingQuotaExceeded
        }
        defer { instances[id] = instance }
        instance.lastSeen = now
        let wasToldToAsk =
            instance.lastError == .unknownSubscriptionID || instance.lastError == .unsupportedCompressionType
        let isDue = [instance.lastGet, instance.lastPush].allSatisfy { Self.isDue($0, subscription, at: now) }
        guard isDue || wasToldToAsk || instance.subscriptionID != subscriptionID else {
            return .throttlingQuotaExceeded
        }
        instance.lastGet = now
        instance.lastError = .none
        instance.subscriptionID = subscriptionID
        return nil
    }

    /// A client pushes; answers with the reason why that is not taken.
    ///
    /// What is taken still has to be read: ``finish(_:terminating:error:)`` says how that went.
    mutating func push(
        _ request: TelemetryPush, _ client: TelemetryClient, _ subscription: TelemetrySubscription, at now: Instant
    ) -> KafkaErrorCode? {
        let subscriptionID = subscription.id(for: request.instance)
        guard var instance = instances[request.instance] ?? admit(client, subscriptionID, subscription, at: now) else {
            return .throttlingQuotaExceeded
        }
        defer { instances[request.instance] = instance }
        instance.lastSeen = now
        guard !instance.hasEnded else { return .invalidRequest }
        let refusal = instance.refusal(of: request, subscriptionID, subscription, at: now)
        instance.lastError = refusal ?? .none
        return refusal
    }

    /// A push that was taken has been read; only one that could be read ends its client.
    mutating func finish(_ id: UniqueID, terminating: Bool, error: KafkaErrorCode?) {
        guard var instance = instances[id] else { return }
        instance.lastError = error ?? .none
        if terminating, error == nil { instance.hasEnded = true }
        instances[id] = instance
    }

    // MARK: Time

    /// A client that was silent for too long.
    struct Expired {
        var instance: UniqueID
        var client: TelemetryClient
        /// Whether no other client has its labels.
        var isLast: Bool
    }

    /// Forgets clients that are silent, when it is time to look; answers with those that were.
    mutating func expire(_ subscription: TelemetrySubscription, at now: Instant) -> [Expired] {
        if let nextSweep, now < nextSweep { return [] }
        nextSweep = now.advanced(byMilliseconds: Self.sweepMilliseconds)
        let intervals = subscription.pushIntervalMilliseconds.multipliedReportingOverflow(by: Self.silentIntervals)
        let silence = max(Self.silenceMillisecondsMin, intervals.overflow ? .max : intervals.partialValue)
        let silent = instances.filter { now.milliseconds(since: $0.value.lastSeen) >= silence }
        return silent.map { id, instance in
            instances[id] = nil
            let left = counts[instance.client, default: 1] - 1
            counts[instance.client] = left > 0 ? left : nil
            return Expired(instance: id, client: instance.client, isLast: left == 0)
        }
    }

    private mutating func admit(
        _ client: TelemetryClient, _ subscriptionID: Int32, _ subscription: TelemetrySubscription, at now: Instant
    ) -> Instance? {
        guard instances.count < subscription.instancesMax else { return nil }
        counts[client, default: 0] += 1
        return Instance(client: client, subscriptionID: subscriptionID, lastSeen: now)
    }

    private static func isDue(_ last: Instant?, _ subscription: TelemetrySubscription, at now: Instant) -> Bool {
        last.map { now.milliseconds(since: $0) >= subscription.pushIntervalMilliseconds } ?? true
    }
}

/// What has to be known of a push to decide whether it is taken.
struct TelemetryPush: Sendable {
    var instance: UniqueID
    var subscriptionID: Int32
    var terminating: Bool
    var compressionType: Int8
    var byteCount: Int
}

extension TelemetryInstanceTable.Instance {
    /// Why a push is refused; notes that there was one.
    ///
    /// The first push behind an answer about the subscription may come at any time: clients spread theirs.
    fileprivate mutating func refusal(
        of push: TelemetryPush, _ subscriptionID: Int32, _ subscription: TelemetrySubscription, at now: Instant
    ) -> KafkaErrorCode? {
        let isFirst = lastGet.map { get in lastPush.map { get > $0 } ?? true } ?? (lastPush == nil)
        let isDue = lastPush.map { now.milliseconds(since: $0) >= subscription.pushIntervalMilliseconds } ?? true
        if isFirst || isDue {
            lastPush = now
            earlyEndings = 0
        } else {
            guard push.terminating, earlyEndings < TelemetryInstanceTable.earlyEndingsMax else {
                return .throttlingQuotaExceeded
            }
            earlyEndings += 1
        }
        if push.subscriptionID != subscriptionID { return .unknownSubscriptionID }
        guard (0...4).contains(push.compressionType) else { return .unsupportedCompressionType }
        return push.byteCount > subscription.pushBytesMax ? .telemetryTooLarge : nil
    }
}
