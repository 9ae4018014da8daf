// SPDX-License-Identifier: Apache-2.0
//
// RecordBatchBuilder.swift
// Builds a batch record by record, for clients, tests and compaction.

internal import Model
public import NIOCore

/// Collects records and makes one batch of them.
///
///     var builder = RecordBatchBuilder(codec: .lz4)
///     builder.append(key: nil, value: ByteBuffer(string: "hello"), timestamp: now)
///     let batch = try builder.build(context: context)
///
/// Records are encoded as they come, behind space for the header, so an uncompressed batch is never copied.
public struct RecordBatchBuilder: Sendable {
    /// Parts of the header that do not follow from the records.
    ///
    /// Base offset 0 and leader epoch -1 are a client's.
    public var header: RecordBatchHeader
    /// How hard to compress; nil is the codec's default.
    public var compressionLevel: Int32?

    private let codec: CompressionCodec
    private var buffer: ByteBuffer
    private var largestTimestamp = RecordBatch.noTimestamp
    private var nextDelta: Int32 = 0

    /// Starts a batch.
    public init(
        codec: CompressionCodec = .none, producer: ProducerFields = .none, isTransactional: Bool = false,
        capacity: Int = 0
    ) {
        self.init(
            header: RecordBatchHeader(
                attributes: RecordBatchAttributes(codec: codec, isTransactional: isTransactional), producer: producer),
            capacity: capacity)
    }

    /// Starts a batch from a header, of which counts, timestamps, length and checksum are filled in later.
    ///
    /// The codec of its attributes must exist.
    public init(header: RecordBatchHeader, capacity: Int = 0) {
        guard let codec = header.attributes.codec else {
            preconditionFailure("codec \(header.attributes.codecNumber) does not exist")
        }
        self.codec = codec
        self.header = header
        self.header.recordCount = 0
        self.header.lastOffsetDelta = -1
        buffer = ByteBuffer()
        buffer.reserveCapacity(RecordBatchHeader.byteCount + capacity)
        RecordBatchHeader.reserve(in: &buffer)
    }

    /// Records so far.
    public var count: Int { Int(header.recordCount) }
    /// Whether there is no record yet.
    public var isEmpty: Bool { header.recordCount == 0 }
    /// The size of the batch if it were built now without compression.
    public var uncompressedBytes: Int { buffer.readableBytes }

    /// Appends a record; null keys and values are nil.
    ///
    /// - Parameter offsetDelta: nil for the next one; a larger one leaves a gap, as compaction does.
    public mutating func append(
        key: ByteBuffer?, value: ByteBuffer?, timestamp: Int64, headers: [RecordHeader] = [], offsetDelta: Int32? = nil
    ) {
        let delta = offsetDelta ?? nextDelta
        precondition(delta >= nextDelta && delta < Int32.max, "offset delta \(delta) does not follow \(nextDelta - 1)")
        if isEmpty { header.baseTimestamp = timestamp }
        let encoder = RecordEncoder(
            timestampDelta: timestamp &- header.baseTimestamp, offsetDelta: delta, key: key, value: value,
            headers: headers)
        encoder.write(to: &buffer)
        largestTimestamp = isEmpty ? timestamp : max(largestTimestamp, timestamp)
        header.recordCount += 1
        header.lastOffsetDelta = delta
        nextDelta = delta + 1
    }

    /// The size that a record adds to the uncompressed batch, at most.
    public static func bytesMax(key: ByteBuffer?, value: ByteBuffer?, headers: [RecordHeader] = []) -> Int {
        let fixed = 3 * Varint.byteCountMax32 + Varint.byteCountMax64 + Varint.byteCountMax32 + 1
        let headerBytes = headers.reduce(Varint.byteCountMax32) {
            $0 + 2 * Varint.byteCountMax32 + $1.key.utf8.count + ($1.value?.readableBytes ?? 0)
        }
        return fixed + (key?.readableBytes ?? 0) + (value?.readableBytes ?? 0) + headerBytes
    }

    /// Makes the batch and starts over with the same header, so the builder can be used again.
    ///
    /// A batch without records is made too, as compaction needs it; clients must not send it.
    ///
    /// - Parameter lastOffsetDelta: nil for the last record's; a larger one keeps offsets that compaction removed.
    /// - Throws: ``RecordError/batchTooLarge(bytes:limit:)`` above 2 GiB, ``RecordError/codecFailure(_:)``; the
    ///   records stay in the builder.
    public mutating func build(
        context: CompressionContext, lastOffsetDelta: Int32? = nil
    ) throws(RecordError) -> ByteBuffer {
        var result = try compressed(context: context)
        guard result.readableBytes <= Int(Int32.max) else {
            throw .batchTooLarge(bytes: result.readableBytes, limit: Int(Int32.max))
        }
        let delta = max(header.lastOffsetDelta, lastOffsetDelta ?? 0)
        var sealed = header
        sealed.lastOffsetDelta = delta
        if isEmpty {
            sealed.attributes = sealed.attributes.with(codec: .none)
        } else {
            sealed.maxTimestamp = largestTimestamp
        }
        reset()
        sealed.seal(&result)
        return result
    }

    /// Makes the batch without codec states at hand; for tests and for callers that build seldom.
    public mutating func build() throws(RecordError) -> ByteBuffer {
        try build(context: CompressionContext())
    }

    /// Header space followed by the records as they are stored.
    private func compressed(context: CompressionContext) throws(RecordError) -> ByteBuffer {
        guard codec != .none, !isEmpty else { return buffer }
        var output = ByteBuffer()
        output.reserveCapacity(max(RecordBatchHeader.byteCount, buffer.readableBytes / 2))
        RecordBatchHeader.reserve(in: &output)
        let span = buffer.readableBytesSpan
        try context.compress(
            span.extracting(RecordBatchHeader.byteCount..<span.byteCount), codec: codec, level: compressionLevel,
            into: &output)
        return output
    }

    private mutating func reset() {
        if codec == .none {
            // The bytes went to the caller.
            let capacity = buffer.capacity
            buffer = ByteBuffer()
            buffer.reserveCapacity(min(capacity, CompressionContext.scratchBytesKept))
        } else {
            buffer.clear()
        }
        RecordBatchHeader.reserve(in: &buffer)
        header.recordCount = 0
        header.lastOffsetDelta = -1
        largestTimestamp = RecordBatch.noTimestamp
        nextDelta = 0
    }
}
