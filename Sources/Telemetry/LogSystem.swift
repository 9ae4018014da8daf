// SPDX-License-Identifier: Apache-2.0
//
// LogSystem.swift
// Where log lines go, how they look, and which are written.

public import Logging
public import Model
import Synchronization

/// How log lines look.
public enum LogFormat: String, Sendable, CaseIterable {
    /// Text when standard error is a terminal, JSON otherwise.
    case automatic = "auto"
    /// One line for people.
    case text
    /// One JSON object a line, for machines.
    case json
}

/// The process's log: makes the handlers of all loggers and holds what they share.
///
/// Levels can be changed while the process runs, for one logger or for all below a name (`goulette.store` covers
/// `goulette.store.journal`). A message that repeats too often is held back and later reported with the number of
/// lines that were suppressed; see ``LogRateLimit``.
public final class LogSystem: Sendable {
    let style: LogLineStyle
    let levels: LogLevels
    private let node: String?
    private let clock: Clock
    private let rateLimit: Mutex<LogRateLimit>
    private let suppressed = Counter()
    private let written: [Counter]
    private let write: @Sendable (String) -> Void

    /// Makes a log that writes to standard error unless `write` says otherwise.
    ///
    /// `write` gets whole lines, with their line feed, from any thread.
    public init(
        format: LogFormat = .automatic, level: Logger.Level = .info, node: NodeID? = nil,
        rateLimit: LogRateLimit = LogRateLimit(), clock: Clock = .system,
        write: (@Sendable (String) -> Void)? = nil
    ) {
        let terminal = write == nil && LogDescriptor.errorIsTerminal
        switch format {
        case .json: style = .json
        case .text: style = .text(coloured: terminal)
        case .automatic: style = terminal ? .text(coloured: true) : .json
        }
        self.levels = LogLevels(root: level)
        self.node = node.map(\.description)
        self.clock = clock
        self.rateLimit = Mutex(rateLimit)
        self.written = Logger.Level.allCases.map { _ in Counter() }
        self.write = write ?? { LogDescriptor.writeToStandardError($0) }
    }

    /// A logger named `label`, such as `goulette.store`.
    public func logger(_ label: String) -> Logger {
        Logger(label: label) { self.handler($0) }
    }

    /// Makes this the log of every `Logger(label:)` of the process.
    ///
    /// Once per process.
    public func bootstrap() {
        LoggingSystem.bootstrap { self.handler($0) }
    }

    /// Sets the level of `name` and of all loggers below it that have no level of their own; an empty name means all.
    public func setLevel(_ level: Logger.Level, for name: String = "") { levels.set(level, for: name) }

    /// The level that a logger named `name` has now.
    public func level(of name: String) -> Logger.Level { levels.cell(for: name).level }

    /// Registers how many lines were written by level, and how many were suppressed.
    public func register(in registry: MetricRegistry) {
        for (level, counter) in zip(Logger.Level.allCases, written) {
            registry.counter(
                "goulette_log_messages_total", help: "Log lines written, by level.",
                labels: ["level": level.rawValue]
            ) { Double(counter.value) }
        }
        let suppressed = self.suppressed
        registry.counter(
            "goulette_log_messages_suppressed_total", help: "Log lines held back because their message repeated."
        ) { Double(suppressed.value) }
    }

    // MARK: For handlers

    func handler(_ label: String) -> any LogHandler {
        BrokerLogHandler(label: label, system: self)
    }

    func emit(_ line: LogLine) {
        let now = clock.now()
        // Debug and trace are asked for by name when someone looks for something: they are never held back.
        guard line.level >= .info else {
            output(line)
            return
        }
        let key = LogRateLimit.Key(logger: line.logger, message: line.message, level: line.level)
        let (verdict, reports) = rateLimit.withLock { limit in
            (limit.admit(key, at: now), limit.expired(at: now))
        }
        for report in reports {
            output(
                LogLine(
                    level: report.key.level, logger: report.key.logger, message: report.key.message,
                    fields: [("suppressed", "\(report.count)")]))
        }
        switch verdict {
        case .write: output(line)
        case .writeAfter(let count):
            var line = line
            line.fields.append(("suppressed", "\(count)"))
            output(line)
        case .suppress: suppressed.increment()
        }
    }

    private func output(_ line: LogLine) {
        if let index = Logger.Level.allCases.firstIndex(of: line.level) { written[index].increment() }
        write(style.render(line, at: clock.wallTime(), node: node))
    }
}
