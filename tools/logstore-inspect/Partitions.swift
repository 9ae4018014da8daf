// SPDX-License-Identifier: Apache-2.0
//
// Partitions.swift
// All partitions as a table, and the segments of one. Reads headers only.

import ArgumentParser
import LogStore
import Model
import Terminal

/// The command `partitions`.
struct Partitions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A table of all partitions: offsets, term, segments, size, compression, oldest and newest record.")
    @OptionGroup var options: DirectoryOptions

    @Option(help: "Only partitions of this topic.")
    var topic: String?

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        var printer = RowPrinter(
            options,
            [
                RowColumn("PARTITION", flexible: true), RowColumn("START", right: true), RowColumn("END", right: true),
                RowColumn("TERM", right: true), RowColumn("SEGS", right: true), RowColumn("SIZE", right: true),
                RowColumn("RATIO", right: true), RowColumn("OLDEST"), RowColumn("NEWEST"),
            ])
        for id in try options.reading({ () throws(StoreError) in try reader.groupIDs() }) {
            guard let group = try options.reading({ () throws(StoreError) in try reader.group(id) }), group.isPartition,
                topic == nil || topic == group.label?.topic
            else { continue }
            try printer.add(try row(group, reader))
        }
        try printer.finish()
    }

    private func row(_ group: InspectedGroup, _ reader: StoreReader) throws -> [RowCell] {
        var stored = 0
        var raw = 0
        let segments = try options.reading { () throws(StoreError) in
            try reader.segments(of: group) {
                stored += $0.storedBytes
                raw += $0.rawBytes
            }
        }
        let end = segments.compactMap(\.endOffset).max() ?? group.meta.firstOffset
        let last = segments.map(\.lastIndex).max() ?? group.meta.firstIndex.previous
        let oldest = segments.map(\.firstTimestamp).first { $0 >= 0 } ?? -1
        let newest = segments.map(\.maxTimestamp).max() ?? -1
        let ratio = stored > 0 ? Double(raw) / Double(stored) : 1
        return [
            .text("partition", group.name, state: group.meta.isDamaged ? .failed : nil),
            .hidden("topic", .optional(group.label?.topic)),
            .hidden("partitionIndex", group.label.map { .integer($0.partition.rawValue) } ?? .null),
            .hidden("group", .integer(Int64(clamping: group.id.rawValue))),
            .number("logStartOffset", group.meta.logStartOffset.rawValue), .number("endOffset", end.rawValue),
            .hidden("firstIndex", .integer(Int64(clamping: group.meta.firstIndex.rawValue))),
            .hidden("lastIndex", .integer(Int64(clamping: last.rawValue))),
            .number("term", group.hardState?.term.rawValue ?? 0), .number("segments", segments.count),
            .hidden("frames", .integer(segments.reduce(0) { $0 + $1.frames })),
            .size("frameBytes", segments.reduce(0) { $0 + $1.frameBytes }),
            .hidden("fileBytes", .integer(segments.reduce(0) { $0 + $1.fileBytes })),
            RowCell("compressionRatio", .number(ratio), Humanised.decimal(ratio, places: ratio < 99.95 ? 1 : 0)),
            .time("oldestTimestamp", oldest, short: true), .time("newestTimestamp", newest, short: true),
            .hidden("isDamaged", .boolean(group.meta.isDamaged)),
        ]
    }
}

/// The command `segments`.
struct Segments: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The segment files of a partition.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let group = try target.group(reader, options)
        let segments = try options.reading { () throws(StoreError) in try reader.segments(of: group) }
        var printer = RowPrinter(
            options,
            [
                RowColumn("FIRST ENTRY", right: true), RowColumn("OFFSETS"), RowColumn("FRAMES", right: true),
                RowColumn("SIZE", right: true), RowColumn("ON DISK", right: true), RowColumn("END"),
                RowColumn("NEWEST"),
            ])
        for segment in segments { try printer.add(Self.row(segment)) }
        try printer.finish()
    }

    private static func row(_ segment: InspectedSegment) -> [RowCell] {
        let offsets = segment.baseOffset.map { base in
            let end = segment.endOffset ?? base
            return end > base ? "\(base)-\(end.rawValue - 1)" : "none, from \(base)"
        }
        let state: StateColour? =
            switch segment.end {
            case .active: .healthy
            case .sealed: nil
            case .noFooter, .absent: .degraded
            }
        return [
            .number("firstIndex", segment.base.rawValue),
            .hidden("lastIndex", .integer(Int64(clamping: segment.lastIndex.rawValue))),
            RowCell("baseOffset", segment.baseOffset.map { .integer($0.rawValue) } ?? .null, offsets ?? "-"),
            .hidden("endOffset", segment.endOffset.map { .integer($0.rawValue) } ?? .null),
            .number("frames", segment.frames), .size("frameBytes", segment.frameBytes),
            .size("fileBytes", segment.fileBytes),
            RowCell(
                "end", .string(segment.end.rawValue),
                segment.end.rawValue.split(separator: "_").joined(separator: " "), state: state),
            .hidden("oldestTimestamp", segment.firstTimestamp >= 0 ? .integer(segment.firstTimestamp) : .null),
            .time("newestTimestamp", segment.maxTimestamp),
            .hidden("keysThrough", segment.keysThrough.map { .integer($0.rawValue) } ?? .null),
            .hidden(
                "committedThrough", segment.committedThrough.map { .integer(Int64(clamping: $0.rawValue)) } ?? .null),
            .hidden("file", .string(segment.file)),
        ]
    }
}
