// SPDX-License-Identifier: Apache-2.0
//
// RowPrinter.swift
// Prints rows as they come, as an aligned table or as JSON: memory does not grow with their number, and on a terminal no
// line wraps.

import Model
import Terminal

/// One column: a header for people, a key for programs.
struct RowColumn {
    let header: String
    let isRight: Bool
    /// Gives way when the line is too long for the terminal.
    let isFlexible: Bool

    init(_ header: String, right: Bool = false, flexible: Bool = false) {
        self.header = header
        isRight = right
        isFlexible = flexible
    }
}

/// One value of a row: text for people, JSON for programs; without text it is for programs only.
struct RowCell {
    let key: String
    let json: JSONValue
    let text: TableCell?

    init(_ key: String, _ json: JSONValue, _ text: String? = nil, state: StateColour? = nil) {
        self.key = key
        self.json = json
        self.text = text.map { TableCell($0, state: state) }
    }

    /// A number, shown as it is.
    static func number(_ key: String, _ value: some BinaryInteger) -> RowCell {
        RowCell(key, .integer(Int64(clamping: value)), String(value))
    }

    /// A number that may be missing.
    static func number(_ key: String, _ value: Int64?) -> RowCell {
        RowCell(key, value.map { .integer($0) } ?? .null, value.map { String($0) } ?? "-")
    }

    /// Text, shown as it is.
    static func text(_ key: String, _ value: String?, state: StateColour? = nil) -> RowCell {
        RowCell(key, .optional(value), value ?? "-", state: state)
    }

    /// A size.
    static func size(_ key: String, _ bytes: Int) -> RowCell {
        RowCell(key, .integer(bytes), Humanised.size(bytes))
    }

    /// A time in milliseconds; nothing when it is negative.
    static func time(_ key: String, _ milliseconds: Int64, short: Bool = false) -> RowCell {
        guard milliseconds >= 0 else { return RowCell(key, .null, "-") }
        let text = WallTime(milliseconds: milliseconds).rfc3339
        return RowCell(key, .integer(milliseconds), text.spaced(short: short))
    }

    /// For programs only.
    static func hidden(_ key: String, _ json: JSONValue) -> RowCell { RowCell(key, json) }
}

extension String {
    /// A time as tables show it: `2026-01-31 12:00:00.250`, or to the minute.
    func spaced(short: Bool) -> String {
        String(prefix(short ? 16 : 23)).split(separator: "T").joined(separator: " ")
    }
}

/// Prints rows.
struct RowPrinter {
    private let columns: [RowColumn]
    private let isJSON: Bool
    private let palette: Palette
    private let columnsMax: Int?
    private let closing: String
    private var widths: [Int]
    private var waiting: [[TableCell]] = []
    private var isStarted = false
    private var output = ""
    private(set) var count = 0

    /// Rows that decide how wide the columns are.
    private static let measuredRows = 500
    /// How much is gathered before it is written.
    private static let gatheredBytes = 32 << 10

    /// `opening` and `closing` surround the array in JSON.
    init(_ options: DirectoryOptions, _ columns: [RowColumn], opening: String = "[", closing: String = "]\n") {
        self.columns = columns
        isJSON = options.json
        palette = options.palette
        columnsMax = FileOutput.standardOutput.isTerminal ? FileOutput.standardOutput.columns : nil
        widths = columns.map(\.header.displayWidth)
        self.closing = closing
        if isJSON { output = opening }
    }

    /// Prints a row now or soon.
    mutating func add(_ cells: [RowCell]) throws(OutputError) {
        defer { count += 1 }
        if isJSON {
            output += (count == 0 ? "\n" : ",\n") + JSONValue.object(cells.map { ($0.key, $0.json) }).line
        } else {
            let row = cells.compactMap(\.text)
            precondition(row.count == columns.count, "\(row.count) cells for \(columns.count) columns")
            if isStarted {
                output += line(row)
            } else {
                waiting.append(row)
                if waiting.count == Self.measuredRows { start() }
            }
        }
        if output.utf8.count > Self.gatheredBytes { try flush() }
    }

    /// Prints what is left.
    mutating func finish() throws(OutputError) {
        if isJSON {
            output += (count == 0 ? "" : "\n") + closing
        } else if !isStarted {
            start()
        }
        try flush()
    }

    private mutating func flush() throws(OutputError) {
        try FileOutput.standardOutput.write(output)
        output = ""
    }

    private mutating func start() {
        isStarted = true
        for row in waiting {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.text.displayWidth) }
        }
        shrink()
        output += line(columns.map { TableCell($0.header, state: .dim) })
        for row in waiting { output += line(row) }
        waiting = []
    }

    /// Makes flexible columns narrower until a line fits the terminal.
    private mutating func shrink() {
        guard let columnsMax else { return }
        var excess = widths.reduce(0, +) + 2 * (widths.count - 1) - columnsMax
        for column in columns.indices where columns[column].isFlexible && excess > 0 {
            let given = min(excess, max(0, widths[column] - 8))
            widths[column] -= given
            excess -= given
        }
    }

    private func line(_ cells: [TableCell]) -> String {
        var text = ""
        var pending = 0
        for (column, cell) in cells.enumerated() {
            var shown = cell.text
            if columnsMax != nil, columns[column].isFlexible { shown = shown.truncated(toColumns: widths[column]) }
            let padding = max(0, widths[column] - shown.displayWidth)
            if columns[column].isRight { pending += padding }
            if !shown.isEmpty {
                text += String(repeating: " ", count: pending)
                text += cell.state.map { palette.paint(shown, as: $0) } ?? shown
                pending = 0
            }
            pending += (columns[column].isRight ? 0 : padding) + 2
        }
        return text + "\n"
    }
}
