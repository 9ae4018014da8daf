// SPDX-License-Identifier: Apache-2.0
//
// GroupScript.swift
// A transcript of one group: commands at the margin, what the group answered indented below each.
// `REWRITE=1 swift test --filter GroupScriptTests` writes the answers anew; the difference is to be reviewed.

import Foundation
import Testing

/// One transcript and the file it stands in.
struct GroupScript: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let file: String

    init(_ name: String, _ text: String, file: String = #filePath) {
        self.name = name
        self.text = text
        self.file = file
    }

    var testDescription: String { name }

    /// The lines that are commands, comments or empty.
    var commands: [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).filter { !$0.hasPrefix("  ") }
    }

    /// Replaces this transcript in its source file.
    func rewrite(as actual: String) throws {
        let source = try String(contentsOfFile: file, encoding: .utf8)
        func literal(_ text: String) -> String {
            text.split(separator: "\n", omittingEmptySubsequences: false)
                .map { $0.isEmpty ? "" : "            " + $0 }.joined(separator: "\n") + "\n            \"\"\""
        }
        let changed = source.replacingOccurrences(
            of: "\"\(name)\",\n            \"\"\"\n" + literal(text),
            with: "\"\(name)\",\n            \"\"\"\n" + literal(actual))
        try changed.write(toFile: file, atomically: true, encoding: .utf8)
    }
}

extension GroupScript {
    static let all = joining + rebalancing + syncing + living + departing + statics
}

@Suite(.serialized) struct GroupScriptTests {
    @Test(arguments: GroupScript.all)
    func transcript(_ script: GroupScript) throws {
        var runner = GroupScriptRunner()
        var lines: [String] = []
        for command in script.commands {
            lines.append(command)
            if !command.isEmpty, !command.hasPrefix("#") { lines += runner.run(command).map { "  " + $0 } }
        }
        let actual = lines.joined(separator: "\n")
        if ProcessInfo.processInfo.environment["REWRITE"] != nil {
            try script.rewrite(as: actual)
        } else {
            #expect(actual == script.text, "the transcript is now:\n\(actual)")
        }
    }
}
