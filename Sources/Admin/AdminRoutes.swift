// SPDX-License-Identifier: Apache-2.0
//
// AdminRoutes.swift
// What is served under which path. What can be answered at once is a pure function; the rest goes to the broker.

import Foundation
import NIOHTTP1
import Synchronization
import Telemetry

/// A request, without what nobody reads.
struct AdminRequest: Sendable {
    var method: HTTPMethod
    /// The path's parts, decoded.
    var parts: [String]
    var query: [String: String]

    init(method: HTTPMethod, uri: String) {
        self.method = method
        let (path, query) = Self.split(uri)
        parts = path.split(separator: "/").map { Self.decoded($0) }
        self.query = query
    }

    var path: String { "/" + parts.joined(separator: "/") }

    /// The parts of `uri` before and after the question mark.
    private static func split(_ uri: String) -> (path: Substring, query: [String: String]) {
        let whole = uri.prefix { $0 != "#" }
        let path = whole.prefix { $0 != "?" }
        var query: [String: String] = [:]
        for pair in whole.dropFirst(path.count + 1).split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            query[decoded(name)] = decoded(pair.dropFirst(name.count + 1))
        }
        return (path, query)
    }

    private static func decoded(_ text: Substring) -> String {
        String(text).removingPercentEncoding ?? String(text)
    }
}

/// A response before it is written.
struct AdminResponse: Sendable {
    var status: HTTPResponseStatus
    var contentType: String
    var body: String
    var allow: String?

    static func json(_ status: HTTPResponseStatus, _ body: String) -> AdminResponse {
        AdminResponse(status: status, contentType: "application/json", body: body)
    }

    static func problem(_ status: HTTPResponseStatus, _ message: String) -> AdminResponse {
        json(status, "{\"error\":\(JSONText.quoted(message))}\n")
    }

    static func value(_ value: some Encodable) -> AdminResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else {
            return problem(.internalServerError, "the answer cannot be written as JSON")
        }
        return json(.ok, String(decoding: data, as: UTF8.self) + "\n")
    }
}

/// Finds the response to a request.
final class AdminRoutes: Sendable {
    /// The first parts of the paths that exist, which are also the values of the label `path` in metrics.
    static let paths = [
        "/metrics", "/health", "/health/live", "/health/ready", "/v1/cluster", "/v1/brokers", "/v1/operations",
        "/v1/topics", "/v1/rebalance",
    ]

    let metrics: MetricRegistry
    let health: HealthState
    private let api = Mutex(AdminAPI())

    init(metrics: MetricRegistry, health: HealthState) {
        self.metrics = metrics
        self.health = health
    }

    /// Serves `/v1` from now on.
    func serve(_ api: AdminAPI) { self.api.withLock { $0 = api } }

    /// The path for metrics: the names in it are left out.
    static func label(_ request: AdminRequest) -> String {
        let first = "/" + request.parts.prefix(2).joined(separator: "/")
        return paths.contains(first) ? first : "other"
    }

    /// Answers `request` by calling `done` exactly once, now or later, on any thread.
    func respond(to request: AdminRequest, done: @escaping @Sendable (AdminResponse) -> Void) {
        if request.parts.first == "v1" { return respondV1(to: request, done: done) }
        guard Self.paths.contains(request.path), !request.parts.isEmpty else { return done(Self.missing(request)) }
        guard request.method == .GET || request.method == .HEAD else {
            return done(Self.wrongMethod(request, "GET, HEAD"))
        }
        switch request.path {
        case "/metrics":
            done(
                AdminResponse(
                    status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", body: metrics.prometheusText()
                ))
        case "/health/live":
            // That this is answered is the check.
            done(.json(.ok, "{\"status\":\"live\"}\n"))
        default:
            let report = health.report()
            // `/health` is for people, and says how far a start has come.
            let body = request.path == "/health" ? report.jsonWithPhases : report.json
            done(.json(report.isReady ? .ok : .serviceUnavailable, body))
        }
    }

    private func respondV1(to request: AdminRequest, done: @escaping @Sendable (AdminResponse) -> Void) {
        let api = api.withLock { $0 }
        let isRead = request.method == .GET || request.method == .HEAD
        let rest = Array(request.parts.dropFirst())
        func answer<Value: Encodable & Sendable>() -> AdminAPI.Answer<Value> {
            { done(Self.response($0)) }
        }
        switch (rest.first, rest.count) {
        case ("cluster", 1) where api.cluster != nil:
            guard isRead else { return done(Self.wrongMethod(request, "GET, HEAD")) }
            api.cluster?(answer())
        case ("brokers", 1...2) where api.brokers != nil:
            guard isRead else { return done(Self.wrongMethod(request, "GET, HEAD")) }
            guard rest.count == 2 else { api.brokers?(answer()); return }
            api.brokers? { done(Self.response($0.flatMap { Self.find(rest[1], in: $0) })) }
        case ("brokers", 3) where api.order != nil:
            guard request.method == .POST else { return done(Self.wrongMethod(request, "POST")) }
            guard let id = Int32(rest[1]), let order = BrokerOrder(rawValue: rest[2]) else {
                return done(Self.missing(request))
            }
            api.order?(id, order, answer())
        case ("operations", 1) where api.operations != nil:
            guard isRead else { return done(Self.wrongMethod(request, "GET, HEAD")) }
            let after = request.query["after"].map { UInt64($0) } ?? 0
            let limit = request.query["limit"].map { Int($0) } ?? 100
            guard let after, let limit, (1...10_000).contains(limit) else {
                return done(.problem(.badRequest, "after is a number, and limit one from 1 to 10000"))
            }
            api.operations?(after, limit, answer())
        case ("topics", 3) where rest[2] == "leader" && api.leaders != nil:
            guard isRead else { return done(Self.wrongMethod(request, "GET, HEAD")) }
            let texts = (request.query["unreachable"] ?? "").split(separator: ",")
            let ids = texts.compactMap { Int32($0) }
            guard ids.count == texts.count else {
                return done(.problem(.badRequest, "unreachable is a list of broker ids"))
            }
            api.leaders?(rest[1], ids, answer())
        case ("rebalance", 1) where api.rebalance != nil:
            guard request.method == .POST else { return done(Self.wrongMethod(request, "POST")) }
            api.rebalance?(answer())
        default: done(Self.missing(request))
        }
    }

    private static func find(_ text: String, in brokers: [BrokerView]) -> Result<BrokerView, AdminProblem> {
        guard let broker = brokers.first(where: { "\($0.id)" == text }) else {
            return .failure(AdminProblem(.notFound, "there is no broker \(text)"))
        }
        return .success(broker)
    }

    private static func response(_ result: Result<some Encodable, AdminProblem>) -> AdminResponse {
        switch result {
        case .success(let value): .value(value)
        case .failure(let problem): .problem(.init(statusCode: problem.kind.rawValue), problem.message)
        }
    }

    private static func missing(_ request: AdminRequest) -> AdminResponse {
        .problem(.notFound, "nothing is served under \(request.path)")
    }

    private static func wrongMethod(_ request: AdminRequest, _ allow: String) -> AdminResponse {
        let words = allow.replacingOccurrences(of: ", ", with: " and ")
        var response = AdminResponse.problem(.methodNotAllowed, "\(request.path) answers \(words)")
        response.allow = allow
        return response
    }
}
