// SPDX-License-Identifier: Apache-2.0
//
// LogTests.swift
// Levels, formats and the rate limit of the log.

import Foundation
import Logging
import Model
import Synchronization
import Telemetry
import Testing

/// Collects lines.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    func append(_ line: String) { lines.withLock { $0.append(line) } }
    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }; return lines
        }
    }
}

@Suite struct LogTests {
    private let lines = Lines()
    private let clock = ManualClock(wallMilliseconds: 1_700_000_000_123)

    private func system(_ format: LogFormat, rateLimit: LogRateLimit = LogRateLimit()) -> LogSystem {
        LogSystem(
            format: format, node: NodeID(rawValue: 7), rateLimit: rateLimit, clock: clock.clock,
            write: { [lines] in lines.append($0) })
    }

    @Test func jsonLine() throws {
        var logger = system(.json).logger("goulette.store")
        logger[metadataKey: "topic"] = "a\"b\n\u{1}"
        logger.info("opened", metadata: ["level": "x", "list": ["1", ["k": "v"]], "n": "\(3)"])
        #expect(
            lines.take() == [
                #"{"ts":"2023-11-14T22:13:20.123Z","level":"info","logger":"goulette.store","msg":"opened","node":"7","#
                    + #""_level":"x","list":["1",{"k":"v"}],"n":"3","topic":"a\"b\n\u0001"}"# + "\n"
            ])
    }

    @Test func textLine() {
        let logger = system(.text).logger("goulette.store")
        logger.warning("slow disk", metadata: ["peer": "1.2.3.4:5", "why": "two words\u{1B}[2J", "empty": ""])
        #expect(
            lines.take() == [
                "2023-11-14T22:13:20.123Z WARNING  goulette.store  slow disk empty=\"\" peer=1.2.3.4:5 "
                    + "why=\"two words\\u001b[2J\"\n"
            ])
    }

    @Test func automaticIsJSONWithoutATerminal() {
        system(.automatic).logger("x").error("e")
        #expect(lines.take().first?.hasPrefix("{\"ts\":") == true)
    }

    @Test func levelsChangeWhileLoggersLive() {
        let log = system(.json)
        let journal = log.logger("goulette.store.journal")
        let raft = log.logger("goulette.raft")
        journal.debug("no")
        log.setLevel(.debug, for: "goulette.store")
        journal.debug("yes")
        raft.debug("no")
        #expect(lines.take().count == 1)
        log.setLevel(.error)
        raft.warning("no")
        journal.debug("still")
        #expect(lines.take().count == 1)
    }

    @Test func levelOfACopyWins() {
        let log = system(.json)
        var logger = log.logger("a")
        logger.logLevel = .trace
        log.setLevel(.critical)
        logger.trace("yes")
        #expect(lines.take().count == 1)
    }

    @Test func repeatedMessagesAreHeldBack() {
        let log = system(.text, rateLimit: LogRateLimit(linesPerWindow: 2, windowMilliseconds: 1000))
        let registry = MetricRegistry()
        log.register(in: registry)
        let logger = log.logger("a")
        for _ in 0..<5 { logger.info("same", metadata: ["x": "1"]) }
        logger.info("other")
        #expect(lines.take().count == 3)
        clock.advance(milliseconds: 1000)
        logger.info("same")
        #expect(lines.take().map { $0.hasSuffix("same suppressed=3\n") } == [true])
        for _ in 0..<4 { logger.info("same") }
        _ = lines.take()
        clock.advance(milliseconds: 2000)
        logger.info("later")
        #expect(lines.take().first?.hasSuffix("same suppressed=3\n") == true)
        #expect(registry.prometheusText().contains("goulette_log_messages_suppressed_total 6\n"))
    }
}
