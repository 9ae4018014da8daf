// SPDX-License-Identifier: Apache-2.0
//
// Main.swift
// The one program: broker and command line. Turns every way to end into an exit code.

import ArgumentParser
import Records
import Terminal

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The root command.
@main struct Goulette: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "goulette",
        abstract: "A log broker that speaks Kafka, and the tools to use it.",
        discussion: """
            Exit codes: 0 done, 1 refused or failed, 2 partly done, 10 unhealthy, 64 usage, 69 cluster unreachable, \
            75 try again, 77 not authorised, 130 interrupted.
            """,
        subcommands: [
            StartCommand.self, TopicCommand.self, ProduceCommand.self, ConsumeCommand.self, GroupCommand.self,
            TransactionCommand.self, BenchCommand.self, ClusterCommand.self, PartitionCommand.self, BrokerCommand.self,
            LogCommand.self,
            ConfigCommand.self, DevClusterCommand.self,
        ])

    static func main() async {
        AllocatorTuning.apply()
        ProcessUsage.ignoreBrokenPipes()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            report(failure)
        } catch OutputError.closed {
            // Whoever read our output has seen enough.
            endProcess(.done)
        } catch {
            exit(withError: error)
        }
    }

    /// Prints a failure on standard error, as JSON when the command line asks for JSON, and ends the process.
    private static func report(_ failure: Failure) -> Never {
        let output = FileOutput.standardError
        let arguments = CommandLine.arguments
        let wantsJSON =
            arguments.contains("--json") || arguments.contains("--output=json") || arguments.contains("-ojson")
            || zip(arguments, arguments.dropFirst()).contains { ["-o", "--output"].contains($0) && $1 == "json" }
        let palette = Palette(
            isTerminal: output.isTerminal, noColourFlag: arguments.contains("--no-color"), environment: .terminal)
        let isVerbose = arguments.contains("-v") || arguments.contains("--verbose")
        let text = wantsJSON ? failure.json.line + "\n" : failure.text(palette: palette, verbose: isVerbose)
        // There is nobody left to tell when standard error is gone.
        try? output.write(text)
        endProcess(failure.exitCode)
    }
}

/// Ends the process with a documented status.
func endProcess(_ code: Terminal.ExitCode) -> Never { exit(code.rawValue) }

extension [String: String] {
    /// The variables that decide about colour.
    static var terminal: [String: String] {
        var variables: [String: String] = [:]
        for name in ["NO_COLOR", "TERM"] { variables[name] = ProcessUsage.environmentVariable(name) }
        return variables
    }
}
