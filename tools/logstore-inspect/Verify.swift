// SPDX-License-Identifier: Apache-2.0
//
// Verify.swift
// Reads every frame of every partition, the journal and the index, and reports each damaged place.

import ArgumentParser
import Foundation
import LogStore
import Model
import Terminal

/// The command `verify`.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check every checksum, chain, batch, footer and index; exit 0 clean, 21 damaged.",
        discussion: """
            Checks each frame's header, payload, batches and place in the chain; footers; pointers, offset and time \
            index, terms and producer state against the frames; terms and votes; the logs of the controller and the \
            coordinator; the journal; and files that belong to nothing. Warnings are not damage: the next start of a \
            broker puts right what they tell of.
            """)
    @OptionGroup var options: DirectoryOptions

    @Flag(help: "Check headers, chains, footers and indices only; payloads are not read.")
    var fast = false

    @Option(name: .customLong("partition"), help: "Only TOPIC/PARTITION, controller or coordinator; may be repeated.")
    var partitions: [String] = []

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let total = try options.reading { () throws(StoreError) in try reader.census().files.segments.bytes }
        for name in partitions
        where try options.reading({ () throws(StoreError) in try reader.group(named: name) }) == nil {
            throw Failure(
                "no such group", place: "\(options.directory): \(name)",
                advice: "List them with: logstore-inspect raft \(options.directory)")
        }
        let meter = ProgressMeter(total: total)
        let wanted = partitions
        let result = try options.reading { () throws(StoreError) in
            try reader.verify(
                fast ? .headers : .records,
                only: wanted.isEmpty ? nil : { wanted.contains($0.name) || wanted.contains("\($0.id.rawValue)") }
            ) { meter.update($0) }
        }
        meter.clear()
        try FileOutput.standardOutput.write(options.json ? json(result) : text(result))
        if !result.findings.isClean { Foundation.exit(Terminal.ExitCode.corruptData.rawValue) }
    }

    private func text(_ result: Verification) -> String {
        let palette = options.palette
        let findings = result.findings
        var text = findings.damage.map { $0.text(palette) }.joined()
        if findings.unlistedDamage > 0 { text += "         and \(findings.unlistedDamage) more damaged places\n" }
        // Files that were used again have such bytes at their end; they say nothing about this log.
        text += findings.skipped.filter { $0.kind != .formerLife }.map { $0.text(palette) }.joined()
        text += findings.warnings.map { $0.text(palette) }.joined()
        if !text.isEmpty { text += "\n" }
        var verdict = palette.paint("clean", as: .healthy)
        if !findings.isClean {
            verdict = palette.paint("\(Humanised.count(findings.damageCount)) damaged", as: .failed)
        }
        let depth = fast ? ", payloads not read" : ""
        return text + "\(Humanised.count(result.partitions)) partitions, \(result.commandLogs) state machines, "
            + "\(Humanised.count(findings.frames)) frames, \(Humanised.size(findings.bytes))\(depth): \(verdict)\n"
    }

    private func json(_ result: Verification) -> String {
        let findings = result.findings
        return JSONValue.object([
            ("clean", .boolean(findings.isClean)), ("depth", .string(fast ? "headers" : "records")),
            ("partitions", .integer(result.partitions)), ("stateMachines", .integer(result.commandLogs)),
            ("frames", .integer(findings.frames)), ("bytes", .integer(findings.bytes)),
            ("damaged", .integer(findings.damageCount)), ("damage", .array(findings.damage.map(\.json))),
            ("skipped", .array(findings.skipped.map(\.json))), ("warnings", .array(findings.warnings.map(\.json))),
        ]).indented + "\n"
    }
}

/// Shows on standard error how far a long look is.
final class ProgressMeter {
    private var line: ProgressLine
    private let total: Int
    private let started: Instant
    private let isTerminal = FileOutput.standardError.isTerminal

    init(total: Int) {
        self.total = total
        started = Clock.system.now()
        line = ProgressLine(
            isTerminal: isTerminal, columns: FileOutput.standardError.columns, startedAt: started)
    }

    func update(_ state: VerificationProgress) {
        guard isTerminal else { return }
        let now = Clock.system.now()
        let due = line.update(now: now) {
            let elapsed = now.nanoseconds(since: started)
            let estimate = ProgressLine.estimate(done: state.bytes, total: max(total, state.bytes), elapsed: elapsed)
            return "\(state.groupsDone) of \(state.groups) groups, \(Humanised.size(state.bytes)), \(estimate)  "
                + state.group.printable
        }
        if let due { try? FileOutput.standardError.write(due) }
    }

    func clear() { try? FileOutput.standardError.write(line.clear()) }
}
