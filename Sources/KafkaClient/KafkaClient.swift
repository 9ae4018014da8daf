// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient.swift
// The client as other threads see it: asynchronous calls with deadlines and retries.

import KafkaProtocol
import Model
public import NIOCore

/// A client of a Kafka cluster.
///
/// May be used from any thread; everything happens on one event loop.
///
/// Each call connects when it has to, picks the highest version that client and broker share, and tries again after
/// retriable errors until ``ClientSettings/callTimeoutMilliseconds`` have passed.
///
///     let client = try await KafkaClient(settings: .init(bootstrap: [address]), eventLoop: group.next())
///     let metadata = try await client.metadata(topics: ["orders"])
///     await client.close()
public final class KafkaClient: Sendable {
    /// How the client behaves.
    public let settings: ClientSettings
    /// Where everything happens.
    public let eventLoop: any EventLoop
    let core: NIOLoopBound<ClusterCore>

    /// Creates a client; connects to nothing yet.
    public init(settings: ClientSettings, eventLoop: any EventLoop) async {
        self.settings = settings
        self.eventLoop = eventLoop
        self.core = await Self.onLoop(eventLoop) {
            NIOLoopBound(ClusterCore(settings: settings, eventLoop: eventLoop), eventLoop: eventLoop)
        }
    }

    /// Closes every connection.
    ///
    /// Calls that wait fail with ``ClientError/Code/closed``.
    public func close() async {
        let core = core
        await Self.onLoop(eventLoop) { core.value.close() }
    }

    // MARK: Metadata

    /// The brokers, and the named topics or all of them.
    ///
    /// A topic that does not exist is present with its error.
    public func metadata(
        topics: [String]? = nil, mayCreateTopics: Bool = false
    ) async throws(ClientError) -> ClusterMetadata {
        try await retrying { client throws(ClientError) in
            let result: Result<ClusterMetadata, ClientError> = await client.withCore { core, done in
                core.fetchMetadata(topics: topics, mayCreate: mayCreateTopics, completion: done)
            }
            return try result.get()
        }
    }

    /// The metadata of topics that must exist and have leaders; waits for elections and for topics just created.
    public func readyMetadata(
        topics: [String], mayCreateTopics: Bool = false
    ) async throws(ClientError) -> ClusterMetadata {
        try await retrying { client throws(ClientError) in
            let metadata = try await client.metadata(topics: topics, mayCreateTopics: mayCreateTopics)
            for name in topics {
                guard let topic = metadata.topics[name] else { throw client.refused(.unknownTopicOrPartition, name) }
                if topic.errorCode != .none { throw client.refused(topic.errorCode, name) }
                if topic.partitions.isEmpty || topic.partitions.contains(where: { $0.leader == nil }) {
                    throw client.refused(.leaderNotAvailable, name)
                }
            }
            return metadata
        }
    }

    private func refused(_ code: KafkaErrorCode, _ topic: String) -> ClientError {
        ClientError(refused: code, attempted: "Metadata", place: "topic \(topic)")
    }

    // MARK: Calls

    /// Sends `request` once and returns the answer, whatever error codes it holds.
    func call<Request: KafkaRequestMessage>(
        _ request: Request, to target: Target = .any, lane: Lane = .general, timeoutMilliseconds: Int64? = nil
    ) async throws(ClientError) -> Request.Response {
        let result: Result<Request.Response, ClientError> = await withCore { core, done in
            core.send(request, to: target, lane: lane, timeoutMilliseconds: timeoutMilliseconds, completion: done)
        }
        return try result.get()
    }

    /// Runs `body` until it succeeds, fails for good, or the call's time is over.
    ///
    /// - Parameter final: An error that may pass in general but not in this call.
    func retrying<Value>(
        final: KafkaErrorCode? = nil, _ body: (KafkaClient) async throws(ClientError) -> Value
    ) async throws(ClientError) -> Value {
        let started = NIODeadline.now()
        let callDeadline = started + .milliseconds(settings.callTimeoutMilliseconds)
        let reachDeadline = started + .milliseconds(settings.reachTimeoutMilliseconds)
        let topicDeadline = started + .milliseconds(settings.topicTimeoutMilliseconds)
        var backoff = Backoff(
            firstMilliseconds: settings.backoffMilliseconds, largestMilliseconds: settings.backoffMaxMilliseconds)
        var random = SystemRandomNumberGenerator()
        while true {
            do {
                return try await body(self)
            } catch {
                let wait = backoff.next(using: &random)
                var deadline = callDeadline
                if error.code == .unreachable { deadline = min(deadline, reachDeadline) }
                if error.kafka == .unknownTopicOrPartition { deadline = min(deadline, topicDeadline) }
                if let final, error.kafka == final { throw error }
                guard error.isRetriable, !Task.isCancelled, NIODeadline.now() + .milliseconds(wait) < deadline else {
                    throw error
                }
                await pause(milliseconds: wait)
            }
        }
    }

    /// Waits on the event loop's clock.
    public func pause(milliseconds: Int64) async {
        let loop = eventLoop
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.scheduleTask(in: .milliseconds(milliseconds)) { continuation.resume() }
        }
    }

    /// Runs `body` on the loop and waits until it calls back; the core calls back exactly once.
    func withCore<Value: Sendable>(
        _ body: @escaping @Sendable (ClusterCore, @escaping (Value) -> Void) -> Void
    ) async -> Value {
        let core = core
        let loop = eventLoop
        return await withCheckedContinuation { continuation in
            loop.execute { body(core.value) { continuation.resume(returning: $0) } }
        }
    }

    /// Runs `body` on `loop` and returns its value.
    static func onLoop<Value: Sendable>(_ loop: any EventLoop, _ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: body()) }
        }
    }
}
