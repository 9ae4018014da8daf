// SPDX-License-Identifier: Apache-2.0
//
// ClientOptions.swift
// What every command that talks to a cluster has in common: where it is, and how to print.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import NIOCore
import NIOPosix
import Terminal

/// Where the cluster is and how long to wait for it.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: [.customShort("b"), .long],
        help: "Brokers to begin with, as host:port,host:port. Default: GOULETTE_BROKERS, or 127.0.0.1:9092.")
    var brokers: String?

    @Option(help: "How long one call may take with its retries: 500ms, 10s, 1m.")
    var timeout = "30s"

    @Flag(help: "Print without colours, as NO_COLOR=1 does.")
    var noColor = false

    @Flag(name: .shortAndLong, help: "Print the causes of errors.")
    var verbose = false

    /// The settings for a client, or a usage error.
    func settings() throws -> ClientSettings {
        let text = brokers ?? ProcessUsage.environmentVariable("GOULETTE_BROKERS") ?? "127.0.0.1:9092"
        guard let bootstrap = BrokerAddress.list(parsing: text) else {
            throw ValidationError("'\(text)' is not a list of brokers, such as 127.0.0.1:9092,[::1]:9093")
        }
        guard let milliseconds = Humanised.milliseconds(parsing: timeout), milliseconds > 0 else {
            throw ValidationError("'\(timeout)' is not a time, such as 500ms or 10s")
        }
        var settings = ClientSettings(bootstrap: bootstrap)
        settings.callTimeoutMilliseconds = milliseconds
        settings.connectTimeoutMilliseconds = min(settings.connectTimeoutMilliseconds, milliseconds)
        settings.requestTimeoutMilliseconds = min(settings.requestTimeoutMilliseconds, milliseconds)
        return settings
    }

    /// The colours for standard output.
    var palette: Palette {
        Palette(isTerminal: FileOutput.standardOutput.isTerminal, noColourFlag: noColor, environment: .terminal)
    }

    /// Runs `body` with a client and closes it afterwards.
    ///
    /// An error becomes a failure to do `what`.
    func withClient<Value: Sendable>(
        _ what: String, _ body: (KafkaClient) async throws -> Value
    ) async throws -> Value {
        try await withClients(1, what) { try await body($0[0]) }
    }

    /// Runs `body` with `count` clients, each on a thread of its own, and closes them afterwards.
    func withClients<Value: Sendable>(
        _ count: Int, _ what: String, _ body: ([KafkaClient]) async throws -> Value
    ) async throws -> Value {
        let settings = try settings()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
        var clients: [KafkaClient] = []
        for loop in group.makeIterator() { clients.append(await KafkaClient(settings: settings, eventLoop: loop)) }
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(clients))
        } catch let error as ClientError {
            result = .failure(Failure(error, what: what))
        } catch {
            result = .failure(error)
        }
        for client in clients { await client.close() }
        try? await group.shutdownGracefully()
        return try result.get()
    }
}

/// How a command prints what it found.
enum OutputFormat: String, ExpressibleByArgument {
    case text
    case json
    case yaml
}

/// How to print.
struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "How to print: text, json or yaml.")
    var output = OutputFormat.text

    /// Prints `text`, or the document that says the same, in the form that was asked for.
    func print(text: @autoclosure () -> String, json: @autoclosure () -> JSONValue) throws {
        let form =
            switch output {
            case .text: text()
            case .json: json().indented + "\n"
            case .yaml: json().yaml
            }
        try FileOutput.standardOutput.write(form)
    }
}

extension Failure {
    /// Explains a client's error to the person who ran a command.
    init(_ error: ClientError, what: String) {
        let reason = error.kafka?.name ?? "\(error.code)"
        self.init(
            what, place: "\(error.place): \(reason)" + (error.detail.map { " (\($0))" } ?? ""),
            advice: Self.advice(error), causes: [error.description], exitCode: Self.exitCode(error))
    }

    private static func exitCode(_ error: ClientError) -> Terminal.ExitCode {
        switch (error.code, error.kafka) {
        case (.unreachable, _), (.connectionLost, _): .unreachable
        case (.timedOut, _), (_, .requestTimedOut), (_, .coordinatorLoadInProgress), (_, .coordinatorNotAvailable),
            (_, .leaderNotAvailable), (_, .notEnoughReplicas):
            .tryAgain
        case (_, .topicAuthorizationFailed), (_, .groupAuthorizationFailed), (_, .clusterAuthorizationFailed),
            (_, .saslAuthenticationFailed), (_, .transactionalIDAuthorizationFailed):
            .notAuthorised
        default: .failed
        }
    }

    private static func advice(_ error: ClientError) -> String {
        switch (error.code, error.kafka) {
        case (.unreachable, _), (.connectionLost, _):
            "check that a broker listens there, or name others with --brokers"
        case (.timedOut, _): "run it again, or give it longer with --timeout"
        case (.unsupportedVersion, _): "check the broker's version; this API is not in it"
        case (_, .unknownTopicOrPartition): "list the topics with: goulette topic list"
        case (_, .topicAlreadyExists): "choose another name, or look at it with: goulette topic describe"
        case (_, .invalidReplicationFactor): "use at most as many replicas as there are brokers"
        case (_, .leaderNotAvailable): "wait for the election, then run it again"
        case (_, .messageTooLarge): "send smaller batches, or raise max.message.bytes of the topic"
        case (_, .nonEmptyGroup): "stop the members of the group first"
        case (_, .some(let code)): code.isRetriable ? "run it again" : Self.sentence(code.meaning)
        default: "run it again with --verbose"
        }
    }

    private static func sentence(_ meaning: String) -> String {
        meaning.isEmpty ? "look at the broker's log" : meaning
    }
}
