// SPDX-License-Identifier: Apache-2.0
//
// Overview.swift
// One page about a data directory: whose it is, how it was closed, what takes space, what is unusual.

import ArgumentParser
import Foundation
import LogStore
import Model
import Terminal

/// The command `overview`.
struct Overview: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "One page: identity, how it was closed, disk use, largest partitions, warnings.")
    @OptionGroup var options: DirectoryOptions

    @Option(help: "How many of the largest partitions to list.")
    var largest = 5

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let page = try options.reading { () throws(StoreError) in
            try OverviewPage(reader, options.path, largest: max(0, largest))
        }
        try FileOutput.standardOutput.write(options.json ? page.json : page.text(options.palette))
        if let damage = reader.journalFindings.first {
            throw Failure(
                "the journal is damaged", place: "\(damage.file) at byte \(damage.position ?? 0): \(damage.reason)",
                advice: "Run logstore-inspect verify \(options.directory).", exitCode: .corruptData)
        }
    }
}

/// What the page says.
struct OverviewPage {
    private let directory: String
    private let meta: StoreMeta
    private let user: Int?
    private let files: FileCensus
    private let families: [FamilyFacts]
    private let journal: JournalFacts
    private var warnings: [StoreWarning]
    private var partitions = 0
    private var stateMachines = 0
    private var topics: Set<String> = []
    private var termMax = Term.zero
    private var largest: [(name: String, files: Int, bytes: Int)] = []

    init(_ reader: StoreReader, _ directory: String, largest count: Int) throws(StoreError) {
        self.directory = directory
        let census = try reader.census()
        meta = reader.meta
        user = LockHolder.process(of: directory + "/LOCK")
        files = census.files
        warnings = census.warnings
        families = try reader.families()
        journal = reader.journalFacts
        try reader.forEachGroup { group throws(StoreError) in
            take(group, try reader.segmentFiles(of: group), count)
            return true
        }
        if journal.endsTorn {
            warnings.append(
                StoreWarning(
                    kind: .journalTorn, file: "journal",
                    text: "the journal ends in a block that was not written whole; it was never acknowledged"))
        }
        if meta.cleanShutdown == nil, user == nil {
            warnings.append(
                StoreWarning(
                    kind: .notClosed, text: "not closed: the broker was killed, or this is a copy of a running one's"))
        }
    }

    private mutating func take(_ group: InspectedGroup, _ sizes: [Int], _ count: Int) {
        termMax = max(termMax, group.hardState?.term ?? .zero)
        if group.meta.isDamaged {
            warnings.append(group.warning(.markedDamaged, "\(group.name) is marked as damaged; it does not lead"))
        }
        if group.meta.isAmnesiac {
            warnings.append(group.warning(.markedAmnesiac, "\(group.name) may have forgotten a vote or an entry"))
        }
        if group.meta.cut != nil {
            warnings.append(group.warning(.cutPending, "a truncation of \(group.name) may not be finished"))
        }
        guard group.isPartition else { return stateMachines += 1 }
        partitions += 1
        if let label = group.label { topics.insert(label.topic) }
        largest.append((group.name, sizes.count, sizes.reduce(0, +)))
        largest.sort { ($1.bytes, $0.name) < ($0.bytes, $1.name) }
        if largest.count > count { largest.removeLast() }
    }

    // MARK: For people

    private var state: (text: String, colour: StateColour) {
        if let user { return ("open, by process \(user)", .healthy) }
        guard let closed = meta.cleanShutdown else { return ("not closed", .degraded) }
        return ("closed \(closed.closedAt.rfc3339.spaced(short: false))", .healthy)
    }

    func text(_ palette: Palette) -> String {
        var list = FactList()
        let identity = meta.identity
        list.add("directory", TableCell(Folding.standardOutput.cut(directory, taken: 16)))
        list.add("state", TableCell(state.text, state: state.colour))
        list.add("format", TableCell("\(identity.formatVersion)"))
        list.add("node", TableCell("\(identity.nodeID)"))
        if !identity.clusterID.isEmpty { list.add("cluster", TableCell(identity.clusterID)) }
        list.add("created", TableCell(identity.createdAt.rfc3339.spaced(short: false)))
        list.add("partitions", TableCell("\(Humanised.count(partitions)) of \(Humanised.count(topics.count)) topics"))
        list.add("state machines", TableCell("\(stateMachines)"))
        list.add("highest term", TableCell("\(termMax)"))
        let waiting = "\(journal.frames) frames in \(journal.blocks) blocks, \(Humanised.size(journal.bytes))"
        list.add("journal", TableCell("block \(journal.next) is next, a start replays \(waiting)"))
        var text = list.text(palette: palette) + "\n" + fileTable.text(palette: palette) + "\n"
        text += familyTable.text(palette: palette)
        if !largest.isEmpty { text += "\n" + largestTable.text(palette: palette) }
        if warnings.isEmpty { return text }
        let listed = warnings.prefix(20).map { $0.text(palette) }
        text += "\n" + listed.joined()
        if warnings.count > 20 { text += "         and \(warnings.count - 20) more; logstore-inspect verify has all\n" }
        return text
    }

    private var tallies: [(key: String, name: String, tally: FileCensus.Tally)] {
        [
            ("segments", "segments", files.segments), ("journal", "journal", files.journal),
            ("index", "index database", files.index), ("recycled", "recycled segments", files.recycled),
            ("staging", "snapshots to come", files.staging),
            ("unknown", "unknown", files.unknown), ("total", "total", files.total),
        ]
    }

    private var fileTable: Table {
        var table = Table([.init("FILES"), .init("COUNT", .right), .init("SIZE", .right)])
        for (_, name, tally) in tallies where tally.files > 0 || name != "unknown" {
            table.add([
                TableCell(name), TableCell(Humanised.count(tally.files)), TableCell(Humanised.size(tally.bytes)),
            ])
        }
        return table
    }

    private var familyTable: Table {
        var table = Table([
            .init("COLUMN FAMILY"), .init("KEYS, ABOUT", .right), .init("FILES", .right), .init("TABLES", .right),
            .init("IN LOG", .right),
        ])
        for family in families {
            table.add([
                TableCell(family.name), TableCell(Humanised.count(Int(clamping: family.keys))), .number(family.files),
                TableCell(Humanised.size(Int(clamping: family.tableBytes))),
                TableCell(Humanised.size(Int(clamping: family.memoryBytes))),
            ])
        }
        return table
    }

    private var largestTable: Table {
        var table = Table([.init("LARGEST PARTITIONS"), .init("SEGMENTS", .right), .init("ON DISK", .right)])
        for one in largest {
            table.add([
                TableCell(Folding.standardOutput.cut(one.name, taken: 24)), .number(one.files),
                TableCell(Humanised.size(one.bytes)),
            ])
        }
        return table
    }

    // MARK: For programs

    var json: String {
        let identity = meta.identity
        let closed = meta.cleanShutdown.map { JSONValue.integer($0.closedAt.milliseconds) } ?? .null
        return JSONValue.object([
            ("directory", .string(directory)), ("formatVersion", .integer(Int64(identity.formatVersion))),
            ("node", .integer(identity.nodeID.rawValue)),
            ("cluster", identity.clusterID.isEmpty ? .null : .string(identity.clusterID)),
            ("createdAt", .integer(identity.createdAt.milliseconds)),
            ("closedCleanly", .boolean(meta.cleanShutdown != nil)),
            ("closedAt", closed), ("openBy", user.map { .integer($0) } ?? .null), ("partitions", .integer(partitions)),
            ("topics", .integer(topics.count)), ("stateMachines", .integer(stateMachines)),
            ("highestTerm", .integer(Int64(clamping: termMax.rawValue))), ("journal", journalJSON),
            (
                "files",
                .object(
                    tallies.map {
                        ($0.key, .object([("count", .integer($0.tally.files)), ("bytes", .integer($0.tally.bytes))]))
                    })
            ), ("columnFamilies", .array(families.map(Self.json))),
            (
                "largestPartitions",
                .array(
                    largest.map {
                        .object([
                            ("partition", .string($0.name)), ("segments", .integer($0.files)),
                            ("fileBytes", .integer($0.bytes)),
                        ])
                    })
            ), ("warnings", .array(warnings.map(\.json))),
        ]).indented + "\n"
    }

    private var journalJSON: JSONValue {
        .object([
            ("appliedUpTo", .integer(Int64(clamping: journal.applied))),
            ("next", .integer(Int64(clamping: journal.next))),
            ("blocks", .integer(journal.blocks)), ("frames", .integer(journal.frames)),
            ("bytes", .integer(journal.bytes)), ("endsTorn", .boolean(journal.endsTorn)),
        ])
    }

    private static func json(_ family: FamilyFacts) -> JSONValue {
        .object([
            ("name", .string(family.name)), ("keys", .integer(Int64(clamping: family.keys))),
            ("files", .integer(family.files)), ("tableBytes", .integer(Int64(clamping: family.tableBytes))),
            ("memoryBytes", .integer(Int64(clamping: family.memoryBytes))),
        ])
    }
}

/// Finds out who holds a lock without touching it.
enum LockHolder {
    /// The process that holds the lock on the file at `path`, by the kernel's list of locks; nil when there is none.
    ///
    /// Trying the lock would let a broker that starts at the same moment fail.
    static func process(of path: String) -> Int? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard let number = attributes?[.systemFileNumber] as? NSNumber,
            let locks = try? String(contentsOfFile: "/proc/locks", encoding: .utf8)
        else { return nil }
        for line in locks.split(separator: "\n") {
            let fields = line.split(separator: " ").map(String.init)
            // 7: FLOCK  ADVISORY  WRITE 4242 fe:01:131 0 EOF
            guard fields.count >= 6, fields[1] == "FLOCK", fields[3] == "WRITE" else { continue }
            guard fields[5].split(separator: ":").last.map(String.init) == number.stringValue else { continue }
            return Int(fields[4])
        }
        return nil
    }
}
