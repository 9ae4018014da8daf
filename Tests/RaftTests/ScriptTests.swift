// SPDX-License-Identifier: Apache-2.0
//
// ScriptTests.swift
// Replays every transcript in Scripts. REWRITE=1 writes what happens now into the source tree; review the difference.

import Foundation
import Testing

@Suite struct ScriptTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Scripts")

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return files.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    @Test(arguments: names) func replay(_ name: String) throws {
        let file = Self.folder.appending(path: name)
        let source = try String(contentsOf: file, encoding: .utf8)
        #expect(source.hasPrefix("# "), "a script begins with a prose comment")
        let (text, violations) = Script(source).replayed()
        #expect(violations.isEmpty)
        if ProcessInfo.processInfo.environment["REWRITE"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
        } else if text != source {
            Issue.record("\(name) differs from line \(Self.firstDifference(text, source))")
        }
    }

    @Test func thereAreScripts() {
        #expect(Self.names.count >= 60)
    }

    private static func firstDifference(_ actual: String, _ expected: String) -> String {
        let actual = actual.split(separator: "\n", omittingEmptySubsequences: false)
        let expected = expected.split(separator: "\n", omittingEmptySubsequences: false)
        for index in 0..<max(actual.count, expected.count) {
            let (now, then) = (index < actual.count ? actual[index] : "", index < expected.count ? expected[index] : "")
            if now != then { return "\(index + 1): now \"\(now)\", expected \"\(then)\"" }
        }
        return "0"
    }
}
