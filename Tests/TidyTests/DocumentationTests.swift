// SPDX-License-Identifier: Apache-2.0
//
// DocumentationTests.swift
// What the documents name must exist: files behind links, metrics, configuration keys, and the served versions.

import Foundation
import Testing

/// A Markdown file of the repository.
private struct Document: Sendable, CustomTestStringConvertible {
    let path: String
    let text: String

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The documents at the top, in `docs` and beside the targets.
    static let all: [Document] = {
        let top = names(in: "").filter { $0.hasSuffix(".md") }
        let docs = names(in: "docs").filter { $0.hasSuffix(".md") }.map { "docs/" + $0 }
        let targets = names(in: "Sources").map { "Sources/\($0)/README.md" }
        return (top + docs + targets).sorted().compactMap { path in
            contents(path).map { Document(path: path, text: $0) }
        }
    }()

    static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)) ?? []
    }

    static func contents(_ path: String) -> String? {
        try? String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// All Swift text under `Sources`.
    static let sources: String = {
        let base = root.appending(path: "Sources")
        let files = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil)?.allObjects as? [URL]
        return (files ?? []).filter { $0.pathExtension == "swift" }
            .compactMap { try? String(contentsOf: $0, encoding: .utf8) }.joined(separator: "\n")
    }()

    var testDescription: String { path }
    var folder: URL { Self.root.appending(path: path).deletingLastPathComponent() }
}

@Suite struct DocumentationTests {
    @Test(arguments: Document.all)
    private func linksLeadSomewhere(_ document: Document) throws {
        let link = try Regex(#"\]\(([^)#\s]+)[^)]*\)"#, as: (Substring, Substring).self)
        for match in document.text.matches(of: link) where !match.output.1.contains("://") {
            let target = document.folder.appending(path: String(match.output.1))
            #expect(FileManager.default.fileExists(atPath: target.path), "\(match.output.1)")
        }
    }

    @Test(arguments: Document.all)
    private func metricsExist(_ document: Document) throws {
        let name = try Regex(#"goulette_[a-z_]+[a-z]"#, as: Substring.self)
        for match in document.text.matches(of: name) {
            let metric = String(match.output)
            // The store's metrics are named without their common prefix.
            let short = metric.replacingOccurrences(of: "goulette_store_", with: "")
            // Those of clients are named by clients; only what comes before their names is ours.
            let isClients = metric.hasPrefix("goulette_client") && Document.sources.contains("\"goulette_client_\"")
            let exists =
                isClients || Document.sources.contains("\"\(metric)\"") || Document.sources.contains("\"\(short)\"")
            #expect(exists, "\(metric)")
        }
    }

    @Test(arguments: Document.all)
    private func configurationKeysExist(_ document: Document) throws {
        let sections =
            "node|listeners|admin|storage|performance|topics|groups|share_groups|producers|telemetry|log|limits"
        let key = try Regex("`((?:\(sections))\\.[a-z_]+)`", as: (Substring, Substring).self)
        for match in document.text.matches(of: key) {
            #expect(Document.sources.contains("\"\(match.output.1)\""), "\(match.output.1)")
        }
    }

    /// The first cells of a document's table rows.
    private static func firstCells(_ text: some StringProtocol) -> Set<String> {
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| ") }
        return Set(rows.compactMap { $0.split(separator: "|").first.map { $0.trimmingCharacters(in: .whitespaces) } })
    }

    @Test func everyLimitHasItsTestNamed() throws {
        let limits = Self.firstCells(try #require(Document.contents("docs/LIMITS.md")))
        let testing = try #require(Document.contents("docs/TESTING.md"))
        let section = try #require(testing.range(of: "## Limits"))
        let rest = testing[section.upperBound...]
        let table = rest[..<(rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex)]
        let named = Self.firstCells(table)
        #expect(limits.count > 50)
        #expect(limits.subtracting(named).isEmpty && named.subtracting(limits).isEmpty)
        let file = try Regex("`(\\w+/[\\w/+]+\\.(?:swift|py))`", as: (Substring, Substring).self)
        for match in table.matches(of: file) {
            #expect(Document.contents("Tests/" + match.output.1) != nil, "\(match.output.1)")
        }
    }

    @Test func theReadmeNamesEveryServedVersion() throws {
        let readme = try #require(Document.contents("README.md"))
        let registry = try #require(Document.contents("Sources/KafkaProtocol/APIRegistry.swift"))
        let entry = try Regex(
            #"APIDescription\(\s*\.\w+, "(\w+)", (\d+)\.\.\.(\d+)"#,
            as: (Substring, Substring, Substring, Substring).self)
        let entries = registry.matches(of: entry).map(\.output)
        #expect(entries.count > 20)
        for (_, name, first, last) in entries {
            let versions = first == last ? "\(first)" : "\(first)-\(last)"
            #expect(readme.contains("| \(name) | \(versions) "), "\(name) \(versions)")
        }
    }
}
