// SPDX-License-Identifier: Apache-2.0
//
// Main.swift
// The simulator's command line: replay one seed, run many, shrink a failing one, prove that planted bugs are found.

internal import ArgumentParser
internal import Simulation

/// Runs simulated clusters.
@main
struct SimulatorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulator", abstract: "Runs the production consensus core of a whole cluster under faults.",
        subcommands: [Replay.self, Soak.self, Shrink.self, Mutations.self], defaultSubcommand: Replay.self)
}

extension StorageKind: ExpressibleByArgument {}

/// What decides a run.
struct RunArguments: ParsableArguments {
    @Option(help: "Fault classes to switch off, separated by commas.") var disable: String = ""
    @Option(help: "The most events before the faults stop.") var events: Int?
    @Option(help: "A deliberate bug to plant.") var mutation: String?
    @Option(help: "What keeps the logs: model, or production, the real store on simulated disks.")
    var storage = StorageKind.model
    @Flag(help: "Count everything that happens by its kind.") var coverage = false

    func options(seed: UInt64) throws -> Options {
        var options = Options(seed: seed)
        guard let disabled = Faults(parsing: disable) else {
            throw ValidationError("unknown fault class; known: \(Faults.all.text)")
        }
        options.disabled = disabled
        options.eventsMax = events
        options.storage = storage
        options.countsCoverage = coverage
        if let mutation {
            guard let known = Mutation.named(mutation) else {
                throw ValidationError("unknown or unavailable bug; known: \(Mutation.all.map(\.name))")
            }
            options.mutation = known
            if known.storage != .model { options.storage = known.storage }
        }
        return options
    }

    /// The same choices as words of a command line.
    func words(disable: Faults? = nil, events: Int? = nil) -> [String] {
        var words: [String] = []
        let off = disable?.text ?? self.disable
        if !off.isEmpty { words += ["--disable", off] }
        if let events = events ?? self.events { words += ["--events", "\(events)"] }
        if let mutation { words += ["--mutation", mutation] }
        if storage != .model { words += ["--storage", storage.rawValue] }
        if coverage { words.append("--coverage") }
        return words
    }
}

/// Replays one seed; standard output is the same for the same arguments.
struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Replays one seed, step by step.")
    @Option(help: "The seed.") var seed: UInt64
    @Flag(help: "Print the summary only.") var quiet = false
    @OptionGroup var choices: RunArguments

    func run() throws {
        let options = try choices.options(seed: seed)
        let outcome = World(options, trace: quiet ? nil : { print($0) }).run()
        print("seed \(seed): \(outcome.statistics.text)")
        print("seed \(seed): digest \(String(outcome.digest, radix: 16))")
        if let violation = outcome.violation {
            print("seed \(seed): FAILED at \(violation.time): \(violation.text)")
            throw ExitCode(1)
        }
        print("seed \(seed): all rules held")
    }
}
