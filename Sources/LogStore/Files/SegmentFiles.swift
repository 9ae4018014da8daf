// SPDX-License-Identifier: Apache-2.0
//
// SegmentFiles.swift
// The open segment files, the pool of files to be used again, and how frames are written.

internal import Model
internal import NIOCore
internal import Synchronization

/// Opens, makes, recycles and removes segment files.
///
/// Any thread.
final class SegmentFiles: Sendable {
    private let system: any FileSystem
    private let root: String
    private let openMax: Int
    private let recycledMax: Int
    private let state: Mutex<State>

    private struct State: Sendable {
        var open: [String: OpenFile] = [:]
        var uses: UInt64 = 0
        var recycled: [String] = []
        var nextRecycled: UInt64 = 0
        var recycles = true
        /// Groups whose files are gone, for all but a power failure.
        var deleted: Set<GroupID> = []
    }

    private struct OpenFile: Sendable {
        let file: any File
        /// The same file around the page cache, once it was asked for.
        var unbuffered: (any File)?
        var used: UInt64
    }

    /// A file above this size is not kept for reuse.
    static let recycledBytesMax = 64 << 20

    init(system: any FileSystem, root: String, openMax: Int, recycledMax: Int) throws(StoreError) {
        self.system = system
        self.root = root
        self.openMax = max(8, openMax)
        self.recycledMax = recycledMax
        var state = State()
        for name in try system.list(root + "/recycled") {
            state.recycled.append(root + "/recycled/" + name)
            if let number = UInt64(name) { state.nextRecycled = max(state.nextRecycled, number + 1) }
        }
        self.state = Mutex(state)
    }

    /// How many files are open.
    var openCount: Int { state.withLock { $0.open.count } }

    /// The file of `segment` for reading.
    func reading(_ segment: Segment) throws(StoreError) -> any File { try file(segment.path, .update) }

    /// The file of `segment`, which must exist, for reading, and for writing whole blocks, around the page cache.
    func unbuffered(_ segment: Segment) throws(StoreError) -> any File {
        // Both are kept and closed together.
        _ = try reading(segment)
        if let open = state.withLock({ $0.open[segment.path]?.unbuffered }) { return open }
        let file = try system.open(segment.path, .unbuffered)
        state.withLock { $0.open[segment.path]?.unbuffered = file }
        return file
    }

    /// The file of `segment`, made when it does not exist, with room for bytes up to `end`.
    func writing(_ segment: Segment, upTo end: Int) throws(StoreError) -> any File {
        var problem: StoreError?
        let file: (any File)? = segment.state.withLock { state in
            do throws(StoreError) {
                return try prepare(segment, &state, end)
            } catch {
                problem = error
                return nil
            }
        }
        guard let file else { throw problem ?? .closed }
        return file
    }

    private func prepare(_ segment: Segment, _ state: inout Segment.State, _ end: Int) throws(StoreError) -> any File {
        if !state.exists {
            if !system.exists(segment.path) { try make(segment) }
            state.exists = true
            state.isNamed = false
            state.allocated = try file(segment.path, .readWrite).size()
        }
        let file = try self.file(segment.path, .readWrite)
        if end > state.allocated {
            let size = Segment.allocation(for: end, allocated: state.allocated)
            do throws(StoreError) {
                try file.allocate(size)
                state.allocated = size
            } catch {
                // The generous step does not fit; what is needed may.
                guard error.isNoSpace, size > end else { throw error }
                try file.allocate(end)
                state.allocated = end
            }
        }
        return file
    }

    private func make(_ segment: Segment) throws(StoreError) {
        try system.makeDirectory(segment.directory)
        if let old = state.withLock({ $0.recycled.popLast() }) { try system.rename(old, to: segment.path) }
    }

    /// Makes the names of `segments` durable, once for each directory.
    func nameDurably(_ segments: [Segment]) throws(StoreError) {
        var done: Set<String> = []
        for segment in segments where segment.state.withLock({ $0.exists && !$0.isNamed && !$0.isDeleted }) {
            if done.insert(segment.directory).inserted {
                try system.syncDirectory(segment.directory)
                try system.syncDirectory(root + "/groups")
            }
            segment.state.withLock { $0.isNamed = true }
        }
    }

    /// Removes a segment, keeping its file for reuse when there is room in the pool.
    func delete(_ segment: Segment) throws(StoreError) {
        let size = segment.state.withLock { state in
            state.isDeleted = true
            return state.allocated
        }
        forget(segment.path)
        guard system.exists(segment.path) else { return }
        let target: String? = state.withLock { state in
            guard state.recycles, size > 0, size <= Self.recycledBytesMax, state.recycled.count < recycledMax else {
                return nil
            }
            let number = state.nextRecycled
            state.nextRecycled += 1
            return "\(root)/recycled/\(number)"
        }
        guard let target else { return try removeSlowly(segment.path, size: size) }
        try system.makeDirectory(root + "/recycled")
        try system.rename(segment.path, to: target)
        state.withLock { $0.recycled.append(target) }
    }

    /// Starts or stops to keep files for reuse; what was kept goes when it stops.
    func setRecycling(_ recycles: Bool) throws(StoreError) {
        let dropped: [String] = state.withLock { state in
            state.recycles = recycles
            defer { if !recycles { state.recycled = [] } }
            return recycles ? [] : state.recycled
        }
        for path in dropped { try removeSlowly(path, size: 0) }
    }

    /// Gives the space back in steps: freeing much at once stalls the flushes of others.
    private func removeSlowly(_ path: String, size: Int) throws(StoreError) {
        var rest = size - Self.recycledBytesMax
        if rest > 0 {
            let file = try system.open(path, .readWrite)
            while rest > 0 {
                try file.truncate(to: rest)
                rest -= Self.recycledBytesMax
            }
        }
        try system.remove(path)
    }

    /// Removes a file that holds nothing of a log.
    ///
    /// It is closed as well: the next segment of that name is another file.
    func remove(_ path: String) throws(StoreError) {
        forget(path)
        try system.remove(path)
    }

    /// Makes the names in `directory` durable.
    func syncDirectory(_ directory: String) throws(StoreError) {
        if system.exists(directory) { try system.syncDirectory(directory) }
    }

    /// Removes everything of a group.
    func deleteGroup(_ group: GroupID) throws(StoreError) {
        let directory = Segment.directory(of: group, root: root)
        for name in try system.list(directory) {
            forget(directory + "/" + name)
            try system.remove(directory + "/" + name)
        }
        try system.remove(directory)
        state.withLock { _ = $0.deleted.insert(group) }
    }

    /// Makes sure that no file of an earlier life of `group` comes back with a power failure, before it is made anew.
    func forget(_ group: GroupID) throws(StoreError) {
        guard state.withLock({ $0.deleted.contains(group) }) else { return }
        try system.syncDirectory(root + "/groups")
        state.withLock { _ = $0.deleted.remove(group) }
    }

    /// Moves everything of a group to another directory of the store, durably, in the place of what was moved there
    /// before; returns its place.
    func moveGroup(_ group: GroupID, to parent: String, time: Int64) throws(StoreError) -> String {
        let directory = Segment.directory(of: group, root: root)
        let place = "\(root)/\(parent)/\(group.rawValue)-\(time)"
        guard system.exists(directory) else { return place }
        for file in try system.list(directory) { forget(directory + "/" + file) }
        try system.makeDirectoryDurably("\(root)/\(parent)")
        for former in try system.list("\(root)/\(parent)") where former.hasPrefix("\(group.rawValue)-") {
            let path = "\(root)/\(parent)/\(former)"
            for file in try system.list(path) { try system.remove(path + "/" + file) }
            try system.remove(path)
        }
        try system.rename(directory, to: place)
        try system.syncDirectory("\(root)/\(parent)")
        try system.syncDirectory("\(root)/groups")
        return place
    }

    /// Closes the file at `path` for the cache.
    func forget(_ path: String) {
        _ = state.withLock { $0.open.removeValue(forKey: path) }
    }

    private func file(_ path: String, _ mode: FileMode) throws(StoreError) -> any File {
        let cached: (any File)? = state.withLock { state in
            state.uses += 1
            state.open[path]?.used = state.uses
            return state.open[path]?.file
        }
        if let cached { return cached }
        let file = try system.open(path, mode)
        state.withLock { state in
            state.open[path] = OpenFile(file: file, used: state.uses)
            if state.open.count > openMax { evict(&state) }
        }
        return file
    }

    /// Closes the quarter of the files that was not used for longest.
    private func evict(_ state: inout State) {
        let old = state.open.sorted { $0.value.used < $1.value.used }.prefix(state.open.count / 4)
        for entry in old { state.open.removeValue(forKey: entry.key) }
    }
}

/// Writes frames of one segment: small ones gathered, large payloads as they are.
struct FrameWriter {
    private var staged = ByteBuffer()
    private var start = 0

    /// Payloads from this size on are written without a copy.
    static let gatheredBytesMax = 64 << 10
    /// A gathered write is at most about this large.
    static let stagedBytesMax = 1 << 20

    /// Writes `frames`, which belong to one segment, and returns the bytes written.
    mutating func write(_ frames: some Sequence<SealedFrame>, to file: any File) throws(StoreError) -> Int {
        var written = 0
        staged.clear()
        for frame in frames {
            if staged.readableBytes > 0,
                start + staged.readableBytes != Int(frame.position) || staged.readableBytes > Self.stagedBytesMax
            {
                try flush(to: file)
            }
            if staged.readableBytes == 0 { start = Int(frame.position) }
            stage(frame.header)
            staged.writeRepeatingByte(0, count: Int(frame.header.lead))
            if frame.payload.readableBytes >= Self.gatheredBytesMax {
                try flush(to: file)
                let position = Int(frame.position) + frame.header.payloadStart
                let payload = frame.payload
                try file.write(payload.readableBytesSpan, at: position)
                start = position + frame.payload.readableBytes
            } else {
                staged.writeImmutableBuffer(frame.payload)
            }
            staged.writeRepeatingByte(0, count: frame.header.paddingBytes)
            written += frame.frameBytes
        }
        try flush(to: file)
        return written
    }

    private mutating func stage(_ header: FrameHeader) {
        let words = header.words
        for position in words.indices { staged.writeInteger(words[position].bigEndian) }
    }

    private mutating func flush(to file: any File) throws(StoreError) {
        if staged.readableBytes > 0 { try file.write(staged.readableBytesSpan, at: start) }
        start += staged.readableBytes
        staged.clear()
    }
}
