// SPDX-License-Identifier: Apache-2.0
//
// Batches.swift
// The record batches and the records of one partition.

import ArgumentParser
import LogStore
import Model
import NIOCore
import Records
import Terminal

/// Which part of a partition to show.
struct RangeOptions: ParsableArguments {
    @Option(help: "The first offset.")
    var from: Int64 = 0

    @Option(help: "The last offset.")
    var to: Int64 = .max

    @Option(help: "The most lines.")
    var limit = 1000
}

/// The command `batches`.
struct Batches: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "One line for each record batch of a partition.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption
    @OptionGroup var range: RangeOptions

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        var rows: [[(String, JSONValue)]] = []
        let group = try target.group(reader, options)
        let findings = try BatchWalk(reader, options).run(group, range) { batch, frame in
            guard rows.count < range.limit else { return false }
            rows.append(Self.row(batch, frame))
            return true
        }
        try options.show(
            rows,
            columns: [
                .init("FIRST", .right), .init("LAST", .right), .init("EPOCH", .right), .init("RECORDS", .right),
                .init("BYTES", .right), .init("CODEC"), .init("PRODUCER", .right), .init("SEQUENCE", .right),
                .init("MAX TIME", .right), .init("ENTRY", .right), .init("FRAME"), .init("CRC"),
            ])
        try report(findings)
    }

    private static func row(_ batch: RecordBatch, _ frame: WalkedFrame) -> [(String, JSONValue)] {
        let isWhole = (try? batch.verifyChecksum()) != nil
        return [
            ("firstOffset", .integer(batch.baseOffset.rawValue)), ("lastOffset", .integer(batch.lastOffset.rawValue)),
            ("leaderEpoch", .integer(batch.header.leaderEpoch)), ("records", .integer(batch.recordCount)),
            ("bytes", .integer(batch.totalBytes)), ("codec", .string("\(batch.codec)")),
            ("producerId", .integer(batch.header.producerID.rawValue)),
            ("baseSequence", .integer(batch.header.baseSequence)), ("maxTimestamp", .integer(batch.maxTimestamp)),
            ("entry", .integer(Int64(frame.index.rawValue))), ("frameCodec", .string("\(frame.codec)")),
            ("crc", .string(isWhole ? "ok" : "BAD")),
        ]
    }
}

/// The command `records`.
struct Records: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The records of a partition, one a line.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption
    @OptionGroup var range: RangeOptions

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let group = try target.group(reader, options)
        var lines = 0
        var failure: OutputError?
        let findings = try BatchWalk(reader, options).run(group, range) { batch, _ in
            for record in (try? batch.allRecords()) ?? [] {
                let offset = record.offset.rawValue
                guard offset >= range.from, offset <= range.to else { continue }
                guard lines < range.limit else { return false }
                lines += 1
                do throws(OutputError) {
                    try FileOutput.standardOutput.write(line(record))
                } catch {
                    failure = error
                    return false
                }
            }
            return true
        }
        if let failure { throw failure }
        try report(findings)
    }

    private func line(_ record: Record) -> String {
        let key = record.key.map { String(buffer: $0) }
        let value = record.value.map { String(buffer: $0) }
        if options.json {
            return JSONValue.object([
                ("offset", .integer(record.offset.rawValue)), ("timestamp", .integer(record.timestamp)),
                ("key", .optional(key)), ("value", .optional(value)),
            ]).line + "\n"
        }
        return "\(record.offset)\t\(record.timestamp)\t\(key ?? "-")\t\(value ?? "-")\n"
    }
}

/// Walks the batches of a partition.
struct BatchWalk {
    let reader: StoreReader
    let options: DirectoryOptions

    init(_ reader: StoreReader, _ options: DirectoryOptions) {
        self.reader = reader
        self.options = options
    }

    func run(
        _ group: InspectedGroup, _ range: RangeOptions, _ body: (RecordBatch, WalkedFrame) -> Bool
    ) throws -> WalkFindings {
        try options.reading { () throws(StoreError) in
            try reader.walk(group, unpacking: true) { frame in
                guard frame.baseOffset.rawValue <= range.to else { return false }
                guard let payload = frame.payload, (frame.baseOffset + Int(frame.recordCount)).rawValue > range.from
                else { return true }
                var cursor = RecordBatchCursor(payload)
                while let batch = try? cursor.next() {
                    if batch.lastOffset.rawValue < range.from { continue }
                    guard batch.baseOffset.rawValue <= range.to else { return false }
                    guard body(batch, frame) else { return false }
                }
                return true
            }
        }
    }
}

/// Says on standard error what was left out, and fails with 21 when something was damaged.
func report(_ findings: WalkFindings) throws {
    for one in findings.skipped {
        try FileOutput.standardError.write(
            "skipped \(one.bytes) bytes of \(one.file) at \(one.position): \(one.reason)\n")
    }
    guard let first = findings.damage.first else { return }
    throw Failure(
        "\(findings.damage.count) damaged places were left out",
        place: "\(first.file) at byte \(first.position): \(first.reason)", advice: "Run logstore-inspect verify.",
        exitCode: .corruptData)
}
