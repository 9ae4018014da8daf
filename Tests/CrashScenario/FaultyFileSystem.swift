// SPDX-License-Identifier: Apache-2.0
//
// FaultyFileSystem.swift
// A disk in memory that knows what was made durable. A crash can lose, keep or tear everything else, at any operation.

package import LogStore
package import Model
import NIOCore
import Synchronization

/// What a crash does to bytes and names that were not made durable.
package enum Loss: String, CaseIterable, Sendable {
    /// The process ended, the machine did not: all of them are there, and none has become durable by it.
    case process
    /// The power failed, and all of them are gone.
    case all
    /// The power failed, and all of them had arrived.
    case nothing
    /// The power failed; each sector and each name had arrived or not, by chance.
    case torn
}

/// A file system in memory with faults.
package final class FaultyFileSystem: FileSystem {
    package static let sector = 512

    package enum Change: Sendable {
        /// Bytes at a position.
        case write(Int, [UInt8])
        /// Another length.
        case resize(Int)
    }

    package struct Node: Sendable {
        package var bytes: [UInt8] = []
        package var durable: [UInt8] = []
        package var pending: [Change] = []
    }

    package struct Disk: Sendable {
        package var nodes: [Int: Node] = [:]
        package var nextNode = 0
        package var names: [String: Int] = [:]
        package var durableNames: [String: Int] = [:]
        package var directories: Set<String> = []
        package var durableDirectories: Set<String> = []
        package var operations = 0
        /// All bytes that were written.
        package var written = 0
        /// The operation that does not happen any more, nor any after it.
        package var crashAt: Int?
        /// What the operation fails with, by its name; it goes on failing.
        package var errors: [String: Int32] = [:]
        /// Bytes that all files may have.
        package var capacity = Int.max
        /// What is said to be free.
        package var free = 1 << 40
        package var random = SeededRandom(seed: 0)
        package var tearsDirectWrites = false
        package var locked: Set<String> = []

        /// An empty disk.
        package init() {}

        /// The bytes of all files that have a name.
        package var used: Int { Set(names.values).reduce(0) { $0 + (nodes[$1]?.bytes.count ?? 0) } }
    }

    private let disk: Mutex<Disk>

    package init(_ disk: Disk = Disk()) { self.disk = Mutex(disk) }

    /// All bytes that were written.
    package var written: Int { disk.withLock { $0.written } }
    /// The bytes of all files that have a name.
    package var used: Int { disk.withLock { $0.used } }
    /// How many operations there were that change the disk.
    package var operations: Int { disk.withLock { $0.operations } }

    /// Changes how the disk behaves.
    package func arrange(_ body: (inout Disk) -> Void) { disk.withLock { body(&$0) } }

    /// Whether the crash has happened.
    package var hasCrashed: Bool { disk.withLock { disk in disk.crashAt.map { disk.operations >= $0 } ?? false } }

    /// The disk after a power failure.
    package func afterCrash(_ loss: Loss, seed: UInt64) -> FaultyFileSystem {
        let old = disk.withLock { $0 }
        var random = SeededRandom(seed: seed)
        var new = Disk()
        if loss == .process {
            new = old
            new.crashAt = nil
            new.operations = 0
            return FaultyFileSystem(new)
        }
        new.nextNode = old.nextNode
        new.directories = old.directories.filter { directory in
            old.durableDirectories.contains(directory) || loss == .nothing || loss == .torn && random.next() & 1 == 0
        }
        for (number, node) in old.nodes {
            var bytes = loss == .nothing ? node.bytes : node.durable
            if loss == .torn { for change in node.pending { Self.tear(change, &bytes, &random) } }
            new.nodes[number] = Node(bytes: bytes, durable: bytes)
        }
        switch loss {
        case .all: new.names = old.durableNames
        case .nothing, .process: new.names = old.names
        case .torn:
            new.names = old.durableNames
            // A rename changes both names or none, as in every file system with a journal.
            let moved = Set(old.names.values).intersection(old.durableNames.values)
            var renames: [Int: Bool] = [:]
            for path in Set(old.names.keys).union(old.durableNames.keys).sorted()
            where old.names[path] != old.durableNames[path] {
                let nodes = [old.names[path], old.durableNames[path]]
                let node = nodes.compactMap { $0 }.first { moved.contains($0) }
                let arrives = node.flatMap { renames[$0] } ?? (random.next() & 1 == 0)
                if let node { renames[node] = arrives }
                if arrives { new.names[path] = old.names[path] }
            }
        }
        // What lies in a directory that is gone is gone.
        func isReachable(_ path: String) -> Bool {
            let parent = Self.parent(path)
            return new.directories.contains(parent) && (parent == new.directories.min() || isReachable(parent))
        }
        let top = old.durableDirectories.min() ?? ""
        new.directories = new.directories.filter { $0.hasPrefix(top) }
        new.directories = new.directories.filter { $0 == top || isReachable($0) }
        new.names = new.names.filter { isReachable($0.key) }
        new.durableNames = new.names
        new.durableDirectories = new.directories
        return FaultyFileSystem(new)
    }

    private static func tear(_ change: Change, _ bytes: inout [UInt8], _ random: inout SeededRandom) {
        switch change {
        case .resize(let size): if random.next() & 1 == 0 { resize(&bytes, size) }
        case .write(let position, let data):
            var start = 0
            while start < data.count {
                let end = min(data.count, ((position + start) / sector + 1) * sector - position)
                if random.next() & 1 == 0 { put(Array(data[start..<end]), at: position + start, in: &bytes) }
                start = end
            }
        }
    }

    private static func resize(_ bytes: inout [UInt8], _ size: Int) {
        if size < bytes.count { bytes.removeLast(bytes.count - size) }
        if size > bytes.count { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
    }

    private static func put(_ data: [UInt8], at position: Int, in bytes: inout [UInt8]) {
        if bytes.count < position + data.count { resize(&bytes, position + data.count) }
        bytes.replaceSubrange(position..<(position + data.count), with: data)
    }

    // MARK: Operations

    /// Runs a change, unless the crash has come or it is told to fail.
    private func change<Result: Sendable>(
        _ operation: String, _ path: String, atCrash: (inout Disk) -> Void = { _ in },
        _ body: (inout Disk) -> Result
    ) throws(StoreError) -> Result {
        let outcome: Swift.Result<Result, StoreError> = disk.withLock { disk in
            disk.operations += 1
            if let crash = disk.crashAt, disk.operations >= crash {
                if disk.operations == crash { atCrash(&disk) }
                return .failure(.file(operation: operation, path: path, errno: 5))
            }
            if let code = disk.errors[operation] {
                return .failure(.file(operation: operation, path: path, errno: code))
            }
            return .success(body(&disk))
        }
        return try outcome.get()
    }

    package func open(_ path: String, _ mode: FileMode) throws(StoreError) -> any File {
        if let node = disk.withLock({ $0.names[path] }) { return FaultyFile(self, path, node, mode) }
        guard mode == .readWrite || mode == .direct else {
            throw .file(operation: "open", path: path, errno: 2)
        }
        let node = try change("create", path) { disk in
            let node = disk.nextNode
            disk.nextNode += 1
            disk.nodes[node] = Node()
            disk.names[path] = node
            return node
        }
        return FaultyFile(self, path, node, mode)
    }

    package func exists(_ path: String) -> Bool {
        disk.withLock { $0.names[path] != nil || $0.directories.contains(path) }
    }

    package func list(_ directory: String) throws(StoreError) -> [String] {
        disk.withLock { disk in
            (Array(disk.names.keys) + disk.directories).filter { Self.parent($0) == directory }
                .map { String($0.dropFirst(directory.count + 1)) }
        }
    }

    private static func parent(_ path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }

    package func makeDirectory(_ path: String) throws(StoreError) {
        disk.withLock { disk in
            // The first directory is the store's own, which is there for good.
            if disk.directories.isEmpty {
                disk.durableDirectories.insert(path)
                disk.directories.insert(path)
            }
            var path = path
            while disk.directories.insert(path).inserted { path = Self.parent(path) }
        }
    }

    package func rename(_ old: String, to new: String) throws(StoreError) {
        try change("rename", old) { disk in disk.names[new] = disk.names.removeValue(forKey: old) }
    }

    package func remove(_ path: String) throws(StoreError) {
        try change("remove", path) { disk in
            disk.names.removeValue(forKey: path)
            disk.directories.remove(path)
        }
    }

    package func syncDirectory(_ path: String) throws(StoreError) {
        try change("sync", path) { disk in
            for name in Set(disk.names.keys).union(disk.durableNames.keys) where Self.parent(name) == path {
                disk.durableNames[name] = disk.names[name]
            }
            for name in disk.directories.union(disk.durableDirectories) where Self.parent(name) == path {
                if disk.directories.contains(name) {
                    disk.durableDirectories.insert(name)
                } else {
                    disk.durableDirectories.remove(name)
                    // What was in it does not come back in another one of its name.
                    disk.durableNames = disk.durableNames.filter { Self.parent($0.key) != name }
                }
            }
        }
    }

    package func freeBytes(at path: String) throws(StoreError) -> Int {
        disk.withLock { disk in
            disk.capacity == .max ? disk.free : min(disk.free, max(0, disk.capacity - disk.used))
        }
    }

    package func lock(_ path: String) throws(StoreError) -> any FileLock { FaultyLock() }

    private final class FaultyLock: FileLock { func unlock() {} }

    // MARK: Files

    fileprivate func node(_ number: Int) -> Node { disk.withLock { $0.nodes[number] ?? Node() } }

    fileprivate func read(_ number: Int, _ count: Int, at position: Int) -> [UInt8] {
        disk.withLock { disk in
            guard let bytes = disk.nodes[number]?.bytes, position < bytes.count else { return [] }
            return Array(bytes[position..<min(bytes.count, position + count)])
        }
    }

    fileprivate func write(
        _ number: Int, _ data: [UInt8], at position: Int, path: String, isDirect: Bool
    ) throws(StoreError) {
        try change("write", path) { disk in
            guard isDirect, disk.tearsDirectWrites else { return }
            Self.tear(.write(position, data), &disk.nodes[number]!.durable, &disk.random)
        } _: { disk in
            Self.put(data, at: position, in: &disk.nodes[number]!.bytes)
            disk.written += data.count
            if isDirect {
                Self.put(data, at: position, in: &disk.nodes[number]!.durable)
            } else {
                disk.nodes[number]!.pending.append(.write(position, data))
            }
        }
    }

    fileprivate func flush(_ number: Int, path: String) throws(StoreError) {
        try change("flush", path) { disk in
            disk.nodes[number]!.durable = disk.nodes[number]!.bytes
            disk.nodes[number]!.pending = []
        }
    }

    fileprivate func resize(_ number: Int, to size: Int, path: String, _ operation: String) throws(StoreError) {
        let isFull = disk.withLock { disk in
            disk.used - (disk.nodes[number]?.bytes.count ?? 0) + size > disk.capacity
        }
        if isFull { throw .file(operation: operation, path: path, errno: 28) }
        try change(operation, path) { disk in
            Self.resize(&disk.nodes[number]!.bytes, size)
            disk.nodes[number]!.pending.append(.resize(size))
        }
    }

    /// Turns one bit of a file over, on the disk and in the cache.
    package func flip(_ path: String, byte: Int, bit: Int) {
        disk.withLock { disk in
            guard let number = disk.names[path] else { return }
            disk.nodes[number]!.bytes[byte] ^= 1 << UInt8(bit)
            disk.nodes[number]!.durable = disk.nodes[number]!.bytes
        }
    }
}

private final class FaultyFile: File {
    package let path: String
    package let writesAreDurable: Bool
    private let system: FaultyFileSystem
    private let node: Int
    private let mode: FileMode

    package init(_ system: FaultyFileSystem, _ path: String, _ node: Int, _ mode: FileMode) {
        self.mode = mode
        self.system = system
        self.path = path
        self.node = node
        writesAreDurable = mode == .direct
    }

    package func read(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        let bytes = system.read(node, count, at: position)
        buffer.writeBytes(bytes)
        return bytes.count
    }

    package func write(_ bytes: RawSpan, at position: Int) throws(StoreError) {
        let data = bytes.withUnsafeBytes { Array($0) }
        if mode == .direct || mode == .unbuffered {
            precondition(position % 4096 == 0 && data.count % 4096 == 0, "\(data.count) bytes at \(position)")
        }
        try system.write(node, data, at: position, path: path, isDirect: writesAreDurable)
    }

    package func flush() throws(StoreError) { try system.flush(node, path: path) }

    package func allocate(_ size: Int) throws(StoreError) {
        if system.node(node).bytes.count < size { try system.resize(node, to: size, path: path, "allocate") }
    }

    package func truncate(to size: Int) throws(StoreError) { try system.resize(node, to: size, path: path, "truncate") }

    package func size() throws(StoreError) -> Int { system.node(node).bytes.count }
}
