// SPDX-License-Identifier: Apache-2.0
//
// BenchReport.swift
// The result of a benchmark as a screen of text or one JSON object, with the command that repeats it.

import Model
import Terminal

/// What a benchmark found out.
struct BenchReport {
    /// One distribution of latencies.
    struct Latency {
        let name: String
        let histogram: LatencyHistogram
    }

    private static let percentiles: [(name: String, percent: Double)] = [
        ("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99), ("p999", 99.9),
    ]

    let kind: String
    let topic: String
    var parameters: [(name: String, value: String)] = []
    var records = 0
    var failed = 0
    var payloadBytes = 0
    var wireBytes = 0
    var seconds = 0.0
    var latencies: [Latency] = []
    /// Records a second of each client.
    var clientRates: [Double] = []
    var usageBefore: ProcessUsage
    var usageAfter: ProcessUsage
    var notes: [String] = []
    /// The verdict of a check, when there was one.
    var verification: Verification?

    private var cpuSeconds: Double { Double(usageAfter.cpuNanoseconds - usageBefore.cpuNanoseconds) / 1e9 }
    private var recordsPerSecond: Double { seconds > 0 ? Double(records) / seconds : 0 }
    private var bytesPerSecond: Double { seconds > 0 ? Double(payloadBytes) / seconds : 0 }

    // MARK: Text

    /// The report for a person.
    func text(palette: Palette) -> String {
        var facts = FactList()
        facts.add("benchmark", TableCell("\(kind) \(topic)"))
        for parameter in parameters { facts.add(parameter.name, TableCell(parameter.value)) }
        var results = FactList()
        let failures = failed > 0 ? ", \(Humanised.count(failed)) failed" : ""
        results.add("records", TableCell(Humanised.count(records) + failures, state: failed > 0 ? .failed : nil))
        results.add("time", TableCell("\(Humanised.decimal(seconds, places: 3)) s"))
        results.add(
            "rate",
            TableCell(
                "\(Humanised.count(Int(recordsPerSecond))) records/s, \(Humanised.megabytes(perSecond: bytesPerSecond))"
            ))
        if wireBytes > 0 {
            let ratio = Humanised.decimal(Double(payloadBytes) / Double(wireBytes), places: 2)
            results.add(
                "batches", TableCell("\(Humanised.size(wireBytes)) on the wire, \(ratio) payload bytes for each"))
        }
        if clientRates.count > 1 { results.add("clients", TableCell(spread)) }
        let processor = "\(Humanised.decimal(cpuSeconds, places: 2)) CPU s"
        results.add("this client", TableCell("\(processor), \(Humanised.size(usageAfter.residentBytesMax)) memory"))
        if let verification {
            let state: StateColour = verification.isGood ? .healthy : .failed
            results.add("verified", TableCell(verification.sentence, state: state))
        }
        var text = facts.text(palette: palette) + "\n" + results.text(palette: palette)
        if !latencies.isEmpty { text += "\n" + latencyText(palette) }
        for note in notes { text += "\n" + note + "\n" }
        return text + "\nrepeat with: \(Self.commandLine)\n"
    }

    private func latencyText(_ palette: Palette) -> String {
        var table = Table(
            [.init("latency")] + Self.percentiles.map { .init($0.name == "p999" ? "p99.9" : $0.name, .right) }
                + [.init("max", .right), .init("mean", .right)])
        for latency in latencies {
            let histogram = latency.histogram
            let values =
                Self.percentiles.map { histogram.percentile($0.percent) } + [histogram.maximum, histogram.mean]
            table.add([TableCell(latency.name)] + values.map { TableCell(Humanised.duration(nanoseconds: $0)) })
        }
        let shapes = latencies.map { latency in
            let low = Humanised.duration(nanoseconds: latency.histogram.minimum)
            let high = Humanised.duration(nanoseconds: latency.histogram.percentile(99.9))
            return "\(latency.name) \(low) \(latency.histogram.sparkline()) \(high)\n"
        }
        return table.text(palette: palette) + "\n" + shapes.joined()
    }

    /// How evenly the clients worked.
    private var spread: String {
        let mean = clientRates.reduce(0, +) / Double(clientRates.count)
        let variance = clientRates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(clientRates.count)
        let figures = [clientRates.min() ?? 0, mean, clientRates.max() ?? 0, variance.squareRoot()].map {
            Humanised.count(Int($0))
        }
        return "\(clientRates.count): min \(figures[0]), mean \(figures[1]), max \(figures[2]), "
            + "deviation \(figures[3]) records/s"
    }

    // MARK: JSON

    /// The report for a program; exact numbers.
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("benchmark", .string(kind)), ("topic", .string(topic)),
            ("parameters", .object(parameters.map { ($0.name, .string($0.value)) })),
            ("records", .integer(records)), ("failed", .integer(failed)), ("payloadBytes", .integer(payloadBytes)),
            ("wireBytes", .integer(wireBytes)), ("seconds", .number(seconds)),
            ("recordsPerSecond", .number(recordsPerSecond)), ("bytesPerSecond", .number(bytesPerSecond)),
            ("clientRecordsPerSecond", .array(clientRates.map { .number($0) })),
            ("clientCPUSeconds", .number(cpuSeconds)),
            ("clientResidentBytesMax", .integer(usageAfter.residentBytesMax)),
        ]
        for latency in latencies {
            let histogram = latency.histogram
            var values = Self.percentiles.map { percentile -> (String, JSONValue) in
                (percentile.name + "Nanoseconds", .integer(Int64(clamping: histogram.percentile(percentile.percent))))
            }
            values.append(("maxNanoseconds", .integer(Int64(clamping: histogram.maximum))))
            values.append(("meanNanoseconds", .integer(Int64(clamping: histogram.mean))))
            values.append(("count", .integer(Int64(clamping: histogram.count))))
            members.append((latency.name + "Latency", .object(values)))
        }
        if let verification {
            members.append(
                (
                    "verification",
                    .object([
                        ("missing", .integer(verification.missing)), ("duplicated", .integer(verification.duplicated)),
                        ("disordered", .integer(verification.disordered)),
                    ])
                ))
        }
        members.append(("command", .string(Self.commandLine)))
        return .object(members)
    }

    private static var commandLine: String {
        let arguments = CommandLine.arguments.dropFirst().map { argument in
            argument.contains { " '\"$\\".contains($0) } ? "'\(argument)'" : argument
        }
        return (["goulette"] + arguments).joined(separator: " ")
    }
}

/// Whether every record came exactly once and in order.
struct Verification: Sendable {
    /// How many were looked at.
    var seen = 0
    /// Written and not found.
    var missing = 0
    /// Found more than once.
    var duplicated = 0
    /// Found before one that was written earlier.
    var disordered = 0

    var isGood: Bool { missing == 0 && duplicated == 0 && disordered == 0 }

    /// The verdict for a person.
    var sentence: String {
        isGood
            ? "\(Humanised.count(seen)) records, each once and in order"
            : "\(Humanised.count(missing)) missing, \(Humanised.count(duplicated)) duplicated, "
                + "\(Humanised.count(disordered)) out of order"
    }
}

/// Follows the sequence numbers of one partition.
struct SequenceCheck: Sendable {
    private var next: Int64 = 0
    private var gaps: Set<Int64> = []
    private(set) var verdict = Verification()

    /// Takes the next sequence number as it was read.
    mutating func see(_ sequence: Int64) {
        verdict.seen += 1
        if sequence == next {
            next += 1
        } else if sequence > next {
            // A gap may be filled later, out of order; a run that loses more than this is broken anyhow.
            if sequence - next <= 100_000 { gaps.formUnion(next..<sequence) }
            verdict.missing += Int(sequence - next)
            next = sequence + 1
        } else if gaps.remove(sequence) != nil {
            verdict.missing -= 1
            verdict.disordered += 1
        } else {
            verdict.duplicated += 1
        }
    }
}

extension Verification {
    /// Adds the verdict on another partition.
    mutating func merge(_ other: Verification) {
        seen += other.seen
        missing += other.missing
        duplicated += other.duplicated
        disordered += other.disordered
    }
}
