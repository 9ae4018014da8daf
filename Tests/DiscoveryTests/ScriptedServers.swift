// SPDX-License-Identifier: Apache-2.0
//
// ScriptedServers.swift
// A Consul agent as its documentation describes it, and a name server, both as small as they can be.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An agent that keeps services and their checks in memory.
final class ScriptedConsul: Sendable {
    struct State {
        var services: [String: [String: any Sendable]] = [:]
        var requests: [String] = []
        var token: String?
    }

    let state = Mutex(State())
    private let channel: any Channel

    init() async throws {
        let state = ConsulStateBox()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(ConsulHandler(state))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        box = state
        state.owner.withLock { $0 = self }
    }

    private let box: ConsulStateBox
    var port: Int { channel.localAddress?.port ?? 0 }

    /// As after a restart of the agent without its state.
    func forget() { state.withLock { $0.services = [:] } }

    func stop() async throws { try await channel.close() }

    func answer(_ method: HTTPMethod, _ uri: String, _ body: Data, token: String?) -> (Int, String) {
        state.withLock { state in
            state.requests.append("\(method) \(uri)")
            state.token = token
            let parts = uri.prefix { $0 != "?" }.split(separator: "/").map(String.init)
            switch (method, parts.dropFirst().joined(separator: "/")) {
            case (.PUT, "agent/service/register"):
                guard let object = try? JSONSerialization.jsonObject(with: body) as? [String: any Sendable],
                    let id = object["ID"] as? String
                else { return (400, "") }
                state.services[id] = object
                return (200, "")
            case (.PUT, let path) where path.hasPrefix("agent/check/pass/service:"):
                let id = String(path.dropFirst("agent/check/pass/service:".count))
                return state.services[id] == nil ? (404, "Unknown check ID") : (200, "")
            case (.PUT, let path) where path.hasPrefix("agent/service/deregister/"):
                state.services[String(parts.last ?? "")] = nil
                return (200, "")
            case (.GET, let path) where path.hasPrefix("health/service/"):
                let entries = state.services.values.filter { ($0["Name"] as? String) == parts.last }.map {
                    ["Node": ["Address": "127.0.0.1"], "Service": $0] as [String: any Sendable]
                }
                let data = (try? JSONSerialization.data(withJSONObject: entries)) ?? Data()
                return (200, String(decoding: data, as: UTF8.self))
            default: return (404, "")
            }
        }
    }
}

private final class ConsulStateBox: Sendable { let owner = Mutex<ScriptedConsul?>(nil) }

private final class ConsulHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let box: ConsulStateBox
    private var head: HTTPRequestHead?
    private var body = Data()

    init(_ box: ConsulStateBox) { self.box = box }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head, let server = box.owner.withLock({ $0 }) else { return }
            let token = head.headers.first(name: "x-consul-token")
            let (status, text) = server.answer(head.method, head.uri, body, token: token)
            let answer = HTTPResponseHead(
                version: .http1_1, status: .init(statusCode: status),
                headers: ["content-length": "\(text.utf8.count)"])
            context.write(wrapOutboundOut(.head(answer)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

/// A name server that gives everybody the same answer.
final class ScriptedNameServer: Sendable {
    private let channel: any Channel

    init(question: String, targets: [(label: String, port: UInt16)]) async throws {
        channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NameHandler(question: question, targets: targets))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    func stop() async throws { try await channel.close() }
}

private final class NameHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let question: String
    private let targets: [(label: String, port: UInt16)]

    init(question: String, targets: [(label: String, port: UInt16)]) {
        self.question = question
        self.targets = targets
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        let bytes = Array(envelope.data.readableBytesView)
        guard bytes.count > 12 else { return }
        func send(_ id: UInt16) {
            let answer = DNSAnswer.bytes(id: id, question: question, targets: targets)
            context.writeAndFlush(
                wrapOutboundOut(
                    AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))),
                promise: nil)
        }
        let id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        // A forged answer comes first.
        send(id &+ 1)
        send(id)
    }
}
