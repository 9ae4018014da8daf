// SPDX-License-Identifier: Apache-2.0
//
// StoreLog.swift
// What one simulated machine's store logs, for the trace.

internal import Logging
internal import Synchronization

/// Gathers log lines until somebody looks.
final class StoreLog: Sendable {
    private let lines = Mutex<[String]>([])

    /// Adds a line.
    func add(_ line: String) { lines.withLock { $0.append(line) } }

    /// The lines since the last look.
    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    /// A logger that writes here.
    var logger: Logger { Logger(label: "simulated") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: StoreLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let facts = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            log.add("\(event.message) " + facts.joined(separator: ", "))
        }
    }
}
