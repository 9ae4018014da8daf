// SPDX-License-Identifier: Apache-2.0
//
// Consumer.swift
// The consumer as other threads see it: chunks of batches, taken when they are wanted.

public import Model
import NIOCore

/// Reads partitions that the caller chooses.
///
/// May be used from any thread; one caller at a time takes chunks.
public final class Consumer: Sendable {
    /// What there is to take.
    public struct Taken: Sendable {
        /// Chunks in order; those of one partition follow each other without gaps.
        public let chunks: [FetchedChunk]
        /// Errors that stopped a partition.
        public let errors: [ClientError]
        /// Whether every range has been read to its end, or was stopped by an error.
        public let isFinished: Bool
    }

    /// The chunks between the event loop and the caller; confined to the loop.
    private final class Mailbox {
        var chunks: [FetchedChunk] = []
        var errors: [ClientError] = []
        var waiter: ((Taken) -> Void)?
        var waits: UInt64 = 0
    }

    private struct Confined {
        let core: ConsumerCore
        let mailbox: Mailbox
    }

    fileprivate let client: KafkaClient
    private let confined: NIOLoopBound<Confined>

    /// Creates a consumer that reads nothing until ``assign(_:)``.
    public init(_ client: KafkaClient, settings: ConsumerSettings = ConsumerSettings(), clock: Clock = .system) async {
        self.client = client
        let cluster = client.core
        confined = await KafkaClient.onLoop(client.eventLoop) {
            let confined = Confined(
                core: ConsumerCore(cluster: cluster.value, settings: settings, clock: clock), mailbox: Mailbox())
            Self.connect(confined)
            return NIOLoopBound(confined, eventLoop: cluster.eventLoop)
        }
    }

    /// Reads these ranges from now on, and no others; chunks that were not taken are dropped.
    public func assign(_ ranges: [TopicPartition: ReadRange]) async {
        let confined = confined
        await KafkaClient.onLoop(client.eventLoop) {
            confined.value.mailbox.chunks = []
            confined.value.core.assign(ranges)
        }
    }

    /// Everything that has arrived; waits for the first chunk, but not longer than `timeoutMilliseconds`.
    public func take(timeoutMilliseconds: Int64) async -> Taken {
        let confined = confined
        let loop = client.eventLoop
        return await withCheckedContinuation { continuation in
            loop.execute {
                Self.take(confined.value, loop, timeoutMilliseconds) { continuation.resume(returning: $0) }
            }
        }
    }

    /// Hands each chunk to `body` on the event loop as soon as it arrives.
    ///
    /// Nothing is kept for ``take(timeoutMilliseconds:)`` then.
    ///
    /// - Parameter body: Also told about errors that stop a partition, and about the end of all ranges.
    public func onLoop(_ body: @escaping @Sendable (Result<FetchedChunk, ClientError>?) -> Void) async {
        let confined = confined
        await KafkaClient.onLoop(client.eventLoop) {
            let core = confined.value.core
            core.onChunks = { chunks in
                for chunk in chunks {
                    body(.success(chunk))
                    core.release(chunk.byteCount)
                }
            }
            core.onError = { body(.failure($0)) }
            core.onFinished = { body(nil) }
        }
    }

    // MARK: On the loop

    private static func connect(_ confined: Confined) {
        confined.core.onChunks = { chunks in
            confined.mailbox.chunks += chunks
            deliver(confined)
        }
        confined.core.onError = { error in
            confined.mailbox.errors.append(error)
            deliver(confined)
        }
        confined.core.onFinished = { deliver(confined) }
    }

    private static func take(
        _ confined: Confined, _ loop: any EventLoop, _ timeoutMilliseconds: Int64, _ waiter: @escaping (Taken) -> Void
    ) {
        precondition(confined.mailbox.waiter == nil, "two callers take chunks at once")
        confined.mailbox.waiter = waiter
        confined.mailbox.waits += 1
        let wait = confined.mailbox.waits
        if !confined.mailbox.chunks.isEmpty || !confined.mailbox.errors.isEmpty || confined.core.isFinished {
            return deliver(confined)
        }
        loop.assumeIsolated().scheduleTask(in: .milliseconds(timeoutMilliseconds)) {
            if confined.mailbox.waits == wait { deliver(confined) }
        }
    }

    private static func deliver(_ confined: Confined) {
        guard let waiter = confined.mailbox.waiter else { return }
        let mailbox = confined.mailbox
        let taken = Taken(chunks: mailbox.chunks, errors: mailbox.errors, isFinished: confined.core.isFinished)
        mailbox.waiter = nil
        mailbox.chunks = []
        mailbox.errors = []
        confined.core.release(taken.chunks.reduce(0) { $0 + $1.byteCount })
        waiter(taken)
    }
}

extension Consumer {
    /// Waits without taking anything, when there is nothing to read.
    public func idle(milliseconds: Int64) async { await client.pause(milliseconds: milliseconds) }
}
