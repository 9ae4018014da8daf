// SPDX-License-Identifier: Apache-2.0
//
// ProgressLine.swift
// Decides when a progress line is due and what bytes draw it. Writes nothing itself.

public import Model

/// Progress on standard error: one line redrawn in place for a person, a plain line now and then for a file.
public struct ProgressLine: Sendable {
    private let isLive: Bool
    private let columns: Int
    private let interval: UInt64
    private var lastDrawn: Instant?
    private var isVisible = false

    /// A live line is redrawn at most five times a second; a plain line is printed every ten seconds.
    public init(isTerminal: Bool, columns: Int = 80, startedAt: Instant) {
        isLive = isTerminal
        self.columns = max(20, columns)
        interval = isTerminal ? 200_000_000 : 10_000_000_000
        lastDrawn = isTerminal ? nil : startedAt
    }

    /// The bytes to write now, or nil when it is too early.
    ///
    /// `text` is built only when it is due.
    public mutating func update(now: Instant, text: () -> String) -> String? {
        if let lastDrawn, now.nanoseconds(since: lastDrawn) < interval { return nil }
        lastDrawn = now
        guard isLive else { return text() + "\n" }
        isVisible = true
        return "\r\u{1B}[K" + text().truncated(toColumns: columns - 1)
    }

    /// The bytes that remove the live line before other output; empty when there is none.
    public mutating func clear() -> String {
        guard isVisible else { return "" }
        isVisible = false
        return "\r\u{1B}[K"
    }

    /// `done` of `total` as a percentage and the time that is left at the mean rate so far.
    public static func estimate(done: Int, total: Int, elapsed: UInt64) -> String {
        guard total > 0, done > 0 else { return "0%" }
        let share = min(100, done * 100 / total)
        guard done < total else { return "100%" }
        let left = UInt64(Double(elapsed) * Double(total - done) / Double(done))
        return "\(share)%, \(Humanised.duration(nanoseconds: left)) left"
    }
}
