// SPDX-License-Identifier: Apache-2.0
//
// Soak.swift
// Many seeds, in worker processes: a failed precondition of the core ends a worker, which counts as a failure of its
// seed.

internal import ArgumentParser
internal import Foundation
internal import Simulation

/// Runs a range of seeds.
struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs many seeds; prints each that fails, and how much was done.")
    @Option(help: "The first seed; drawn when not given.") var from: UInt64?
    @Option(help: "The number of seeds.") var count: UInt64 = 1_000
    @Option(help: "Stop after this many seconds of real time.") var seconds: Double?
    @Option(help: "Stop after this many failures.") var failures = 10
    @Flag(help: .hidden) var worker = false
    @OptionGroup var choices: RunArguments

    func run() throws {
        let first = from ?? UInt64.random(in: 1...UInt64(UInt32.max))
        if worker {
            try work(first)
            return
        }
        print("seeds \(first)...\(first + count - 1)")
        let begin = Date()
        let deadline = seconds.map { begin.addingTimeInterval($0) }
        var next = first
        var failed = 0
        while next < first + count, failed < failures {
            let left = deadline?.timeIntervalSinceNow
            if let left, left <= 0 { break }
            var words =
                ["soak", "--worker", "--from", "\(next)", "--count", "\(first + count - next)"] + choices.words()
            if let left { words += ["--seconds", "\(left)"] }
            let result = try Worker.run(words) { line in if !line.hasPrefix("@") { say(line) } }
            guard let seed = result.lastSeed else { break }
            next = seed + 1
            if result.status == 0 { break }
            failed += 1
            if result.status != 1 { say("seed \(seed): FAILED: \(result.trap)") }
        }
        let elapsed = Date().timeIntervalSince(begin)
        print("\(next - first) seeds in \(Int(elapsed)) s, \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }

    /// Runs seeds in this process until one fails.
    private func work(_ first: UInt64) throws {
        let begin = Date()
        var total = Statistics()
        var done = 0
        for seed in first..<first + count {
            if let seconds, Date().timeIntervalSince(begin) > seconds { break }
            // Unbuffered: the parent must know the seed when this process dies.
            FileHandle.standardOutput.write(Data("@\(seed)\n".utf8))
            let outcome = World(try choices.options(seed: seed)).run()
            total.add(outcome.statistics)
            done += 1
            if let violation = outcome.violation {
                print("seed \(seed): FAILED at \(violation.time): \(violation.text)")
                throw ExitCode(1)
            }
        }
        let elapsed = Date().timeIntervalSince(begin)
        print("\(done) seeds: \(total.text); \(Int(Double(total.events) / elapsed)) events/s")
        print("\(done) seeds: \(total.time / 3_600_000_000) simulated hours")
        if choices.coverage { report(total) }
    }

    /// Prints how often each thing was reached that can be.
    private func report(_ total: Statistics) {
        let expected = Coverage.expected(choices.storage)
        for name in expected { print("\(total.coverage[name] ?? 0)\t\(name)") }
        for (name, count) in total.coverage.sorted(by: { $0.key < $1.key }) where !expected.contains(name) {
            print("\(count)\t\(name)")
        }
        let missed = expected.filter { total.coverage[$0] == nil }
        print("reached \(expected.count - missed.count) of \(expected.count)")
        if !missed.isEmpty { print("never: " + missed.joined(separator: "; ")) }
    }
}

/// Prints at once: a search takes a while, and its first results are worth having.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// A child process of the simulator.
enum Worker {
    /// How a child ended: its status (1: a rule was broken, other: it died), the seed it was at, its last words.
    struct Result {
        var status: Int32 = 0
        var lastSeed: UInt64?
        var trap = ""
    }

    /// Runs this executable with other arguments and gives each line it prints to `take`.
    static func run(_ words: [String], _ take: (String) -> Void) throws -> Result {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = words
        var environment = ProcessInfo.processInfo.environment
        environment["SWIFT_BACKTRACE"] = "enable=no"
        process.environment = environment
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        var result = Result()
        var rest = Data()
        while true {
            let chunk = output.fileHandleForReading.availableData
            if chunk.isEmpty { break }
            rest.append(chunk)
            while let end = rest.firstIndex(of: 10) {
                let line = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
                rest.removeSubrange(rest.startIndex...end)
                if line.hasPrefix("@") { result.lastSeed = UInt64(line.dropFirst()) }
                take(line)
            }
        }
        let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        result.status = process.terminationReason == .exit ? process.terminationStatus : 100
        result.trap = words.split(separator: "\n").first.map(String.init) ?? "no message"
        return result
    }
}
