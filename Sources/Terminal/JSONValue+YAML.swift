// SPDX-License-Identifier: Apache-2.0
//
// JSONValue+YAML.swift
// The same document as YAML, for people who want to read or edit what a program can read too.

extension JSONValue {
    /// The document as YAML in block style, with a newline at the end.
    public var yaml: String {
        var text = ""
        switch self {
        case .array(let elements) where !elements.isEmpty: Self.write(elements, to: &text, indent: 0)
        case .object(let members) where !members.isEmpty: Self.write(members, to: &text, indent: 0)
        default: text = flow + "\n"
        }
        return text
    }

    private static func write(_ elements: [JSONValue], to text: inout String, indent: Int) {
        for element in elements {
            text += String(repeating: "  ", count: indent) + "-"
            guard case .object(let members) = element, let first = members.first else {
                element.writeBehindKey(to: &text, indent: indent)
                continue
            }
            // The first member stands beside the dash, the others below it.
            text += " " + key(first.0)
            first.1.writeBehindKey(to: &text, indent: indent + 1)
            write(Array(members.dropFirst()), to: &text, indent: indent + 1)
        }
    }

    private static func write(_ members: [(String, JSONValue)], to text: inout String, indent: Int) {
        for (name, value) in members {
            text += String(repeating: "  ", count: indent) + key(name)
            value.writeBehindKey(to: &text, indent: indent)
        }
    }

    /// Writes the value of a key, or of a dash, that stands at `indent`: on its line when it fits there.
    private func writeBehindKey(to text: inout String, indent: Int) {
        switch self {
        case .array(let elements) where elements.contains(where: \.isNested):
            text += "\n"
            Self.write(elements, to: &text, indent: indent + 1)
        case .object(let members) where !members.isEmpty:
            text += "\n"
            Self.write(members, to: &text, indent: indent + 1)
        default: text += " " + flow + "\n"
        }
    }

    /// On one line; JSON is YAML, and only strings may be written plainer.
    private var flow: String {
        switch self {
        case .string(let value): Self.scalar(value)
        case .array(let elements): "[" + elements.map(\.flow).joined(separator: ", ") + "]"
        default: line
        }
    }

    private var isNested: Bool {
        switch self {
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        default: false
        }
    }

    private static func key(_ name: String) -> String { scalar(name) + ":" }

    /// A string without quotes when it cannot be taken for anything else.
    private static func scalar(_ value: String) -> String {
        let isWord = value.utf8.first.map { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A } ?? false
        let isPlain = value.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"):
                true
            default: false
            }
        }
        let isReserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(value.lowercased())
        return isWord && isPlain && !isReserved ? value : JSONValue.string(value).line
    }
}
