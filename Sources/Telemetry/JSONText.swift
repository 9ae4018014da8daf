// SPDX-License-Identifier: Apache-2.0
//
// JSONText.swift
// JSON by hand: strings, lists and objects of strings.

/// Writes the little of JSON that log lines and health reports need.
public enum JSONText {
    /// Appends `value`, nested as it is.
    static func append(_ value: LogLine.Value, to text: inout String) {
        switch value {
        case .text(let string): append(string, to: &text)
        case .list(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                append(value, to: &text)
            }
            text += "]"
        case .object(let pairs):
            text += "{"
            for (index, pair) in pairs.enumerated() {
                if index > 0 { text += "," }
                append(pair.0, to: &text)
                text += ":"
                append(pair.1, to: &text)
            }
            text += "}"
        }
    }

    /// The string in quotes, with what JSON wants escaped.
    public static func quoted(_ string: String) -> String {
        var text = ""
        append(string, to: &text)
        return text
    }

    /// Appends `string` in quotes.
    static func append(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
