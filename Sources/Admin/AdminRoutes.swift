// SPDX-License-Identifier: Apache-2.0
//
// AdminRoutes.swift
// What is served under which path: a pure function from a request to a response.

import NIOHTTP1
import Telemetry

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
}

/// Finds the response to a request.
struct AdminRoutes: Sendable {
    /// The paths that exist; also the values of the label `path` in metrics.
    static let paths = ["/metrics", "/health/live", "/health/ready"]

    let metrics: MetricRegistry
    let health: HealthState

    func respond(method: HTTPMethod, uri: String) -> AdminResponse {
        let path = Self.path(of: uri)
        guard Self.paths.contains(path) else { return .problem(.notFound, "nothing is served under \(path)") }
        guard method == .GET || method == .HEAD else {
            var response = AdminResponse.problem(.methodNotAllowed, "\(path) answers GET and HEAD")
            response.allow = "GET, HEAD"
            return response
        }
        switch path {
        case "/metrics":
            return AdminResponse(
                status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", body: metrics.prometheusText())
        case "/health/live":
            // That this is answered is the check.
            return .json(.ok, "{\"status\":\"live\"}\n")
        default:
            let report = health.report()
            return .json(report.isReady ? .ok : .serviceUnavailable, report.json)
        }
    }

    /// The part of `uri` before the query.
    static func path(of uri: String) -> String { String(uri.prefix { $0 != "?" && $0 != "#" }) }
}
