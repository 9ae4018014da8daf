// SPDX-License-Identifier: Apache-2.0
//
// LogLineStyle.swift
// The two formats of a log line. The timestamp comes first in both.

import Logging
import Model

/// Renders lines as JSON or as text.
enum LogLineStyle: Equatable, Sendable {
    case json
    case text(coloured: Bool)

    /// The names that metadata must not take in a JSON line; there it gets an underscore in front.
    private static let reserved: Set<String> = ["ts", "level", "logger", "msg", "node"]

    /// The line with its line feed.
    func render(_ line: LogLine, at time: WallTime, node: String?) -> String {
        switch self {
        case .json: Self.json(line, at: time, node: node)
        case .text(let coloured): Self.text(line, at: time, coloured: coloured)
        }
    }

    private static func json(_ line: LogLine, at time: WallTime, node: String?) -> String {
        var text = "{\"ts\":\"" + time.rfc3339 + "\",\"level\":\"" + line.level.rawValue + "\",\"logger\":"
        JSONText.append(line.logger, to: &text)
        text += ",\"msg\":"
        JSONText.append(line.message, to: &text)
        if let node {
            text += ",\"node\":"
            JSONText.append(node, to: &text)
        }
        for (name, value) in line.fields {
            text += ","
            JSONText.append(reserved.contains(name) ? "_" + name : name, to: &text)
            text += ":"
            JSONText.append(value, to: &text)
        }
        return text + "}\n"
    }

    private static func text(_ line: LogLine, at time: WallTime, coloured: Bool) -> String {
        let name = line.level.rawValue.uppercased()
        let level = name + String(repeating: " ", count: max(0, 8 - name.count))
        var text = time.rfc3339 + " "
        text += coloured ? colour(line.level) + level + "\u{1B}[0m" : level
        text += " " + line.logger + "  " + plain(line.message)
        for (name, value) in line.fields { text += " " + name + "=" + plain(value) }
        return text + "\n"
    }

    private static func colour(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "\u{1B}[2m"
        case .info: "\u{1B}[32m"
        case .notice: "\u{1B}[36m"
        case .warning: "\u{1B}[33m"
        case .error, .critical: "\u{1B}[31m"
        }
    }

    private static func plain(_ value: LogLine.Value) -> String {
        switch value {
        case .text(let text):
            let simple = !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" }
            guard !simple else { return plain(text) }
            var quoted = ""
            JSONText.append(text, to: &quoted)
            return quoted
        case .list(let values): return "[" + values.map(plain).joined(separator: " ") + "]"
        case .object(let pairs): return "{" + pairs.map { $0 + "=" + plain($1) }.joined(separator: " ") + "}"
        }
    }

    /// `text` without control characters, so that data from clients cannot forge lines or colour a terminal.
    private static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.properties.generalCategory == .control {
                result += scalar.escaped(asASCII: true)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
