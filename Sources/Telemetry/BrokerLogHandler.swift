// SPDX-License-Identifier: Apache-2.0
//
// BrokerLogHandler.swift
// The handler behind each logger: its name, its metadata, its level.

import Logging

/// Hands what passes the level to the process's ``LogSystem``.
///
/// Cost of a message below the level: one atomic load.
struct BrokerLogHandler: LogHandler {
    let label: String
    let system: LogSystem
    let cell: LogLevels.Cell
    /// Set when a copy of the logger was given a level of its own; wins over the run-time level.
    var override: Logger.Level?
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String, system: LogSystem) {
        self.label = label
        self.system = system
        self.cell = system.levels.cell(for: label)
    }

    var logLevel: Logger.Level {
        get { override ?? cell.level }
        set { override = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        var fields = all.sorted { $0.key < $1.key }.map { (name: $0.key, value: LogLine.Value($0.value)) }
        if let error = event.error { fields.append(("error", .text("\(error)"))) }
        system.emit(
            LogLine(level: event.level, logger: label, message: event.message.description, fields: fields))
    }
}
