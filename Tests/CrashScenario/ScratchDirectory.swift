// SPDX-License-Identifier: Apache-2.0
//
// ScratchDirectory.swift
// A directory of a test's own.

import LogStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A directory that goes with the value.
package final class ScratchDirectory: Sendable {
    package let path: String

    /// A new directory; in memory, where there is such a file system, when nothing depends on a disk.
    package init(inMemory: Bool = false) {
        var random = SystemRandomNumberGenerator()
        let parent = inMemory && PosixFileSystem().exists("/dev/shm") ? "/dev/shm" : "/tmp"
        path = "\(parent)/goulette-store-\(getpid())-\(UInt64.random(in: 0...(.max), using: &random))"
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        let system = PosixFileSystem()
        for name in (try? system.list(path)) ?? [] {
            let child = path + "/" + name
            if ((try? system.list(child)) ?? []).isEmpty { try? system.remove(child) } else { remove(child) }
        }
        try? system.remove(path)
    }
}
