// SPDX-License-Identifier: Apache-2.0
//
// Mutations.swift
// Plants every bug and counts the seeds until it is found.

internal import ArgumentParser
internal import Foundation
internal import Simulation

/// Plants bugs.
struct Mutations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plants each deliberate bug and reports how many seeds it takes to find it.")
    @Option(help: "The first seed.") var from: UInt64 = 1
    @Option(help: "The most seeds for each bug.") var budget: UInt64 = 2_000
    @Option(help: "Only this bug.") var only: String?

    func run() throws {
        var survivors = 0
        for mutation in Mutation.all where only == nil || mutation.name == only {
            let words = [
                "soak", "--worker", "--from", "\(from)", "--count", "\(budget)", "--mutation", mutation.name,
            ]
            var reason = ""
            let result = try Worker.run(words) { line in if line.contains("FAILED") { reason = line } }
            guard result.status != 0, let seed = result.lastSeed else {
                survivors += 1
                say("\(mutation.name): NOT FOUND in \(budget) seeds")
                continue
            }
            if result.status != 1 { reason = "seed \(seed): " + result.trap }
            say("\(mutation.name): \(seed - from + 1) seeds; \(reason)")
        }
        if survivors > 0 { throw ExitCode(1) }
    }
}
