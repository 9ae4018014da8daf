// SPDX-License-Identifier: Apache-2.0
//
// BytesFile.swift
// Files that are arrays, for tests that change one bit and read again, thousands of times.

import Model
import NIOCore
import Synchronization

@testable import LogStore

/// A file whose bytes a test holds in its hand.
final class BytesFile: File {
    let path: String
    var writesAreDurable: Bool { true }
    private let content: Mutex<[UInt8]>

    init(_ path: String, _ bytes: [UInt8]) {
        self.path = path
        content = Mutex(bytes)
    }

    /// The content.
    var bytes: [UInt8] {
        get { content.withLock { $0 } }
        set { content.withLock { $0 = newValue } }
    }

    /// Runs `body` with one bit turned over.
    func flipped<Result>(_ bit: Int, _ body: () throws -> Result) rethrows -> Result {
        content.withLock { $0[bit / 8] ^= 1 << UInt8(bit % 8) }
        defer { content.withLock { $0[bit / 8] ^= 1 << UInt8(bit % 8) } }
        return try body()
    }

    func read(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        content.withLock { bytes in
            guard position < bytes.count else { return 0 }
            return buffer.writeBytes(bytes[position..<min(bytes.count, position + count)])
        }
    }

    func write(_ bytes: RawSpan, at position: Int) throws(StoreError) {
        let data = bytes.withUnsafeBytes { Array($0) }
        content.withLock { content in
            if content.count < position + data.count {
                content += [UInt8](repeating: 0, count: position + data.count - content.count)
            }
            content.replaceSubrange(position..<(position + data.count), with: data)
        }
    }

    func flush() throws(StoreError) {}
    func allocate(_ size: Int) throws(StoreError) {}
    func truncate(to size: Int) throws(StoreError) { content.withLock { $0.removeLast($0.count - size) } }
    func size() throws(StoreError) -> Int { content.withLock { $0.count } }
}

/// A directory of ``BytesFile``s, for readers.
struct BytesFileSystem: FileSystem {
    let files: [BytesFile]

    func open(_ path: String, _ mode: FileMode) throws(StoreError) -> any File {
        guard let file = files.first(where: { $0.path == path }) else {
            throw .file(operation: "open", path: path, errno: 2)
        }
        return file
    }

    func exists(_ path: String) -> Bool { files.contains { $0.path == path } }

    func list(_ directory: String) throws(StoreError) -> [String] {
        files.compactMap { $0.path.hasPrefix(directory + "/") ? String($0.path.dropFirst(directory.count + 1)) : nil }
    }

    func makeDirectory(_ path: String) throws(StoreError) {}
    func rename(_ old: String, to new: String) throws(StoreError) {}
    func remove(_ path: String) throws(StoreError) {}
    func syncDirectory(_ path: String) throws(StoreError) {}
    func freeBytes(at path: String) throws(StoreError) -> Int { 1 << 40 }
    func lock(_ path: String) throws(StoreError) -> any FileLock { NoLock() }

    private final class NoLock: FileLock { func unlock() {} }
}
