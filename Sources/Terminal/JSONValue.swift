// SPDX-License-Identifier: Apache-2.0
//
// JSONValue.swift
// JSON as a value with members in the order they were given, so that output never changes between runs.

/// A JSON document to be printed.
public enum JSONValue: Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// Printed with up to three decimals; not-a-number and infinities become null.
    case number(Double)
    case string(String)
    case array([JSONValue])
    /// Members keep this order.
    case object([(String, JSONValue)])

    /// An optional string; null when absent.
    public static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

    /// A 32-bit number.
    public static func integer(_ value: Int32) -> JSONValue { .integer(Int64(value)) }

    /// A machine-sized number.
    public static func integer(_ value: Int) -> JSONValue { .integer(Int64(value)) }

    /// The document on one line, without a newline at the end.
    public var line: String {
        var text = ""
        write(to: &text, indent: nil)
        return text
    }

    /// The document over several lines, two spaces a level, without a newline at the end.
    public var indented: String {
        var text = ""
        write(to: &text, indent: 0)
        return text
    }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .boolean(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += Self.decimal(value)
        case .string(let value): Self.quote(value, to: &text)
        case .array(let elements):
            Self.bracket("[", "]", elements, to: &text, indent: indent) { element, text, inner in
                element.write(to: &text, indent: inner)
            }
        case .object(let members):
            Self.bracket("{", "}", members, to: &text, indent: indent) { member, text, inner in
                Self.quote(member.0, to: &text)
                text += inner == nil ? ":" : ": "
                member.1.write(to: &text, indent: inner)
            }
        }
    }

    private static func bracket<Item>(
        _ open: String, _ close: String, _ items: [Item], to text: inout String, indent: Int?,
        item: (Item, inout String, Int?) -> Void
    ) {
        text += open
        let inner = indent.map { $0 + 1 }
        for (position, element) in items.enumerated() {
            if position > 0 { text += "," }
            breakLine(inner, to: &text)
            item(element, &text, inner)
        }
        if !items.isEmpty { breakLine(indent, to: &text) }
        text += close
    }

    private static func breakLine(_ indent: Int?, to text: inout String) {
        guard let indent else { return }
        text += "\n" + String(repeating: "  ", count: indent)
    }

    private static func decimal(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        guard abs(value) < 1e15 else { return "\(value)" }
        let thousandths = Int64((value * 1000).rounded())
        let (whole, part) = thousandths.magnitude.quotientAndRemainder(dividingBy: 1000)
        var digits = String(part)
        digits = String(repeating: "0", count: 3 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return (thousandths < 0 ? "-" : "") + String(whole) + (digits.isEmpty ? "" : "." + digits)
    }

    private static func quote(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
