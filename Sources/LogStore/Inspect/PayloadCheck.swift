// SPDX-License-Identifier: Apache-2.0
//
// PayloadCheck.swift
// Looks into the payload of a frame: it unpacks, and its batches are whole, numbered without a hole and what was produced.

internal import Model
internal import NIOCore
internal import Records

/// Checks and unpacks payloads.
///
/// Belongs to one thread.
final class PayloadCheck {
    private let decompressor: ZstdDecompressor
    private let context = CompressionContext()

    init() throws(StoreError) {
        do throws(RecordError) {
            decompressor = try ZstdDecompressor()
        } catch {
            throw .diskFailed("no memory for decompression")
        }
    }

    /// The payload as it was before the frame was compressed.
    func unpack(_ header: FrameHeader, _ payload: ByteBuffer) throws(StoreError) -> ByteBuffer {
        try header.unpack(payload, decompressor)
    }

    /// What is wrong with a stored payload whose checksum holds; nil when nothing is.
    func fault(of header: FrameHeader, _ payload: ByteBuffer) -> String? {
        guard header.kind == .data else {
            return header.recordCount == 0 ? nil : "an entry without records claims \(header.recordCount)"
        }
        guard header.recordCount > 0 else { return "a data frame claims \(header.recordCount) records" }
        do throws(StoreError) {
            return batchFault(header, try unpack(header, payload))
        } catch {
            return "the payload passes its checksum but cannot be unpacked"
        }
    }

    private func batchFault(_ header: FrameHeader, _ raw: ByteBuffer) -> String? {
        var cursor = RecordBatchCursor(raw)
        var next = header.baseOffset
        do throws(RecordError) {
            while let batch = try cursor.next() {
                // Compaction leaves out batches, but for the one that says where the frame ends.
                guard batch.baseOffset == next || header.isCompacted && batch.baseOffset > next else {
                    return "a batch begins at \(batch.baseOffset), not at \(next)"
                }
                _ = try batch.verify(depth: .framing, context: context)
                let epoch = Int32(truncatingIfNeeded: header.term.rawValue)
                guard batch.header.leaderEpoch == epoch else {
                    return "the batch at \(next) has epoch \(batch.header.leaderEpoch) in term \(header.term)"
                }
                next = batch.nextOffset
            }
        } catch {
            return "the batch at \(next): \(error)"
        }
        guard next == header.endOffset else { return "the batches end at \(next), the frame at \(header.endOffset)" }
        return nil
    }
}
