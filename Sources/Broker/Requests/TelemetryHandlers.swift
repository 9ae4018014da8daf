// SPDX-License-Identifier: Apache-2.0
//
// TelemetryHandlers.swift
// GetTelemetrySubscriptions and PushTelemetry (KIP-714): answered by the broker that is asked.

import KafkaProtocol
import Model
import Records
import Settings
import Telemetry

extension Broker {
    func getTelemetrySubscriptions(_ request: GetTelemetrySubscriptionsRequest, _ call: Call) {
        let subscription = TelemetrySubscription(shards.shard(on: call.loop).settings.typed.telemetry)
        var random = SystemRandomNumberGenerator()
        let id = request.clientInstanceID == .zero ? .random(using: &random) : request.clientInstanceID
        if let refusal = clientTelemetry.get(id, telemetryClient(call), subscription, at: clock.now()) {
            metrics.error(refusal).increment()
            return call.respond(GetTelemetrySubscriptionsResponse(errorCode: refusal, clientInstanceID: id))
        }
        call.respond(
            GetTelemetrySubscriptionsResponse(
                clientInstanceID: id, subscriptionID: subscription.id(for: id),
                acceptedCompressionTypes: ClientTelemetry.codecs.map { Int8(bitPattern: $0.rawValue) },
                pushIntervalMilliseconds: Int32(clamping: subscription.pushIntervalMilliseconds),
                telemetryMaxBytes: Int32(clamping: subscription.pushBytesMax), deltaTemporality: true,
                requestedMetrics: subscription.prefixes))
    }

    func pushTelemetry(_ request: PushTelemetryRequest, _ call: Call) {
        guard request.clientInstanceID != .zero else {
            metrics.error(.invalidRequest).increment()
            return call.respond(PushTelemetryResponse(errorCode: .invalidRequest))
        }
        let subscription = TelemetrySubscription(shards.shard(on: call.loop).settings.typed.telemetry)
        clientTelemetry.push(request, telemetryClient(call), subscription, at: clock.now()) { [metrics] error in
            if let error { metrics.error(error).increment() }
            call.respond(PushTelemetryResponse(errorCode: error ?? .none))
        }
    }

    private func telemetryClient(_ call: Call) -> TelemetryClient {
        TelemetryClient(clientID: call.header.clientID ?? "", software: call.software?.value?.name ?? "unknown")
    }
}
