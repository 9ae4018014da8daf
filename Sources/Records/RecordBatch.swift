// SPDX-License-Identifier: Apache-2.0
//
// RecordBatch.swift
// One whole batch as a slice of a buffer, with its header parsed. Copies nothing.

public import Model
public import NIOCore

/// A record batch: its bytes and its header.
///
/// Invariant: `bytes.readableBytes == header.totalBytes >= 61`, magic is 2 and the codec exists. Nothing else is
/// promised before ``verify(depth:context:)`` or ``validate(_:context:)``.
public struct RecordBatch: Sendable {
    /// All bytes of the batch, header included.
    public let bytes: ByteBuffer
    /// The fields of its header.
    public let header: RecordBatchHeader
    /// How the records are compressed.
    public let codec: CompressionCodec

    /// What stands for "no timestamp".
    public static let noTimestamp: Int64 = -1

    /// Takes the batch at the start of the readable bytes of `buffer` and leaves out what follows it.
    public init(_ buffer: ByteBuffer) throws(RecordError) {
        try self.init(buffer, at: buffer.readerIndex)
    }

    /// Takes the batch at `index` of `buffer`, an index as NIO counts it.
    public init(_ buffer: ByteBuffer, at index: Int) throws(RecordError) {
        precondition(index >= buffer.readerIndex, "index \(index) is before the readable bytes")
        header = try RecordBatchHeader.parseFramed(buffer.readableBytesSpan, at: index - buffer.readerIndex)
        guard let codec = header.attributes.codec else { throw .unknownCodec(header.attributes.codecNumber) }
        guard let slice = buffer.getSlice(at: index, length: header.totalBytes) else {
            throw .truncated(needed: header.totalBytes, available: max(0, buffer.writerIndex - index))
        }
        self.codec = codec
        bytes = slice
    }

    /// The size of the batch.
    @inlinable public var totalBytes: Int { header.totalBytes }
    /// The offset of the first record.
    @inlinable public var baseOffset: Offset { header.baseOffset }
    /// The offset of the last record, even if compaction removed it.
    @inlinable public var lastOffset: Offset { header.lastOffset }
    /// The offset after this batch.
    @inlinable public var nextOffset: Offset { header.nextOffset }
    /// How many records there are.
    @inlinable public var recordCount: Int { Int(header.recordCount) }
    /// The largest timestamp, as the header claims it.
    @inlinable public var maxTimestamp: Int64 { header.maxTimestamp }
    /// Whether the batch holds a control record instead of data.
    @inlinable public var isControl: Bool { header.attributes.isControl }
    /// Whether the records belong to a transaction.
    @inlinable public var isTransactional: Bool { header.attributes.isTransactional }
    /// Who set the timestamps.
    @inlinable public var timestampType: TimestampType { header.attributes.timestampType }
    /// Whether the batch is from an idempotent or transactional producer.
    @inlinable public var hasProducer: Bool { header.producerID.rawValue >= 0 }
    /// Whether the records are compressed.
    @inlinable public var isCompressed: Bool { codec != .none }

    /// The records' bytes, still compressed when there is a codec.
    var payload: ByteBuffer {
        var rest = bytes
        rest.moveReaderIndex(forwardBy: RecordBatchHeader.byteCount)
        return rest
    }
}

// MARK: - Consecutive batches

/// Walks over consecutive whole batches in a buffer.
public struct RecordBatchCursor: Sendable {
    private var rest: ByteBuffer

    /// Begins at the first readable byte of `buffer`.
    public init(_ buffer: ByteBuffer) { rest = buffer }

    /// Bytes that were not walked over yet.
    public var remainingBytes: Int { rest.readableBytes }

    /// The next batch; nil when all bytes are used up.
    ///
    /// After an error the cursor stays where it is.
    public mutating func next() throws(RecordError) -> RecordBatch? {
        guard rest.readableBytes > 0 else { return nil }
        let batch = try RecordBatch(rest)
        rest.moveReaderIndex(forwardBy: batch.totalBytes)
        return batch
    }

    /// The next batch, or nil when no whole one is left: Kafka lets a fetch response end in the middle of a batch.
    public mutating func nextWhole() throws(RecordError) -> RecordBatch? {
        do {
            return try next()
        } catch .truncated {
            return nil
        }
    }
}

extension RecordBatch {
    /// All batches of `buffer`, which must hold whole batches only.
    public static func batches(in buffer: ByteBuffer) throws(RecordError) -> [RecordBatch] {
        var cursor = RecordBatchCursor(buffer)
        var batches: [RecordBatch] = []
        while let batch = try cursor.next() { batches.append(batch) }
        return batches
    }

    /// The one batch that a produce request may hold for a partition.
    ///
    /// - Throws: ``RecordError/notOneBatch(trailingBytes:)`` when there is none or more than one.
    public static func produced(in buffer: ByteBuffer) throws(RecordError) -> RecordBatch {
        guard buffer.readableBytes > 0 else { throw .notOneBatch(trailingBytes: 0) }
        let batch = try RecordBatch(buffer)
        guard batch.totalBytes == buffer.readableBytes else {
            throw .notOneBatch(trailingBytes: buffer.readableBytes - batch.totalBytes)
        }
        return batch
    }
}
