// SPDX-License-Identifier: Apache-2.0
//
// RecordBatch+Search.swift
// Finds records by time inside one batch.

public import Model

/// A record's place and time.
public struct TimestampedOffset: Hashable, Sendable {
    /// The place.
    public let offset: Offset
    /// The time, in milliseconds since 1970.
    public let timestamp: Int64

    /// Pairs an offset with its time.
    @inlinable public init(offset: Offset, timestamp: Int64) {
        self.offset = offset
        self.timestamp = timestamp
    }
}

extension RecordBatch {
    /// The first record at or after `minimum` whose time is `timestamp` or later; nil when there is none.
    ///
    /// - Cost: a walk over the records, and a decompression into the context's scratch when the batch is compressed.
    public func firstRecord(
        atOrAfter timestamp: Int64, from minimum: Offset = .zero, context: CompressionContext,
        maxBytes: Int = RecordBatch.decompressedBytesMax
    ) throws(RecordError) -> TimestampedOffset? {
        guard lastOffset >= minimum else { return nil }
        if timestampType == .logAppendTime, maxTimestamp < timestamp { return nil }
        let header = header
        return try withPayload(context: context, maxBytes: maxBytes) { bytes throws(RecordError) in
            var scanner = RecordScanner(header: header)
            while let fields = try scanner.next(bytes) {
                let offset = header.offset(of: fields)
                let time = header.timestamp(of: fields)
                if time >= timestamp, offset >= minimum { return TimestampedOffset(offset: offset, timestamp: time) }
            }
            return nil
        }
    }

    /// The first of the records with the largest time; nil when the batch is empty.
    public func recordWithMaxTimestamp(
        context: CompressionContext, maxBytes: Int = RecordBatch.decompressedBytesMax
    ) throws(RecordError) -> TimestampedOffset? {
        let header = header
        return try withPayload(context: context, maxBytes: maxBytes) { bytes throws(RecordError) in
            var scanner = RecordScanner(header: header)
            var best: TimestampedOffset?
            while let fields = try scanner.next(bytes) {
                let timestamp = header.timestamp(of: fields)
                if let best, best.timestamp >= timestamp { continue }
                best = TimestampedOffset(offset: header.offset(of: fields), timestamp: timestamp)
            }
            return best
        }
    }
}
