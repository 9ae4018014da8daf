// SPDX-License-Identifier: Apache-2.0
//
// RecordBatch+Compact.swift
// A batch without some of its records, as key compaction leaves it. Base offset, last offset, producer fields and the
// records that stay are what they were; only counts, newest timestamp and checksum are made anew.

public import Model
internal import NIOCore

/// What compaction asks of a record.
public struct CompactionRecord: Sendable {
    /// The digest of its key; nil for a record without one.
    public let key: KeyDigest?
    /// Whether it has a value: one without is a tombstone.
    public let hasValue: Bool
    /// Its offset.
    public let offset: Offset
}

/// What compaction made of a batch.
public struct CompactedBatch: Sendable {
    /// The batch as it stays; nil when no record is left of it.
    public let batch: RecordBatch?
    /// Records that went.
    public let removed: Int
    /// The newest timestamp of the records that stay; -1 without.
    public let maxTimestamp: Int64
}

extension RecordBatch {
    /// From when on the tombstones of this batch, or the marker in it, may go (KIP-534); nil when no cleaning has seen it.
    public var deleteHorizon: Int64? { header.attributes.hasDeleteHorizon ? header.baseTimestamp : nil }

    /// Passes what compaction wants to know of each record to `body`, in order.
    ///
    /// - Cost: one decompression of a compressed batch; no allocation for each record.
    public func forEachCompactionRecord(
        context: CompressionContext, maxBytes: Int = RecordBatch.decompressedBytesMax,
        _ body: (CompactionRecord) -> Void
    ) throws(RecordError) {
        guard recordCount > 0 else { return }
        try withPayload(context: context, maxBytes: maxBytes) { bytes throws(RecordError) in
            var scanner = RecordScanner(header: header)
            while let fields = try scanner.next(bytes) { body(header.compactionRecord(fields, bytes)) }
        }
    }

    /// This batch with the records only for which `keeps` holds.
    ///
    /// With a `horizon` it is noted in the batch, whose records keep their timestamps: they count from the horizon then. A
    /// batch of which everything stays, and that gets no horizon, is returned as it is.
    ///
    /// - Cost: one decompression and one compression of a compressed batch; the records that stay are copied.
    public func compacted(
        horizon: Int64? = nil, context: CompressionContext, maxBytes: Int = RecordBatch.decompressedBytesMax,
        keeps: (CompactionRecord) -> Bool
    ) throws(RecordError) -> CompactedBatch {
        guard recordCount > 0 else { return CompactedBatch(batch: nil, removed: 0, maxTimestamp: Self.noTimestamp) }
        let codec = codec
        var kept = KeptRecords(header: header, base: horizon ?? header.baseTimestamp)
        var output = ByteBuffer()
        try withPayload(context: context, maxBytes: maxBytes) { bytes throws(RecordError) in
            try kept.gather(bytes, keeps)
        }
        guard kept.count > 0 else {
            return CompactedBatch(batch: nil, removed: recordCount, maxTimestamp: Self.noTimestamp)
        }
        if kept.count == recordCount, horizon == nil {
            return CompactedBatch(batch: self, removed: 0, maxTimestamp: kept.maxTimestamp)
        }
        RecordBatchHeader.reserve(in: &output)
        if codec == .none {
            output.writeImmutableBuffer(kept.bytes)
        } else {
            try context.compress(kept.bytes.readableBytesSpan, codec: codec, level: nil, into: &output)
        }
        guard output.readableBytes <= Int(Int32.max) else {
            throw .batchTooLarge(bytes: output.readableBytes, limit: Int(Int32.max))
        }
        var header = header
        header.recordCount = Int32(kept.count)
        header.maxTimestamp = kept.maxTimestamp
        if let horizon {
            header.attributes.rawValue |= RecordBatchAttributes.deleteHorizonBit
            header.baseTimestamp = horizon
        }
        header.seal(&output)
        return CompactedBatch(
            batch: try RecordBatch(output), removed: recordCount - kept.count, maxTimestamp: kept.maxTimestamp)
    }

    /// This batch without records: its header, which says where it reached and what its producer's sequence was.
    public func emptied() throws(RecordError) -> RecordBatch {
        var output = ByteBuffer()
        RecordBatchHeader.reserve(in: &output)
        var header = header
        header.recordCount = 0
        header.attributes = header.attributes.with(codec: .none)
        header.seal(&output)
        return try RecordBatch(output)
    }
}

extension RecordBatchHeader {
    /// What compaction wants to know of the record with `fields`.
    @inline(__always)
    fileprivate func compactionRecord(_ fields: RecordFields, _ bytes: RawSpan) -> CompactionRecord {
        let key =
            fields.keyLength < 0
            ? nil : KeyDigest(bytes.extracting(fields.keyStart..<(fields.keyStart + fields.keyLength)))
        return CompactionRecord(key: key, hasValue: fields.valueLength >= 0, offset: offset(of: fields))
    }
}

/// The records of a batch that stay, as bytes.
private struct KeptRecords {
    let header: RecordBatchHeader
    /// What the timestamps are to count from.
    let base: Int64
    private(set) var bytes = ByteBuffer()
    private(set) var count = 0
    private(set) var maxTimestamp = RecordBatch.noTimestamp

    init(header: RecordBatchHeader, base: Int64) {
        self.header = header
        self.base = base
    }

    mutating func gather(_ source: RawSpan, _ keeps: (CompactionRecord) -> Bool) throws(RecordError) {
        var scanner = RecordScanner(header: header)
        var start = 0
        while let fields = try scanner.next(source) {
            defer { start = fields.end }
            guard keeps(header.compactionRecord(fields, source)) else { continue }
            count += 1
            maxTimestamp = max(maxTimestamp, header.timestamp(of: fields))
            if base == header.baseTimestamp {
                append(source.extracting(start..<fields.end))
            } else {
                appendRebased(source.extracting(start..<fields.end), fields)
            }
        }
    }

    private mutating func append(_ record: RawSpan) {
        record.withUnsafeBytes { space in _ = bytes.writeBytes(space) }
    }

    /// The record with a timestamp that counts from ``base``: its length and its time are written anew.
    private mutating func appendRebased(_ record: RawSpan, _ fields: RecordFields) {
        var position = 0
        // The scanner has read both numbers.
        guard Varint.read32(record, at: &position) != nil else { return }
        let attributes = position
        position += 1
        guard Varint.read64(record, at: &position) != nil else { return }
        let delta = header.baseTimestamp &+ fields.timestampDelta &- base
        let rest = record.extracting(position..<record.byteCount)
        Varint.write(Int64(1 + Varint.byteCount(delta) + rest.byteCount), to: &bytes)
        append(record.extracting(attributes..<(attributes + 1)))
        Varint.write(delta, to: &bytes)
        append(rest)
    }
}
