// SPDX-License-Identifier: Apache-2.0
//
// RandomDamageTests.swift
// Whatever bytes are in segments and journal, the inspector says something and stops for nothing.

import Foundation
import Model
import NIOCore
import Testing

@testable import LogStore

@Suite struct RandomDamageTests {
    /// Overwrites, cuts, lengthens, removes and exchanges files.
    private func damage(_ store: InspectFixture, _ random: inout SeededRandom) throws {
        let system = PosixFileSystem()
        var paths = store.segments
        for name in try system.list(store.root + "/journal") { paths.append(store.root + "/journal/" + name) }
        for _ in 0..<(1 + random.next() % 6) {
            let path = paths[Int(random.next() % UInt64(paths.count))]
            guard system.exists(path) else { continue }
            let file = try system.open(path, .update)
            let size = max(1, min(try file.size(), 16 << 10))
            let position = Int(random.next() % UInt64(size))
            switch random.next() % 6 {
            case 0, 1: try InspectFixture.flip(path, min(position, size - 1))
            case 2:
                let bytes = (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                try file.write(ByteBuffer(bytes: bytes).readableBytesSpan, at: position)
            case 3: try file.truncate(to: position)
            case 4: try file.write(ByteBuffer(repeating: 0, count: 512).readableBytesSpan, at: position)
            default:
                // Another part of the file, whole frames among it.
                var part = ByteBuffer()
                _ = try file.read(1024, at: position / 8 * 8, into: &part)
                try file.write(part.readableBytesSpan, at: Int(random.next() % UInt64(size)) / 8 * 8)
            }
        }
        if random.next() % 5 == 0, let path = store.segments.randomElement(using: &random) { try system.remove(path) }
    }

    @Test(arguments: 1...20) func nothingStopsTheInspector(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let store = try InspectFixture(journal: seed % 2 == 0 ? .on : .off, closes: seed % 3 == 0)
        try damage(store, &random)
        let reader = try store.reader()
        defer { reader.close() }
        for depth in [WalkDepth.headers, .checksums, .records] {
            let found = try reader.verify(depth).findings
            #expect(found.damage.allSatisfy { !$0.file.isEmpty && !$0.reason.isEmpty })
            #expect(found.frames <= 80, "seed \(seed)")
        }
        let group = try #require(try reader.group(named: "orders/0"))
        var last: Offset?
        for from in [Offset(0), Offset(11), Offset(100)] {
            last = nil
            _ = try reader.walk(group, WalkOptions(unpacks: true, from: from)) { frame in
                // What is shown is shown once, in order.
                #expect(last.map { $0 <= frame.baseOffset } ?? true, "seed \(seed)")
                last = frame.endOffset
                return true
            }
        }
        _ = try reader.segments(of: group)
    }
}
