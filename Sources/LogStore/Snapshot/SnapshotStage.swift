// SPDX-License-Identifier: Apache-2.0
//
// SnapshotStage.swift
// A snapshot on its way here: files that grow in a directory of their own, each frame checked as it comes.

internal import Model
internal import NIOCore
internal import Records
internal import Synchronization

/// The staging place of one group's snapshot.
///
/// Files are named by what they hold, so what a former fetch left, also of an older snapshot, is gone on with: a segment's
/// committed bytes never change. Each replica compacts for itself, so the name of a compacted one has its checksum too: what
/// came of one replica's is not gone on with from another's. Used by the thread `store-stage` only.
final class SnapshotStage: Sendable {
    let snapshot: LogSnapshot
    private let core: StoreCore
    private let state = Mutex(State())

    private struct State: Sendable {
        var files: [any File] = []
        var sizes: [Int] = []
        var check = SegmentsCheck()
    }

    /// Bytes that one job checks at most, besides those it brought.
    private static let checkedBytesMax = 32 << 20

    init(_ snapshot: LogSnapshot, _ core: StoreCore) {
        self.snapshot = snapshot
        self.core = core
    }

    /// Where the files of a group's snapshot grow.
    static func directory(of group: GroupID, root: String) -> String { "\(root)/staging/\(group.rawValue)" }

    private var directory: String { Self.directory(of: snapshot.group, root: core.settings.directory) }

    /// The path of one file.
    func path(ofFile number: Int) -> String {
        switch snapshot.content {
        case .segments(let segments): directory + "/" + segments[number].stagedName
        case .state(_, _, let checksum): directory + "/state-\(snapshot.index.rawValue)-\(checksum)"
        }
    }

    // MARK: Steps

    /// Makes or finds the files, and returns how much of each is there.
    func begin() throws(StoreError) -> [Int] {
        if let error = core.diskFull(for: snapshot.byteCount) { throw error }
        let root = core.settings.directory
        try core.system.makeDirectory(root + "/staging")
        try core.system.makeDirectory(directory)
        let expected = Set((0..<snapshot.fileCount).map(path(ofFile:)))
        for name in try core.system.list(directory) where !expected.contains(directory + "/" + name) {
            try core.system.remove(directory + "/" + name)
        }
        var files: [any File] = []
        var sizes: [Int] = []
        for number in 0..<snapshot.fileCount {
            let file = try core.system.open(path(ofFile: number), .readWrite)
            var size = try file.size()
            if size > snapshot.byteCount(ofFile: number) {
                size = snapshot.byteCount(ofFile: number)
                try file.truncate(to: size)
            }
            files.append(file)
            sizes.append(size)
        }
        state.withLock { [files, sizes] in $0 = State(files: files, sizes: sizes, check: SegmentsCheck()) }
        return sizes
    }

    /// Adds bytes at the end of a file, and checks the frames that are whole by now.
    func write(_ bytes: ByteBuffer, file number: Int, at position: Int) throws(StoreError) {
        let (file, size) = state.withLock { ($0.files[number], $0.sizes[number]) }
        guard position == size, position + bytes.readableBytes <= snapshot.byteCount(ofFile: number) else {
            throw .corrupt(damage(path(ofFile: number), position, "a piece of a snapshot is not the one asked for"))
        }
        try file.write(bytes.readableBytesSpan, at: position)
        state.withLock { $0.sizes[number] = position + bytes.readableBytes }
        _ = try check()
    }

    /// Checks more of what is there; returns whether all of it was found right.
    ///
    /// What is not right is removed, so that the next fetch brings it anew.
    func check() throws(StoreError) -> Bool {
        do throws(StoreError) {
            switch snapshot.content {
            case .segments(let segments): return try checkSegments(segments)
            case .state(_, let byteCount, let checksum): return try checkState(byteCount, checksum)
            }
        } catch {
            if case .corrupt = error { try remove() }
            throw error
        }
    }

    private func checkSegments(_ segments: [SnapshotSegment]) throws(StoreError) -> Bool {
        var (check, files, sizes) = state.withLock { ($0.check, $0.files, $0.sizes) }
        let isDone = try check.run(
            segments, of: snapshot, files: files, sizes: sizes, limit: Self.checkedBytesMax)
        state.withLock { [check] in $0.check = check }
        return isDone
    }

    private func checkState(_ byteCount: Int, _ checksum: UInt32) throws(StoreError) -> Bool {
        let (file, size) = state.withLock { ($0.files[0], $0.sizes[0]) }
        guard size == byteCount else { return false }
        let bytes = try Self.content(of: file, byteCount)
        guard CRC32C.checksum(bytes) == checksum else {
            throw .corrupt(damage(path(ofFile: 0), 0, "the state of a snapshot fails its checksum"))
        }
        return true
    }

    static func content(of file: any File, _ byteCount: Int) throws(StoreError) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(byteCount)
        _ = try file.read(byteCount, at: 0, into: &bytes)
        return bytes
    }

    /// Makes everything that was staged durable.
    func flush() throws(StoreError) {
        if !core.mutates(.installUnflushed) { for file in state.withLock({ $0.files }) { try file.flush() } }
        try core.system.syncDirectory(directory)
        try core.system.syncDirectory(core.settings.directory + "/staging")
        try core.system.syncDirectory(core.settings.directory)
        state.withLock { $0.files = [] }
    }

    private func remove() throws(StoreError) {
        state.withLock { $0 = State() }
        try core.removeStage(of: snapshot.group)
    }

    private func damage(_ path: String, _ position: Int, _ reason: String) -> Corruption {
        Corruption(group: snapshot.group, file: path, position: position, reason: reason)
    }
}

extension StoreCore {
    /// Removes what is staged for a group.
    func removeStage(of group: GroupID) throws(StoreError) {
        let directory = SnapshotStage.directory(of: group, root: settings.directory)
        guard system.exists(directory) else { return }
        for name in try system.list(directory) { try system.remove(directory + "/" + name) }
        try system.remove(directory)
    }
}

extension SnapshotSegment {
    /// The name of its file while it is on its way.
    fileprivate var stagedName: String {
        let name = Segment.fileName(name) + ".\(term.rawValue)"
        return isCompacted ? name + "-\(checksum)" : name
    }
}

/// How far the segments of a snapshot were found right: every frame in its place, unbroken, up to the last one.
struct SegmentsCheck: Sendable {
    private var number = 0
    private var position = 0
    private var tip: LogTip?
    /// The checksum of the newest frame, or of the footer of a compacted segment.
    private var ending: UInt32?

    /// Goes on for about `limit` bytes; returns whether everything is there and right.
    mutating func run(
        _ segments: [SnapshotSegment], of snapshot: LogSnapshot, files: [any File], sizes: [Int], limit: Int
    ) throws(StoreError) -> Bool {
        var left = limit
        while number < segments.count {
            let segment = segments[number]
            let start = position
            try walk(segment, snapshot, files[number], size: sizes[number], limit: left)
            left -= position - start
            guard position == segment.byteCount else {
                // Nobody would bring more of a file that is all there: to ask again would have no end.
                guard sizes[number] < segment.byteCount || left <= 0 else {
                    throw .corrupt(damage(snapshot, files[number], "a segment of a snapshot ends inside of a frame"))
                }
                return false
            }
            guard tip?.nextIndex == segment.lastIndex.next, ending == segment.checksum else {
                throw .corrupt(damage(snapshot, files[number], "a segment of a snapshot ends with another frame"))
            }
            number += 1
            position = 0
        }
        return true
    }

    private mutating func walk(
        _ segment: SnapshotSegment, _ snapshot: LogSnapshot, _ file: any File, size: Int, limit: Int
    ) throws(StoreError) {
        let salt = FrameHeader.salt(group: snapshot.group, base: segment.name, term: segment.term)
        var cursor = FrameCursor(file, from: position, upTo: size)
        let end = position + limit
        while position < end {
            switch try cursor.peek() {
            case .frame(let header, _):
                guard header.group == snapshot.group, header.salt == salt, take(header, segment, snapshot) else {
                    throw .corrupt(damage(snapshot, file, "a frame of a snapshot does not follow the one before"))
                }
                cursor.skip(header)
                position = cursor.position
            case .end, .noHeader(.short): return
            case .damagedPayload(let header) where position + header.frameBytes > size: return
            default: throw .corrupt(damage(snapshot, file, "a frame of a snapshot fails its checksum"))
            }
        }
    }

    /// Whether the frame is the next one.
    private mutating func take(_ header: FrameHeader, _ segment: SnapshotSegment, _ snapshot: LogSnapshot) -> Bool {
        let tip =
            tip
            ?? LogTip(
                nextIndex: snapshot.firstIndex, term: snapshot.previousTerm, nextOffset: snapshot.firstOffset,
                checksum: nil)
        guard tip.checksum.map({ $0 == header.previous }) ?? true else { return false }
        guard header.isCompacted == segment.isCompacted else { return false }
        if header.kind == .footer {
            if header.isCompacted {
                self.tip?.checksum = header.chain
                ending = header.checksum
            }
            return segment.isSealed && header.index == segment.lastIndex
        }
        guard header.index == tip.nextIndex, header.term >= tip.term, header.baseOffset == tip.nextOffset,
            header.lastIndex <= segment.lastIndex
        else { return false }
        self.tip = LogTip(
            nextIndex: header.lastIndex.next, term: header.term, nextOffset: header.endOffset,
            checksum: header.checksum)
        ending = header.checksum
        return true
    }

    private func damage(_ snapshot: LogSnapshot, _ file: any File, _ reason: String) -> Corruption {
        Corruption(group: snapshot.group, file: file.path, position: position, reason: reason)
    }
}
