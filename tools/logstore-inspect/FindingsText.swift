// SPDX-License-Identifier: Apache-2.0
//
// FindingsText.swift
// Findings for people and for programs.

import LogStore
import Model
import Terminal

extension Damage {
    /// Two or three lines: whose, where, what.
    func text(_ palette: Palette) -> String {
        var owner = label.map { "\($0)" } ?? group.map { InspectedGroup.name(of: $0, nil) } ?? "store"
        if let offset { owner += ", offset \(offset)" }
        if let index { owner += ", entry \(index)" }
        let place = position.map { "\(file) at byte \($0)" } ?? file
        let folding = Folding.standardOutput
        return "\(palette.paint("damaged", as: .failed))  \(folding.cut(owner.printable, taken: 9))\n"
            + "         \(place)\n         \(folding.fold("\(kind.rawValue): \(reason)".printable, indent: 9))\n"
    }

    /// One object.
    var json: JSONValue {
        .object([
            ("kind", .string(kind.rawValue)), ("topic", .optional(label?.topic)),
            ("partition", label.map { .integer($0.partition.rawValue) } ?? .null),
            ("group", group.map { .integer(Int64(clamping: $0.rawValue)) } ?? .null),
            ("offset", offset.map { .integer($0.rawValue) } ?? .null),
            ("index", index.map { .integer(Int64(clamping: $0.rawValue)) } ?? .null), ("file", .string(file)),
            ("position", position.map { .integer($0) } ?? .null), ("reason", .string(reason)),
        ])
    }
}

extension Skipped {
    /// One or two lines.
    func text(_ palette: Palette) -> String {
        "\(palette.paint("skipped", as: .dim))  \(Humanised.count(bytes)) bytes of \(file) at byte \(position)\n"
            + "         \(reason)\n"
    }

    /// One object.
    var json: JSONValue {
        .object([
            ("kind", .string(kind.rawValue)), ("topic", .optional(label?.topic)),
            ("partition", label.map { .integer($0.partition.rawValue) } ?? .null),
            ("group", group.map { .integer(Int64(clamping: $0.rawValue)) } ?? .null), ("file", .string(file)),
            ("position", .integer(position)), ("bytes", .integer(bytes)), ("reason", .string(reason)),
        ])
    }
}

extension StoreWarning {
    /// One line.
    func text(_ palette: Palette) -> String {
        let owner = label.map { "\($0): " } ?? ""
        let sentence = Folding.standardOutput.fold((owner + text).printable, indent: 9)
        return "\(palette.paint("warning", as: .degraded))  \(sentence)\n"
    }

    /// One object.
    var json: JSONValue {
        .object([
            ("kind", .string(kind.rawValue)), ("topic", .optional(label?.topic)),
            ("partition", label.map { .integer($0.partition.rawValue) } ?? .null),
            ("group", group.map { .integer(Int64(clamping: $0.rawValue)) } ?? .null), ("file", .optional(file)),
            ("text", .string(text)),
        ])
    }
}
