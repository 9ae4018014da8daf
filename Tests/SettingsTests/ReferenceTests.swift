// SPDX-License-Identifier: Apache-2.0
//
// ReferenceTests.swift
// The committed reference page is what the catalogue renders, and the catalogue is consistent.

import Foundation
import Settings
import Testing

@Suite struct ReferenceTests {
    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs/reference/configuration.md")

    @Test func committedPageIsFresh() throws {
        let fresh = Reference.markdown()
        if ProcessInfo.processInfo.environment["REWRITE"] != nil {
            try FileManager.default.createDirectory(
                at: Self.page.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(fresh.utf8).write(to: Self.page)
        }
        let committed = try String(contentsOf: Self.page, encoding: .utf8)
        #expect(committed == fresh, "run the tests with REWRITE=1 and commit the page")
    }

    @Test func everyKeyIsInASection() {
        let sections = Set(Catalogue.sections.map(\.name))
        for definition in Catalogue.all {
            #expect(sections.contains(definition.section), "\(definition.name)")
            #expect(definition.doc.hasSuffix("."), "\(definition.name)")
        }
        #expect(Set(Catalogue.all.map(\.section)) == sections)
    }

    @Test func sampleFileIsValidWhenUncommented() throws {
        let active = Reference.sampleFile().split(separator: "\n").compactMap { line -> String? in
            let key = line.drop { $0 == " " }
            guard key.hasPrefix("#"), !key.hasPrefix("# ") else { return nil }
            return line.prefix { $0 == " " } + String(key.dropFirst())
        }
        let settings = try SettingsLoader.resolve(files: [("sample", active.joined(separator: "\n"))])
        #expect(settings.typed() == .defaults)
        #expect(settings.changes(since: .defaults).isEmpty)
        let set = Catalogue.all.filter { settings.explain($0.name).count == 2 }
        #expect(set.count == Catalogue.all.count)
    }
}
