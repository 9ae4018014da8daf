// SPDX-License-Identifier: Apache-2.0
//
// Compare.swift
// Two replicas side by side: how far their logs agree, and where they part.

import ArgumentParser
import LogStore
import Model
import Terminal

/// The command `compare`.
struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the logs of two data directories, entry by entry; exit 0 when they agree, 21 when not.",
        discussion: """
            Directories of two brokers of one cluster, stopped or running. One log may be longer than the other, and \
            begin later. Entries that were never committed may differ until a leader cuts them off.
            """)
    @OptionGroup var options: DirectoryOptions

    @Argument(help: "The other data directory.", completion: .directory)
    var other: String

    @Argument(help: "TOPIC/PARTITION, controller, coordinator, or the number of a group; without it all groups.")
    var group: String?

    func run() throws {
        var elsewhere = options
        elsewhere.directory = other
        let here = try options.open()
        defer { here.close() }
        let there = try elsewhere.open()
        defer { there.close() }
        var printer = RowPrinter(
            options,
            [
                RowColumn("GROUP", flexible: true), RowColumn("ID", right: true), RowColumn("COMPARED"),
                RowColumn("LAST", right: true), RowColumn("OTHER LAST", right: true), RowColumn("STATE"),
            ])
        var parted: [String] = []
        for id in try groups(here, there, elsewhere) {
            let mine = try options.reading { () throws(StoreError) in try here.group(id) }
            let theirs = try elsewhere.reading { () throws(StoreError) in try there.group(id) }
            guard let name = (mine ?? theirs)?.name else { continue }
            guard let mine, let theirs else {
                try printer.add(Self.row(name, id, nil, mine == nil ? "only there" : "only here", .dim))
                continue
            }
            let found = try options.reading { () throws(StoreError) in try here.compare(mine, with: there, theirs) }
            let state = Self.state(found, mine, theirs)
            if state.colour == .failed { parted.append(name) }
            try printer.add(Self.row(name, id, found, state.text, state.colour))
        }
        try printer.finish()
        guard let first = parted.first else { return }
        throw Failure(
            parted.count == 1 ? "the replicas differ" : "\(parted.count) groups differ", place: first,
            advice: "Look at both with logstore-inspect raft DIR \(first), and verify both.", exitCode: .corruptData)
    }

    /// The groups of both directories, or the one that was asked for.
    private func groups(
        _ here: StoreReader, _ there: StoreReader, _ elsewhere: DirectoryOptions
    ) throws -> [GroupID] {
        guard let group else {
            let mine = try options.reading { () throws(StoreError) in try here.groupIDs() }
            let theirs = try elsewhere.reading { () throws(StoreError) in try there.groupIDs() }
            return Set(mine).union(theirs).sorted()
        }
        let mine = try options.reading { () throws(StoreError) in try here.group(named: group) }
        let theirs = try elsewhere.reading { () throws(StoreError) in try there.group(named: group) }
        guard let id = (mine ?? theirs)?.id else {
            throw Failure(
                "no such group", place: "\(options.directory), \(other): \(group)",
                advice: "List them with: logstore-inspect raft \(options.directory)")
        }
        return [id]
    }

    private static func state(
        _ found: ReplicaComparison, _ mine: InspectedGroup, _ theirs: InspectedGroup
    ) -> (text: String, colour: StateColour) {
        if mine.name != theirs.name { return ("is \(theirs.name) there", .failed) }
        if let difference = found.difference {
            return ("differs from entry \(difference.index): \(difference.reason)", .failed)
        }
        if found.holes > 0 { return ("\(found.holes) entries are in one of them only", .failed) }
        guard found.range != nil else { return ("no entry in common", .degraded) }
        if found.last == found.otherLast { return ("equal", .healthy) }
        let ahead = Int64(clamping: found.last.rawValue) - Int64(clamping: found.otherLast.rawValue)
        return ("equal, \(abs(ahead)) \(ahead > 0 ? "ahead" : "behind")", .healthy)
    }

    private static func row(
        _ name: String, _ id: GroupID, _ found: ReplicaComparison?, _ state: String, _ colour: StateColour
    ) -> [RowCell] {
        let range = found?.range
        func number(_ index: LogIndex?) -> JSONValue {
            index.map { .integer(Int64(clamping: $0.rawValue)) } ?? .null
        }
        return [
            .text("group", name), .number("id", id.rawValue),
            RowCell("firstIndex", number(range?.lowerBound), range.map { "\($0.lowerBound)-\($0.upperBound)" } ?? "-"),
            .hidden("comparedTo", number(range?.upperBound)), .hidden("equal", .integer(found?.equal ?? 0)),
            .number("lastIndex", found.map { Int64(clamping: $0.last.rawValue) }),
            .number("otherLastIndex", found.map { Int64(clamping: $0.otherLast.rawValue) }),
            .hidden("differsAt", number(found?.difference?.index)), .text("state", state, state: colour),
        ]
    }
}
