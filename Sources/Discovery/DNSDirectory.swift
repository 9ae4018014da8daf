// SPDX-License-Identifier: Apache-2.0
//
// DNSDirectory.swift
// Brokers by name: SRV records, or one name for each broker that is made from its id.

import Foundation
import Model
import NIOCore
import NIOPosix
import Settings

/// Brokers as DNS knows them.
///
/// They do not enter themselves.
struct DNSDirectory: Directory {
    let loop: any EventLoop
    let name: String
    /// The brokers whose names are made from their ids, and the port they share.
    let ids: [NodeID]
    let port: Int
    let servers: [NetworkAddress]
    var timeout = TimeAmount.seconds(2)

    var takesRegistrations: Bool { false }

    mutating func register() async throws(DiscoveryError) {}
    mutating func renew() async throws(DiscoveryError) {}
    mutating func withdraw() async {}

    func look() async throws(DiscoveryError) -> [NodeID: NetworkAddress] {
        guard name.hasPrefix("_") else { return fromTemplate() }
        guard !servers.isEmpty else { throw .unreachable("no name server is known") }
        var reason = DiscoveryError.unreachable("no name server")
        for server in servers {
            do throws(DiscoveryError) {
                return Self.brokers(try await ask(server))
            } catch {
                reason = error
            }
        }
        throw reason
    }

    /// The names themselves are resolved anew with each connection.
    private func fromTemplate() -> [NodeID: NetworkAddress] {
        var found: [NodeID: NetworkAddress] = [:]
        for id in ids {
            let host = name.replacingOccurrences(of: "{id}", with: "\(id.rawValue)")
            found[id] = NetworkAddress(host: host, port: port)
        }
        return found
    }

    /// Targets whose first label ends with a number are brokers with that id.
    static func brokers(_ records: [ServiceRecord]) -> [NodeID: NetworkAddress] {
        var found: [NodeID: NetworkAddress] = [:]
        for record in records where record.port > 0 {
            let label = record.target.prefix { $0 != "." }
            let digits = String(label.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
            guard let id = Int32(digits) else { continue }
            found[NodeID(rawValue: id)] = NetworkAddress(host: record.target, port: record.port)
        }
        return found
    }

    private func ask(_ server: NetworkAddress) async throws(DiscoveryError) -> [ServiceRecord] {
        let id = UInt16.random(in: .min ... .max)
        guard let question = DNSMessage.question(id: id, name: name) else {
            throw .notUnderstood("\(name) is not a name")
        }
        let bytes: [UInt8]
        do {
            bytes = try await exchange(question, id: id, with: server)
        } catch {
            throw .unreachable("\(server): \(error)")
        }
        do throws(DNSMessage.Problem) {
            return try DNSMessage.records(bytes, id: id)
        } catch {
            throw .notUnderstood("\(server): \(error)")
        }
    }

    private func exchange(_ question: [UInt8], id: UInt16, with server: NetworkAddress) async throws -> [UInt8] {
        let answer = loop.makePromise(of: [UInt8].self)
        let channel: any Channel
        do {
            let remote = try SocketAddress.makeAddressResolvingHost(server.host, port: server.port)
            channel = try await DatagramBootstrap(group: loop).channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DNSExchange(answer: answer, id: id))
                }
            }.connect(to: remote).get()
            channel.writeAndFlush(
                AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: question)), promise: nil)
        } catch {
            answer.fail(error)
            _ = try? await answer.futureResult.get()
            throw error
        }
        let deadline = loop.scheduleTask(in: timeout) { answer.fail(ChannelError.connectTimeout(timeout)) }
        defer {
            deadline.cancel()
            channel.close(promise: nil)
        }
        return try await answer.futureResult.get()
    }
}

/// Waits for the answer with the right id; others are nobody's business.
private final class DNSExchange: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let answer: EventLoopPromise<[UInt8]>
    private let id: UInt16

    init(answer: EventLoopPromise<[UInt8]>, id: UInt16) {
        self.answer = answer
        self.id = id
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Array(unwrapInboundIn(data).data.readableBytesView)
        guard bytes.count >= 12, UInt16(bytes[0]) << 8 | UInt16(bytes[1]) == id else { return }
        answer.succeed(bytes)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { answer.fail(error) }

    func channelInactive(context: ChannelHandlerContext) { answer.fail(ChannelError.eof) }
}

/// The name servers of this machine.
enum NameServers {
    /// Those that `text`, a resolver configuration, names.
    static func read(_ text: String) -> [NetworkAddress] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, words[0] == "nameserver" else { return nil }
            return NetworkAddress(host: String(words[1]), port: 53)
        }
    }

    /// The machine's own.
    static func ofThisMachine() -> [NetworkAddress] {
        read((try? String(contentsOfFile: "/etc/resolv.conf", encoding: .utf8)) ?? "")
    }
}
