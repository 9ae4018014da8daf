// SPDX-License-Identifier: Apache-2.0
//
// Entries.swift
// The sparse index of a partition, and the Raft state and entries of any group.

import ArgumentParser
import LogStore
import Model
import Terminal

/// The command `index`.
struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The sparse offset index of a partition, and its terms.")
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var target: PartitionOption

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let group = try target.group(reader, options)
        var rows: [[(String, JSONValue)]] = group.termStarts.map {
            [
                ("kind", .string("term \($0.term)")), ("offset", .integer($0.firstOffset.rawValue)),
                ("entry", .integer(Int64($0.firstIndex.rawValue))), ("segment", .null), ("position", .null),
            ]
        }
        try options.reading { () throws(StoreError) in
            try reader.offsetIndex(of: group) { entry in
                rows.append([
                    ("kind", .string("offset")), ("offset", .integer(entry.offset.rawValue)),
                    ("entry", .integer(Int64(entry.index.rawValue))),
                    ("segment", .integer(Int64(entry.at.segment.rawValue))),
                    ("position", .integer(Int64(entry.at.position))),
                ])
                return true
            }
        }
        try options.show(
            rows,
            columns: [
                .init("KIND"), .init("OFFSET", .right), .init("ENTRY", .right), .init("SEGMENT", .right),
                .init("POSITION", .right),
            ])
    }
}

/// The command `raft`.
struct RaftEntries: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raft", abstract: "Term, vote and entries of a group; of all groups without a name.")
    @OptionGroup var options: DirectoryOptions

    @Argument(help: "TOPIC/PARTITION, controller or coordinator.")
    var group: String?

    @Option(help: "The most entries.")
    var limit = 1000

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let groups = try options.reading { () throws(StoreError) in
            var groups: [InspectedGroup] = []
            for id in try reader.groupIDs() { if let group = try reader.group(id) { groups.append(group) } }
            return groups
        }
        guard let name = group else { return try list(groups) }
        guard let found = groups.first(where: { $0.name == name }) else {
            throw Failure(
                "no such group", place: "\(options.directory): \(name)",
                advice: "List them with: logstore-inspect raft \(options.directory)")
        }
        try entries(found, reader)
    }

    private func list(_ groups: [InspectedGroup]) throws {
        try options.show(
            groups.map { group in
                [
                    ("group", .string(group.name)), ("id", .integer(Int64(group.id.rawValue))),
                    ("term", .integer(Int64(group.hardState?.term.rawValue ?? 0))),
                    ("vote", .optional(group.hardState?.votedFor.map { "\($0)" })),
                    ("firstIndex", .integer(Int64(group.meta.firstIndex.rawValue))),
                    ("lastIndex", .integer(Int64(group.last?.index.rawValue ?? 0))),
                ]
            },
            columns: [
                .init("GROUP"), .init("ID", .right), .init("TERM", .right), .init("VOTE", .right),
                .init("FIRST", .right),
                .init("LAST", .right),
            ])
    }

    private func entries(_ group: InspectedGroup, _ reader: StoreReader) throws {
        var rows: [[(String, JSONValue)]] = []
        func add(_ index: LogIndex, _ term: Term, _ kind: FrameKind, _ bytes: Int) -> Bool {
            rows.append([
                ("index", .integer(Int64(index.rawValue))), ("term", .integer(Int64(term.rawValue))),
                ("kind", .string("\(kind)")), ("bytes", .integer(bytes)),
            ])
            return rows.count < limit
        }
        try options.reading { () throws(StoreError) in
            if group.isPartition {
                _ = try reader.walk(group) { add($0.index, $0.term, $0.kind, $0.rawBytes) }
            } else {
                try reader.commands(of: group) { add($0, $1, $2, $3) }
            }
        }
        try options.show(
            rows, columns: [.init("INDEX", .right), .init("TERM", .right), .init("KIND"), .init("BYTES", .right)])
    }
}
