// SPDX-License-Identifier: Apache-2.0
//
// RequestForwarder.swift
// Passes on requests that only the controller's leader can serve, whole, and its answer back, unread.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Replication
import Telemetry

/// A Kafka request on its way from the broker that got it to the controller's leader.
///
///     version u8 | API key i16 | API version i16 | correlation id i32 | client id text? | peer text | body
///
/// Text is its length as u32 and UTF-8; the client id has a byte before it that says whether there is one.
struct ForwardedRequest: Equatable {
    private static let version: UInt8 = 1

    var header: RequestHeader
    /// The address of the client.
    var peer: String
    var body: ByteBuffer

    func encoded() -> ByteBuffer {
        var writer = BinaryWriter()
        writer.write(Self.version)
        writer.write(header.apiKey)
        writer.write(header.version)
        writer.write(header.correlationID)
        writer.write(header.clientID)
        writer.write(peer)
        var buffer = ByteBuffer()
        buffer.reserveCapacity(writer.bytes.count + body.readableBytes)
        buffer.writeBytes(writer.bytes)
        buffer.writeImmutableBuffer(body)
        return buffer
    }

    init(header: RequestHeader, peer: String, body: ByteBuffer) {
        self.header = header
        self.peer = peer
        self.body = body
    }

    /// Reads what ``encoded()`` wrote.
    init(decoding buffer: ByteBuffer) throws(BinaryCodingError) {
        var reader = BinaryReader(Array(buffer.readableBytesView))
        let found = try reader.readInteger(UInt8.self)
        guard found == Self.version else { throw .unknownVersion(found) }
        let key = try reader.readInteger(Int16.self)
        let version = try reader.readInteger(Int16.self)
        let correlationID = try reader.readInteger(Int32.self)
        let clientID = try reader.readOptionalText()
        header = RequestHeader(apiKey: key, version: version, correlationID: correlationID, clientID: clientID)
        peer = try reader.readText()
        body = buffer.getSlice(at: buffer.readerIndex + reader.position, length: reader.remaining) ?? ByteBuffer()
    }
}

/// Sends requests to the controller's leader.
///
/// A request is sent again only while it is certain that nothing was done. There are no loops: a broker serves what it
/// is sent, or says that it does not lead.
struct RequestForwarder: Sendable {
    /// What a broker answers that does not lead the controller's group; nothing was done.
    static let notLeader = "this broker does not lead the controller's group"
    /// How long a leader is looked for.
    static let searchMilliseconds: Int64 = 8_000
    /// The pause between two attempts.
    private static let pause = TimeAmount.milliseconds(50)
    /// How long an answer is waited for.
    private static let timeout = Duration.seconds(30)

    /// How an attempt to forward ended.
    enum Outcome {
        /// The leader's answer was sent to the client.
        case answered
        /// This broker leads, or nobody could be reached: the handler here decides, or refuses.
        case serveHere
        /// What became of the request is not known. The connection was closed: no answer would say so, and this broker
        /// may lead by now and do it a second time.
        case lost
    }

    let node: NodeID
    let link: any PeerLink
    let clock: Clock
    let forwarded: Counter
    /// The leader of the controller's group, as the loop of the call knows it.
    let leader: @Sendable (any EventLoop) -> NodeID?

    /// Passes `call` on; `then` runs on the loop of the call.
    func forward(_ call: Call, body: ByteBuffer, then: @escaping @Sendable (Outcome) -> Void) {
        let request = ForwardedRequest(header: call.header, peer: call.peer, body: body).encoded()
        attempt(call, request, then)
    }

    private func attempt(_ call: Call, _ request: ByteBuffer, _ then: @escaping @Sendable (Outcome) -> Void) {
        let found = leader(call.loop)
        if found == node { return then(.serveHere) }
        guard let found else { return tryAgain(call, request, then) }
        link.call(.forwardKafkaRequest, request, to: found, timeout: Self.timeout) { result in
            switch result {
            case .success(let response):
                forwarded.increment()
                call.answer.send(ResponseBody(pieces: [response]))
                call.loop.execute { then(.answered) }
            case .failure(let error):
                call.loop.execute {
                    switch error {
                    case .unknownPeer, .notConnected, .busy, .failed(Self.notLeader): tryAgain(call, request, then)
                    case .tooLarge, .unknownType, .notPermitted: then(.serveHere)
                    case .disconnected, .timedOut, .failed:
                        call.answer.close("the controller's answer was lost: \(error)")
                        then(.lost)
                    }
                }
            }
        }
    }

    private func tryAgain(_ call: Call, _ request: ByteBuffer, _ then: @escaping @Sendable (Outcome) -> Void) {
        let elapsed = clock.now().milliseconds(since: call.receivedAt)
        guard elapsed < Self.searchMilliseconds else { return then(.serveHere) }
        call.loop.scheduleTask(in: Self.pause) { attempt(call, request, then) }
    }
}
