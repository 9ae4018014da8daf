// SPDX-License-Identifier: Apache-2.0
//
// ConsumeCommand.swift
// `goulette consume`: prints records. Reading alone and reading in a group stand in ConsumeRun.swift.

import ArgumentParser
import KafkaClient
import Model
import NIOCore
import Records
import Terminal

/// Here `-o` is the offset, as in kcat and rpk; JSON output is `--json`.
struct ConsumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consume", abstract: "Print the records of a topic.",
        discussion: """
            OFFSET is start, end, 100, +5 (after the start), -10 (before the end), @TIME, or FROM:TO, where TIME is \
            a date, an RFC 3339 time, milliseconds, or -1h for an hour ago. '--format help' lists the percent escapes.
            """)

    @Argument(help: "The topic.")
    var topic: String

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: "Where to begin, and perhaps to end. Default: end; start with --exit-at-end.")
    var offset: String?

    @Option(name: [.customShort("n"), .customLong("count")], help: "Stop after this many records.")
    var count: Int?

    @Option(name: .shortAndLong, help: "Only these partitions: 0,1,5-7.")
    var partitions: String?

    @Option(name: .shortAndLong, help: "Read as a member of this group, and commit.")
    var group: String?

    @Option(name: .shortAndLong, help: "A percent format, such as '%p/%o %k=%v\\n', or 'help'.")
    var format: String?

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Flag(name: [.customShort("e"), .long], help: "Stop at the end of the partitions as it is now.")
    var exitAtEnd = false

    @Flag(help: "Hide records of open and aborted transactions.")
    var readCommitted = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if format == "help" { return }
        if group != nil, partitions != nil {
            throw ValidationError("A group chooses the partitions: leave out --partitions.")
        }
        if json, format != nil { throw ValidationError("Choose either --json or --format.") }
        if let count, count < 0 { throw ValidationError("The count is negative.") }
        if let partitions, Self.numbers(partitions) == nil {
            throw ValidationError("'\(partitions)' is not a list of partitions, such as 0,1,5-7")
        }
        _ = try offsetSpec()
        _ = try recordFormat()
    }

    func run() async throws {
        if format == "help" { return try FileOutput.standardOutput.write(RecordFormat.help) }
        let printer = RecordPrinter(format: json ? nil : try recordFormat(), limit: count)
        let interruption = Interruption()
        let run = ConsumeRun(command: self, spec: try offsetSpec(), printer: printer, interruption: interruption)
        try await connection.withClient("cannot read topic \(topic)") { client in
            if let group { try await run.asMember(of: group, client) } else { try await run.alone(client) }
        }
        if interruption.happened { throw ArgumentParser.ExitCode(Terminal.ExitCode.interrupted.rawValue) }
    }

    private func offsetSpec() throws -> OffsetSpec {
        guard let offset else { return OffsetSpec(from: exitAtEnd || group != nil ? .start : .end) }
        guard let spec = OffsetSpec(parsing: offset, now: Clock.system.wallTime()) else {
            throw ValidationError("'\(offset)' is not an offset, such as start, -10, 100:200 or @2026-01-31")
        }
        return spec
    }

    private func recordFormat() throws -> RecordFormat {
        guard let format else { return .value }
        do {
            return try RecordFormat(parsing: format)
        } catch {
            throw ValidationError("\(error.description); see --format help")
        }
    }

    /// The partitions that `--partitions` names, in rising order; nil when it makes no sense.
    static func numbers(_ text: String) -> [Int32]? {
        var numbers: Set<Int32> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int32($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
                (0...last).contains(first)
            else { return nil }
            guard last - first < 100_000 else { return nil }
            numbers.formUnion(first...last)
        }
        return numbers.sorted()
    }
}

/// Formats records into large writes.
final class RecordPrinter {
    private let format: RecordFormat?
    private let limit: Int?
    private let context = CompressionContext()
    private var output: [UInt8] = []
    private(set) var printed = 0

    /// Prints JSON when `format` is nil.
    init(format: RecordFormat?, limit: Int?) {
        self.format = format
        self.limit = limit
    }

    /// Whether as many records were printed as were asked for.
    var isDone: Bool { limit.map { printed >= $0 } ?? false }

    /// Prints the records of `chunk` and returns the offset after the last one that was printed or skipped.
    func print(_ chunk: FetchedChunk) throws -> Offset {
        var next = chunk.nextOffset
        var stoppedAt: Offset?
        do {
            try chunk.forEachRecord(context: context) { record, batch in
                if isDone {
                    stoppedAt = stoppedAt ?? record.offset
                    return
                }
                append(record, batch, chunk.partition)
            }
        } catch {
            throw ClientError(.corruptData, attempted: "read records", place: "\(chunk.partition)", detail: "\(error)")
        }
        if let stoppedAt { next = stoppedAt }
        if let upTo = chunk.range.upTo { next = min(next, upTo) }
        try flush()
        return next
    }

    private func flush() throws(OutputError) {
        guard !output.isEmpty else { return }
        try FileOutput.standardOutput.write(output)
        output.removeAll(keepingCapacity: true)
    }

    private func append(_ record: Record, _ batch: RecordBatch, _ partition: TopicPartition) {
        printed += 1
        let shown = DisplayRecord(
            topic: partition.topic, partition: partition.partition, offset: record.offset,
            timestamp: WallTime(milliseconds: record.timestamp), leaderEpoch: batch.header.leaderEpoch,
            key: record.key.map { Array($0.readableBytesView) },
            value: record.value.map { Array($0.readableBytesView) },
            headers: record.headers.map { (key: $0.key, value: $0.value.map { Array($0.readableBytesView) }) })
        if let format {
            format.write(shown, ordinal: printed, to: &output)
        } else {
            output += shown.json.line.utf8
            output.append(0x0A)
        }
    }
}
