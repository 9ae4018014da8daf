// SPDX-License-Identifier: Apache-2.0
//
// Batches.swift
// The record batches of one partition, and the walk over them that records share.

import ArgumentParser
import LogStore
import Model
import NIOCore
import Records
import Terminal

/// The command `batches`.
struct Batches: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "One line for each record batch of a partition: offsets, producer, codec, time, checksum.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption
    @OptionGroup var range: RangeOptions

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let group = try target.group(reader, options)
        var printer = RowPrinter(
            options,
            [
                RowColumn("OFFSETS"), RowColumn("EPOCH", right: true), RowColumn("RECORDS", right: true),
                RowColumn("SIZE", right: true), RowColumn("CODEC"), RowColumn("PRODUCER", right: true),
                RowColumn("SEQ", right: true), RowColumn("NEWEST"), RowColumn("CRC"),
            ])
        var walk = BatchWalk(reader, options, range)
        let findings = try walk.run(group) { batch, frame throws(OutputError) in
            try printer.add(Self.row(batch, frame))
            return range.limit == 0 || printer.count < range.limit
        }
        try printer.finish()
        if walk.isCutShort { try reportLimit(range.limit) }
        try report(findings, options)
    }

    private static func row(_ batch: RecordBatch, _ frame: WalkedFrame) -> [RowCell] {
        let isWhole = (try? batch.verifyChecksum()) != nil
        let header = batch.header
        let producer = header.producerID.rawValue
        return [
            RowCell(
                "baseOffset", .integer(batch.baseOffset.rawValue),
                "\(batch.baseOffset)-\(batch.lastOffset)"),
            .hidden("lastOffset", .integer(batch.lastOffset.rawValue)), .number("leaderEpoch", header.leaderEpoch),
            .number("records", batch.recordCount), .size("bytes", batch.totalBytes),
            .text("codec", "\(batch.codec)"),
            RowCell("producerId", .integer(producer), producer < 0 ? "-" : "\(producer)/\(header.producerEpoch)"),
            .hidden("producerEpoch", .integer(Int64(header.producerEpoch))),
            RowCell("baseSequence", .integer(header.baseSequence), producer < 0 ? "-" : "\(header.baseSequence)"),
            .hidden("isTransactional", .boolean(batch.isTransactional)),
            .hidden("isControl", .boolean(batch.isControl)),
            .hidden("baseTimestamp", .integer(header.baseTimestamp)), .time("maxTimestamp", batch.maxTimestamp),
            .hidden("timestampType", .string("\(batch.timestampType)")),
            .hidden("index", .integer(Int64(clamping: frame.index.rawValue))),
            .hidden("frameCodec", .string("\(frame.codec)")), .hidden("file", .string(frame.file)),
            .hidden("position", .integer(frame.position)), .hidden("isInJournal", .boolean(frame.isInJournal)),
            .text("crc", isWhole ? "ok" : "BAD", state: isWhole ? .healthy : .failed),
        ]
    }
}

/// Walks the batches of a partition that lie in a range.
struct BatchWalk {
    private let reader: StoreReader
    private let options: DirectoryOptions
    private let range: RangeOptions
    /// Whether the caller stopped before the end.
    private(set) var isCutShort = false

    init(_ reader: StoreReader, _ options: DirectoryOptions, _ range: RangeOptions) {
        self.reader = reader
        self.options = options
        self.range = range
    }

    /// Passes batches to `body` until it returns false.
    mutating func run(
        _ group: InspectedGroup, _ body: (RecordBatch, WalkedFrame) throws(OutputError) -> Bool
    ) throws -> WalkFindings {
        let time = try range.time()
        var from = Offset(range.from ?? 0)
        if let time {
            from = try options.reading { () throws(StoreError) in try reader.offsetFloor(of: group, time: time) }
        }
        var isReached = time == nil
        var isStopped = false
        var failure: OutputError?
        var unreadable: [(Offset, String)] = []
        let walked = WalkOptions(unpacks: true, from: from)
        let findings = try options.reading { () throws(StoreError) in
            try reader.walk(group, walked) { frame in
                guard frame.baseOffset.rawValue <= range.to else { return false }
                guard let payload = frame.payload else { return true }
                if !isReached, frame.maxTimestamp < time ?? 0 { return true }
                var cursor = RecordBatchCursor(payload)
                do {
                    while let batch = try cursor.next() {
                        if batch.lastOffset < from { continue }
                        if !isReached, batch.maxTimestamp < time ?? 0 { continue }
                        isReached = true
                        guard batch.baseOffset.rawValue <= range.to else { return false }
                        guard !isStopped else {
                            isCutShort = true
                            return false
                        }
                        isStopped = try !body(batch, frame)
                    }
                } catch let error as OutputError {
                    failure = error
                    return false
                } catch {
                    unreadable.append((frame.baseOffset, "\(error)"))
                }
                return true
            }
        }
        if let failure { throw failure }
        for (offset, reason) in unreadable.prefix(20) {
            try FileOutput.standardError.write("skipped the rest of the frame at offset \(offset): \(reason)\n")
        }
        return findings
    }
}
