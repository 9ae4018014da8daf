// SPDX-License-Identifier: Apache-2.0
//
// ClientTelemetry.swift
// The shell of clients' metrics (KIP-714): takes subscriptions and pushes of all event loops, reads pushes on a thread that
// may take its time, and shows what they said to Prometheus.

import KafkaProtocol
import Model
import NIOCore
import Records
import Synchronization
import Telemetry

/// The metrics that clients push to this broker.
final class ClientTelemetry: Sendable {
    /// What a push may unpack to.
    static let unpackedBytesMax = 4 << 20
    /// Numbers of one push that are looked at.
    static let pointsMax = 2000
    /// Pushes that are read or wait for it; further ones are told to come later.
    static let readingMax = 32
    /// The codecs that clients may use, the best first.
    static let codecs: [CompressionCodec] = [.zstd, .lz4, .gzip, .snappy, .none]

    private struct State {
        var instances = TelemetryInstanceTable()
        var table: ClientMetricTable
        var reading = 0
    }

    private let state: Mutex<State>
    private let registry: MetricRegistry
    private let runBlocking: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let instanceCount: Gauge
    private let dropped: Counter
    private let pushes: CounterFamily

    init(
        registry: MetricRegistry, seriesMax: Int,
        runBlocking: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.state = Mutex(State(table: ClientMetricTable(seriesMax: seriesMax)))
        self.registry = registry
        self.runBlocking = runBlocking
        instanceCount = registry.gauge("goulette_telemetry_instances", help: "Clients that push metrics.")
        dropped = registry.counter(
            "goulette_telemetry_points_dropped_total", help: "Numbers in clients' metrics that are not shown.")
        pushes = CounterFamily(
            registry, "goulette_telemetry_pushes_total", help: "Metrics that clients pushed, by what they were told.",
            labels: ["error"], limit: 32)
    }

    // MARK: Requests

    /// A client asks for its subscription; answers with the reason why not.
    func get(
        _ id: UniqueID, _ client: TelemetryClient, _ subscription: TelemetrySubscription, at now: Instant
    ) -> KafkaErrorCode? {
        state.withLock { state in
            expire(&state, subscription, at: now)
            let refusal = state.instances.get(id, client, subscription, at: now)
            instanceCount.set(state.instances.count)
            return refusal
        }
    }

    /// A client pushes; `then` runs once, on any thread, with what was wrong.
    func push(
        _ request: PushTelemetryRequest, _ client: TelemetryClient, _ subscription: TelemetrySubscription,
        at now: Instant, then: @escaping @Sendable (KafkaErrorCode?) -> Void
    ) {
        let push = TelemetryPush(
            instance: request.clientInstanceID, subscriptionID: request.subscriptionID,
            terminating: request.terminating, compressionType: request.compressionType,
            byteCount: request.metrics.count)
        let finish: @Sendable (KafkaErrorCode?) -> Void = { [pushes] error in
            pushes.counter((error ?? KafkaErrorCode.none).name).increment()
            then(error)
        }
        let refusal: KafkaErrorCode? = state.withLock { state in
            guard state.reading < Self.readingMax else { return .throttlingQuotaExceeded }
            expire(&state, subscription, at: now)
            let refusal = state.instances.push(push, client, subscription, at: now)
            instanceCount.set(state.instances.count)
            if refusal == nil { state.reading += 1 }
            return refusal
        }
        if let refusal { return finish(refusal) }
        runBlocking { [self] in
            let error = read(request, client)
            finish(error)
        }
    }

    private func read(_ request: PushTelemetryRequest, _ client: TelemetryClient) -> KafkaErrorCode? {
        let result = Self.points(of: request)
        var newMetrics: [ClientMetricName] = []
        let error: KafkaErrorCode? = state.withLock { state in
            state.reading -= 1
            let error: KafkaErrorCode?
            switch result {
            case .success(let metrics):
                let outcome = state.table.take(metrics.points, from: request.clientInstanceID, client)
                newMetrics = outcome.newMetrics
                dropped.increment(by: metrics.ignored + outcome.dropped)
                error = nil
            case .failure(let refusal): error = refusal.code
            }
            state.instances.finish(request.clientInstanceID, terminating: request.terminating, error: error)
            return error
        }
        for metric in newMetrics { register(metric) }
        return error
    }

    private struct Refusal: Error {
        var code: KafkaErrorCode
    }

    /// The numbers of a push; an empty one has none.
    private static func points(of request: PushTelemetryRequest) -> Result<OTLPMetrics, Refusal> {
        guard let codec = CompressionCodec(rawValue: UInt8(bitPattern: request.compressionType)) else {
            return .failure(Refusal(code: .unsupportedCompressionType))
        }
        do {
            var bytes = request.metrics
            if codec != .none, !bytes.isEmpty {
                let unpacked = try Compression.decompress(
                    ByteBuffer(bytes: bytes), codec: codec, maxBytes: unpackedBytesMax)
                bytes = Array(unpacked.readableBytesView)
            }
            return .success(try OTLPMetrics(decoding: bytes, pointsMax: pointsMax))
        } catch RecordError.decompressedTooLarge {
            return .failure(Refusal(code: .telemetryTooLarge))
        } catch {
            return .failure(Refusal(code: .invalidRecord))
        }
    }

    // MARK: Metrics

    private func expire(_ state: inout State, _ subscription: TelemetrySubscription, at now: Instant) {
        for expired in state.instances.expire(subscription, at: now) {
            state.table.forget(expired.instance, expired.client, isLast: expired.isLast)
        }
    }

    private func register(_ metric: ClientMetricName) {
        registry.family(
            metric.text, kind: metric.kind, help: "A metric that clients push (KIP-714).",
            labels: ["client_id", "client_software"]
        ) { [weak self] writer in
            let series = self?.state.withLock { $0.table.series(of: metric) } ?? []
            for (client, value) in series { writer.sample(value, client.clientID, client.software) }
        }
    }
}
