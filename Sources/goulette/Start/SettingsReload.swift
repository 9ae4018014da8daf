// SPDX-License-Identifier: Apache-2.0
//
// SettingsReload.swift
// SIGHUP: the configuration is read again, and what a running broker can take over of it takes effect.

import Logging
import Settings
import Synchronization
import UnixSignals

/// Reads the configuration again whenever the process is told to.
///
/// A configuration with a problem changes nothing.
final class SettingsReload: Sendable {
    private let source: SettingsSource
    private let logger: Logger
    /// What the broker runs with.
    private let current: Mutex<ResolvedSettings>

    init(_ current: ResolvedSettings, logger: Logger, source: SettingsSource) {
        self.source = source
        self.logger = logger
        self.current = Mutex(current)
    }

    /// Reads it again for each of `signals`; `adopt` gets settings that differ from those before in live keys only.
    func run(on signals: UnixSignalsSequence, adopt: (ResolvedSettings) -> Void) async {
        for await _ in signals { reload(adopt) }
    }

    private func reload(_ adopt: (ResolvedSettings) -> Void) {
        do throws(SettingsError) {
            let before = current.withLock { $0 }
            let wanted = try source.read()
            let adopted = try before.adopting(wanted)
            current.withLock { $0 = adopted }
            adopt(adopted)
            logger.info(
                "Configuration read again",
                metadata: [
                    "changed": "\(Self.text(adopted.changes(since: before)))",
                    "after_restart": "\(Self.text(wanted.changes(since: adopted)))",
                ])
        } catch {
            logger.error("The configuration is wrong; nothing was changed", metadata: ["problems": "\(error)"])
        }
    }

    private static func text(_ changes: [ResolvedSettings.Change]) -> String {
        changes.map { "\($0.name): \($0.old) -> \($0.new)" }.joined(separator: ", ")
    }
}
