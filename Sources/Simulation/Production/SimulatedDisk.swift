// SPDX-License-Identifier: Apache-2.0
//
// SimulatedDisk.swift
// The file system of one simulated machine: it knows what was made durable, dies at any operation, and loses, keeps or
// tears the rest when the power fails.

internal import LogStore
internal import Model
internal import NIOCore
internal import Synchronization

/// What a power failure does to what was not made durable.
enum PowerLoss: CaseIterable {
    /// All of it is gone.
    case all
    /// All of it had arrived.
    case nothing
    /// Each sector and each name had arrived or not, by chance.
    case torn
}

/// A disk, with the page cache before it.
///
/// Invariant: `durable` of a file is what its bytes would be after a power failure that loses everything it can.
final class SimulatedDisk: FileSystem {
    /// What a disk writes whole or not at all.
    static let sector = 512

    fileprivate enum Change: Sendable {
        case write(Int, [UInt8])
        case resize(Int)
    }

    fileprivate struct Content: Sendable {
        var bytes: [UInt8] = []
        var durable: [UInt8] = []
        var pending: [Change] = []
    }

    /// The operations that can be told to fail.
    enum Operation: String, CaseIterable, Sendable {
        case create, write, flush, allocate, truncate, rename, remove, sync
        /// A commit of the index database, which lies on the same disk.
        case commit
    }

    fileprivate struct State: Sendable {
        var files: [Int: Content] = [:]
        var nextFile = 0
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        /// Renames that are not durable: a journaling file system makes both names' changes durable together.
        var renames: [(old: String, new: String)] = []
        var directories: Set<String> = []
        var durableDirectories: Set<String> = []
        /// Counts the lives of the machine: files that were opened in an earlier one do nothing.
        var life = 0
        var operations = 0
        /// The operation that does not happen any more, nor any after it.
        var deathAt: Int?
        /// How many operations after the next commit of the index it dies.
        var deathAfterCommit: Int?
        var isDead = false
        /// What fails next, once.
        var failing: Operation?
        /// Whether the next flush of a file is a lie.
        var liesOnce = false
        /// Bytes that all files may have.
        var capacity = Int.max
        var random: SeededRandom
        /// What happens, for the trace.
        var log: StoreLog?

        var used: Int { Set(names.values).reduce(0) { $0 + (files[$1]?.bytes.count ?? 0) } }
    }

    private let state: Mutex<State>
    private let mutation: DiskMutation?

    init(seed: UInt64, mutation: DiskMutation?) {
        state = Mutex(State(random: SeededRandom(seed: seed)))
        self.mutation = mutation
    }

    // MARK: - Faults

    /// The machine dies at the operation that comes after so many others.
    func die(after count: Int) { state.withLock { $0.deathAt = $0.operations + count } }

    /// The machine dies at the operation that comes so many others after the next commit of the index.
    func die(afterCommitAnd count: Int) { state.withLock { $0.deathAfterCommit = count } }

    /// Whether it died.
    var isDead: Bool { state.withLock { $0.isDead } }

    /// Takes back a death that has not come.
    func survive() { state.withLock { ($0.deathAt, $0.deathAfterCommit) = (nil, nil) } }

    /// Fails the next operation of a kind.
    func fail(_ operation: Operation) { state.withLock { $0.failing = operation } }

    /// Takes back a failure or a lie that has not come; returns whether one had not.
    @discardableResult
    func succeed() -> Bool {
        state.withLock { state in
            defer { (state.failing, state.liesOnce) = (nil, false) }
            return state.failing != nil || state.liesOnce
        }
    }

    /// The next flush of a file reports success and makes nothing durable.
    func lieOnce() { state.withLock { $0.liesOnce = true } }

    /// Leaves room for so many bytes more; nil for as many as one likes.
    func fill(leaving bytes: Int?) {
        state.withLock { state in
            let used = state.used
            state.capacity = bytes.map { used + $0 } ?? .max
        }
    }

    /// Whether room is short.
    var isFull: Bool { state.withLock { $0.capacity != .max } }

    /// How many operations there were.
    var operations: Int { state.withLock { $0.operations } }

    /// Writes down every operation from now on.
    func log(to log: StoreLog) { state.withLock { $0.log = log } }

    /// The process ends: what it had opened does nothing any more.
    ///
    /// With a `loss`, the machine goes down with it.
    func end(_ loss: PowerLoss?) {
        state.withLock { state in
            state.life += 1
            state.deathAt = nil
            state.deathAfterCommit = nil
            state.isDead = false
            state.failing = nil
            state.liesOnce = false
            if let loss { state.losePower(loss) }
        }
    }

    // MARK: - Looking and damaging

    /// The paths of all files, in order.
    var paths: [String] { state.withLock { $0.names.keys.sorted() } }

    /// What a file holds after everything that was written to it.
    func bytes(of path: String) -> [UInt8]? {
        state.withLock { state in state.names[path].flatMap { state.files[$0]?.bytes } }
    }

    /// Changes what a file holds, on the medium and in the cache.
    func damage(_ path: String, _ body: (inout [UInt8]) -> Void) {
        state.withLock { state in
            guard let number = state.names[path], var file = state.files[number] else { return }
            body(&file.bytes)
            file.durable = file.bytes
            file.pending = []
            state.files[number] = file
        }
    }

    // MARK: - Operations

    /// Runs a change of the disk, unless death comes first or it is told to fail.
    private func change<Result: Sendable>(
        _ operation: Operation, _ path: String, life: Int? = nil, detail: @autoclosure () -> String = "",
        atDeath: (inout State) -> Void = { _ in },
        _ body: (inout State) -> Result
    ) throws(StoreError) -> Result {
        let result: Result? = state.withLock { state in
            state.operations += 1
            if let death = state.deathAt, state.operations > death, !state.isDead {
                state.isDead = true
                atDeath(&state)
            }
            guard !state.isDead, life ?? state.life == state.life else { return nil }
            if operation == .commit, let count = state.deathAfterCommit.take() {
                state.deathAt = state.operations + count
            }
            if state.failing == operation {
                state.failing = nil
                return nil
            }
            state.log?.add("disk: \(operation) \(path) \(detail())")
            return body(&state)
        }
        guard let result else { throw .file(operation: operation.rawValue, path: path, errno: 5) }
        return result
    }

    /// A commit of the index database, as its ``IndexMedium`` asks.
    func commit() -> IndexMedium.Fate {
        do throws(StoreError) {
            try change(.commit, "rocksdb") { _ in }
            return mutation == .noIndexSync ? .unsynced : .done
        } catch {
            return state.withLock { Bool.random(using: &$0.random) } ? .failed : .unknown
        }
    }

    func open(_ path: String, _ mode: FileMode) throws(StoreError) -> any File {
        let (known, life) = state.withLock { ($0.names[path], $0.life) }
        if let known { return SimulatedFile(self, path, known, mode, life) }
        guard mode == .readWrite || mode == .direct else {
            throw .file(operation: "open", path: path, errno: 2)
        }
        let number = try change(.create, path) { state in
            let number = state.nextFile
            state.nextFile += 1
            state.files[number] = Content()
            state.names[path] = number
            return number
        }
        return SimulatedFile(self, path, number, mode, life)
    }

    func exists(_ path: String) -> Bool {
        state.withLock { $0.names[path] != nil || $0.directories.contains(path) }
    }

    func list(_ directory: String) throws(StoreError) -> [String] {
        state.withLock { state in
            let inside = { (path: String) in parent(of: path) == directory }
            return (state.names.keys.filter(inside) + state.directories.filter(inside))
                .map { String($0.dropFirst(directory.count + 1)) }.sorted()
        }
    }

    func makeDirectory(_ path: String) throws(StoreError) {
        state.withLock { state in
            // The first directory is the store's own, which is there for good.
            if state.directories.isEmpty {
                state.durableDirectories.insert(path)
                state.directories.insert(path)
            }
            var path = path
            while path.utf8.count > 1, state.directories.insert(path).inserted { path = parent(of: path) }
        }
    }

    func rename(_ old: String, to new: String) throws(StoreError) {
        try change(.rename, old) { state in
            state.names[new] = state.names.removeValue(forKey: old)
            state.renames.append((old, new))
        }
    }

    func remove(_ path: String) throws(StoreError) {
        try change(.remove, path) { state in
            state.names.removeValue(forKey: path)
            state.directories.remove(path)
        }
    }

    func syncDirectory(_ path: String) throws(StoreError) {
        try change(.sync, path) { state in
            if mutation == .noDirectorySync { return }
            for name in Set(state.names.keys).union(state.durableNames.keys) where parent(of: name) == path {
                state.durableNames[name] = state.names[name]
            }
            for (old, new) in state.renames where parent(of: old) == path || parent(of: new) == path {
                state.durableNames[old] = state.names[old]
                state.durableNames[new] = state.names[new]
            }
            state.renames.removeAll { parent(of: $0.old) == path || parent(of: $0.new) == path }
            for name in state.directories.union(state.durableDirectories) where parent(of: name) == path {
                if state.directories.contains(name) {
                    state.durableDirectories.insert(name)
                } else {
                    state.durableDirectories.remove(name)
                    // What was in it does not come back in another one of its name.
                    state.durableNames = state.durableNames.filter { parent(of: $0.key) != name }
                }
            }
        }
    }

    func freeBytes(at path: String) throws(StoreError) -> Int {
        state.withLock { $0.capacity == .max ? 1 << 40 : max(0, $0.capacity - $0.used) }
    }

    func lock(_ path: String) throws(StoreError) -> any FileLock { NoLock() }

    private final class NoLock: FileLock { func unlock() {} }

    // MARK: - Files

    fileprivate func read(_ number: Int, _ count: Int, at position: Int, into buffer: inout ByteBuffer) -> Int {
        state.withLock { state in
            guard let bytes = state.files[number]?.bytes, position < bytes.count else { return 0 }
            return buffer.writeBytes(bytes[position..<min(bytes.count, position + count)])
        }
    }

    fileprivate func size(_ number: Int) -> Int { state.withLock { $0.files[number]?.bytes.count ?? 0 } }

    fileprivate func write(
        _ file: SimulatedFile, _ data: [UInt8], at position: Int
    ) throws(StoreError) {
        let (number, isDirect) = (file.number, file.writesAreDurable && mutation != .noDirectSync)
        try change(.write, file.path, life: file.life, detail: "\(position) + \(data.count)") { state in
            // A write around the cache that the power failure interrupts has arrived in parts.
            guard isDirect else { return }
            // A machine that lives on, when only the process dies, has the same parts.
            state.tear(.write(position, data), of: number, isCached: true)
        } _: { state in
            put(data, at: position, in: &state.files[number, default: Content()].bytes)
            if isDirect {
                put(data, at: position, in: &state.files[number, default: Content()].durable)
            } else {
                state.files[number]?.pending.append(.write(position, data))
            }
        }
    }

    fileprivate func flush(_ file: SimulatedFile) throws(StoreError) {
        try change(.flush, file.path, life: file.life) { state in
            guard mutation != .noFlush, var content = state.files[file.number] else { return }
            content.pending = []
            if state.liesOnce { state.liesOnce = false } else { content.durable = content.bytes }
            state.files[file.number] = content
        }
    }

    fileprivate func resize(_ file: SimulatedFile, to size: Int, _ operation: Operation) throws(StoreError) {
        let isFull = state.withLock { state in
            size > (state.files[file.number]?.bytes.count ?? 0) && state.capacity != .max
                && state.used - (state.files[file.number]?.bytes.count ?? 0) + size > state.capacity
        }
        if isFull { throw .file(operation: operation.rawValue, path: file.path, errno: 28) }
        try change(operation, file.path, life: file.life, detail: "\(size)") { state in
            setSize(size, of: &state.files[file.number, default: Content()].bytes)
            state.files[file.number]?.pending.append(.resize(size))
        }
    }
}

extension SimulatedDisk.State {
    /// Lets a change arrive in parts.
    fileprivate mutating func tear(_ change: SimulatedDisk.Change, of number: Int, isCached: Bool = false) {
        guard var durable = files[number]?.durable, var bytes = files[number]?.bytes else { return }
        switch change {
        case .resize(let size): if Bool.random(using: &random) { setSize(size, of: &durable) }
        case .write(let position, let data):
            var start = 0
            while start < data.count {
                let end = min(
                    data.count, ((position + start) / SimulatedDisk.sector + 1) * SimulatedDisk.sector - position)
                if Bool.random(using: &random) {
                    put(Array(data[start..<end]), at: position + start, in: &durable)
                    if isCached { put(Array(data[start..<end]), at: position + start, in: &bytes) }
                }
                start = end
            }
        }
        files[number]?.durable = durable
        files[number]?.bytes = bytes
    }

    /// The cache is gone, and some of it had arrived.
    fileprivate mutating func losePower(_ loss: PowerLoss) {
        for number in files.keys.sorted() {
            if loss == .torn { for change in files[number]?.pending ?? [] { tear(change, of: number) } }
            guard var file = files[number] else { continue }
            if loss == .nothing { file.durable = file.bytes }
            files[number] = SimulatedDisk.Content(bytes: file.durable, durable: file.durable)
        }
        directories = directories.filter { durableDirectories.contains($0) || loss == .nothing }
        if loss == .torn {
            // Of the names, each arrives or not; a directory that did not takes what is in it along.
            for (old, new) in renames where Bool.random(using: &random) {
                durableNames[old] = names[old]
                durableNames[new] = names[new]
            }
            for (old, new) in renames { (names[old], names[new]) = (durableNames[old], durableNames[new]) }
            for path in Set(names.keys).union(durableNames.keys).sorted()
            where names[path] != durableNames[path] && Bool.random(using: &random) { durableNames[path] = names[path] }
        }
        if loss != .nothing { names = durableNames }
        renames = []
        let top = durableDirectories.min() ?? ""
        func isReachable(_ path: String) -> Bool {
            let above = parent(of: path)
            return directories.contains(above) && (above == top || isReachable(above))
        }
        directories = directories.filter { $0 == top || $0.hasPrefix(top) && isReachable($0) }
        names = names.filter { isReachable($0.key) }
        durableNames = names
        durableDirectories = directories
        let kept = Set(names.values)
        files = files.filter { kept.contains($0.key) }
    }
}

private func parent(of path: String) -> String {
    String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
}

private func setSize(_ size: Int, of bytes: inout [UInt8]) {
    if size < bytes.count { bytes.removeLast(bytes.count - size) }
    if size > bytes.count { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
}

private func put(_ data: [UInt8], at position: Int, in bytes: inout [UInt8]) {
    if bytes.count < position + data.count { setSize(position + data.count, of: &bytes) }
    bytes.replaceSubrange(position..<(position + data.count), with: data)
}

/// An open file of one life.
private final class SimulatedFile: File {
    let path: String
    let writesAreDurable: Bool
    let number: Int
    let life: Int
    private let disk: SimulatedDisk
    private let wantsBlocks: Bool

    init(_ disk: SimulatedDisk, _ path: String, _ number: Int, _ mode: FileMode, _ life: Int) {
        self.disk = disk
        self.path = path
        self.number = number
        self.life = life
        writesAreDurable = mode == .direct
        wantsBlocks = mode == .direct || mode == .unbuffered
    }

    func read(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        disk.read(number, count, at: position, into: &buffer)
    }

    func write(_ bytes: RawSpan, at position: Int) throws(StoreError) {
        // Sound: the bytes are copied inside the closure.
        let data = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        precondition(
            !wantsBlocks || (position % 4096 == 0 && data.count % 4096 == 0), "\(data.count) bytes at \(position)")
        try disk.write(self, data, at: position)
    }

    func flush() throws(StoreError) { try disk.flush(self) }

    func allocate(_ size: Int) throws(StoreError) {
        if disk.size(number) < size { try disk.resize(self, to: size, .allocate) }
    }

    func truncate(to size: Int) throws(StoreError) { try disk.resize(self, to: size, .truncate) }

    func size() throws(StoreError) -> Int { disk.size(number) }
}
