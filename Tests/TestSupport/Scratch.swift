// SPDX-License-Identifier: Apache-2.0
//
// Scratch.swift
// A directory of a test's own.

package import Foundation

/// A directory that goes with the value.
package final class Scratch: Sendable {
    package let url: URL

    /// A new directory; in memory, where there is such a file system with room, when what is tested is not the disk.
    package init(inMemory: Bool = false) throws {
        let parent = inMemory && Self.memoryHasRoom ? Self.memory : FileManager.default.temporaryDirectory
        url = parent.appending(path: "goulette-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    private static let memory = URL(filePath: "/dev/shm")
    /// Containers often have 64 MiB of it.
    private static let memoryHasRoom: Bool = {
        guard FileManager.default.isWritableFile(atPath: memory.path) else { return false }
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: memory.path)
        return (attributes?[.systemFreeSize] as? NSNumber)?.int64Value ?? 0 > 2 << 30
    }()

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The path of `name` below the directory.
    package func path(_ name: String) -> String { url.appending(path: name).path }

    /// Writes a file below the directory, with the directories above it.
    package func write(_ text: String, to name: String) throws {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }
}
