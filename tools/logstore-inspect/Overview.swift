// SPDX-License-Identifier: Apache-2.0
//
// Overview.swift
// One page about a data directory, and its partitions as a table.

import ArgumentParser
import LogStore
import Model
import Terminal

/// The command `overview`.
struct Overview: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "One page: format, identity, groups, how it was closed.")
    @OptionGroup var options: DirectoryOptions

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let ids = try options.reading { () throws(StoreError) in try reader.groupIDs() }
        let facts: [(String, JSONValue)] = [
            ("directory", .string(options.directory)),
            ("formatVersion", .integer(Int64(reader.meta.identity.formatVersion))),
            ("node", .integer(reader.meta.identity.nodeID.rawValue)),
            ("closedCleanly", .boolean(reader.meta.cleanShutdown != nil)),
            ("journalAppliedUpTo", .integer(Int64(clamping: reader.meta.journalApplied.rawValue))),
            ("groups", .integer(ids.count)),
            ("partitions", .integer(ids.filter { $0 >= .firstPartition }.count)),
        ]
        if options.json {
            return try FileOutput.standardOutput.write(JSONValue.object(facts).indented + "\n")
        }
        var list = FactList()
        for (name, value) in facts { list.add(name, TableCell(value.plain)) }
        try FileOutput.standardOutput.write(list.text(palette: .plain))
    }
}

/// The command `partitions`.
struct Partitions: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "A table of all partitions.")
    @OptionGroup var options: DirectoryOptions

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        var rows: [[(String, JSONValue)]] = []
        for id in try options.reading({ () throws(StoreError) in try reader.groupIDs() }) {
            guard let group = try options.reading({ () throws(StoreError) in try reader.group(id) }), group.isPartition
            else { continue }
            rows.append(try row(group, reader))
        }
        try options.show(
            rows,
            columns: [
                .init("PARTITION"), .init("GROUP", .right), .init("START", .right), .init("END", .right),
                .init("FIRST", .right), .init("LAST", .right), .init("TERM", .right), .init("FRAMES", .right),
                .init("STORED", .right), .init("RATIO", .right),
            ])
    }

    private func row(_ group: InspectedGroup, _ reader: StoreReader) throws -> [(String, JSONValue)] {
        var end = group.meta.logStartOffset
        var last = LogIndex.zero
        var stored = 0
        var raw = 0
        let findings = try options.reading { () throws(StoreError) in
            try reader.walk(group) { frame in
                end = max(end, frame.baseOffset + Int(frame.recordCount))
                last = frame.index
                stored += frame.storedBytes
                raw += frame.rawBytes
                return true
            }
        }
        let ratio = stored > 0 ? Double(raw * 100 / stored) / 100 : 1
        return [
            ("partition", .string(group.name)), ("group", .integer(Int64(group.id.rawValue))),
            ("logStartOffset", .integer(group.meta.logStartOffset.rawValue)), ("endOffset", .integer(end.rawValue)),
            ("firstIndex", .integer(Int64(group.meta.firstIndex.rawValue))),
            ("lastIndex", .integer(Int64(last.rawValue))),
            ("term", .integer(Int64(group.hardState?.term.rawValue ?? 0))), ("frames", .integer(findings.frames)),
            ("storedBytes", .integer(stored)), ("compressionRatio", .number(ratio)),
        ]
    }
}
