// SPDX-License-Identifier: Apache-2.0
//
// RecordBatch+Recompress.swift
// Another codec for the same records, for topics that set `compression.type`.

internal import NIOCore

extension RecordBatch {
    /// This batch with its records under another codec, in fresh memory; the batch itself when the codec is the same.
    ///
    /// The records are those of this batch byte for byte, and so are all fields of the header except codec, length
    /// and checksum. The batch must have been checked.
    public func recompressed(
        to codec: CompressionCodec, level: Int32? = nil, context: CompressionContext,
        maxBytes: Int = RecordBatch.decompressedBytesMax
    ) throws(RecordError) -> RecordBatch {
        guard codec != self.codec else { return self }
        var output = ByteBuffer()
        output.reserveCapacity(totalBytes)
        RecordBatchHeader.reserve(in: &output)
        if recordCount > 0 {
            try withPayload(context: context, maxBytes: maxBytes) { bytes throws(RecordError) in
                try context.compress(bytes, codec: codec, level: level, into: &output)
            }
        }
        guard output.readableBytes <= Int(Int32.max) else {
            throw .batchTooLarge(bytes: output.readableBytes, limit: Int(Int32.max))
        }
        var header = header
        header.attributes = header.attributes.with(codec: codec)
        header.seal(&output)
        return try RecordBatch(output)
    }
}
