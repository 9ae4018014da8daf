// SPDX-License-Identifier: Apache-2.0
//
// OpenFrame.swift
// The frame that a partition gathers: batches of one or more produce requests, with their offsets written into them.

import Model
import NIOCore
import Records

/// A frame before it is proposed.
///
/// The first batch stays in the memory of its request when it fills that memory: a large batch then reaches the log
/// without a copy. Its offset is written into it when the frame is closed; by then the request is forgotten and nobody else
/// sees the bytes. Everything else is copied. The checksum of the frame is composed of the checksums of its batches, which
/// were checked when they came.
struct OpenFrame {
    /// What the broker writes into a batch besides its offset.
    enum Correction {
        case none
        /// The broker's time instead of the producer's.
        case logAppendTime(WallTime)
        /// The largest timestamp of the records, which the header had wrong.
        case maxTimestamp(Int64)
    }

    /// The batches.
    private(set) var payload = ByteBuffer()
    let baseOffset: Offset
    let openedAt: Instant
    private(set) var batches = 0
    private(set) var recordCount: Int32 = 0
    private(set) var maxTimestamp: Int64 = -1
    /// Bytes in batches that their producers compressed.
    private(set) var compressedBytes = 0
    var waiters: [ProduceWaiter] = []
    /// The checksum of `payload`, but for an adopted batch.
    private var checksum: UInt32 = 0
    /// The leader epoch of the only batch, when it is still as the producer sent it.
    private var adopted: Int32?

    /// Smaller batches are copied: they share their memory with other requests.
    static let adoptedBytesMin = 64 << 10
    /// Room for batches to come.
    private static let capacityMin = 4096

    init(baseOffset: Offset, openedAt: Instant) {
        self.baseOffset = baseOffset
        self.openedAt = openedAt
    }

    var endOffset: Offset { baseOffset + Int(recordCount) }

    /// Adds a batch that was checked, at ``endOffset``.
    mutating func add(_ batch: RecordBatch, timestamp: Int64, leaderEpoch: Int32, correction: Correction) {
        if batches == 0, case .none = correction, Self.mayAdopt(batch.bytes) {
            payload = batch.bytes
            adopted = leaderEpoch
        } else {
            copyAdopted(reserving: batch.totalBytes)
            copy(batch, leaderEpoch: leaderEpoch, correction: correction)
        }
        batches += 1
        recordCount += batch.header.lastOffsetDelta + 1
        maxTimestamp = max(maxTimestamp, timestamp)
        if batch.isCompressed { compressedBytes += batch.totalBytes }
    }

    /// Completes the frame; returns its bytes and their checksum.
    mutating func finish() -> (payload: ByteBuffer, checksum: UInt32) {
        if let leaderEpoch = adopted {
            adopted = nil
            let start = payload.readerIndex
            RecordBatch.patch(baseOffset: baseOffset, leaderEpoch: leaderEpoch, in: &payload, at: start)
            checksum = RecordBatch.checksum(ofBatchAt: start, in: payload, seed: checksum)
        }
        return (payload, checksum)
    }

    /// Whether a batch fills the memory that it is in, so that keeping it keeps little else.
    private static func mayAdopt(_ bytes: ByteBuffer) -> Bool {
        bytes.readableBytes >= adoptedBytesMin && bytes.storageCapacity <= 2 * bytes.readableBytes
    }

    private mutating func copyAdopted(reserving byteCount: Int) {
        guard let leaderEpoch = adopted else {
            if batches == 0 { payload.reserveCapacity(max(byteCount, Self.capacityMin)) }
            return
        }
        adopted = nil
        let first = payload
        payload = ByteBuffer()
        payload.reserveCapacity(first.readableBytes + byteCount)
        payload.writeImmutableBuffer(first)
        RecordBatch.patch(baseOffset: baseOffset, leaderEpoch: leaderEpoch, in: &payload, at: 0)
        checksum = RecordBatch.checksum(ofBatchAt: 0, in: payload, seed: checksum)
    }

    private mutating func copy(_ batch: RecordBatch, leaderEpoch: Int32, correction: Correction) {
        let start = payload.writerIndex
        payload.writeImmutableBuffer(batch.bytes)
        RecordBatch.patch(baseOffset: endOffset, leaderEpoch: leaderEpoch, in: &payload, at: start)
        switch correction {
        case .none: break
        case .logAppendTime(let time): RecordBatch.setLogAppendTime(time, in: &payload, at: start)
        case .maxTimestamp(let timestamp): RecordBatch.setMaxTimestamp(timestamp, in: &payload, at: start)
        }
        checksum = RecordBatch.checksum(ofBatchAt: start, in: payload, seed: checksum)
    }
}
