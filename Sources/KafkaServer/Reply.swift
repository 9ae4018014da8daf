// SPDX-License-Identifier: Apache-2.0
//
// Reply.swift
// The place of one response in its connection's queue.

public import KafkaProtocol

/// Answers one request.
///
/// Cost: on the connection's loop a dictionary lookup; elsewhere one lock, and a wake of the loop when its mailbox was
/// empty. Responses that become ready together leave in one write.
public struct Reply: Sendable {
    private let destination: Destination
    private let connection: UInt64
    private let slot: UInt64

    private enum Destination: Sendable {
        case mailbox(ReplyMailbox)
        case closure(@Sendable (Outcome) -> Void)
    }

    /// How a request was answered; what a reply made for a test hands over.
    public enum Outcome: Sendable {
        /// With a response, or with none when the body is nil.
        case completed(ResponseBody?, throttleMilliseconds: Int32)
        /// By closing the connection.
        case closed(reason: String)
    }

    init(mailbox: ReplyMailbox, connection: UInt64, slot: UInt64) {
        self.destination = .mailbox(mailbox)
        self.connection = connection
        self.slot = slot
    }

    /// Makes a reply that belongs to no connection, for tests of handlers; it never disconnects.
    public init(_ outcome: @escaping @Sendable (Outcome) -> Void) {
        self.destination = .closure(outcome)
        self.connection = 0
        self.slot = 0
    }

    /// Answers with `body`, or with nothing when it is nil (acks=0).
    ///
    /// With a throttle, the connection is not read for that long; the client was told in the response.
    /// Exactly once for each request. When the connection has gone meanwhile, nothing happens.
    public func complete(_ body: ResponseBody?, throttleMilliseconds: Int32 = 0) {
        switch destination {
        case .mailbox(let mailbox):
            mailbox.post(.init(connection, slot, .complete(body, throttleMilliseconds: throttleMilliseconds)))
        case .closure(let outcome):
            outcome(.completed(body, throttleMilliseconds: throttleMilliseconds))
        }
    }

    /// Closes the connection after the responses to earlier requests were sent; instead of ``complete(_:)``.
    ///
    /// `reason` is constant text for the log, as in "unsupported version".
    public func closeConnection(_ reason: String) {
        switch destination {
        case .mailbox(let mailbox): mailbox.post(.init(connection, slot, .close(reason)))
        case .closure(let outcome): outcome(.closed(reason: reason))
        }
    }

    /// Calls `release` on the connection's loop if the connection goes before the reply is completed.
    ///
    /// For requests that are parked, so that nobody keeps them for a client that has left. At most one per reply; at once
    /// when the connection has gone already.
    public func onDisconnect(_ release: @escaping @Sendable () -> Void) {
        guard case .mailbox(let mailbox) = destination else { return }
        mailbox.post(.init(connection, slot, .onDisconnect(release)))
    }
}
