// SPDX-License-Identifier: Apache-2.0
//
// ConfigCommand.swift
// `goulette config`: what a broker would read here, and from where.

import ArgumentParser
import Settings
import Terminal

/// Everything about the configuration of a broker, without a broker.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show where a broker's settings come from, and what there is to set.",
        subcommands: [Explain.self, Sample.self])
}

extension ConfigCommand {
    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the places that set a key; the last one counts.",
            discussion: "Reads what `goulette start` would read: the file, conf.d beside it, and the environment.")

        @Argument(help: "The keys, as storage.directory; all that are set anywhere otherwise.")
        var keys: [String] = []

        @Option(help: "Configuration file (YAML).")
        var config: String?

        @OptionGroup var output: OutputOptions

        func run() throws {
            let settings = try SettingsSource(config: config).load()
            for key in keys where settings.entry(key) == nil {
                throw ValidationError("There is no key \(key); docs/reference/configuration.md lists all.")
            }
            let shown = keys.isEmpty ? Catalogue.all.map(\.name).filter { settings.explain($0).count > 1 } : keys
            var table = Table([.init("key"), .init("value"), .init("from")])
            for key in shown {
                for entry in settings.explain(key) {
                    table.add([TableCell(key), TableCell(entry.text), TableCell("\(entry.origin)")])
                }
            }
            try output.print(
                text: table.isEmpty ? "every key has its default\n" : table.text(palette: Palette(isEnabled: false)),
                json: .array(shown.map { Self.document($0, settings.explain($0)) }))
        }

        private static func document(_ key: String, _ layers: [ResolvedSettings.Entry]) -> JSONValue {
            .object([
                ("key", .string(key)), ("value", .optional(layers.last?.text)),
                (
                    "layers",
                    .array(layers.map { .object([("from", .string("\($0.origin)")), ("value", .string($0.text))]) })
                ),
            ])
        }
    }

    struct Sample: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a configuration file with every key at its default, commented out.")

        func run() throws { try FileOutput.standardOutput.write(Reference.sampleFile()) }
    }
}
