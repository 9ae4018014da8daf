// SPDX-License-Identifier: Apache-2.0
//
// Producer.swift
// The producer as other threads see it.

import KafkaProtocol
public import Model
import NIOCore
import Records

/// Writes records to topics.
///
/// May be used from any thread; everything happens on the client's event loop.
///
/// Records of one partition are written in the order in which they were sent, unless a batch is repeated while later
/// ones are in flight; a batch whose answer was lost may be written twice. An idempotent producer has neither flaw, and
/// stops when it has to give a batch up.
public final class Producer: Sendable {
    private let client: KafkaClient
    private let core: NIOLoopBound<ProducerCore>
    private let clock: Clock

    /// Looks up `topics`, asks for a producer id when idempotent, and is then ready.
    ///
    /// - Parameter onDelivery: Runs on the event loop once for each batch.
    public init(
        _ client: KafkaClient, topics: [String], settings: ProducerSettings = ProducerSettings(),
        mayCreateTopics: Bool = false, clock: Clock = .system, onDelivery: @escaping @Sendable (Delivery) -> Void
    ) async throws(ClientError) {
        if let problem = settings.problem {
            throw ClientError(.invalidArgument, attempted: "start a producer", place: "settings", detail: problem)
        }
        let metadata = try await client.readyMetadata(topics: topics, mayCreateTopics: mayCreateTopics)
        let producer = settings.isIdempotent ? try await Self.producerID(client) : nil
        self.client = client
        self.clock = clock
        let cluster = client.core
        self.core = await KafkaClient.onLoop(client.eventLoop) {
            let core = ProducerCore(cluster: cluster.value, settings: settings, clock: clock, onDelivery: onDelivery)
            for topic in topics {
                core.addTopic(topic, partitionCount: metadata.topics[topic]?.partitions.count ?? 0, producer: producer)
            }
            return NIOLoopBound(core, eventLoop: cluster.eventLoop)
        }
    }

    private static func producerID(_ client: KafkaClient) async throws(ClientError) -> ProducerFields {
        try await client.retrying { client throws(ClientError) in
            let response = try await client.call(InitProducerIDRequest(transactionTimeoutMilliseconds: 60_000))
            try KafkaClient.check(response.errorCode, nil, "InitProducerId", "the cluster")
            return ProducerFields(
                id: ProducerID(rawValue: response.producerID), epoch: response.producerEpoch, baseSequence: 0)
        }
    }

    /// Takes `records` in, after waiting for room.
    ///
    /// Delivery is reported to the callback.
    ///
    /// - Throws: ``ClientError/Code/invalidArgument`` when a topic or partition does not exist; those before it were
    ///   taken in.
    public func send(_ records: [ProducerRecord]) async throws(ClientError) {
        let core = core
        let clock = clock
        let refused: ProducerRecord? = await withCheckedContinuation { continuation in
            client.eventLoop.execute {
                let producer = core.value
                producer.whenRoom {
                    let instant = clock.now()
                    let time = clock.wallTime().milliseconds
                    let refused = records.first { !producer.append($0, timestamp: time, at: instant) }
                    continuation.resume(returning: refused)
                }
            }
        }
        guard let refused else { return }
        let partition = refused.partition.map { "/\($0)" } ?? ""
        throw ClientError(
            .invalidArgument, attempted: "Produce", place: refused.topic + partition, detail: "does not exist")
    }

    /// Returns when everything that was sent before has been delivered or given up.
    public func flush() async {
        let core = core
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            client.eventLoop.execute { core.value.flush { continuation.resume() } }
        }
    }

    /// Runs `body` on the event loop, for callers that make records there.
    public func onLoop(_ body: @escaping @Sendable (ProducerCore) -> Void) {
        let core = core
        client.eventLoop.execute { body(core.value) }
    }
}
