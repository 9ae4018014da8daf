// SPDX-License-Identifier: Apache-2.0
//
// ConnectionLoop.swift
// All connections of one event loop: finds them for replies, flushes what became ready together, looks at their timers.
// Confined to its loop.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Telemetry

/// What all connections of a listener share, on every loop.
struct ServerShared: Sendable {
    let settings: ListenerSettings
    let metrics: ServerMetrics
    let budget: RequestBudget
    let census: ConnectionCensus
    let handler: RequestHandler
    let logger: Logger

    var limits: ConnectionLimits {
        ConnectionLimits(
            requestsMax: settings.inflightRequestsPerConnectionMax, bytesMax: settings.inflightBytesPerConnectionMax,
            idleMilliseconds: settings.idleTimeoutMilliseconds,
            partialFrameMilliseconds: settings.partialFrameTimeoutMilliseconds)
    }
}

/// The connections of one loop.
final class ConnectionLoop {
    /// How often timers are looked at: a timeout is met this much too late at most.
    private static let sweepInterval = TimeAmount.seconds(1)

    let shared: ServerShared
    let mailbox: ReplyMailbox
    private let eventLoop: any EventLoop
    private var connections: [UInt64: ConnectionHandler] = [:]
    /// Connections with something to send, once each.
    private var ready: [ConnectionHandler] = []
    private var isFlushScheduled = false
    private var isDelivering = false
    private var sweep: Scheduled<Void>?
    private var drained: EventLoopPromise<Void>?
    private(set) var isDraining = false

    init(shared: ServerShared, mailbox: ReplyMailbox) {
        self.shared = shared
        self.mailbox = mailbox
        self.eventLoop = mailbox.eventLoop
        scheduleSweep()
    }

    var now: Instant { Instant(nanoseconds: eventLoop.now.uptimeNanoseconds) }

    // MARK: Connections come and go

    func add(_ connection: ConnectionHandler) {
        connections[connection.id] = connection
        if isDraining { connection.beginDrain() }
    }

    func remove(_ connection: ConnectionHandler) {
        connections[connection.id] = nil
        if connections.isEmpty { drained?.succeed() }
    }

    // MARK: Replies

    /// Handles what another thread posted, then sends everything that became ready.
    func receive(_ batch: [ReplyMessage]) {
        isDelivering = true
        for message in batch { receive(message) }
        isDelivering = false
        flush()
    }

    func receive(_ message: ReplyMessage) {
        guard let connection = connections[message.connection] else { return message.releaseUndelivered() }
        connection.receive(message)
    }

    /// `connection` has something to send; it is asked to at the end of this batch or of the loop's current task.
    func becameReady(_ connection: ConnectionHandler) {
        ready.append(connection)
        guard !isDelivering, !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.flush()
        }
    }

    private func flush() {
        while !ready.isEmpty {
            let batch = ready
            ready = []
            for connection in batch { connection.settle() }
        }
    }

    /// The broker has room for requests again.
    func budgetFreed() {
        for connection in connections.values { connection.budgetFreed() }
    }

    // MARK: Time

    private func scheduleSweep() {
        sweep = eventLoop.assumeIsolated().scheduleTask(in: Self.sweepInterval) {
            self.checkTimers()
            self.scheduleSweep()
        }
    }

    private func checkTimers() {
        let now = self.now
        // A copy: closing a connection removes it.
        for connection in Array(connections.values) { connection.checkTimers(now: now) }
    }

    // MARK: The end

    /// Lets every connection finish what it has begun; those that have not by `deadline` are closed.
    func drain(deadline: NIODeadline) -> EventLoopFuture<Void> {
        if let drained { return drained.futureResult }
        isDraining = true
        let promise = eventLoop.makePromise(of: Void.self)
        drained = promise
        for connection in Array(connections.values) { connection.beginDrain() }
        if connections.isEmpty { promise.succeed() }
        let timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            for connection in Array(self.connections.values) { connection.close(.shutdown) }
        }
        promise.futureResult.assumeIsolated().whenComplete { _ in
            timer.cancel()
            self.sweep?.cancel()
        }
        return promise.futureResult
    }
}
