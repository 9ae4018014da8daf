// SPDX-License-Identifier: Apache-2.0
//
// JournalWriter.swift
// Fills the ring of journal files, one block at a time. Owned by the flush thread.

internal import Model
internal import NIOCore

/// Up to where the journal may be overwritten, and what the flush thread waits for.
struct JournalMarks: Sendable {
    /// Every block before this sequence is in the segments and the index for good.
    var checkpointed: UInt64
    /// Bytes that were handed to the applier and are not in the segments yet.
    var unappliedBytes = 0
    /// Bytes of the ring that have no place on the disk yet.
    var unallocatedBytes = 0
    /// Bytes that were handed to the applier and found no room in their segments.
    var deferredBytes = 0
    /// The block that no checkpoint passes before they have found some; nil when nothing waits for room.
    var deferredFrom: UInt64?
    /// Set when the store failed: nobody waits any more.
    var isFailed = false
}

/// Writes blocks.
///
/// Not thread-safe.
struct JournalWriter: ~Copyable {
    private struct RingFile {
        let file: any File
        var lastSequence: UInt64 = 0
        /// Bytes below this were written at least once, so that writing them again allocates nothing.
        var zeroed = 0
    }

    private let system: any FileSystem
    private let directory: String
    private let fileBytes: Int
    private var filesMax: Int
    private let journalID: UInt64
    private var files: [RingFile] = []
    private var current = 0
    private var position = 0
    private(set) var nextSequence: UInt64
    private var staging: AlignedBuffer
    private var items: UInt32 = 0
    /// Bytes of the ring that have no place on the disk yet: free space is not free as far as they need it.
    private(set) var unallocatedBytes: Int

    /// What one block can hold.
    let blockBytes: Int
    /// At most so much: larger blocks are not faster and need more memory.
    private static let blockBytesMax = 4 << 20
    /// How much is zeroed at a time while nothing else is to be done.
    private static let zeroedStep = 256 << 10

    /// Continues at the start of the ring: everything in it must be checkpointed.
    init(
        system: any FileSystem, directory: String, settings: StoreSettings, journalID: UInt64, nextSequence: UInt64
    ) throws(StoreError) {
        precondition(settings.journalFiles >= 2, "a ring has two files at least")
        precondition(
            settings.journalFile.bytes >= 64 << 10 && settings.journalFile.bytes % 8192 == 0,
            "journal files of \(settings.journalFile) are too small, or no multiple of 8 KiB")
        self.system = system
        self.directory = directory
        fileBytes = settings.journalFile.bytes
        filesMax = settings.journalFiles
        self.journalID = journalID
        self.nextSequence = nextSequence
        blockBytes = min(Self.blockBytesMax, settings.journalFile.bytes / 2)
        staging = AlignedBuffer(capacity: blockBytes)
        unallocatedBytes = settings.journal == .off ? 0 : try Self.missingBytes(system, directory, settings)
        begin()
    }

    /// The path of a journal file, such as `journal/3.jnl`.
    static func path(_ directory: String, _ number: Int) -> String { "\(directory)/\(number).jnl" }

    /// Files are made when they are needed first: a store without a journal has none, and opening does not wait for it.
    private mutating func openFile(_ number: Int) throws(StoreError) {
        try system.makeDirectory(directory)
        let file = try system.open(Self.path(directory, number), .direct)
        let size = try file.size()
        if size < fileBytes { try file.allocate(fileBytes) }
        // Also when it is there: a process that was killed may have made it and not come further.
        try file.flush()
        try system.syncDirectory(directory)
        files.append(RingFile(file: file, zeroed: size >= fileBytes ? fileBytes : size))
        unallocatedBytes -= min(unallocatedBytes, max(0, fileBytes - size))
    }

    /// What the ring still takes of the disk before it is complete.
    private static func missingBytes(
        _ system: any FileSystem, _ directory: String, _ settings: StoreSettings
    ) throws(StoreError) -> Int {
        var missing = 0
        for number in 0..<settings.journalFiles {
            let path = Self.path(directory, number)
            let size = system.exists(path) ? try system.open(path, .read).size() : 0
            missing += max(0, settings.journalFile.bytes - size)
        }
        return missing
    }

    // MARK: Filling a block

    /// Whether nothing was staged.
    var isEmpty: Bool { items == 0 }
    /// The bytes staged, without the padding.
    var stagedBytes: Int { staging.count }

    /// Whether an item of `byteCount` bytes fits into the block that is being filled.
    func fits(_ byteCount: Int) -> Bool {
        staging.count + byteCount <= staging.capacity
    }

    /// Whether a frame can go through the journal at all.
    func takes(_ frame: SealedFrame) -> Bool {
        frame.frameBytes + JournalFormat.frameItemBytes + JournalFormat.headerBytes <= blockBytes
    }

    private mutating func begin() {
        staging.clear()
        staging.append(JournalBlockHeader(journalID: journalID, sequence: 0, byteCount: 0, itemCount: 0))
        items = 0
    }

    /// Adds a frame, which must fit.
    mutating func add(_ frame: SealedFrame) {
        let prefix = JournalItem.prefix(
            base: frame.segment?.base, position: frame.position, checksum: frame.header.checksum)
        staging.append(prefix)
        staging.append(frame.header.words)
        staging.pad(upTo: staging.count + Int(frame.header.lead))
        let payload = frame.payload
        staging.append(payload.readableBytesSpan)
        staging.pad(to: FrameHeader.alignment)
        items += 1
    }

    /// Adds a hard state, which must fit.
    mutating func add(_ state: HardStateRecord, of group: GroupID) {
        staging.append(JournalItem.words(state, of: group))
        items += 1
    }

    // MARK: Writing

    /// Makes the file that the block needs, so that writing it takes no space.
    ///
    /// Where the disk has no room for one more file, the ring stays as short as it is until the next start. Returns false when
    /// it is too short for that.
    mutating func reserve() throws(StoreError) -> Bool {
        let isFull = position + JournalFormat.paddedBytes(staging.count) > fileBytes
        guard files.isEmpty || (isFull && current + 1 == files.count && files.count < filesMax) else { return true }
        do throws(StoreError) {
            try openFile(files.count)
        } catch {
            guard error.isNoSpace else { throw error }
            // It is no part of the ring in this run: whatever an earlier one left in it was checkpointed.
            try system.remove(Self.path(directory, files.count))
            guard files.count >= 2 else { return false }
            filesMax = files.count
            unallocatedBytes = 0
        }
        return true
    }

    /// The block up to which must be checkpointed before this block may be written: it needs that block's file.
    var blockedBy: UInt64 {
        if position + JournalFormat.paddedBytes(staging.count) <= fileBytes { return 0 }
        let next = (current + 1) % filesMax
        return next >= files.count ? 0 : files[next].lastSequence
    }

    /// Whether half of the ring waits for a checkpoint.
    func isHalfFull(checkpointed: UInt64) -> Bool {
        files.count { $0.lastSequence >= checkpointed } > max(1, filesMax / 2)
    }

    /// Writes the block and makes it durable.
    ///
    /// Returns its sequence and its bytes on disk.
    mutating func write() throws(StoreError) -> (sequence: UInt64, bytes: Int) {
        if files.isEmpty { try openFile(0) }
        let content = staging.count
        let total = JournalFormat.paddedBytes(content)
        if position + total > fileBytes { try switchFile() }
        let header = JournalBlockHeader(
            journalID: journalID, sequence: nextSequence, byteCount: UInt32(content), itemCount: items)
        staging.replace(at: 0, with: header)
        staging.pad(to: JournalFormat.blockAlignment)
        let file = files[current].file
        let position = self.position
        try staging.withBytes { bytes throws(StoreError) in try file.write(bytes, at: position) }
        if !file.writesAreDurable { try file.flush() }
        self.position += total
        files[current].zeroed = max(files[current].zeroed, self.position)
        files[current].lastSequence = nextSequence
        nextSequence += 1
        begin()
        return (nextSequence - 1, total)
    }

    private mutating func switchFile() throws(StoreError) {
        current = (current + 1) % filesMax
        if current == files.count { try openFile(current) }
        position = 0
    }

    /// Writes zeros ahead of the writer; returns false when there is nothing to prepare.
    ///
    /// Blocks that come before their part of the file was zeroed are written all the same, only slower.
    mutating func prepareAhead() throws(StoreError) -> Bool {
        guard items == 0 else { return false }
        if files.isEmpty, try !reserve() { return false }
        guard files[current].zeroed < fileBytes else { return false }
        let start = max(files[current].zeroed, position) / 4096 * 4096
        let count = min(Self.zeroedStep, fileBytes - start, blockBytes)
        staging.clear()
        staging.pad(upTo: count)
        let file = files[current].file
        try staging.withBytes { bytes throws(StoreError) in try file.write(bytes, at: start) }
        if !file.writesAreDurable { try file.flush() }
        files[current].zeroed = start + count
        begin()
        return true
    }
}

extension AlignedBuffer {
    /// Appends words as they are.
    mutating func append<let count: Int>(_ words: InlineArray<count, UInt64>) {
        // Words have no padding.
        unsafe append(words.span.bytes)
    }

    /// Appends a block header.
    mutating func append(_ header: JournalBlockHeader) { append(header.words) }

    /// Replaces a block header.
    mutating func replace(at position: Int, with header: JournalBlockHeader) {
        let words = header.words
        // Words have no padding.
        unsafe replace(at: position, with: words.span.bytes)
    }
}
