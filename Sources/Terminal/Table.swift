// SPDX-License-Identifier: Apache-2.0
//
// Table.swift
// Aligned columns without boxes: upper-case headers, numbers to the right, two spaces between columns.

/// One value in a table.
public struct TableCell: Sendable, ExpressibleByStringLiteral {
    /// What is printed.
    public let text: String
    /// What its colour says; nil prints it plain.
    public let state: StateColour?

    /// Takes text, from whatever source: control characters are replaced.
    public init(_ text: String, state: StateColour? = nil) {
        self.text = text.printable
        self.state = state
    }

    /// Takes text as it is written.
    public init(stringLiteral text: String) { self.init(text) }

    /// An exact number.
    public static func number(_ value: some BinaryInteger) -> TableCell { TableCell(String(value)) }

    /// Numbers with commas between, as in a replica list.
    public static func list(_ values: [Int32]) -> TableCell {
        TableCell(values.isEmpty ? "-" : values.map(String.init).joined(separator: ","))
    }
}

/// Rows under headers, printed when all of them are known.
public struct Table: Sendable {
    /// Which side of its column a value leans to.
    public enum Alignment: Sendable {
        case left
        case right
    }

    /// A header and its alignment.
    public struct Column: Sendable {
        let header: String
        let alignment: Alignment

        /// Names a column.
        public init(_ header: String, _ alignment: Alignment = .left) {
            self.header = header.uppercased()
            self.alignment = alignment
        }
    }

    private let columns: [Column]
    private var rows: [[TableCell]] = []

    /// Creates a table without rows.
    public init(_ columns: [Column]) { self.columns = columns }

    /// Whether there are no rows.
    public var isEmpty: Bool { rows.isEmpty }

    /// Appends a row, which has one cell for each column.
    public mutating func add(_ cells: [TableCell]) {
        precondition(
            cells.count == columns.count, "a row of \(cells.count) cells in a table of \(columns.count) columns")
        rows.append(cells)
    }

    /// The table as lines, each ended by a newline; no line ends in spaces.
    public func text(palette: Palette) -> String {
        let widths = columns.indices.map { column in
            rows.reduce(columns[column].header.displayWidth) { max($0, $1[column].text.displayWidth) }
        }
        var output = line(columns.map { TableCell($0.header) }, widths: widths, palette: Palette(isEnabled: false))
        for row in rows { output += line(row, widths: widths, palette: palette) }
        return output
    }

    private func line(_ cells: [TableCell], widths: [Int], palette: Palette) -> String {
        var text = ""
        var pending = 0
        for (column, cell) in cells.enumerated() {
            let padding = widths[column] - cell.text.displayWidth
            let right = columns[column].alignment == .right
            if right { pending += padding }
            if !cell.text.isEmpty {
                text += String(repeating: " ", count: pending)
                text += cell.state.map { palette.paint(cell.text, as: $0) } ?? cell.text
                pending = 0
            }
            pending += (right ? 0 : padding) + 2
        }
        return text + "\n"
    }
}

/// Names and values under each other, for one thing with few facts.
public struct FactList: Sendable {
    private var facts: [(name: String, value: TableCell)] = []

    /// Creates a list without facts.
    public init() {}

    /// Appends a fact.
    public mutating func add(_ name: String, _ value: TableCell) { facts.append((name, value)) }

    /// The facts as lines, values aligned, each ended by a newline.
    public func text(palette: Palette) -> String {
        let width = facts.reduce(0) { max($0, $1.name.displayWidth) }
        return facts.map { fact in
            let gap = String(repeating: " ", count: width - fact.name.displayWidth + 2)
            let value = fact.value.state.map { palette.paint(fact.value.text, as: $0) } ?? fact.value.text
            return fact.name + gap + value + "\n"
        }.joined()
    }
}
