// SPDX-License-Identifier: Apache-2.0
//
// RecordBatchHeader.swift
// The 61 bytes at the start of every record batch, version 2, big-endian.

public import Model
internal import NIOCore

/// The fields of a batch header in wire order.
///
///     0 baseOffset 8 | 8 batchLength 4 | 12 leaderEpoch 4 | 16 magic 1 | 17 crc 4 | 21 attributes 2
///     23 lastOffsetDelta 4 | 27 baseTimestamp 8 | 35 maxTimestamp 8 | 43 producerID 8 | 51 producerEpoch 2
///     53 baseSequence 4 | 57 recordCount 4
///
/// The checksum covers everything from the attributes on, so base offset and leader epoch are set without it.
public struct RecordBatchHeader: Equatable, Sendable {
    /// The offset of the first record; a producer sends 0.
    public var baseOffset: Offset
    /// Bytes that follow this field: the batch's size less 12.
    public var batchLength: Int32
    /// -1 until the broker sets it.
    public var leaderEpoch: Int32
    /// The format version.
    public var magic: Int8
    /// CRC-32C from the attributes to the end.
    public var crc: UInt32
    /// Codec, timestamp type and flags.
    public var attributes: RecordBatchAttributes
    /// The last offset less the base offset; compaction keeps it when records go.
    public var lastOffsetDelta: Int32
    /// What the timestamps of the records count from.
    public var baseTimestamp: Int64
    /// The largest timestamp, or the time of all records under LogAppendTime.
    public var maxTimestamp: Int64
    /// ``Model/ProducerID/none`` when the producer is not idempotent; then epoch and sequence are -1 too.
    public var producerID: ProducerID
    /// Tells the incarnations of a producer apart.
    public var producerEpoch: Int16
    /// The sequence of the first record.
    public var baseSequence: Int32
    /// How many records there are.
    public var recordCount: Int32

    /// The size of a header.
    public static let byteCount = 61
    /// The bytes of a batch that its length field does not count.
    public static let uncountedBytes = 12
    /// Where the bytes under the checksum begin.
    public static let checkedBytesStart = 21
    /// The only format version that is served.
    public static let currentMagic: Int8 = 2

    /// Makes a header of the current version whose length and checksum are still 0.
    public init(
        baseOffset: Offset = .zero, leaderEpoch: Int32 = -1, attributes: RecordBatchAttributes = .init(),
        producer: ProducerFields = .none
    ) {
        self.baseOffset = baseOffset
        self.leaderEpoch = leaderEpoch
        self.attributes = attributes
        batchLength = 0
        magic = Self.currentMagic
        crc = 0
        lastOffsetDelta = -1
        baseTimestamp = RecordBatch.noTimestamp
        maxTimestamp = RecordBatch.noTimestamp
        producerID = producer.id
        producerEpoch = producer.epoch
        baseSequence = producer.baseSequence
        recordCount = 0
    }

    // Each offset stands for a field of the table above; the caller has checked that 61 bytes are there.
    @inlinable init(unchecked bytes: RawSpan, at start: Int) {
        baseOffset = Offset(Int64(bigEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: start, as: Int64.self)))
        batchLength = Self.load32(bytes, start + 8)
        leaderEpoch = Self.load32(bytes, start + 12)
        magic = bytes.unsafeLoad(fromUncheckedByteOffset: start + 16, as: Int8.self)
        crc = UInt32(bitPattern: Self.load32(bytes, start + 17))
        attributes = RecordBatchAttributes(rawValue: UInt16(bitPattern: Self.load16(bytes, start + 21)))
        lastOffsetDelta = Self.load32(bytes, start + 23)
        baseTimestamp = Self.load64(bytes, start + 27)
        maxTimestamp = Self.load64(bytes, start + 35)
        producerID = ProducerID(rawValue: Self.load64(bytes, start + 43))
        producerEpoch = Self.load16(bytes, start + 51)
        baseSequence = Self.load32(bytes, start + 53)
        recordCount = Self.load32(bytes, start + 57)
    }

    @inlinable static func load16(_ bytes: RawSpan, _ index: Int) -> Int16 {
        Int16(bigEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: Int16.self))
    }
    @inlinable static func load32(_ bytes: RawSpan, _ index: Int) -> Int32 {
        Int32(bigEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: Int32.self))
    }
    @inlinable static func load64(_ bytes: RawSpan, _ index: Int) -> Int64 {
        Int64(bigEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: Int64.self))
    }
}

extension RecordBatchHeader {
    /// The size of the whole batch as the length field claims it; less than 12 when the field is negative.
    @inlinable public var totalBytes: Int { Self.uncountedBytes + Int(batchLength) }

    /// The offset of the last record.
    @inlinable public var lastOffset: Offset { Offset(baseOffset.rawValue &+ Int64(lastOffsetDelta)) }

    /// The offset after this batch, where a consumer goes on.
    @inlinable public var nextOffset: Offset { Offset(lastOffset.rawValue &+ 1) }

    /// Reads the fields at `index` without judging them.
    ///
    /// - Cost: about 8 ns, no allocation.
    /// - Throws: ``RecordError/truncated(needed:available:)`` when fewer than 61 bytes are left.
    @inlinable public static func parse(_ bytes: RawSpan, at index: Int = 0) throws(RecordError) -> RecordBatchHeader {
        guard index >= 0, bytes.byteCount - index >= byteCount else {
            throw .truncated(needed: byteCount, available: max(0, bytes.byteCount - index))
        }
        return RecordBatchHeader(unchecked: bytes, at: index)
    }

    /// Reads the header at `index` of a batch of version 2 that lies wholly in `bytes`.
    ///
    /// Afterwards `61 <= totalBytes <= bytes.byteCount - index`. This is how one walks over consecutive batches: go
    /// on at `index + totalBytes`.
    @inlinable public static func parseFramed(
        _ bytes: RawSpan, at index: Int = 0
    ) throws(RecordError) -> RecordBatchHeader {
        // Batches of versions 0 and 1 may be shorter than our header, and have their version at the same place.
        if index >= 0, bytes.byteCount - index > 16, bytes.byteCount - index < byteCount {
            let magic = bytes.unsafeLoad(fromUncheckedByteOffset: index + 16, as: Int8.self)
            guard magic == currentMagic else { throw .unsupportedMagic(magic) }
        }
        let header = try parse(bytes, at: index)
        guard header.magic == currentMagic else { throw .unsupportedMagic(header.magic) }
        guard header.totalBytes >= byteCount else { throw .invalidLength(header.batchLength) }
        guard header.totalBytes <= bytes.byteCount - index else {
            throw .truncated(needed: header.totalBytes, available: bytes.byteCount - index)
        }
        return header
    }

    /// Writes the 61 bytes to the start of `space`.
    func write(to space: UnsafeMutableRawBufferPointer) {
        precondition(space.count >= Self.byteCount, "a batch header takes 61 bytes, there are \(space.count)")
        space.storeBytes(of: baseOffset.rawValue.bigEndian, toByteOffset: 0, as: Int64.self)
        space.storeBytes(of: batchLength.bigEndian, toByteOffset: 8, as: Int32.self)
        space.storeBytes(of: leaderEpoch.bigEndian, toByteOffset: 12, as: Int32.self)
        space.storeBytes(of: magic, toByteOffset: 16, as: Int8.self)
        space.storeBytes(of: crc.bigEndian, toByteOffset: 17, as: UInt32.self)
        space.storeBytes(of: attributes.rawValue.bigEndian, toByteOffset: 21, as: UInt16.self)
        space.storeBytes(of: lastOffsetDelta.bigEndian, toByteOffset: 23, as: Int32.self)
        space.storeBytes(of: baseTimestamp.bigEndian, toByteOffset: 27, as: Int64.self)
        space.storeBytes(of: maxTimestamp.bigEndian, toByteOffset: 35, as: Int64.self)
        space.storeBytes(of: producerID.rawValue.bigEndian, toByteOffset: 43, as: Int64.self)
        space.storeBytes(of: producerEpoch.bigEndian, toByteOffset: 51, as: Int16.self)
        space.storeBytes(of: baseSequence.bigEndian, toByteOffset: 53, as: Int32.self)
        space.storeBytes(of: recordCount.bigEndian, toByteOffset: 57, as: Int32.self)
    }

    /// Writes this header to the start of a batch whose other bytes are in place, with the checksum they have.
    mutating func seal(_ batch: UnsafeMutableRawBufferPointer) {
        precondition(batch.count == totalBytes, "the header says \(totalBytes) bytes, the batch has \(batch.count)")
        write(to: batch)
        crc = CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: batch[Self.checkedBytesStart...]))
        batch.storeBytes(of: crc.bigEndian, toByteOffset: 17, as: UInt32.self)
    }

    /// Completes a batch in `buffer`, whose readable bytes are 61 bytes of space and then the payload: sets length
    /// and checksum and writes this header into the space.
    mutating func seal(_ buffer: inout ByteBuffer) {
        let total = buffer.readableBytes
        precondition(total >= Self.byteCount && total <= Int(Int32.max), "\(total) bytes are no batch")
        batchLength = Int32(truncatingIfNeeded: total - Self.uncountedBytes)
        buffer.withUnsafeMutableReadableBytes { seal($0) }
    }

    /// Appends 61 bytes of space for ``seal(_:)-(ByteBuffer)``.
    static func reserve(in buffer: inout ByteBuffer) { buffer.writeRepeatingByte(0, count: byteCount) }
}

/// What an idempotent or transactional producer puts into its batches.
public struct ProducerFields: Hashable, Sendable {
    /// The producer.
    public var id: ProducerID
    /// Tells the incarnations of the producer apart.
    public var epoch: Int16
    /// The sequence of the first record; it wraps from 2147483647 to 0.
    public var baseSequence: Int32

    /// Names a producer and the sequence of a batch's first record.
    @inlinable public init(id: ProducerID, epoch: Int16, baseSequence: Int32) {
        self.id = id
        self.epoch = epoch
        self.baseSequence = baseSequence
    }

    /// No producer state: all three fields are -1.
    public static let none = ProducerFields(id: .none, epoch: -1, baseSequence: -1)

    /// The sequence `count` records after `sequence`, wrapping past 2147483647 to 0.
    @inlinable public static func sequence(_ sequence: Int32, advancedBy count: Int32) -> Int32 {
        precondition(sequence >= 0 && count >= 0, "a sequence does not go back: \(sequence) + \(count)")
        return (sequence &+ count) & Int32.max
    }
}
