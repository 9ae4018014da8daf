// SPDX-License-Identifier: Apache-2.0
//
// RecordBatch+Patch.swift
// Changes to a batch in place. Each copies the whole buffer first if someone else holds it too (copy on write), so
// patch the buffer that the log will keep, not the one that came from the socket.

public import Model
public import NIOCore

extension RecordBatch {
    /// Sets base offset and leader epoch of the batch at `index`, an index as NIO counts it.
    ///
    /// The checksum stays valid.
    ///
    /// - Cost: two stores.
    public static func patch(
        baseOffset: Offset, leaderEpoch: Int32, in buffer: inout ByteBuffer, at index: Int
    ) {
        let start = index - buffer.readerIndex
        precondition(
            start >= 0 && start + RecordBatchHeader.byteCount <= buffer.readableBytes,
            "no batch header at \(index) in \(buffer.readerIndex)..<\(buffer.writerIndex)")
        buffer.withUnsafeMutableReadableBytes { bytes in
            bytes.storeBytes(of: baseOffset.rawValue.bigEndian, toByteOffset: start, as: Int64.self)
            bytes.storeBytes(of: leaderEpoch.bigEndian, toByteOffset: start + 12, as: Int32.self)
        }
    }

    /// The checksum of what `seed` is the checksum of followed by the batch at `index`, made from the batch's own checksum.
    ///
    /// The batch must have been checked: its bytes behind the checksum are not read.
    ///
    /// - Cost: about a microsecond, whatever the size.
    public static func checksum(ofBatchAt index: Int, in buffer: ByteBuffer, seed: UInt32) -> UInt32 {
        let start = index - buffer.readerIndex
        let span = buffer.readableBytesSpan
        guard let header = try? RecordBatchHeader.parseFramed(span, at: start) else {
            preconditionFailure("no batch at \(index) in \(buffer.readerIndex)..<\(buffer.writerIndex)")
        }
        let batch = span.extracting(start..<(start + header.totalBytes))
        // Below this a pass over the bytes is quicker.
        guard batch.byteCount >= 16 << 10 else { return CRC32C.checksum(batch, seed: seed) }
        let covered = RecordBatchHeader.checkedBytesStart
        let front = CRC32C.checksum(batch.extracting(first: covered), seed: seed)
        return CRC32C.combine(front, header.crc, byteCount: batch.byteCount - covered)
    }

    /// Gives the batch at `index` the broker's time, which then holds for all its records, and a new checksum.
    ///
    /// The batch must have been checked: a wrong checksum would be healed.
    public static func setLogAppendTime(_ time: WallTime, in buffer: inout ByteBuffer, at index: Int) {
        rewriteHeader(in: &buffer, at: index) { header in
            header.attributes = header.attributes.with(timestampType: .logAppendTime)
            header.maxTimestamp = time.milliseconds
        }
    }

    /// Corrects the largest timestamp in the header of the batch at `index`, and its checksum.
    public static func setMaxTimestamp(_ timestamp: Int64, in buffer: inout ByteBuffer, at index: Int) {
        rewriteHeader(in: &buffer, at: index) { $0.maxTimestamp = timestamp }
    }

    /// A copy of this batch with the broker's time.
    public func settingLogAppendTime(_ time: WallTime) throws(RecordError) -> RecordBatch {
        var copy = bytes
        Self.setLogAppendTime(time, in: &copy, at: copy.readerIndex)
        return try RecordBatch(copy)
    }

    /// Changes header fields, but not the length, and makes the checksum anew.
    private static func rewriteHeader(
        in buffer: inout ByteBuffer, at index: Int, _ change: (inout RecordBatchHeader) -> Void
    ) {
        let start = index - buffer.readerIndex
        guard var header = try? RecordBatchHeader.parseFramed(buffer.readableBytesSpan, at: start) else {
            preconditionFailure("no batch at \(index) in \(buffer.readerIndex)..<\(buffer.writerIndex)")
        }
        change(&header)
        buffer.withUnsafeMutableReadableBytes { bytes in
            let batch = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<(start + header.totalBytes)])
            header.seal(batch)
        }
    }
}
