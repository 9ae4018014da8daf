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
        discussion: """
            Works on a stopped broker's directory, on a copy, and on a running broker's directory, and never writes \
            to it. Goes on behind damage, and says on standard error what it left out. Values of records are hidden \
            unless --show-values or a format asks for them.

            Exit codes: 0 clean, 1 not a readable data directory, 21 damaged, 64 usage.
            """,
        subcommands: [
            Overview.self, Partitions.self, Segments.self, Batches.self, Records.self, Index.self, RaftState.self,
            ClusterMetadata.self, Verify.self, Compare.self,
        ])

    static func main() {
        ProcessUsage.ignoreBrokenPipes()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            try? FileOutput.standardError.write(failure.text(palette: .standardError))
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
    /// For tables: painted when a person looks, unless it was refused.
    static func standardOutput(noColour: Bool) -> Palette {
        Palette(
            isTerminal: FileOutput.standardOutput.isTerminal, noColourFlag: noColour,
            environment: ProcessInfo.processInfo.environment)
    }

    /// For errors and progress.
    static var standardError: Palette {
        Palette(
            isTerminal: FileOutput.standardError.isTerminal, noColourFlag: false,
            environment: ProcessInfo.processInfo.environment)
    }
}
