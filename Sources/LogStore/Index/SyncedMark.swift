// SPDX-License-Identifier: Apache-2.0
//
// SyncedMark.swift
// How much of the index database was durable, noted outside of it: what it holds less when it is opened, it has lost.

internal import Model
internal import NIOCore
internal import Records

/// The file `index.synced`: two slots, written in turn, so that a torn write leaves the older one.
///
///     slot   0   magic 4 │ version 1 │ zero 3
///            8   journal id 8                  (of the store: the mark of another one says nothing)
///            16  number 8                      (rises by one with each mark)
///            24  RocksDB sequence 8
///            32  zero 4 │ crc 4                (of the 36 bytes before it)
///
/// Not thread-safe.
struct SyncedMark: Sendable {
    private let file: any File
    private let journalID: UInt64
    private var number: UInt64 = 0
    /// The sequence that was noted last; 0 when there is no mark.
    private(set) var sequence: UInt64 = 0

    /// `GLS1`.
    static let magic: UInt32 = 0x3153_4C47
    static let version: UInt8 = 1
    static let byteCount = 40
    /// Slots lie in blocks of their own.
    static let slotBytes = 4096

    /// The path of the mark below the data directory `root`.
    static func path(_ root: String) -> String { root + "/index.synced" }

    /// Opens the mark, making it when it does not exist.
    ///
    /// Its name is not durable by that.
    init(system: any FileSystem, root: String, journalID: UInt64) throws(StoreError) {
        file = try system.open(Self.path(root), .readWrite)
        self.journalID = journalID
        // Room for both slots, so that noting never needs any.
        if try file.size() < 2 * Self.slotBytes { try file.allocate(2 * Self.slotBytes) }
        for slot in 0..<2 {
            var bytes = ByteBuffer()
            let count = try file.read(Self.byteCount, at: slot * Self.slotBytes, into: &bytes)
            guard count == Self.byteCount, let found = Self.decode(bytes.readableBytesSpan, journalID),
                found.number > number
            else { continue }
            (number, sequence) = found
        }
    }

    /// Notes that everything up to `sequence` is durable; durable itself when it returns.
    mutating func note(_ sequence: UInt64) throws(StoreError) {
        number += 1
        self.sequence = sequence
        let words = words
        // Words have no padding.
        try unsafe file.write(words.span.bytes, at: Int(number % 2) * Self.slotBytes)
        try file.flush()
    }

    private var words: InlineArray<5, UInt64> {
        var words = InlineArray<5, UInt64>(repeating: 0)
        words[0] = (UInt64(Self.magic) | UInt64(Self.version) << 32).littleEndian
        words[1] = journalID.littleEndian
        words[2] = number.littleEndian
        words[3] = sequence.littleEndian
        // Words have no padding; the last four bytes are the checksum's own.
        let checksum = unsafe CRC32C.checksum(words.span.bytes.extracting(0..<(Self.byteCount - 4)))
        words[4] = (UInt64(checksum) << 32).littleEndian
        return words
    }

    private static func decode(_ bytes: RawSpan, _ journalID: UInt64) -> (number: UInt64, sequence: UInt64)? {
        let checksum = CRC32C.checksum(bytes.extracting(0..<(byteCount - 4)))
        guard FrameHeader.word(bytes, 0) == UInt64(magic) | UInt64(version) << 32,
            FrameHeader.word(bytes, 8) == journalID, FrameHeader.word(bytes, 32) == UInt64(checksum) << 32
        else { return nil }
        return (FrameHeader.word(bytes, 16), FrameHeader.word(bytes, 24))
    }
}
