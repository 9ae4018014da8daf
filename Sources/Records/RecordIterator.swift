// SPDX-License-Identifier: Apache-2.0
//
// RecordIterator.swift
// Lazy iteration over the records of a batch.

public import NIOCore

/// Yields the records of one batch in order; each is parsed when its turn comes.
///
/// Bytes that follow the last record are an error, and so are offsets that do not rise or that leave the batch; gaps
/// are allowed, since compaction makes them.
public struct RecordIterator: Sendable {
    private let bytes: ByteBuffer
    private var scanner: RecordScanner

    /// Iterates over `bytes`, the decompressed payload of the batch with `header`.
    public init(decompressed bytes: ByteBuffer, header: RecordBatchHeader) {
        self.bytes = bytes
        scanner = RecordScanner(header: header)
    }

    /// The next record, or nil after the last.
    ///
    /// - Cost: no copy and no allocation.
    public mutating func next() throws(RecordError) -> Record? {
        let source = bytes
        guard let fields = try scanner.next(source.readableBytesSpan) else { return nil }
        return Record(
            source: source, fields: fields, offset: scanner.header.offset(of: fields),
            timestamp: scanner.header.timestamp(of: fields))
    }
}

extension RecordBatch {
    /// The most that the records of one batch may unpack to unless a caller says otherwise: 64 times the usual limit
    /// of a batch, more than honest data reaches, and little enough to allocate.
    public static let decompressedBytesMax = 64 << 20

    /// The records, decompressed if need be.
    ///
    /// - Cost: none for uncompressed batches; else one decompression into fresh memory.
    public func records(
        context: CompressionContext, maxBytes: Int = RecordBatch.decompressedBytesMax
    ) throws(RecordError) -> RecordIterator {
        guard isCompressed, recordCount > 0 else { return RecordIterator(decompressed: payload, header: header) }
        var output = ByteBuffer()
        let span = bytes.readableBytesSpan
        let compressed = span.extracting(RecordBatchHeader.byteCount..<span.byteCount)
        try context.decompress(compressed, codec: codec, maxBytes: maxBytes, into: &output)
        return RecordIterator(decompressed: output, header: header)
    }

    /// All records at once, for tests and tools.
    public func allRecords(context: CompressionContext = CompressionContext()) throws(RecordError) -> [Record] {
        var iterator = try records(context: context)
        var records: [Record] = []
        while let record = try iterator.next() { records.append(record) }
        return records
    }

    /// Passes the decompressed payload to `body`; uncompressed batches cost nothing, others use the scratch buffer.
    func withPayload<Result>(
        context: CompressionContext, maxBytes: Int, _ body: (RawSpan) throws(RecordError) -> Result
    ) throws(RecordError) -> Result {
        let span = bytes.readableBytesSpan
        let stored = span.extracting(RecordBatchHeader.byteCount..<span.byteCount)
        // An empty batch, as compaction leaves it, has nothing to unpack whatever its codec says.
        guard isCompressed, recordCount > 0 else { return try body(stored) }
        return try context.withDecompressed(stored, codec: codec, maxBytes: maxBytes) { buffer throws(RecordError) in
            try body(buffer.readableBytesSpan)
        }
    }
}
