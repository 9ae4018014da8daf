// SPDX-License-Identifier: Apache-2.0
//
// StartCommand.swift
// `goulette start`: settings, log, broker; then waits for the end of the process.

import ArgumentParser
import LogStore
import Logging
import Model
import ServiceLifecycle
import Settings
import Telemetry
import Terminal
import UnixSignals

/// Runs a broker.
struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Run a broker.",
        discussion: """
            Without a configuration it listens on 127.0.0.1:9092 and keeps its data in ./goulette-data. Every key of the \
            configuration file can also be set by an environment variable: storage.directory is \
            GOULETTE_STORAGE__DIRECTORY. On SIGHUP the configuration is read again; what can change without a restart does.

            Exit codes: 0 stopped, 1 unexpected, 20 disk full, 21 refuses corrupt data, 64 usage, 75 the data directory is \
            in use, 78 bad configuration.
            """)

    @Option(help: "Configuration file (YAML).")
    var config: String?

    @Option(help: "Data directory.")
    var data: String?

    @Option(help: "Where Kafka clients connect, as host:port.")
    var listen: String?

    @Option(help: "What clients are told to connect to, as host:port.")
    var advertise: String?

    @Option(help: "Where metrics, health and administration are served over HTTP, as host:port.")
    var admin: String?

    @Flag(help: "Check the configuration and stop.")
    var check = false

    func run() async throws {
        let source = source
        let resolved = try source.load()
        let settings = resolved.typed()
        if check { return try FileOutput.standardOutput.write("The configuration is valid.\n") }
        let logs = LogSystem(
            format: LogFormat(rawValue: settings.log.format.rawValue) ?? .automatic,
            level: BrokerService.logLevel(settings), node: settings.node.id)
        logs.bootstrap()
        let service = BrokerService(
            settings: settings, resolved: resolved, logs: logs,
            reload: SettingsReload(resolved, logger: logs.logger("goulette.settings"), source: source))
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logs.logger("goulette.lifecycle")))
        do {
            try await group.run()
        } catch let failure as StartFailure {
            throw failure.failure
        }
    }

    private var source: SettingsSource {
        var source = SettingsSource(config: config)
        if let data { source.options.append(("storage.directory", data)) }
        if let listen { source.options.append(("listeners.kafka", listen)) }
        if let advertise { source.options.append(("listeners.advertised", advertise)) }
        if let admin { source.options.append(("admin.listen", admin)) }
        return source
    }
}

/// Why the broker did not start or could not go on.
struct StartFailure: Error {
    let failure: Failure

    init(_ failure: Failure) { self.failure = failure }

    /// A store that cannot be opened, or a log that cannot be recovered.
    init(_ error: StoreError, partition: TopicPartition?) {
        let place = partition.map { "partition \($0)" } ?? "the data directory"
        switch error {
        case .locked:
            self.init(
                Failure(
                    "Cannot open the data directory", place: "It is locked: \(error)",
                    advice: "Stop the other broker, or start this one with another --data.", exitCode: .tryAgain))
        case .corrupt:
            self.init(
                Failure(
                    "Refusing to serve damaged data in \(place)", place: "\(error)",
                    advice: "Nothing was changed. Run logstore-inspect verify, and restore the file from a copy.",
                    exitCode: .corruptData))
        // ENOSPC, which has the same number everywhere.
        case .diskFull, .indexFull, .file(_, _, errno: 28):
            self.init(
                Failure(
                    "Cannot start", place: "\(error)", advice: "Free some space on the disk.",
                    exitCode: .diskFull))
        case .diskFailed:
            self.init(
                Failure(
                    "The broker stopped", place: "\(error)", advice: "Check the disk and its free space.",
                    exitCode: .failed))
        default:
            self.init(
                Failure(
                    "Cannot open \(place)", place: "\(error)", advice: "See the log above for what happened first.",
                    exitCode: .failed))
        }
    }
}
