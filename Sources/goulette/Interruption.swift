// SPDX-License-Identifier: Apache-2.0
//
// Interruption.swift
// Control-C as something a command can look at, so that it can finish its line, commit and leave.

import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Notices the first SIGINT or SIGTERM.
///
/// The second ends the process at once, and so do five seconds without an end.
final class Interruption {
    /// What the queue of the signals and the command share.
    private final class Counter: Sendable {
        let signals = Atomic<Int>(0)
    }

    private static let graceSeconds = 5

    private let counter = Counter()
    private let sources: [any DispatchSourceSignal]

    init() {
        // The sources keep running while this object lives.
        let counter = counter
        sources = [SIGINT, SIGTERM].map { number in
            _ = signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if counter.signals.add(1, ordering: .relaxed).newValue > 1 { exit(130) }
                DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Self.graceSeconds)) { exit(130) }
            }
            source.resume()
            return source
        }
    }

    /// Whether a signal has come.
    var happened: Bool { counter.signals.load(ordering: .relaxed) > 0 }
}
