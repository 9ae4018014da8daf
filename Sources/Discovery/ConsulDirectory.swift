// SPDX-License-Identifier: Apache-2.0
//
// ConsulDirectory.swift
// Registration as a service with a check of limited life, by Consul's HTTP interface.

import Foundation
import Model
import PlainHTTP
import Settings

/// Brokers as instances of one service, with their id in the metadata.
struct ConsulDirectory: Directory {
    private let client: Endpoints
    private let service: String
    private let own: PeerAddress
    private let leaseSeconds: Int64
    private let token: String?

    init(client: Endpoints, service: String, own: PeerAddress, lease: Duration, token: String?) {
        self.client = client
        // A service's name is also a name in DNS.
        self.service = String(service.map { $0.isLetter || $0.isNumber ? $0 : "-" })
        self.own = own
        self.leaseSeconds = max(1, lease.components.seconds)
        self.token = token
    }

    private var instance: String { "\(service)-\(own.id.rawValue)" }

    mutating func register() async throws(DiscoveryError) {
        guard let address = own.address else { throw .notUnderstood("this broker's own address") }
        let registration = Registration(
            id: instance, name: service, address: address.host, port: address.port,
            meta: [Self.idKey: "\(own.id.rawValue)"],
            check: .init(
                timeToLive: "\(leaseSeconds)s", status: "passing",
                // Consul removes nothing sooner than after a minute.
                removeAfter: "\(max(60, leaseSeconds * 4))s"))
        guard let body = try? JSONEncoder().encode(registration) else { throw .notUnderstood("the request") }
        try await put("/v1/agent/service/register?replace-existing-checks=true", body)
    }

    mutating func renew() async throws(DiscoveryError) {
        do throws(DiscoveryError) {
            try await put("/v1/agent/check/pass/service:\(instance)", nil)
        } catch {
            // An agent that was restarted without its state answers 404 or 500, by version.
            if case .refused(let status, _) = error, status == 404 || status == 500 { throw .leaseLost }
            throw error
        }
    }

    func look() async throws(DiscoveryError) -> [NodeID: NetworkAddress] {
        let answer = try await client.send(
            HTTPRequest("GET", "/v1/health/service/\(service)?passing=true", headers: headers))
        guard answer.status == 200 else {
            throw .refused(status: answer.status, body: answer.text)
        }
        let entries: [HealthEntry]
        do {
            entries = try JSONDecoder().decode([HealthEntry].self, from: Data(answer.body))
        } catch {
            throw .notUnderstood("\(error)")
        }
        var found: [NodeID: NetworkAddress] = [:]
        for entry in entries {
            let host = entry.service.address.isEmpty ? entry.node?.address ?? "" : entry.service.address
            guard let id = entry.service.meta?[Self.idKey].flatMap({ Int32($0) }), id >= 0, !host.isEmpty,
                (1...65_535).contains(entry.service.port)
            else { continue }
            found[NodeID(rawValue: id)] = NetworkAddress(host: host, port: entry.service.port)
        }
        return found
    }

    mutating func withdraw() async {
        try? await put("/v1/agent/service/deregister/\(instance)", nil)
    }

    private static let idKey = "broker_id"

    private var headers: [(String, String)] { token.map { [("x-consul-token", $0)] } ?? [] }

    private func put(_ path: String, _ body: Data?) async throws(DiscoveryError) {
        let answer = try await client.send(
            HTTPRequest("PUT", path, headers: headers, body: body.map { Array($0) } ?? []))
        guard (200..<300).contains(answer.status) else {
            throw .refused(status: answer.status, body: answer.text)
        }
    }
}

// MARK: the messages, as far as they are used

extension ConsulDirectory {
    private struct Registration: Encodable {
        struct Check: Encodable {
            let timeToLive: String
            let status: String
            let removeAfter: String

            enum CodingKeys: String, CodingKey {
                case timeToLive = "TTL"
                case status = "Status"
                case removeAfter = "DeregisterCriticalServiceAfter"
            }
        }
        let id: String
        let name: String
        let address: String
        let port: Int
        let meta: [String: String]
        let check: Check

        enum CodingKeys: String, CodingKey {
            case id = "ID"
            case name = "Name"
            case address = "Address"
            case port = "Port"
            case meta = "Meta"
            case check = "Check"
        }
    }

    private struct HealthEntry: Decodable {
        struct Node: Decodable {
            let address: String

            enum CodingKeys: String, CodingKey { case address = "Address" }
        }
        struct Service: Decodable {
            let address: String
            let port: Int
            let meta: [String: String]?

            enum CodingKeys: String, CodingKey {
                case address = "Address"
                case port = "Port"
                case meta = "Meta"
            }
        }
        let node: Node?
        let service: Service

        enum CodingKeys: String, CodingKey {
            case node = "Node"
            case service = "Service"
        }
    }
}
