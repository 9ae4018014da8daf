// SPDX-License-Identifier: Apache-2.0
//
// Call.swift
// One request on its way through the broker, and the way back to its connection.

package import KafkaProtocol
package import Model
package import NIOCore

/// How an answer leaves the broker; the socket layer provides it.
package struct Answer: Sendable {
    /// Sends the response; nil sends none (acks=0).
    ///
    /// To be called once, from any thread.
    package let send: @Sendable (ResponseBody?) -> Void
    /// Closes the connection instead of answering; the reason goes to the log.
    package let close: @Sendable (String) -> Void
    /// Calls back when the connection goes before the answer was sent.
    package let onDisconnect: @Sendable (@escaping @Sendable () -> Void) -> Void

    package init(
        send: @escaping @Sendable (ResponseBody?) -> Void, close: @escaping @Sendable (String) -> Void,
        onDisconnect: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.send = send
        self.close = close
        self.onDisconnect = onDisconnect
    }
}

/// A request, where it came from, and its answer.
package struct Call: Sendable {
    package let header: RequestHeader
    /// The event loop of the connection, on which handlers begin.
    package let loop: any EventLoop
    /// The address to tell clients of, for the listener the request arrived on.
    package let advertised: BrokerAddress
    /// The client's address, for group descriptions and logs.
    package let peer: String
    package let receivedAt: Instant
    package let answer: Answer
    /// What the connection's client said of itself; nil where there is no connection.
    package let software: ClientSoftwareNote?
    /// The end of the connection; nil where there is no connection.
    package let connection: ConnectionEnd?
    /// Whether another broker passed the request on; it is served here or not at all.
    package let isForwarded: Bool

    package init(
        header: RequestHeader, loop: any EventLoop, advertised: BrokerAddress, peer: String, receivedAt: Instant,
        answer: Answer, software: ClientSoftwareNote? = nil, connection: ConnectionEnd? = nil, isForwarded: Bool = false
    ) {
        self.header = header
        self.loop = loop
        self.advertised = advertised
        self.peer = peer
        self.receivedAt = receivedAt
        self.answer = answer
        self.software = software
        self.connection = connection
        self.isForwarded = isForwarded
    }

    package var version: Int16 { header.version }

    /// Encodes and sends `response` in the version of the request.
    package func respond(_ response: some KafkaResponseMessage) {
        answer.send(ResponseEncoder.encode(response, version: header.version, correlationID: header.correlationID))
    }
}
