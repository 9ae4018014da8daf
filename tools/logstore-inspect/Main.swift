// SPDX-License-Identifier: Apache-2.0
//
// Main.swift
// The inspector: looks into a data directory, also a running broker's, and never writes to it. Decodes as much as it can
// when bytes are damaged, and says what it left out.

import ArgumentParser
import Foundation
import LogStore
import Terminal

/// The root command.
@main struct LogStoreInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logstore-inspect",
        abstract: "Look into a goulette data directory without changing it.",
        discussion: "Works on a stopped broker's directory, on a copy, and on a running broker's directory.\n"
            + "Exit codes: 0 clean, 1 not a data directory, 21 damaged, 64 usage.",
        subcommands: [
            Overview.self, Partitions.self, Batches.self, Records.self, Index.self, RaftEntries.self, Verify.self,
        ])

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            try? FileOutput.standardError.write(failure.text(palette: .plain))
            Foundation.exit(failure.exitCode.rawValue)
        } catch OutputError.closed {
            // Whoever read our output has seen enough.
            Foundation.exit(0)
        } catch {
            exit(withError: error)
        }
    }
}

extension Palette {
    /// Without colours.
    static var plain: Palette { Palette(isTerminal: false, noColourFlag: true, environment: [:]) }
}

/// The directory, and how to print.
struct DirectoryOptions: ParsableArguments {
    @Argument(help: "The data directory.")
    var directory: String

    @Flag(help: "Print JSON.")
    var json = false

    /// Opens the directory; an unusable one is a failure with its exit code.
    func open() throws -> StoreReader {
        do throws(StoreError) {
            return try StoreReader(directory, scratch: NSTemporaryDirectory())
        } catch {
            throw Self.failure(error, directory)
        }
    }

    /// Runs `body` and turns the store's errors into failures.
    func reading<Value>(_ body: () throws(StoreError) -> Value) throws -> Value {
        do throws(StoreError) {
            return try body()
        } catch {
            throw Self.failure(error, directory)
        }
    }

    private static func failure(_ error: StoreError, _ directory: String) -> Failure {
        if case .corrupt = error {
            return Failure(
                "the data is damaged", place: "\(error)", advice: "Restore the file from a copy.",
                exitCode: .corruptData)
        }
        return Failure(
            "cannot read the data directory", place: "\(directory): \(error)", advice: "Name the directory of a broker."
        )
    }

    /// Prints a table, or the rows as a JSON array.
    func show(_ rows: [[(String, JSONValue)]], columns: [Table.Column]) throws {
        if json {
            return try FileOutput.standardOutput.write(JSONValue.array(rows.map { .object($0) }).indented + "\n")
        }
        var table = Table(columns)
        for row in rows { table.add(row.map { TableCell($0.1.plain) }) }
        try FileOutput.standardOutput.write(table.text(palette: .plain))
    }
}

/// The partition to look at.
struct PartitionOption: ParsableArguments {
    @Argument(help: "TOPIC/PARTITION")
    var partition: String

    /// The partition's group.
    func group(_ reader: StoreReader, _ options: DirectoryOptions) throws -> InspectedGroup {
        for id in try options.reading({ () throws(StoreError) in try reader.groupIDs() }) {
            let group = try options.reading { () throws(StoreError) in try reader.group(id) }
            if let group, group.name == partition { return group }
        }
        throw Failure(
            "no such partition", place: "\(options.directory): \(partition)",
            advice: "List them with: logstore-inspect partitions \(options.directory)")
    }
}

extension JSONValue {
    /// The value as a table shows it.
    var plain: String {
        switch self {
        case .string(let text): text
        case .null: "-"
        default: line
        }
    }
}
