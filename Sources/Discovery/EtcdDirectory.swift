// SPDX-License-Identifier: Apache-2.0
//
// EtcdDirectory.swift
// Registration under a lease in etcd, by the JSON form of its v3 interface.

import Foundation
import Model
import PlainHTTP
import Settings

/// Brokers as keys `<prefix>/<id>` whose values are their addresses, each under its broker's lease.
struct EtcdDirectory: Directory {
    private let client: Endpoints
    private let prefix: String
    private let own: PeerAddress
    private let leaseSeconds: Int64
    private var lease: String?

    init(client: Endpoints, prefix: String, own: PeerAddress, lease: Duration) {
        self.client = client
        self.prefix = prefix.hasSuffix("/") ? prefix : prefix + "/"
        self.own = own
        leaseSeconds = max(1, lease.components.seconds)
    }

    private var key: String { Self.base64("\(prefix)\(own.id.rawValue)") }
    private var value: String { own.address.map { "\($0)" } ?? "" }

    /// An entry under this id is only replaced when it has this broker's address: it is its last life.
    ///
    /// Otherwise two brokers have one id, or this one has moved and its old lease must run out first.
    mutating func register() async throws(DiscoveryError) {
        let granted: Granted = try await call("lease/grant", ["TTL": "\(leaseSeconds)"])
        lease = granted.lease
        let put = Put(key: key, value: Self.base64(value), lease: granted.lease)
        let created = Compare(key: key, target: "CREATE", createRevision: "0", value: nil)
        let first = Transaction(
            compare: [created], success: [.init(put: put)], failure: [.init(range: .init(key: key, end: nil))])
        let outcome: TransactionAnswer = try await call("kv/txn", first)
        guard outcome.succeeded != true else { return }
        let entry = outcome.responses?.first?.responseRange?.kvs?.first?.text
        guard entry == value else { throw .taken(by: entry ?? "another broker") }
        let unchanged = Compare(key: key, target: "VALUE", createRevision: nil, value: put.value)
        let second = Transaction(compare: [unchanged], success: [.init(put: put)], failure: [])
        let replaced: TransactionAnswer = try await call("kv/txn", second)
        guard replaced.succeeded == true else { throw .taken(by: "another broker") }
    }

    mutating func renew() async throws(DiscoveryError) {
        guard let lease else { throw .leaseLost }
        let answer: KeepAliveAnswer = try await call("lease/keepalive", ["ID": lease])
        guard let left = answer.result?.left, left != "0" else {
            self.lease = nil
            throw .leaseLost
        }
        // The entry may be gone although its lease is not: someone deleted it.
        let range: RangeAnswer = try await call("kv/range", Range(key: key, end: nil))
        guard range.kvs?.first?.text == value else { throw .leaseLost }
    }

    func look() async throws(DiscoveryError) -> [NodeID: NetworkAddress] {
        let range = Range(key: Self.base64(prefix), end: Self.base64(Self.successor(prefix)))
        let answer: RangeAnswer = try await call("kv/range", range)
        var found: [NodeID: NetworkAddress] = [:]
        for entry in answer.kvs ?? [] {
            guard let id = entry.name.flatMap({ Int32($0.dropFirst(prefix.count)) }), id >= 0,
                let address = entry.text.flatMap({ try? NetworkAddress(parsing: $0) })
            else { continue }
            found[NodeID(rawValue: id)] = address
        }
        return found
    }

    mutating func withdraw() async {
        guard let lease else { return }
        self.lease = nil
        let _: Nothing? = try? await call("lease/revoke", ["ID": lease])
    }

    private func call<Answer: Decodable>(
        _ path: String, _ body: some Encodable
    ) async throws(DiscoveryError) -> Answer {
        guard let data = try? JSONEncoder().encode(body) else { throw .notUnderstood("the request") }
        let answer = try await client.send(HTTPRequest("POST", "/v3/" + path, body: Array(data)))
        guard answer.status == 200 else {
            throw .refused(status: answer.status, body: answer.text)
        }
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(answer.body))
        } catch {
            throw .notUnderstood("\(path): \(error)")
        }
    }

    static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    /// The first key after all that begin with `prefix`, which ends with a slash.
    static func successor(_ prefix: String) -> String { String(prefix.dropLast()) + "0" }
}

// MARK: the messages, as far as they are used; names are etcd's

extension EtcdDirectory {
    private struct Granted: Decodable {
        let lease: String

        enum CodingKeys: String, CodingKey { case lease = "ID" }
    }
    private struct Nothing: Decodable {}

    private struct KeepAliveAnswer: Decodable {
        struct Result: Decodable {
            let left: String?

            enum CodingKeys: String, CodingKey { case left = "TTL" }
        }
        let result: Result?
    }

    private struct Put: Encodable {
        let key: String
        let value: String
        let lease: String
    }

    private struct Range: Encodable {
        let key: String
        let end: String?

        enum CodingKeys: String, CodingKey {
            case key
            case end = "range_end"
        }
    }

    private struct Entry: Decodable {
        let key: String
        let value: String?

        var name: String? { Data(base64Encoded: key).map { String(decoding: $0, as: UTF8.self) } }
        var text: String? { value.flatMap { Data(base64Encoded: $0) }.map { String(decoding: $0, as: UTF8.self) } }
    }

    private struct RangeAnswer: Decodable { let kvs: [Entry]? }

    private struct Compare: Encodable {
        let key: String
        let target: String
        var result = "EQUAL"
        let createRevision: String?
        let value: String?

        enum CodingKeys: String, CodingKey {
            case key, target, result, value
            case createRevision = "create_revision"
        }
    }

    private struct Operation: Encodable {
        var put: Put?
        var range: Range?

        enum CodingKeys: String, CodingKey {
            case put = "request_put"
            case range = "request_range"
        }
    }

    private struct Transaction: Encodable {
        let compare: [Compare]
        let success: [Operation]
        let failure: [Operation]
    }

    private struct TransactionAnswer: Decodable {
        struct Response: Decodable {
            let responseRange: RangeAnswer?

            enum CodingKeys: String, CodingKey { case responseRange = "response_range" }
        }
        let succeeded: Bool?
        let responses: [Response]?
    }
}
