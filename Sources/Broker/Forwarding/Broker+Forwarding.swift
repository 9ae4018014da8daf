// SPDX-License-Identifier: Apache-2.0
//
// Broker+Forwarding.swift
// Which requests only the controller's leader serves, and both ends of passing them on.

import KafkaProtocol
import Model
import NIOCore
import Records
import Replication
import Settings

extension Broker {
    /// Whether the broker is no part of a cluster: it leads everything.
    var isAlone: Bool { forwarder == nil }

    /// Whether the controller's group is led here, as the loop knows it, which must be the current one.
    func leadsController(on loop: any EventLoop) -> Bool {
        isAlone || shards.shard(on: loop).leaders[.controller]?.leader == node
    }

    /// Requests that change the cluster's metadata, or need the positions of the controller's group.
    static func isForController(_ request: KafkaRequest) -> Bool {
        switch request {
        // Of a transactional id its coordinator takes care.
        case .initProducerID(let request) where request.transactionalID != nil: false
        case .createTopics, .deleteTopics, .createPartitions, .alterConfigs, .incrementalAlterConfigs, .initProducerID,
            .electLeaders, .alterPartitionReassignments, .describeQuorum:
            true
        default: false
        }
    }

    /// Requests that brokers make of each other, whoever leads the controller's group.
    private static func isBetweenBrokers(_ key: APIKey?) -> Bool {
        key == .writeTxnMarkers || key == .addPartitionsToTxn
    }

    /// Makes a request of the controller's leader in the name of `call`; `then` runs on its loop, with nil when there was
    /// no answer.
    func askController<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, _ call: Call, then: @escaping @Sendable (Request.Response?) -> Void
    ) {
        var writer = WireWriter()
        request.encode(to: &writer, version: version)
        let header = RequestHeader(
            apiKey: Request.apiKey.rawValue, version: version, correlationID: call.header.correlationID,
            clientID: call.header.clientID)
        let answer = Answer(
            send: { response in
                let decoded = response.flatMap { body in
                    try? ResponseDecoder.decode(Request.Response.self, from: body.contiguous(), version: version)
                }
                call.loop.execute { then(decoded) }
            },
            close: { _ in call.loop.execute { then(nil) } }, onDisconnect: { _ in })
        let inner = Call(
            header: header, loop: call.loop, advertised: call.advertised, peer: call.peer,
            receivedAt: call.receivedAt, answer: answer)
        handle(inner, body: writer.finishContiguous())
    }

    /// Serves a request that another broker passed on, or says that the controller's group is not led here.
    func serveForwarded(
        _ body: ByteBuffer, answer: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
    ) {
        let request: ForwardedRequest
        do {
            request = try ForwardedRequest(decoding: body)
        } catch {
            return answer(.failure(.failed("a forwarded request cannot be read: \(error)")))
        }
        let address = settings.listeners.advertised
        withController { [self] controller in
            guard controller.isLeading || Self.isBetweenBrokers(request.header.key) else {
                return answer(.failure(.failed(RequestForwarder.notLeader)))
            }
            let call = Call(
                header: request.header, loop: home,
                advertised: BrokerAddress(id: node, host: address.host, port: Int32(address.port)),
                peer: request.peer, receivedAt: clock.now(),
                answer: Answer(
                    send: { response in answer(.success(response?.contiguous() ?? ByteBuffer())) },
                    close: { reason in answer(.failure(.failed(reason))) }, onDisconnect: { _ in }),
                isForwarded: true)
            handle(call, body: request.body)
        }
    }
}
