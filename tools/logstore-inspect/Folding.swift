// SPDX-License-Identifier: Apache-2.0
//
// Folding.swift
// Breaks sentences at words where a terminal would break them anywhere.

import Terminal

/// How wide text for people may be.
struct Folding {
    /// The columns of the terminal; nil when no person looks, and nothing is broken.
    let columns: Int?

    /// The folding of standard output.
    static var standardOutput: Folding {
        Folding(columns: FileOutput.standardOutput.isTerminal ? FileOutput.standardOutput.columns : nil)
    }

    /// `text` behind `indent` columns that are taken already; lines after the first are indented as far.
    func fold(_ text: String, indent: Int) -> String {
        guard let columns else { return text }
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if line.isEmpty {
                line = String(word)
            } else if indent + line.displayWidth + 1 + word.count <= columns {
                line += " " + word
            } else {
                lines.append(line)
                line = String(word)
            }
        }
        lines.append(line)
        return lines.joined(separator: "\n" + String(repeating: " ", count: indent))
    }

    /// `text` cut off where the line ends, when `taken` columns are used by others.
    func cut(_ text: String, taken: Int) -> String {
        guard let columns else { return text }
        return text.truncated(toColumns: max(8, columns - taken))
    }
}
