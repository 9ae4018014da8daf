// SPDX-License-Identifier: Apache-2.0
//
// Directory.swift
// What etcd, Consul and DNS have in common: a place that knows where brokers are.

import Model
import NIOCore
import PlainHTTP
import Settings

/// A place that knows brokers' addresses.
protocol Directory: Sendable {
    /// Whether brokers enter themselves.
    var takesRegistrations: Bool { get }
    /// Enters this broker; again after ``DiscoveryError/leaseLost``.
    mutating func register() async throws(DiscoveryError)
    /// Keeps the entry.
    mutating func renew() async throws(DiscoveryError)
    /// Everybody who is entered.
    func look() async throws(DiscoveryError) -> [NodeID: NetworkAddress]
    /// Removes the entry, as far as that is possible now.
    mutating func withdraw() async
}

/// The servers of a directory, any of which can answer.
struct Endpoints: Sendable {
    let loop: any EventLoop
    let addresses: [NetworkAddress]

    /// The answer of the first that gives one.
    func send(_ request: HTTPRequest) async throws(DiscoveryError) -> HTTPAnswer {
        var reason = "there are no endpoints"
        for address in addresses {
            do throws(HTTPFailure) {
                return try await HTTPClient(loop: loop, host: address.host, port: address.port).send(request)
            } catch {
                reason = "\(address): \(error)"
            }
        }
        throw .unreachable(reason)
    }
}

extension Directory {
    var takesRegistrations: Bool { true }
}
