// SPDX-License-Identifier: Apache-2.0
//
// LabelText.swift
// Labels as they stand in the text, rendered once when a metric is registered.

/// Renders names and labels for the Prometheus text format.
enum LabelText {
    /// `{a="x",b="y"}`, or nothing without labels.
    static func render(_ labels: some Sequence<(key: String, value: String)>) -> String {
        var text = ""
        for (name, value) in labels {
            precondition(isLabelName(name), "\(name) is no label name")
            text += text.isEmpty ? "{" : ","
            text += name + "=\"" + escaped(value, quotes: true) + "\""
        }
        return text.isEmpty ? text : text + "}"
    }

    /// `text` with backslashes and line feeds escaped, and quotes when asked.
    static func escaped(_ text: String, quotes: Bool) -> String {
        let needsWork = text.utf8.contains { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }
        guard needsWork else { return text }
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    static func isMetricName(_ name: String) -> Bool {
        isName(name) { $0 == UInt8(ascii: ":") }
    }

    static func isLabelName(_ name: String) -> Bool {
        isName(name) { _ in false } && !name.hasPrefix("__") && name != "le"
    }

    private static func isName(_ name: String, alsoAllowed: (UInt8) -> Bool) -> Bool {
        guard let first = name.utf8.first, !isDigit(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
            default: isDigit(byte) || alsoAllowed(byte)
            }
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
