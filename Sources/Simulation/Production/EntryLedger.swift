// SPDX-License-Identifier: Apache-2.0
//
// EntryLedger.swift
// The bytes of every entry that was ever appended to one group, as its leader stored them: what replicas must hold, and
// what readers must be given.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft
internal import Records

/// The stored form of one entry.
struct EntryBytes: Hashable {
    let kind: FrameKind
    let term: Term
    let index: LogIndex
    let baseOffset: Offset
    let recordCount: Int32
    let maxTimestamp: Int64
    let codec: FrameCodec
    let rawLength: Int
    let lead: UInt16
    let startsSegment: Bool
    let payload: ByteBuffer

    init(_ stored: StoredEntry) {
        kind = stored.kind
        term = stored.term
        index = stored.index
        baseOffset = stored.baseOffset
        recordCount = stored.recordCount
        maxTimestamp = stored.maxTimestamp
        codec = stored.codec
        rawLength = stored.rawLength
        lead = stored.lead
        startsSegment = stored.startsSegment
        payload = stored.payload
    }

    /// An entry of a command log, which is stored as it is.
    init(command draft: FrameDraft) {
        kind = draft.kind
        term = draft.term
        index = draft.index
        baseOffset = draft.baseOffset
        recordCount = draft.recordCount
        maxTimestamp = draft.maxTimestamp
        codec = .none
        rawLength = draft.payload.readableBytes
        lead = 0
        startsSegment = false
        payload = draft.payload
    }

    /// The draft that stores the same entry on another replica.
    var draft: FrameDraft {
        var draft = FrameDraft(
            kind: kind, term: term, index: index, baseOffset: baseOffset, recordCount: recordCount,
            maxTimestamp: maxTimestamp, payload: payload, compression: .stored(codec, rawLength: rawLength),
            segmentStart: .decided(startsSegment))
        draft.lead = lead
        return draft
    }

    /// Whether a read brought the same entry; the lead is no part of what is read from a command log.
    func isSame(_ other: EntryBytes) -> Bool { self == other }
}

/// All entries of one group.
final class EntryLedger {
    /// One entry.
    struct Record {
        let entry: Entry
        /// The payload before it was compressed.
        let raw: ByteBuffer
        /// The stored form, once the leader's log has decided it.
        var stored: EntryBytes?
    }

    private var records: [[Record]] = []

    /// The entry of `term` at `index`.
    func record(_ index: LogIndex, _ term: Term) -> Record? {
        guard index.rawValue < UInt64(records.count) else { return nil }
        return records[Int(index.rawValue)].first { $0.entry.term == term }
    }

    /// Takes in an entry that a leader appends; an entry that is known stays as it is.
    func note(_ entry: Entry, raw: ByteBuffer) {
        let place = Int(entry.index.rawValue)
        while records.count <= place { records.append([]) }
        guard !records[place].contains(where: { $0.entry.term == entry.term }) else { return }
        records[place].append(Record(entry: entry, raw: raw, stored: nil))
    }

    /// A log has sealed an entry; returns a broken rule when another log has it in another form (S7).
    func seal(_ bytes: EntryBytes) -> String? {
        let place = Int(bytes.index.rawValue)
        guard place < records.count, let number = records[place].firstIndex(where: { $0.entry.term == bytes.term })
        else { return "S4: entry \(bytes.index) of term \(bytes.term) was sealed and never appended" }
        guard let known = records[place][number].stored else {
            records[place][number].stored = bytes
            return nil
        }
        return known == bytes ? nil : "S7: entry \(bytes.index) of term \(bytes.term) is stored in another form"
    }

    /// Whether all `entries` have their stored form, so that they can be sent.
    func hasStored(_ entries: [Entry]) -> Bool {
        entries.allSatisfy { record($0.index, $0.term)?.stored != nil }
    }
}

/// Makes payloads.
enum Payloads {
    /// Payloads from here on are not compressed and lie in memory where the seed says: how they are written depends
    /// on it.
    static let placedBytesMin = 4_096

    /// One batch of records that says which operation it is, of about `size` bytes.
    static func batch(_ operation: UInt64, size: Int, base: Offset, term: Term, timestamp: Int64) -> (ByteBuffer, Int) {
        var random = SeededRandom(seed: operation)
        let count = Int.random(in: 1...3, using: &random)
        var builder = RecordBatchBuilder()
        for number in 0..<count {
            var value = ByteBuffer()
            value.writeInteger(operation)
            // Small ones compress well, or not at all.
            let mask: UInt64 = operation & 1 == 0 ? 0x0101_0101_0101_0101 : .max
            for _ in 0..<max(0, size / count - 70) / 8 { value.writeInteger(random.next() & mask) }
            builder.append(key: nil, value: value, timestamp: timestamp + Int64(number))
        }
        guard var buffer = try? builder.build() else { preconditionFailure("a batch without a codec cannot be built") }
        RecordBatch.patch(baseOffset: base, leaderEpoch: term.leaderEpoch, in: &buffer, at: buffer.readerIndex)
        if buffer.readableBytes >= placedBytesMin { buffer = placed(buffer, residue: Int(random.next() % 512) * 8) }
        return (buffer, count)
    }

    /// A command of a state machine.
    static func command(_ operation: UInt64, size: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(operation)
        buffer.writeRepeatingByte(UInt8(truncatingIfNeeded: operation), count: min(size, 4_000))
        return buffer
    }

    /// A copy whose first byte lies `residue` bytes behind a block's boundary in memory.
    static func placed(_ bytes: ByteBuffer, residue: Int) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: bytes.readableBytes + 2 * 4_096)
        buffer.writeInteger(UInt8(0))
        // The address is looked at, not followed.
        let address = unsafe buffer.withUnsafeReadableBytes { Int(bitPattern: $0.baseAddress) }
        buffer.clear()
        let gap = (residue &- address) & 4_095
        buffer.writeRepeatingByte(0, count: gap)
        buffer.writeImmutableBuffer(bytes)
        buffer.moveReaderIndex(forwardBy: gap)
        return buffer
    }
}
