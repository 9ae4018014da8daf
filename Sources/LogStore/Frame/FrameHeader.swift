// SPDX-License-Identifier: Apache-2.0
//
// FrameHeader.swift
// The 96 bytes before every payload. All integers are little-endian; frames begin at multiples of 8.
//
//     0   magic 4 │ version 1 │ kind 1 │ codec 1 │ flags 1
//     8   group 8
//     16  segment salt 8
//     24  term 8
//     32  index 8
//     40  base offset 8
//     48  max timestamp 8
//     56  record count 4 │ stored length 4
//     64  raw length 4 │ previous frame's checksum 4
//     72  payload crc 4 │ lead 2 │ horizon, lower 2
//     80  extent 8
//     88  horizon, upper 4 │ header crc 4     (CRC32C of the 92 bytes before it; it is the frame's checksum)
//
// Extent and horizon are 0 but in frames that compaction wrote, which are of version 2.

internal import Model
internal import Records

/// One frame's description.
///
/// The payload begins ``lead`` zeros behind the header. ``checksum`` covers everything: the header, the chain before it and, through its CRC, the payload.
struct FrameHeader: Hashable, Sendable {
    /// The bytes of a header.
    static let byteCount = 96
    /// `GLF1`.
    static let magic: UInt32 = 0x3146_4C47
    /// The version of the layout above.
    static let version: UInt8 = 1
    /// The version of frames that compaction wrote: one may stand for many entries.
    static let compactedVersion: UInt8 = 2
    /// Frames begin at multiples of this.
    static let alignment = 8
    /// Leads are shorter than this, the size of a disk's block.
    static let leadMax = 4096

    /// What may be set in the flags byte.
    struct Flags: OptionSet, Hashable, Sendable {
        let rawValue: UInt8
        /// The first frame of its segment.
        static let startsSegment = Flags(rawValue: 1)
        /// Written by compaction.
        static let compacted = Flags(rawValue: 2)
    }

    var kind: FrameKind
    var codec: FrameCodec
    var flags: Flags
    var group: GroupID
    var salt: UInt64
    var term: Term
    var index: LogIndex
    var baseOffset: Offset
    var maxTimestamp: Int64
    /// In the footer of a compacted segment, see ``committed``.
    var recordCount: Int32
    var storedLength: UInt32
    var rawLength: UInt32
    var previous: UInt32
    var payloadCRC: UInt32
    /// Zeros between header and payload: they put the payload where memory and disk have their blocks at the same bytes.
    var lead: UInt16 = 0
    /// In a compacted frame, how many entries behind `index` it stands for as well; in the footer of a compacted segment, the
    /// offset up to which its keys were compared.
    var extent: UInt64 = 0
    /// In the footer of a compacted segment, when the first of its tombstones may go; 0 when it has none.
    ///
    /// 48 bits.
    var horizon: UInt64 = 0
    /// Filled in by ``seal()`` and by parsing.
    var checksum: UInt32 = 0

    /// The bytes from this frame's start to the next one's.
    var frameBytes: Int { Self.frameBytes(storedLength: Int(storedLength), lead: Int(lead)) }
    /// Where the payload begins, from the frame's start.
    var payloadStart: Int { Self.byteCount + Int(lead) }
    /// The zeros behind the payload.
    var paddingBytes: Int { frameBytes - payloadStart - Int(storedLength) }
    /// The offset after the last record.
    var endOffset: Offset { kind == .footer ? baseOffset : baseOffset + Int(recordCount) }
    /// Whether compaction wrote it.
    var isCompacted: Bool { flags.contains(.compacted) }
    /// The last entry that it stands for.
    var lastIndex: LogIndex { isCompacted && kind != .footer ? index + Int(clamping: extent) : index }
    /// In the footer of a compacted segment, the last entry that was known to be committed when it was made, as the number of
    /// entries behind its last one; 0 where it does not say.
    var committed: LogIndex {
        get { recordCount > 0 ? index + Int(recordCount) : .zero }
        set { recordCount = newValue > index ? Int32(clamping: newValue - index) : 0 }
    }
    /// The checksum that the frame behind this one continues: its own, but behind the footer of a compacted segment that of
    /// the last frame which the segment had before.
    var chain: UInt32 { isCompacted && kind == .footer ? rawLength : checksum }

    /// The bytes a frame takes whose payload is stored in `storedLength` bytes behind `lead` zeros.
    static func frameBytes(storedLength: Int, lead: Int = 0) -> Int {
        (byteCount + lead + storedLength + alignment - 1) / alignment * alignment
    }

    /// The salt of the segment that begins with the entry `base` of `term`.
    ///
    /// Two lives of a file differ in group, base or term, because an entry is never replaced by another one of the same
    /// term; and replicas that roll at the same entry have equal bytes.
    static func salt(group: GroupID, base: LogIndex, term: Term) -> UInt64 {
        var random = SeededRandom(seed: group.rawValue)
        random = SeededRandom(seed: random.next() ^ base.rawValue)
        random = SeededRandom(seed: random.next() ^ term.rawValue)
        return random.next() | 1
    }

    typealias Words = InlineArray<12, UInt64>

    /// The header as it is stored.
    var words: Words {
        var words = Words(repeating: 0)
        let version = isCompacted ? Self.compactedVersion : Self.version
        words[0] = UInt64(Self.magic) | UInt64(version) << 32 | UInt64(kind.rawValue) << 40
        words[0] |= UInt64(codec.rawValue) << 48 | UInt64(flags.rawValue) << 56
        words[1] = group.rawValue
        words[2] = salt
        words[3] = term.rawValue
        words[4] = index.rawValue
        words[5] = UInt64(bitPattern: baseOffset.rawValue)
        words[6] = UInt64(bitPattern: maxTimestamp)
        words[7] = UInt64(UInt32(bitPattern: recordCount)) | UInt64(storedLength) << 32
        words[8] = UInt64(rawLength) | UInt64(previous) << 32
        words[9] = UInt64(payloadCRC) | UInt64(lead) << 32 | (horizon & 0xFFFF) << 48
        words[10] = extent
        words[11] = (horizon >> 16) & 0xFFFF_FFFF | UInt64(checksum) << 32
        for position in words.indices { words[position] = words[position].littleEndian }
        return words
    }

    /// Computes ``checksum`` of everything else.
    mutating func seal() {
        let words = self.words
        // Words have no padding.
        checksum = unsafe CRC32C.checksum(words.span.bytes.extracting(0..<(Self.byteCount - 4)))
    }
}

/// What stands where a frame header is expected.
enum HeaderProbe: Hashable, Sendable {
    /// A header whose own checksum holds.
    case header(FrameHeader)
    /// Nothing but zeros.
    case zeros
    /// Fewer bytes than a header has.
    case short
    /// Something else.
    case foreign
}

extension FrameHeader {
    /// Reads what stands at `position` of `bytes`.
    static func probe(_ bytes: RawSpan, at position: Int) -> HeaderProbe {
        guard position >= 0, position + byteCount <= bytes.byteCount else { return .short }
        let area = bytes.extracting(position..<(position + byteCount))
        if word(area, 0) == 0 { return isZero(area) ? .zeros : .foreign }
        let last = word(area, 88)
        let checksum = UInt32(truncatingIfNeeded: last >> 32)
        let first = word(area, 0)
        let flags = Flags(rawValue: UInt8(truncatingIfNeeded: first >> 56))
        let expected = flags.contains(.compacted) ? compactedVersion : version
        guard UInt32(truncatingIfNeeded: first) == magic, UInt8(truncatingIfNeeded: first >> 32) == expected,
            let kind = FrameKind(rawValue: UInt8(truncatingIfNeeded: first >> 40)),
            let codec = FrameCodec(rawValue: UInt8(truncatingIfNeeded: first >> 48)),
            CRC32C.checksum(area.extracting(0..<(byteCount - 4))) == checksum
        else { return .foreign }
        let counts = word(area, 56)
        let lengths = word(area, 64)
        let payload = word(area, 72)
        return .header(
            FrameHeader(
                kind: kind, codec: codec, flags: flags,
                group: GroupID(rawValue: word(area, 8)), salt: word(area, 16), term: Term(word(area, 24)),
                index: LogIndex(word(area, 32)), baseOffset: Offset(Int64(bitPattern: word(area, 40))),
                maxTimestamp: Int64(bitPattern: word(area, 48)),
                recordCount: Int32(bitPattern: UInt32(truncatingIfNeeded: counts)),
                storedLength: UInt32(truncatingIfNeeded: counts >> 32),
                rawLength: UInt32(truncatingIfNeeded: lengths), previous: UInt32(truncatingIfNeeded: lengths >> 32),
                payloadCRC: UInt32(truncatingIfNeeded: payload), lead: UInt16(truncatingIfNeeded: payload >> 32),
                extent: word(area, 80), horizon: payload >> 48 | (last & 0xFFFF_FFFF) << 16, checksum: checksum))
    }

    /// The little-endian word at `position`, which must be inside.
    static func word(_ bytes: RawSpan, _ position: Int) -> UInt64 {
        // Checked against the span's bounds by the load itself; every bit pattern is a UInt64.
        unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
    }

    /// Whether all of `bytes` are zero.
    static func isZero(_ bytes: RawSpan) -> Bool {
        var position = 0
        while position + 8 <= bytes.byteCount {
            if word(bytes, position) != 0 { return false }
            position += 8
        }
        while position < bytes.byteCount {
            // One byte inside the span.
            if unsafe bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self) != 0 { return false }
            position += 1
        }
        return true
    }
}
