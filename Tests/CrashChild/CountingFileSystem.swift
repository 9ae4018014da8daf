// SPDX-License-Identifier: Apache-2.0
//
// CountingFileSystem.swift
// The operating system's files, counted; at one operation the process kills itself.

import LogStore
import NIOCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The operation at which a process ends.
struct CrashPoint: Sendable {
    /// Such as `segment.write`; nil for any operation.
    var name: String?
    /// Which of them, from 1 on.
    var number: Int

    /// Reads `17`, or `segment.write:3`.
    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard let last = parts.last, let number = Int(last), parts.count <= 2 else { return nil }
        self.number = number
        name = parts.count == 2 ? String(parts[0]) : nil
    }
}

/// Real files, with a count of what changes them.
final class CountingFileSystem: FileSystem {
    private let system = PosixFileSystem()
    private let point: CrashPoint?
    private let counts = Mutex<(all: Int, named: Int)>((0, 0))

    init(_ point: CrashPoint?) { self.point = point }

    /// How many operations there were.
    var operations: Int { counts.withLock { $0.all } }

    /// Counts an operation, and ends the process when it is the one; `half` does a part of it before.
    func count(_ operation: String, _ path: String, half: () -> Void = {}) {
        let kind = path.hasSuffix(".seg") ? "segment" : path.hasSuffix(".jnl") ? "journal" : "directory"
        counts.withLock { counts in
            counts.all += 1
            guard let point else { return }
            if point.name == "\(kind).\(operation)" { counts.named += 1 }
            guard point.number == (point.name == nil ? counts.all : counts.named) else { return }
            half()
            kill(getpid(), SIGKILL)
            // The signal may take a moment; nothing more happens meanwhile.
            while true { pause() }
        }
    }

    func open(_ path: String, _ mode: FileMode) throws(StoreError) -> any File {
        if mode == .readWrite || mode == .direct, !system.exists(path) { count("create", path) }
        return CountingFile(try system.open(path, mode), self)
    }

    func exists(_ path: String) -> Bool { system.exists(path) }
    func list(_ directory: String) throws(StoreError) -> [String] { try system.list(directory) }
    func freeBytes(at path: String) throws(StoreError) -> Int { try system.freeBytes(at: path) }
    func lock(_ path: String) throws(StoreError) -> any FileLock { try system.lock(path) }

    func makeDirectory(_ path: String) throws(StoreError) {
        if !system.exists(path) { count("make", path) }
        try system.makeDirectory(path)
    }

    func rename(_ old: String, to new: String) throws(StoreError) {
        count("rename", old)
        try system.rename(old, to: new)
    }

    func remove(_ path: String) throws(StoreError) {
        count("remove", path)
        try system.remove(path)
    }

    func syncDirectory(_ path: String) throws(StoreError) {
        count("sync", path)
        try system.syncDirectory(path)
    }
}

private final class CountingFile: File {
    private let file: any File
    private let system: CountingFileSystem

    init(_ file: any File, _ system: CountingFileSystem) {
        self.file = file
        self.system = system
    }

    var path: String { file.path }
    var writesAreDurable: Bool { file.writesAreDurable }
    func size() throws(StoreError) -> Int { try file.size() }

    func read(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        try file.read(count, at: position, into: &buffer)
    }

    func write(_ bytes: RawSpan, at position: Int) throws(StoreError) {
        // A write that a kill interrupts has done its first pages, or none.
        let half = bytes.byteCount / 2 / 4096 * 4096
        system.count("write", path) {
            if half > 0 { try? file.write(bytes.extracting(0..<half), at: position) }
        }
        try file.write(bytes, at: position)
    }

    func flush() throws(StoreError) {
        system.count("flush", path)
        try file.flush()
    }

    func allocate(_ size: Int) throws(StoreError) {
        system.count("allocate", path)
        try file.allocate(size)
    }

    func truncate(to size: Int) throws(StoreError) {
        system.count("truncate", path)
        try file.truncate(to: size)
    }
}
