// SPDX-License-Identifier: Apache-2.0
//
// Options.swift
// What all commands take: the directory, how to print, a partition, a range; and how errors become failures.

import ArgumentParser
import Foundation
import LogStore
import Model
import Terminal

/// The directory, and how to print.
struct DirectoryOptions: ParsableArguments {
    @Argument(help: "The data directory.", completion: .directory)
    var directory: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(name: .customLong("no-color"), help: "Print without colours.")
    var noColour = false

    /// The colours for results.
    var palette: Palette { .standardOutput(noColour: noColour) }

    /// Opens the directory; an unusable one is a failure with its exit code.
    func open() throws -> StoreReader {
        try reading { () throws(StoreError) in try StoreReader(path, scratch: NSTemporaryDirectory()) }
    }

    /// The directory without slashes at its end, so that files are named as the system does.
    var path: String {
        var path = directory
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// Runs `body` and turns the store's errors into failures.
    func reading<Value>(_ body: () throws(StoreError) -> Value) throws -> Value {
        do throws(StoreError) {
            return try body()
        } catch {
            throw failure(error)
        }
    }

    private func failure(_ error: StoreError) -> Failure {
        let advice = "Name the directory that a broker was started with as --data."
        switch error {
        case .corrupt(let corruption):
            return Failure(
                "the data is damaged", place: "\(corruption)", advice: "Run logstore-inspect verify \(directory).",
                exitCode: .corruptData)
        case .index(let reason):
            return Failure(
                "the index database is damaged", place: "\(path)/rocksdb: \(reason)",
                advice: "Run logstore-inspect verify \(directory), and restore the directory from a copy.",
                exitCode: .corruptData)
        case .formatVersion(let found, let supported) where UInt32(found) != nil:
            return Failure(
                "the data directory is of another format", place: "\(path): format \(found), this reads \(supported)",
                advice: "Use the logstore-inspect of the release that wrote it.")
        case .formatVersion(let found, _) where found.hasPrefix("groups"):
            return Failure(
                "the index database is not there", place: "\(path): \(found)",
                advice: "Restore the directory rocksdb from a copy.", exitCode: .corruptData)
        case .formatVersion: return Failure("not a data directory", place: path, advice: advice)
        case .file(_, let file, 2): return Failure("there is no such directory", place: file, advice: advice)
        case .file(_, let file, 20): return Failure("not a directory", place: file, advice: advice)
        case .file(let operation, let file, 13):
            return Failure(
                "not allowed to \(operation) it", place: file,
                advice: "Run it as the user the broker runs as, or as root.")
        default: return Failure("cannot read the data directory", place: "\(path): \(error)", advice: advice)
        }
    }
}

/// The partition to look at.
struct PartitionOption: ParsableArguments {
    @Argument(help: "TOPIC/PARTITION, or the number of its group.")
    var partition: String

    /// The partition's group.
    func group(_ reader: StoreReader, _ options: DirectoryOptions) throws -> InspectedGroup {
        let found = try options.reading { () throws(StoreError) in try reader.group(named: partition) }
        if let found, found.isPartition { return found }
        throw Failure(
            "no such partition", place: "\(options.directory): \(partition)",
            advice: "List them with: logstore-inspect partitions \(options.directory)")
    }
}

/// Which part of a partition to show.
struct RangeOptions: ParsableArguments {
    @Option(help: "The first offset.")
    var from: Int64?

    @Option(help: "The last offset.")
    var to: Int64 = .max

    @Option(
        parsing: .unconditional,
        help: "Begin with the first record at or after this time, such as 2026-01-31T12:00:00Z, 1700000000000, -1h.")
    var at: String?

    @Option(help: "The most lines; 0 for all.")
    var limit = 1000

    func validate() throws {
        if let from, from < 0 { throw ValidationError("--from \(from) is not an offset") }
        if limit < 0 { throw ValidationError("--limit \(limit) is negative") }
        if from != nil, at != nil { throw ValidationError("--from and --at exclude each other") }
        _ = try time()
    }

    /// The time of `--at` in milliseconds.
    func time() throws -> Int64? {
        guard let at else { return nil }
        guard case .time(let time)? = OffsetSpec(parsing: "@" + at, now: Clock.system.wallTime())?.from else {
            throw ValidationError(
                "'\(at)' is not a time, such as 2026-01-31, 2026-01-31T12:00:00Z, 1700000000000 or -1h")
        }
        return time.milliseconds
    }
}

/// Says on standard error what was left out, and fails with 21 when something was damaged.
func report(_ findings: WalkFindings, _ options: DirectoryOptions) throws {
    let listed = 20
    let skipped = findings.skipped.filter { $0.kind == .undecodable }
    for one in skipped.prefix(listed) { try FileOutput.standardError.write(one.text(.standardError)) }
    if skipped.count > listed {
        try FileOutput.standardError.write("skipped \(skipped.count - listed) more places\n")
    }
    guard let first = findings.damage.first else { return }
    let count = findings.damageCount == 1 ? "a damaged place was" : "\(findings.damageCount) damaged places were"
    throw Failure(
        "\(count) left out, the first a \(first.kind.rawValue)", place: "\(first.file) at byte \(first.position ?? 0)",
        advice: "Run logstore-inspect verify \(options.directory).", exitCode: .corruptData)
}

/// Says that there is more than was asked for.
func reportLimit(_ limit: Int) throws {
    try FileOutput.standardError.write("stopped after \(limit) lines; --limit 0 shows all\n")
}
