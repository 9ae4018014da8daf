// SPDX-License-Identifier: Apache-2.0
//
// FileSystem.swift
// The seam between the store and the operating system. Two conformers: the real one, and the one of the tests that loses,
// tears and refuses.

internal import Model
package import NIOCore

/// How a file is opened.
package enum FileMode: Sendable, Hashable {
    /// For reading; it must exist.
    case read
    /// For reading and writing; it must exist.
    case update
    /// For reading and writing; made when it does not exist.
    case readWrite
    /// For writing around the page cache, each write durable when it returns; made when it does not exist.
    case direct
    /// For reading and writing around the page cache, durable after ``File/flush()``; it must exist. Memory and positions
    /// of writes should be multiples of ``AlignedBuffer/alignment``; reads find their own, and want an empty buffer.
    case unbuffered
}

/// The directory operations that the store needs.
package protocol FileSystem: Sendable {
    /// Opens the file at `path`.
    func open(_ path: String, _ mode: FileMode) throws(StoreError) -> any File
    /// Whether something is at `path`.
    func exists(_ path: String) -> Bool
    /// The names in a directory, in no order; none when it does not exist.
    func list(_ directory: String) throws(StoreError) -> [String]
    /// Makes a directory and what is missing above it. Not durable before ``syncDirectory(_:)`` of its parent.
    func makeDirectory(_ path: String) throws(StoreError)
    /// Renames a file over whatever has the new name. Not durable before ``syncDirectory(_:)``.
    func rename(_ old: String, to new: String) throws(StoreError)
    /// Removes a file or an empty directory; nothing happens when it does not exist.
    func remove(_ path: String) throws(StoreError)
    /// Makes the names in a directory durable.
    func syncDirectory(_ path: String) throws(StoreError)
    /// The free bytes of the disk that holds `path`.
    func freeBytes(at path: String) throws(StoreError) -> Int
    /// Takes the lock file at `path` for as long as the result lives.
    func lock(_ path: String) throws(StoreError) -> any FileLock
}

/// A lock that ends when the value is released.
package protocol FileLock: AnyObject, Sendable {
    /// Ends the lock now.
    func unlock()
}

/// An open file.
///
/// Any thread may use it; it is closed when the last user lets go.
package protocol File: AnyObject, Sendable {
    /// Where it was opened.
    var path: String { get }
    /// Whether every write is durable when it returns.
    var writesAreDurable: Bool { get }
    /// Appends up to `count` bytes from `position` on to `buffer`; fewer only at the end of the file.
    func read(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int
    /// Writes all of `bytes` at `position`.
    func write(_ bytes: RawSpan, at position: Int) throws(StoreError)
    /// Writes all of `pieces`, one behind the other, from `position` on.
    func write(_ pieces: [WritePiece], _ staging: borrowing AlignedBuffer, at position: Int) throws(StoreError)
    /// Makes the file's bytes durable.
    func flush() throws(StoreError)
    /// Reserves space and gives the file at least `size` bytes; new bytes read as zeros.
    func allocate(_ size: Int) throws(StoreError)
    /// Makes the file exactly `size` bytes long.
    func truncate(to size: Int) throws(StoreError)
    /// The length of the file.
    func size() throws(StoreError) -> Int
}

extension FileSystem {
    /// Makes a directory and what is missing above it, durably.
    func makeDirectoryDurably(_ path: String) throws(StoreError) {
        guard !path.isEmpty, path != "/", !exists(path) else { return }
        let slash = path.lastIndex(of: "/")
        let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try makeDirectoryDurably(parent)
        try makeDirectory(path)
        try syncDirectory(parent)
    }
}

/// A part of a write that is gathered from several places.
package enum WritePiece: Sendable {
    /// A range of the staging buffer.
    case staged(Range<Int>)
    /// The readable bytes of a buffer.
    case memory(ByteBuffer)

    var byteCount: Int {
        switch self {
        case .staged(let range): range.count
        case .memory(let buffer): buffer.readableBytes
        }
    }
}

extension File {
    /// One write for each piece.
    package func write(
        _ pieces: [WritePiece], _ staging: borrowing AlignedBuffer, at position: Int
    ) throws(StoreError) {
        var position = position
        for piece in pieces {
            switch piece {
            case .staged(let range):
                let position = position
                try staging.withBytes { bytes throws(StoreError) in
                    try write(bytes.extracting(range), at: position)
                }
            case .memory(let buffer): try write(buffer.readableBytesSpan, at: position)
            }
            position += piece.byteCount
        }
    }
}
