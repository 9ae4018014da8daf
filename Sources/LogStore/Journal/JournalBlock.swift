// SPDX-License-Identifier: Apache-2.0
//
// JournalBlock.swift
// The layout of the journal. A file is a row of blocks; a block is what one flush made durable, padded to 4096 bytes.
//
//     block   0   magic 4 │ version 1 │ zero 3
//             8   journal id 8                      (drawn when the store was made: blocks of other stores never fit)
//             16  sequence 8                        (rises by one with each block, for the life of the store)
//             24  bytes 4 │ items 4                 (header and items, without the padding)
//             32  zero 24
//             56  zero 4 │ crc 4                    (of the 60 bytes before it)
//             64  items, each at a multiple of 8
//
//     frame      │ kind 1, zero 3, position 4 │ segment base 8 │ zero 4, crc 4 │ frame: header, payload, padding │
//     command    the same with kind 2 and neither position nor base
//     hard state │ kind 3, voted 1, zero 2, node 4 │ group 8 │ term 8 │ zero 4, crc 4 │
//
// The crc of a frame item covers its two words and the frame's checksum, which covers the rest. A reused file needs no
// erasing: a block from an earlier lap has a lower sequence than the one expected in its place.

internal import Model
internal import NIOCore
internal import Records

/// Numbers of the journal's layout.
enum JournalFormat {
    static let magic: UInt32 = 0x314A_4C47
    static let version: UInt8 = 1
    static let headerBytes = 64
    /// Blocks begin and end at multiples of this, as direct writes must.
    static let blockAlignment = AlignedBuffer.alignment
    static let frameItemBytes = 24
    static let hardStateItemBytes = 32

    /// What an item is.
    enum ItemKind: UInt8 {
        case frame = 1
        case command = 2
        case hardState = 3
    }

    /// The bytes of a block on disk whose content has `count` bytes.
    static func paddedBytes(_ count: Int) -> Int { (count + blockAlignment - 1) / blockAlignment * blockAlignment }

    /// CRC32C of words as they are stored.
    static func checksum<let count: Int>(_ words: InlineArray<count, UInt64>) -> UInt32 {
        // Words have no padding.
        unsafe CRC32C.checksum(words.span.bytes)
    }
}

/// The header of a block.
struct JournalBlockHeader: Hashable, Sendable {
    var journalID: UInt64
    var sequence: UInt64
    var byteCount: UInt32
    var itemCount: UInt32

    /// The header as it is stored.
    var words: InlineArray<8, UInt64> {
        var words = InlineArray<8, UInt64>(repeating: 0)
        words[0] = (UInt64(JournalFormat.magic) | UInt64(JournalFormat.version) << 32).littleEndian
        words[1] = journalID.littleEndian
        words[2] = sequence.littleEndian
        words[3] = (UInt64(byteCount) | UInt64(itemCount) << 32).littleEndian
        words[7] = (UInt64(Self.checksum(words)) << 32).littleEndian
        return words
    }

    /// Reads the header at `position`; nil when there is none of this journal.
    init?(_ bytes: RawSpan, at position: Int, journalID: UInt64) {
        guard position + JournalFormat.headerBytes <= bytes.byteCount else { return nil }
        var words = InlineArray<8, UInt64>(repeating: 0)
        for word in words.indices { words[word] = FrameHeader.word(bytes, position + word * 8).littleEndian }
        let last = UInt64(littleEndian: words[7])
        guard UInt64(littleEndian: words[0]) == UInt64(JournalFormat.magic) | UInt64(JournalFormat.version) << 32,
            UInt64(littleEndian: words[1]) == journalID, UInt32(truncatingIfNeeded: last >> 32) == Self.checksum(words)
        else { return nil }
        self.journalID = journalID
        sequence = UInt64(littleEndian: words[2])
        byteCount = UInt32(truncatingIfNeeded: UInt64(littleEndian: words[3]))
        itemCount = UInt32(truncatingIfNeeded: UInt64(littleEndian: words[3]) >> 32)
    }

    init(journalID: UInt64, sequence: UInt64, byteCount: UInt32, itemCount: UInt32) {
        self.journalID = journalID
        self.sequence = sequence
        self.byteCount = byteCount
        self.itemCount = itemCount
    }

    private static func checksum(_ words: InlineArray<8, UInt64>) -> UInt32 {
        // Words have no padding; the last four bytes are the checksum's own.
        unsafe CRC32C.checksum(words.span.bytes.extracting(0..<60))
    }
}

/// One item of a block, as replay reads it.
enum JournalItem: Sendable {
    /// A frame and its place; `base` is nil for a command.
    case frame(FrameHeader, payload: ByteBuffer, base: LogIndex?, position: UInt32)
    /// A term and a vote.
    case hardState(GroupID, HardStateRecord)
}

extension JournalItem {
    /// The words before a frame.
    static func prefix(base: LogIndex?, position: UInt32, checksum: UInt32) -> InlineArray<3, UInt64> {
        let kind = base == nil ? JournalFormat.ItemKind.command : .frame
        var words = InlineArray<3, UInt64>(repeating: 0)
        words[0] = (UInt64(kind.rawValue) | UInt64(position) << 32).littleEndian
        words[1] = (base?.rawValue ?? 0).littleEndian
        words[2] = UInt64(checksum).littleEndian
        words[2] = (UInt64(JournalFormat.checksum(words)) << 32).littleEndian
        return words
    }

    /// The words of a hard state.
    static func words(_ state: HardStateRecord, of group: GroupID) -> InlineArray<4, UInt64> {
        var words = InlineArray<4, UInt64>(repeating: 0)
        let node = UInt64(UInt32(bitPattern: state.votedFor?.rawValue ?? 0))
        let voted: UInt64 = state.votedFor == nil ? 0 : 1
        words[0] = (UInt64(JournalFormat.ItemKind.hardState.rawValue) | voted << 8 | node << 32).littleEndian
        words[1] = group.rawValue.littleEndian
        words[2] = state.term.rawValue.littleEndian
        words[3] = (UInt64(JournalFormat.checksum(words)) << 32).littleEndian
        return words
    }

    /// Reads the item at `position` of a block's bytes and returns it with the position behind it; nil when it is torn.
    static func read(_ block: ByteBuffer, at position: Int) -> (item: JournalItem, end: Int)? {
        let bytes = block.readableBytesSpan
        guard position + JournalFormat.frameItemBytes <= bytes.byteCount else { return nil }
        let first = FrameHeader.word(bytes, position)
        switch JournalFormat.ItemKind(rawValue: UInt8(truncatingIfNeeded: first)) {
        case .frame, .command: return frame(block, at: position, first)
        case .hardState: return hardState(bytes, at: position, first)
        case nil: return nil
        }
    }

    private static func frame(_ block: ByteBuffer, at position: Int, _ first: UInt64) -> (JournalItem, Int)? {
        let bytes = block.readableBytesSpan
        let start = position + JournalFormat.frameItemBytes
        guard case .header(let header) = FrameHeader.probe(bytes, at: start),
            start + header.frameBytes <= bytes.byteCount
        else { return nil }
        let isCommand = UInt8(truncatingIfNeeded: first) == JournalFormat.ItemKind.command.rawValue
        let base = isCommand ? nil : LogIndex(FrameHeader.word(bytes, position + 8))
        let place = UInt32(truncatingIfNeeded: first >> 32)
        let expected = prefix(base: base, position: place, checksum: header.checksum)
        guard UInt64(littleEndian: expected[0]) == first,
            UInt64(littleEndian: expected[1]) == FrameHeader.word(bytes, position + 8),
            UInt64(littleEndian: expected[2]) == FrameHeader.word(bytes, position + 16)
        else { return nil }
        let payloadStart = start + header.payloadStart
        let end = payloadStart + Int(header.storedLength)
        guard CRC32C.checksum(bytes.extracting(payloadStart..<end)) == header.payloadCRC,
            let payload = block.getSlice(at: block.readerIndex + payloadStart, length: Int(header.storedLength))
        else { return nil }
        return (.frame(header, payload: payload, base: base, position: place), start + header.frameBytes)
    }

    private static func hardState(_ bytes: RawSpan, at position: Int, _ first: UInt64) -> (JournalItem, Int)? {
        guard position + JournalFormat.hardStateItemBytes <= bytes.byteCount else { return nil }
        let group = GroupID(rawValue: FrameHeader.word(bytes, position + 8))
        let node = NodeID(rawValue: Int32(bitPattern: UInt32(truncatingIfNeeded: first >> 32)))
        let state = HardStateRecord(
            term: Term(FrameHeader.word(bytes, position + 16)), votedFor: first >> 8 & 1 == 1 ? node : nil)
        let expected = words(state, of: group)
        guard UInt64(littleEndian: expected[0]) == first,
            UInt64(littleEndian: expected[3]) == FrameHeader.word(bytes, position + 24)
        else { return nil }
        return (.hardState(group, state), position + JournalFormat.hardStateItemBytes)
    }
}
