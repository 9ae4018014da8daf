// SPDX-License-Identifier: Apache-2.0
//
// Records.swift
// The records of a partition: as a table, in a percent format, or as JSON lines; filtered by key, header and text.

import ArgumentParser
import LogStore
import Model
import NIOCore
import Records
import Terminal

/// The command `records`.
struct Records: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The records of a partition, one a line; values are hidden unless asked for.",
        discussion: "Formats are those of 'goulette consume'; --format help lists them. JSON is one object a line.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption
    @OptionGroup var range: RangeOptions

    @Option(name: [.short, .long], help: "A percent format, such as '%p/%o %k=%v\\n'; 'help' lists the letters.")
    var format: String?

    @Option(help: "Only records with this key.")
    var key: String?

    @Option(help: "Only records with this header: NAME or NAME=VALUE.")
    var header: String?

    @Option(help: "Only records whose key, value or headers hold this text.")
    var grep: String?

    @Flag(help: "Show values.")
    var showValues = false

    @Flag(help: "Show keys and values in hexadecimal; implies --show-values.")
    var hex = false

    func validate() throws {
        if let format, format != "help" { _ = try Self.compile(format) }
        if format != nil, options.json { throw ValidationError("--format and --json exclude each other") }
    }

    private static func compile(_ format: String) throws -> RecordFormat {
        do throws(RecordFormat.ParseError) {
            return try RecordFormat(parsing: format)
        } catch {
            throw ValidationError("\(error.description); see --format help")
        }
    }

    func run() throws {
        if format == "help" { return try FileOutput.standardOutput.write(RecordFormat.help) }
        let reader = try options.open()
        defer { reader.close() }
        let group = try target.group(reader, options)
        var printer = RecordsPrinter(
            options, format: try format.map(Self.compile), showsValues: showValues || hex, isHex: hex)
        let filter = RecordFilter(key: key, header: header, text: grep)
        let time = try range.time()
        var walk = BatchWalk(reader, options, range)
        var isFull = false
        let context = CompressionContext()
        let findings = try walk.run(group) { batch, _ throws(OutputError) in
            var records: [Record] = []
            do throws(RecordError) {
                records = try batch.allRecords(context: context)
            } catch {
                try FileOutput.standardError.write("skipped the batch at offset \(batch.baseOffset): \(error)\n")
            }
            for record in records where isInRange(record, time) {
                let shown = DisplayRecord(record, of: group, epoch: batch.header.leaderEpoch)
                guard filter.accepts(shown) else { continue }
                guard range.limit == 0 || printer.count < range.limit else {
                    isFull = true
                    return false
                }
                try printer.add(shown)
            }
            return true
        }
        try printer.finish()
        if isFull { try reportLimit(range.limit) }
        try report(findings, options)
    }

    private func isInRange(_ record: Record, _ time: Int64?) -> Bool {
        let offset = record.offset.rawValue
        return offset >= range.from ?? 0 && offset <= range.to && (time.map { record.timestamp >= $0 } ?? true)
    }
}

extension DisplayRecord {
    init(_ record: Record, of group: InspectedGroup, epoch: Int32) {
        self.init(
            topic: group.label?.topic ?? group.name, partition: group.label?.partition ?? PartitionIndex(rawValue: 0),
            offset: record.offset, timestamp: WallTime(milliseconds: record.timestamp), leaderEpoch: epoch,
            key: record.key.map { Array($0.readableBytesView) },
            value: record.value.map { Array($0.readableBytesView) },
            headers: record.headers.map { ($0.key, $0.value.map { Array($0.readableBytesView) }) })
    }
}

/// Which records are shown.
struct RecordFilter {
    private let key: [UInt8]?
    private let header: (name: String, value: [UInt8]?)?
    private let text: [UInt8]?

    init(key: String?, header: String?, text: String?) {
        self.key = key.map { Array($0.utf8) }
        self.text = text.map { Array($0.utf8) }
        self.header = header.map { header in
            guard let equals = header.firstIndex(of: "=") else { return (header, nil) }
            return (String(header[..<equals]), Array(header[header.index(after: equals)...].utf8))
        }
    }

    func accepts(_ record: DisplayRecord) -> Bool {
        if let key, record.key != key { return false }
        if let header {
            let hasIt = record.headers.contains { one in
                one.key == header.name && (header.value.map { $0 == one.value } ?? true)
            }
            guard hasIt else { return false }
        }
        guard let text else { return true }
        if Self.holds(record.key, text) || Self.holds(record.value, text) { return true }
        return record.headers.contains { Self.holds(Array($0.key.utf8), text) || Self.holds($0.value, text) }
    }

    private static func holds(_ bytes: [UInt8]?, _ text: [UInt8]) -> Bool {
        guard let bytes, let first = text.first else { return bytes != nil }
        guard bytes.count >= text.count else { return false }
        for start in 0...(bytes.count - text.count) where bytes[start] == first {
            if bytes[start..<start + text.count].elementsEqual(text) { return true }
        }
        return false
    }
}

/// Prints records in one of three forms.
struct RecordsPrinter {
    private let format: RecordFormat?
    private let isJSON: Bool
    private let showsValues: Bool
    private let isHex: Bool
    private var rows: RowPrinter
    private var output: [UInt8] = []
    private(set) var count = 0

    init(_ options: DirectoryOptions, format: RecordFormat?, showsValues: Bool, isHex: Bool) {
        self.format = format
        isJSON = options.json
        self.showsValues = showsValues
        self.isHex = isHex
        var columns = [
            RowColumn("OFFSET", right: true), RowColumn("TIMESTAMP"), RowColumn("KEY", flexible: true),
            RowColumn("VALUE", right: !showsValues, flexible: showsValues),
        ]
        columns.append(RowColumn("HEADERS", right: !showsValues, flexible: showsValues))
        rows = RowPrinter(options, columns, opening: "", closing: "")
    }

    mutating func add(_ record: DisplayRecord) throws(OutputError) {
        count += 1
        if let format {
            format.write(record, ordinal: count, to: &output)
        } else if isJSON {
            output += json(record).line.utf8
            output.append(UInt8(ascii: "\n"))
        } else {
            return try rows.add(row(record))
        }
        if output.count > 32 << 10 { try flush() }
    }

    mutating func finish() throws(OutputError) {
        if format == nil, !isJSON { try rows.finish() }
        try flush()
    }

    private mutating func flush() throws(OutputError) {
        try FileOutput.standardOutput.write(output)
        output.removeAll(keepingCapacity: true)
    }

    private func row(_ record: DisplayRecord) -> [RowCell] {
        let value = record.value.map { showsValues ? text($0) : Humanised.size($0.count) } ?? "null"
        let headers = record.headers.map { "\($0.key)=\($0.value.map(text) ?? "null")" }.joined(separator: ", ")
        return [
            .number("offset", record.offset.rawValue), .time("timestamp", record.timestamp.milliseconds),
            RowCell("key", .null, record.key.map(text) ?? "null", state: record.key == nil ? .dim : nil),
            RowCell("value", .null, value, state: record.value == nil ? .dim : nil),
            RowCell("headers", .null, showsValues ? headers : "\(record.headers.count)"),
        ]
    }

    /// Text as it is; other bytes in hexadecimal.
    private func text(_ bytes: [UInt8]) -> String {
        if !isHex, let text = String(validating: bytes, as: UTF8.self) { return text.printable }
        return "0x" + ByteText.hex(bytes)
    }

    private func json(_ record: DisplayRecord) -> JSONValue {
        guard case .object(var members) = record.json else { return record.json }
        if !showsValues {
            members.removeAll { ["value", "valueEncoding"].contains($0.0) }
        } else if isHex {
            members.append(("keyHex", .optional(record.key.map { ByteText.hex($0) })))
            members.append(("valueHex", .optional(record.value.map { ByteText.hex($0) })))
        }
        members.append(("keyBytes", record.key.map { .integer($0.count) } ?? .null))
        members.append(("valueBytes", record.value.map { .integer($0.count) } ?? .null))
        members.append(("leaderEpoch", .integer(record.leaderEpoch)))
        return .object(members)
    }
}
