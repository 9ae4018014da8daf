// SPDX-License-Identifier: Apache-2.0
//
// WorkProgress.swift
// Waiting for what the cluster does by itself after it was told to.

import Model
import Terminal

/// Follows work with a line of progress on standard error until nothing of it is left.
struct WorkProgress {
    /// How much there was at the beginning.
    let total: Int
    /// How long to wait for it.
    let limitMilliseconds: Int64

    /// How much is left, how much that is of all, and when it may be done: what a line is made of.
    typealias Line = (_ left: Int, _ estimate: String) -> String

    /// Asks `left` four times a second until it says nil; returns how many nanoseconds that took.
    ///
    /// - Throws: what `late` makes of the rest when the time is up.
    func follow(
        _ line: Line, late: (_ left: Int) -> Failure, pause: (_ milliseconds: Int64) async -> Void,
        left: () async throws -> Int?
    ) async throws -> UInt64 {
        let clock = Clock.system
        let began = clock.now()
        let output = FileOutput.standardError
        var progress = ProgressLine(isTerminal: output.isTerminal, columns: output.columns, startedAt: began)
        while let rest = try await left() {
            let elapsed = clock.now().nanoseconds(since: began)
            let text = progress.update(now: clock.now()) {
                line(rest, ProgressLine.estimate(done: max(0, total - rest), total: total, elapsed: elapsed))
            }
            if let text { try output.write(text) }
            guard elapsed / 1_000_000 < UInt64(limitMilliseconds) else { throw late(rest) }
            await pause(250)
        }
        try output.write(progress.clear())
        return clock.now().nanoseconds(since: began)
    }
}
