// SPDX-License-Identifier: Apache-2.0
//
// Index.swift
// What the index database has of one partition: terms, sparse indices, pointers, producer snapshots.

import ArgumentParser
import LogStore
import Model
import Terminal

/// A part of the index.
enum IndexPart: String, CaseIterable, ExpressibleByArgument {
    case terms
    case offsets
    case times
    case pointers
    case producers
}

/// The command `index`.
struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What the index has of a partition: terms, offset and time index, pointers, producer snapshots.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption

    @Option(help: "Only this part: terms, offsets, times, pointers or producers; may be repeated.")
    var only: [IndexPart] = []

    @Option(help: "The most lines of each part; 0 for all.")
    var limit = 1000

    private static let columns = [
        RowColumn("KIND"), RowColumn("KEY"), RowColumn("OFFSET", right: true), RowColumn("ENTRY", right: true),
        RowColumn("SEGMENT", right: true), RowColumn("BYTE", right: true), RowColumn("SIZE", right: true),
    ]

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let group = try target.group(reader, options)
        var printer = RowPrinter(options, Self.columns)
        var isCutShort = false
        for part in IndexPart.allCases where only.isEmpty || only.contains(part) {
            var lines = 0
            var failure: OutputError?
            func show(_ row: [RowCell]) -> Bool {
                guard limit == 0 || lines < limit else {
                    isCutShort = true
                    return false
                }
                lines += 1
                do throws(OutputError) { try printer.add(row) } catch { failure = error }
                return failure == nil
            }
            try options.reading { () throws(StoreError) in try rows(of: part, group, reader, show) }
            if let failure { throw failure }
        }
        try printer.finish()
        if isCutShort {
            try FileOutput.standardError.write("stopped after \(limit) lines of a part; --limit 0 shows all\n")
        }
    }

    private func rows(
        of part: IndexPart, _ group: InspectedGroup, _ reader: StoreReader, _ show: ([RowCell]) -> Bool
    ) throws(StoreError) {
        switch part {
        case .terms:
            for term in group.termStarts {
                guard show(row("term", "\(term.term)", term.firstOffset, term.firstIndex)) else { return }
            }
        case .offsets:
            try reader.offsetIndex(of: group) {
                show(row("offset", "\($0.offset)", $0.offset, $0.index, $0.at))
            }
        case .times:
            try reader.timeIndex(of: group) { entry in
                let time = WallTime(milliseconds: entry.maxTimestampSoFar).rfc3339
                return show(
                    row("time", time.spaced(short: false), entry.offset, entry.index, entry.at, entry.maxTimestampSoFar)
                )
            }
        case .pointers:
            try reader.pointers(of: group) { entry in
                let place = entry.pointer.place
                let kind = FrameKind(rawValue: entry.pointer.kind).map { "\($0)" } ?? "kind \(entry.pointer.kind)"
                return show(
                    row(
                        "pointer", kind, place?.baseOffset, entry.index, place?.at,
                        size: place.map { Int($0.storedLength) }))
            }
        case .producers:
            for one in try reader.producerSnapshots(of: group) {
                guard show(row("producers", "snapshot", one.offset, one.index, size: one.bytes.count)) else { return }
            }
        }
    }

    private func row(
        _ kind: String, _ key: String, _ offset: Offset?, _ index: LogIndex, _ at: SegmentPosition? = nil,
        _ timestamp: Int64? = nil, size: Int? = nil
    ) -> [RowCell] {
        [
            .text("kind", kind), .text("key", key), .number("offset", offset?.rawValue),
            .number("index", index.rawValue), .hidden("timestamp", timestamp.map { .integer($0) } ?? .null),
            .number("segment", at.map { Int64(clamping: $0.segment.rawValue) }),
            .number("position", at.map { Int64($0.position) }), .number("bytes", size.map { Int64($0) }),
        ]
    }
}
