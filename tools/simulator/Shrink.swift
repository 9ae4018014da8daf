// SPDX-License-Identifier: Apache-2.0
//
// Shrink.swift
// Makes a failing run smaller: fewer classes of faults, fewer events.

internal import ArgumentParser
internal import Foundation
internal import Simulation

/// Shrinks a failing seed.
struct Shrink: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds the fewest fault classes and events with which a seed still fails.")
    @Option(help: "The seed.") var seed: UInt64
    @OptionGroup var choices: RunArguments

    func run() throws {
        var options = try choices.options(seed: seed)
        guard try fails(options.disabled, options.eventsMax) else {
            print("seed \(seed) does not fail")
            throw ExitCode(1)
        }
        for fault in Plan(options).faults.elements {
            if try fails(options.disabled.union(fault), options.eventsMax) { options.disabled.formUnion(fault) }
        }
        var (low, high) = (0, Plan(options).events)
        while high - low > max(1, high / 50) {
            let middle = (low + high) / 2
            if try fails(options.disabled, middle) { high = middle } else { low = middle }
        }
        let words = choices.words(disable: options.disabled, events: high)
        print("simulator --seed \(seed) " + words.joined(separator: " "))
        print("needs: \(Plan(options).faults.text)")
    }

    private func fails(_ disabled: Faults, _ events: Int?) throws -> Bool {
        let words = ["replay", "--quiet", "--seed", "\(seed)"] + choices.words(disable: disabled, events: events)
        return try Worker.run(words) { _ in }.status != 0
    }
}
