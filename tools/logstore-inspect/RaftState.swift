// SPDX-License-Identifier: Apache-2.0
//
// RaftState.swift
// Terms, votes and memberships of all groups, and the entries of one.

import ArgumentParser
import LogStore
import Model
import Raft
import Terminal

/// The command `raft`.
struct RaftState: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raft", abstract: "Term, vote and membership of all groups; the entries of one.")
    @OptionGroup var options: DirectoryOptions

    @Argument(help: "TOPIC/PARTITION, controller, coordinator, or the number of a group.")
    var group: String?

    @Option(help: "The first entry.")
    var from: UInt64 = 0

    @Option(help: "The most entries; 0 for all.")
    var limit = 1000

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        guard let group else { return try list(reader) }
        guard let found = try options.reading({ () throws(StoreError) in try reader.group(named: group) }) else {
            throw Failure(
                "no such group", place: "\(options.directory): \(group)",
                advice: "List them with: logstore-inspect raft \(options.directory)")
        }
        try show(found, reader)
    }

    // MARK: All groups

    private func list(_ reader: StoreReader) throws {
        var printer = RowPrinter(
            options,
            [
                RowColumn("GROUP", flexible: true), RowColumn("ID", right: true), RowColumn("TERM", right: true),
                RowColumn("VOTE", right: true), RowColumn("VOTERS", flexible: true), RowColumn("FIRST", right: true),
                RowColumn("LAST", right: true), RowColumn("APPLIED", right: true), RowColumn("STATE"),
            ])
        for id in try options.reading({ () throws(StoreError) in try reader.groupIDs() }) {
            guard let group = try options.reading({ () throws(StoreError) in try reader.group(id) }) else { continue }
            try printer.add(try options.reading { () throws(StoreError) in try row(group, reader) })
        }
        try printer.finish()
    }

    private func row(_ group: InspectedGroup, _ reader: StoreReader) throws(StoreError) -> [RowCell] {
        let state = Self.state(of: group)
        return [
            .text("group", group.name), .number("id", group.id.rawValue),
            .number("term", group.hardState?.term.rawValue ?? 0),
            .text("vote", group.hardState?.votedFor.map { "\($0)" }),
            .text("voters", group.configurations?.last.map { Self.membership($0) }),
            .number("firstIndex", group.meta.firstIndex.rawValue),
            .number("lastIndex", reader.lastIndex(of: group).rawValue),
            .number("appliedIndex", try reader.applied(of: group).map { Int64(clamping: $0.index.rawValue) }),
            .text("state", state.text, state: state.colour),
        ]
    }

    private static func state(of group: InspectedGroup) -> (text: String, colour: StateColour?) {
        if group.meta.isDamaged { return ("damaged", .failed) }
        if group.meta.isAmnesiac { return ("amnesiac", .degraded) }
        if group.meta.cut != nil { return ("being cut", .degraded) }
        return ("ok", .healthy)
    }

    /// A membership as people read it.
    private static func membership(_ record: ConfigurationRecord) -> String {
        guard let configuration = Raft.Configuration(decoding: record.bytes) else {
            return "unreadable, \(record.bytes.count) bytes"
        }
        var text = configuration.voters.map { "\($0)" }.joined(separator: ",")
        if !configuration.outgoing.isEmpty {
            text += " leaving " + configuration.outgoing.map { "\($0)" }.joined(separator: ",")
        }
        if !configuration.learners.isEmpty {
            text += " learning " + configuration.learners.map { "\($0)" }.joined(separator: ",")
        }
        return text
    }

    // MARK: One group

    private func show(_ group: InspectedGroup, _ reader: StoreReader) throws {
        let facts = try options.reading { () throws(StoreError) in try self.facts(group, reader) }
        let object = JSONValue.object(facts.map { ($0.key, $0.json) }).line
        var printer = RowPrinter(
            options,
            [
                RowColumn("ENTRY", right: true), RowColumn("TERM", right: true), RowColumn("KIND"),
                RowColumn("OFFSETS"), RowColumn("SIZE", right: true), RowColumn("PLACE"),
            ],
            opening: "{\"group\": \(object),\n\"entries\": [", closing: "]}\n")
        if !options.json {
            var list = FactList()
            for fact in facts {
                guard let text = fact.text else { continue }
                list.add(fact.key, TableCell(Folding.standardOutput.cut(text.text, taken: 15), state: text.state))
            }
            try FileOutput.standardOutput.write(list.text(palette: options.palette) + "\n")
        }
        var isCutShort = false
        var failure: OutputError?
        func add(_ index: LogIndex, _ row: () -> [RowCell]) -> Bool {
            guard index.rawValue >= from else { return true }
            guard limit == 0 || printer.count < limit else {
                isCutShort = true
                return false
            }
            do throws(OutputError) { try printer.add(row()) } catch { failure = error }
            return failure == nil
        }
        let findings = try options.reading { () throws(StoreError) -> WalkFindings in
            if group.isPartition {
                return try reader.walk(group, WalkOptions(depth: .headers)) { frame in
                    add(frame.index) { Self.row(frame) }
                }
            }
            try reader.commands(of: group) { index, term, kind, bytes in
                add(index) { Self.row(index, term, kind, bytes) }
            }
            return WalkFindings()
        }
        if let failure { throw failure }
        try printer.finish()
        if isCutShort { try reportLimit(limit) }
        try report(findings, options)
    }

    private func facts(_ group: InspectedGroup, _ reader: StoreReader) throws(StoreError) -> [RowCell] {
        let state = Self.state(of: group)
        let meta = group.meta
        let history = group.configurations?.map { ($0.index, Self.membership($0)) } ?? []
        let memberships = history.map { "entry \($0.0): \($0.1)" }.joined(separator: "; ")
        let terms = group.termStarts.suffix(8).map { "\($0.term) from entry \($0.firstIndex)" }
        let snapshot = try reader.snapshot(of: group)
        return [
            .text("name", group.name), .number("id", group.id.rawValue),
            .text("state", state.text, state: state.colour), .number("term", group.hardState?.term.rawValue ?? 0),
            .text("vote", group.hardState?.votedFor.map { "\($0)" }),
            .hidden("hardStateIsInJournal", .boolean(group.hardStateIsInJournal)),
            RowCell(
                "memberships",
                .array(
                    history.map {
                        .object([("index", .integer(Int64(clamping: $0.0.rawValue))), ("members", .string($0.1))])
                    }), memberships.isEmpty ? "-" : memberships),
            RowCell(
                "terms",
                .array(
                    group.termStarts.map {
                        .object([
                            ("term", .integer(Int64(clamping: $0.term.rawValue))),
                            ("firstIndex", .integer(Int64(clamping: $0.firstIndex.rawValue))),
                            ("firstOffset", .integer($0.firstOffset.rawValue)),
                        ])
                    }), terms.isEmpty ? "-" : terms.joined(separator: ", ")),
            .number("firstIndex", meta.firstIndex.rawValue), .number("lastIndex", reader.lastIndex(of: group).rawValue),
            .number("previousTerm", meta.previousTerm.rawValue),
            .number("appliedIndex", try reader.applied(of: group).map { Int64(clamping: $0.index.rawValue) }),
            .number("snapshotIndex", snapshot.map { Int64(clamping: $0.index.rawValue) }),
            RowCell(
                "closedIndex", meta.closed.map { .integer(Int64(clamping: $0.lastIndex.rawValue)) } ?? .null,
                meta.closed.map { "entry \($0.lastIndex), offset \($0.nextOffset)" } ?? "-"),
        ]
    }

    private static func row(_ frame: WalkedFrame) -> [RowCell] {
        let offsets = frame.recordCount > 0 ? "\(frame.baseOffset)-\(frame.endOffset.rawValue - 1)" : "-"
        return [
            .number("index", frame.index.rawValue), .number("term", frame.term.rawValue),
            .text("kind", "\(frame.kind)"),
            RowCell("baseOffset", .integer(frame.baseOffset.rawValue), offsets),
            .hidden("recordCount", .integer(frame.recordCount)), .size("bytes", frame.storedBytes),
            .hidden("rawBytes", .integer(frame.rawBytes)), .hidden("file", .string(frame.file)),
            RowCell(
                "position", .integer(frame.position),
                frame.isInJournal ? "journal" : "segment \(frame.segment) byte \(frame.position)"),
            .hidden("isInJournal", .boolean(frame.isInJournal)),
        ]
    }

    private static func row(_ index: LogIndex, _ term: Term, _ kind: FrameKind, _ bytes: Int) -> [RowCell] {
        [
            .number("index", index.rawValue), .number("term", term.rawValue), .text("kind", "\(kind)"),
            RowCell("baseOffset", .null, "-"), .hidden("recordCount", .integer(0)), .size("bytes", bytes),
            .hidden("rawBytes", .integer(bytes)), .hidden("file", .string("rocksdb")),
            RowCell("position", .null, "index database"), .hidden("isInJournal", .null),
        ]
    }
}
