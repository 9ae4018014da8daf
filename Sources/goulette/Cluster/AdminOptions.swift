// SPDX-License-Identifier: Apache-2.0
//
// AdminOptions.swift
// Where a broker's admin server is, and how to ask it.

import ArgumentParser
import Foundation
import NIOCore
import NIOPosix
import PlainHTTP
import Settings
import Terminal

/// Where to ask what Kafka's protocol has no words for.
struct AdminOptions: ParsableArguments {
    @Option(help: "A broker's admin server, as host:port. Default: GOULETTE_ADMIN, or 127.0.0.1:9600.")
    var admin: String?

    @Flag(help: "Print without colours, as NO_COLOR=1 does.")
    var noColor = false

    /// The colours for standard output.
    var palette: Palette {
        Palette(isTerminal: FileOutput.standardOutput.isTerminal, noColourFlag: noColor, environment: .terminal)
    }

    /// The address, or a usage error.
    func address() throws -> NetworkAddress {
        let text = admin ?? ProcessUsage.environmentVariable("GOULETTE_ADMIN") ?? "127.0.0.1:9600"
        let bare = text.hasPrefix("http://") ? String(text.dropFirst(7)) : text
        do throws(SettingValueError) {
            return try NetworkAddress(parsing: bare.hasSuffix("/") ? String(bare.dropLast()) : bare)
        } catch {
            throw ValidationError("'\(text)' \(error.reason)")
        }
    }

    /// Runs `body` with a client of the admin server; an error becomes a failure to do `what`.
    func withAdmin<Value: Sendable>(
        _ what: String, _ body: (AdminClient) async throws -> Value
    ) async throws -> Value {
        let address = try address()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = AdminClient(
            http: HTTPClient(loop: group.next(), host: address.host, port: address.port, timeout: .seconds(10)),
            loop: group.next(), address: address, what: what)
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(client))
        } catch {
            result = .failure(error)
        }
        try? await group.shutdownGracefully()
        return try result.get()
    }
}

/// Asks a broker's admin server.
struct AdminClient: Sendable {
    let http: HTTPClient
    let loop: any EventLoop
    let address: NetworkAddress
    let what: String

    /// The answer to `GET path`.
    func get<Value: Decodable>(_ path: String) async throws(Failure) -> Value { try await send("GET", path) }

    /// The answer to `POST path`.
    func post<Value: Decodable>(_ path: String) async throws(Failure) -> Value { try await send("POST", path) }

    /// Waits on the event loop's clock.
    func pause(milliseconds: Int64) async {
        let timer = loop.scheduleTask(in: .milliseconds(milliseconds)) {}
        // It is never cancelled.
        try? await timer.futureResult.get()
    }

    private func send<Value: Decodable>(_ method: String, _ path: String) async throws(Failure) -> Value {
        let answer: HTTPAnswer
        do throws(HTTPFailure) {
            answer = try await http.send(HTTPRequest(method, path))
        } catch {
            throw Failure(
                what, place: "admin server \(address): \(error)",
                advice: "check that a broker's admin server is there, or name another with --admin",
                exitCode: .unreachable)
        }
        guard answer.status == 200 else {
            throw Failure(
                what, place: "admin server \(address): \(Self.reason(answer))",
                advice: answer.status == 503 ? "run it again" : "look at the broker's log",
                exitCode: answer.status == 503 ? .tryAgain : .failed)
        }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(answer.body))
        } catch {
            throw Failure(
                what, place: "admin server \(address): the answer is not understood", advice: "compare the versions",
                causes: ["\(error)"])
        }
    }

    private struct Problem: Decodable { let error: String }

    private static func reason(_ answer: HTTPAnswer) -> String {
        let problem = try? JSONDecoder().decode(Problem.self, from: Data(answer.body))
        return problem?.error ?? "status \(answer.status)"
    }
}

extension String {
    /// Fit to stand between two slashes of a path.
    var pathComponent: String { addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? self }
}
