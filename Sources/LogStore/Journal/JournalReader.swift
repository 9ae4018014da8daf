// SPDX-License-Identifier: Apache-2.0
//
// JournalReader.swift
// Reads what is in the journal from a given block on, for replay and for the inspector. Never writes.

internal import Model
internal import NIOCore

/// Walks the journal in the order of its blocks.
struct JournalReader {
    private struct RingFile {
        let file: any File
        let path: String
        let size: Int
        let first: UInt64
    }

    private let journalID: UInt64
    private var files: [RingFile] = []
    /// Files whose first block cannot be read: a new one, one whose first block was torn, or a damaged one.
    private var headless: [RingFile] = []

    /// What reading came to.
    struct Outcome: Sendable, Hashable {
        /// The sequence the next block will have: higher than that of every block found, torn ones included.
        var nextSequence: UInt64
        /// Blocks that were read.
        var blocks = 0
        /// Whether the last block was torn by a crash; what was whole of it was read.
        var endsTorn = false
    }

    /// Opens the files of a journal; none is fine.
    init(system: any FileSystem, directory: String, journalID: UInt64) throws(StoreError) {
        self.journalID = journalID
        for name in try system.list(directory) where name.hasSuffix(".jnl") {
            let path = directory + "/" + name
            let file = try system.open(path, .read)
            let size = try file.size()
            if let header = try Self.header(file, at: 0, journalID) {
                files.append(RingFile(file: file, path: path, size: size, first: header.sequence))
            } else {
                headless.append(RingFile(file: file, path: path, size: size, first: 0))
            }
        }
        files.sort { $0.first < $1.first }
    }

    /// Passes every item of the blocks from `start` on to `body`, in the order they were written.
    ///
    /// - Throws: ``StoreError/corrupt(_:)`` when a block is damaged that is not the last.
    func read(from start: UInt64, _ body: (JournalItem) throws(StoreError) -> Void) throws(StoreError) -> Outcome {
        var outcome = Outcome(nextSequence: start)
        guard var number = files.lastIndex(where: { $0.first <= start }) ?? (files.isEmpty ? nil : 0) else {
            for file in headless { try checkNoBlock(above: start - 1, in: file, from: 0) }
            return outcome
        }
        if files[number].first > start { throw damage(files[number].path, 0, "block \(start) is missing") }
        while true {
            let file = files[number]
            let end = try walk(file, &outcome, from: start, body)
            if outcome.endsTorn {
                try checkNothingFollows(file, end, outcome.nextSequence)
                outcome.nextSequence += 1
                return outcome
            }
            if number + 1 < files.count, files[number + 1].first == outcome.nextSequence {
                number += 1
                continue
            }
            try checkNothingFollows(file, end, outcome.nextSequence)
            return outcome
        }
    }

    /// Reads the blocks of one file and returns the position at which they end.
    private func walk(
        _ file: RingFile, _ outcome: inout Outcome, from start: UInt64, _ body: (JournalItem) throws(StoreError) -> Void
    ) throws(StoreError) -> Int {
        var position = 0
        var expected = file.first
        while true {
            guard let header = try Self.header(file.file, at: position, journalID), header.sequence == expected else {
                // What is not needed may be unreadable; what is needed may stand behind it.
                guard expected < start, let next = try nextBlock(in: file, behind: position, after: expected),
                    next.sequence <= start
                else { break }
                (position, expected) = (next.position, next.sequence)
                continue
            }
            let total = JournalFormat.paddedBytes(Int(header.byteCount))
            guard Int(header.byteCount) >= JournalFormat.headerBytes, position + total <= file.size else { break }
            if expected >= start {
                guard try items(file, header, position, body) else {
                    outcome.endsTorn = true
                    outcome.nextSequence = expected
                    return position
                }
                outcome.blocks += 1
            }
            expected += 1
            position += total
        }
        outcome.nextSequence = max(start, expected)
        return position
    }

    /// Reads the items of one block; returns false when it is torn.
    private func items(
        _ file: RingFile, _ header: JournalBlockHeader, _ position: Int,
        _ body: (JournalItem) throws(StoreError) -> Void
    ) throws(StoreError) -> Bool {
        var block = ByteBuffer()
        let count = try file.file.read(Int(header.byteCount), at: position, into: &block)
        guard count == Int(header.byteCount) else { return false }
        var next = JournalFormat.headerBytes
        for _ in 0..<header.itemCount {
            guard let (item, end) = JournalItem.read(block, at: next) else { return false }
            try body(item)
            next = end
        }
        return true
    }

    /// A crash leaves at most one block that is not whole, and nothing behind it: a later block proves damage.
    private func checkNothingFollows(_ file: RingFile, _ end: Int, _ expected: UInt64) throws(StoreError) {
        for other in files where other.first > expected {
            throw damage(file.path, end, "block \(expected) is not readable, but block \(other.first) is there")
        }
        try checkNoBlock(above: expected, in: file, from: end)
        // A torn first block is the next one: what stands behind it is older.
        for other in headless { try checkNoBlock(above: expected - 1, in: other, from: 0) }
    }

    /// Behind what cannot be read at `end`, no block may stand that was written after `expected`.
    private func checkNoBlock(above expected: UInt64, in file: RingFile, from end: Int) throws(StoreError) {
        if let next = try nextBlock(in: file, behind: end, after: expected) {
            throw damage(file.path, end, "block \(expected) is not readable, but \(next.sequence) follows")
        }
    }

    /// The first readable block behind `end` whose sequence is higher than `expected`.
    private func nextBlock(
        in file: RingFile, behind end: Int, after expected: UInt64
    ) throws(StoreError) -> (position: Int, sequence: UInt64)? {
        var position = end + JournalFormat.blockAlignment
        var chunk = ByteBuffer()
        while position < file.size {
            chunk.clear()
            let count = try file.file.read(1 << 20, at: position, into: &chunk)
            for start in stride(from: 0, to: count, by: JournalFormat.blockAlignment) {
                let header = JournalBlockHeader(chunk.readableBytesSpan, at: start, journalID: journalID)
                if let header, header.sequence > expected { return (position + start, header.sequence) }
            }
            if count < 1 << 20 { break }
            position += count
        }
        return nil
    }

    private func damage(_ path: String, _ position: Int, _ reason: String) -> StoreError {
        .corrupt(Corruption(group: nil, file: path, position: position, reason: reason))
    }

    private static func header(
        _ file: any File, at position: Int, _ journalID: UInt64
    ) throws(StoreError) -> JournalBlockHeader? {
        var bytes = ByteBuffer()
        guard try file.read(JournalFormat.headerBytes, at: position, into: &bytes) == JournalFormat.headerBytes else {
            return nil
        }
        return JournalBlockHeader(bytes.readableBytesSpan, at: 0, journalID: journalID)
    }
}
