// SPDX-License-Identifier: Apache-2.0
//
// AsideTests.swift
// A damaged log makes room for a whole one: its files are kept, its group begins anew.

import Foundation
import Model
import Testing

@testable import LogStore

@Suite struct AsideTests {
    private func names(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// Fills a log, closes it and puts it aside; returns the place and what the files held.
    private func setAside(_ fixture: LogFixture, frames: Int) throws -> (place: String, files: [String: Data]) {
        let log = try fixture.log()
        #expect(log.lastIndex == .zero, "the group begins anew")
        for _ in 0..<frames { try fixture.append(1, bytes: 150) }
        try fixture.settle(log)
        fixture.checkpoint()
        let folder = URL(fileURLWithPath: log.segments[0].segment.path).deletingLastPathComponent()
        var files: [String: Data] = [:]
        for name in names(folder.path) { files[name] = try Data(contentsOf: folder.appendingPathComponent(name)) }
        try fixture.closeLogs()
        let place = try fixture.store.setAside(LogFixture.group)
        #expect(!FileManager.default.fileExists(atPath: folder.path))
        return (place, files)
    }

    @Test func theFilesAreKeptOnce() throws {
        let fixture = try LogFixture()
        var places: [String] = []
        for frames in [5, 3] {
            let (place, files) = try setAside(fixture, frames: frames)
            #expect(!files.isEmpty && names(place) == files.keys.sorted())
            for (name, content) in files {
                let kept = try Data(contentsOf: URL(fileURLWithPath: "\(place)/\(name)"))
                #expect(kept.prefix(content.count) == content)
            }
            places.append(place)
        }
        let parent = URL(fileURLWithPath: places[1]).deletingLastPathComponent().path
        #expect(names(parent).map { "\(parent)/\($0)" } == [places[1]], "the former one made room")
        let log = try fixture.log()
        #expect(log.lastIndex == .zero)
        try fixture.append(1)
        try fixture.settle(log)
        try fixture.closeLogs()
        fixture.store.close()
    }
}
