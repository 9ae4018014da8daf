// SPDX-License-Identifier: Apache-2.0
//
// LogRateLimit.swift
// Holds back messages that repeat: a pure value, the clock comes in.

import Logging
import Model

/// Lets the first lines of a message through in each window and counts the rest.
///
/// The count is told with the next line of that message, or alone when the window has passed and something else is
/// logged. Messages are constant text, so the text identifies the event.
public struct LogRateLimit: Sendable {
    /// What counts as the same message.
    public struct Key: Hashable, Sendable {
        let logger: String
        let message: String
        let level: Logger.Level
    }

    enum Verdict: Equatable, Sendable {
        case write
        /// Write, and say that so many were suppressed before.
        case writeAfter(suppressed: Int)
        case suppress
    }

    private struct Window {
        var start: Instant
        var written: Int
        var suppressed: Int
    }

    private let linesPerWindow: Int
    private let windowMilliseconds: Int64
    private let keysMax: Int
    private var windows: [Key: Window] = [:]
    private var lastSweep = Instant(nanoseconds: 0)

    /// Makes a limit of `linesPerWindow` lines of the same message in `windowMilliseconds`; it remembers at most
    /// `keysMax` messages.
    public init(linesPerWindow: Int = 20, windowMilliseconds: Int64 = 10_000, keysMax: Int = 1024) {
        precondition(linesPerWindow > 0 && windowMilliseconds > 0 && keysMax > 0, "a limit lets something through")
        self.linesPerWindow = linesPerWindow
        self.windowMilliseconds = windowMilliseconds
        self.keysMax = keysMax
    }

    mutating func admit(_ key: Key, at now: Instant) -> Verdict {
        guard var window = windows[key] else {
            // Full: rather write too much than lose a message that nobody has seen yet.
            if windows.count < keysMax { windows[key] = Window(start: now, written: 1, suppressed: 0) }
            return .write
        }
        defer { windows[key] = window }
        if now.milliseconds(since: window.start) >= windowMilliseconds {
            let suppressed = window.suppressed
            window = Window(start: now, written: 1, suppressed: 0)
            return suppressed == 0 ? .write : .writeAfter(suppressed: suppressed)
        }
        guard window.written < linesPerWindow else {
            window.suppressed += 1
            return .suppress
        }
        window.written += 1
        return .write
    }

    /// Forgets windows that have passed and returns those with suppressed lines; looks at most once per window.
    mutating func expired(at now: Instant) -> [(key: Key, count: Int)] {
        guard now.milliseconds(since: lastSweep) >= windowMilliseconds else { return [] }
        lastSweep = now
        var reports: [(key: Key, count: Int)] = []
        for (key, window) in windows where now.milliseconds(since: window.start) >= windowMilliseconds {
            windows[key] = nil
            if window.suppressed > 0 { reports.append((key, window.suppressed)) }
        }
        return reports
    }
}
