// SPDX-License-Identifier: Apache-2.0
//
// Verify.swift
// Reads every frame of every partition and the journal, and reports each damaged place with topic, partition and offset.

import ArgumentParser
import Foundation
import LogStore
import Model
import Terminal

/// The command `verify`.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check every checksum, chain, offset and batch; exit 0 clean, 21 damaged.")
    @OptionGroup var options: DirectoryOptions

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        var total = WalkFindings()
        total.damage = reader.journalFindings
        var partitions = 0
        for id in try options.reading({ () throws(StoreError) in try reader.groupIDs() }) {
            guard let group = try options.reading({ () throws(StoreError) in try reader.group(id) }), group.isPartition
            else { continue }
            partitions += 1
            let found = try options.reading { () throws(StoreError) in try reader.walk(group) }
            total.damage += found.damage
            total.skipped += found.skipped
            total.frames += found.frames
            total.bytes += found.bytes
        }
        try FileOutput.standardOutput.write(options.json ? json(total, partitions) : text(total, partitions))
        if !total.damage.isEmpty { Foundation.exit(ExitCode.corruptData.rawValue) }
    }

    private func text(_ total: WalkFindings, _ partitions: Int) -> String {
        var lines = total.damage.map { one in
            "DAMAGED \(one.label.map { "\($0)" } ?? "store") offset \(one.offset.map { "\($0)" } ?? "unknown"), entry "
                + "\(one.index.map { "\($0)" } ?? "unknown"): \(one.file) at byte \(one.position): \(one.reason)"
        }
        lines += total.skipped.map { "skipped \($0.bytes) bytes of \($0.file) at byte \($0.position): \($0.reason)" }
        let verdict = total.damage.isEmpty ? "clean" : "\(total.damage.count) damaged"
        lines.append("\(partitions) partitions, \(total.frames) frames, \(total.bytes) bytes: \(verdict)")
        return lines.joined(separator: "\n") + "\n"
    }

    private func json(_ total: WalkFindings, _ partitions: Int) -> String {
        let damage = total.damage.map { one in
            JSONValue.object([
                ("topic", .optional(one.label?.topic)),
                ("partition", one.label.map { .integer($0.partition.rawValue) } ?? .null),
                ("group", one.group.map { .integer(Int64($0.rawValue)) } ?? .null), ("file", .string(one.file)),
                ("position", .integer(one.position)),
                ("index", one.index.map { .integer(Int64($0.rawValue)) } ?? .null),
                ("offset", one.offset.map { .integer($0.rawValue) } ?? .null), ("reason", .string(one.reason)),
            ])
        }
        let skipped = total.skipped.map { one in
            JSONValue.object([
                ("file", .string(one.file)), ("position", .integer(one.position)), ("bytes", .integer(one.bytes)),
                ("reason", .string(one.reason)),
            ])
        }
        return JSONValue.object([
            ("clean", .boolean(total.damage.isEmpty)), ("partitions", .integer(partitions)),
            ("frames", .integer(total.frames)),
            ("bytes", .integer(total.bytes)), ("damage", .array(damage)), ("skipped", .array(skipped)),
        ]).indented + "\n"
    }
}
