// SPDX-License-Identifier: Apache-2.0
//
// ReplyMailbox.swift
// Brings replies from other threads to the loop of their connection, many with one wake.

import KafkaProtocol
import NIOCore
import Synchronization

/// What happened to one slot of one connection.
struct ReplyMessage: Sendable {
    let connection: UInt64
    let slot: UInt64
    let event: Event

    enum Event: Sendable {
        case complete(ResponseBody?, throttleMilliseconds: Int32)
        case close(String)
        case onDisconnect(@Sendable () -> Void)
    }

    init(_ connection: UInt64, _ slot: UInt64, _ event: Event) {
        self.connection = connection
        self.slot = slot
        self.event = event
    }
}

/// The mailbox of one event loop, shared by all connections on it.
///
/// On the loop a message is handled at once. From elsewhere it is put into an array that the loop takes as a whole; only
/// the message that finds the array empty wakes the loop.
final class ReplyMailbox: Sendable {
    let eventLoop: any EventLoop
    private let messages = Mutex<[ReplyMessage]>([])
    private let owner: NIOLoopBoundBox<ConnectionLoop?>

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.owner = NIOLoopBoundBox.makeEmptyBox(valueType: ConnectionLoop.self, eventLoop: eventLoop)
    }

    /// The connections of this loop; only on the loop.
    ///
    /// Nil before the server starts and after it has stopped.
    var connections: ConnectionLoop? {
        get { owner.value }
        set { owner.value = newValue }
    }

    func post(_ message: ReplyMessage) {
        if eventLoop.inEventLoop {
            connections?.receive(message) ?? message.releaseUndelivered()
            return
        }
        let isFirst = messages.withLock {
            $0.append(message)
            return $0.count == 1
        }
        if isFirst { eventLoop.execute { self.deliver() } }
    }

    private func deliver() {
        let batch = messages.withLock { messages in
            let batch = messages
            messages = []
            messages.reserveCapacity(min(batch.count, 1024))
            return batch
        }
        guard let connections else {
            for message in batch { message.releaseUndelivered() }
            return
        }
        connections.receive(batch)
    }
}

extension ReplyMessage {
    /// Nobody is there any more: what waited for that is told.
    func releaseUndelivered() {
        if case .onDisconnect(let release) = event { release() }
    }
}
