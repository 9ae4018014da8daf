// SPDX-License-Identifier: Apache-2.0
//
// PartitionQueue.swift
// The batches of one partition on the producer's side: one open, some sealed, some in flight, in order.
// A value without I/O or clock; ProducerCore carries out what it decides.

import DequeModule
import Model
import NIOCore
import Records

/// A batch that takes no more records.
struct SealedBatch {
    /// Rises by one a batch; the order in which batches must reach the broker.
    let ordinal: UInt64
    let bytes: ByteBuffer
    let recordCount: Int
    /// What its records count against the producer's buffer: their size before compression.
    let bufferedBytes: Int
    let openedAt: Instant
    let stamps: [Delivery.Stamp]
}

/// The batches of one partition.
///
/// Invariant: the ordinals of `inFlight`, `rewound` and `sealed` together are all different, and every ordinal in
/// `sealed` that was never sent is above all that were.
struct PartitionQueue {
    let partition: TopicPartition
    private let codec: CompressionCodec
    private let batchBytesMax: Int
    private var builder: RecordBatchBuilder
    private var openedAt: Instant?
    private var stamps: [Delivery.Stamp] = []
    private var sealed: Deque<SealedBatch> = []
    private var inFlight: [UInt64: SealedBatch] = [:]
    private var rewound: [SealedBatch] = []
    private var nextOrdinal: UInt64 = 0
    private var nextSequence: Int32 = 0
    /// Nothing is sent before this instant, after a failure.
    private(set) var resumesAt: Instant?
    /// Identity for an idempotent producer.
    var producer: ProducerFields?

    init(_ partition: TopicPartition, codec: CompressionCodec, batchBytesMax: Int) {
        self.partition = partition
        self.codec = codec
        self.batchBytesMax = batchBytesMax
        self.builder = RecordBatchBuilder(codec: codec, capacity: min(batchBytesMax, 64 << 10))
    }

    // MARK: Filling

    /// Appends a record to the open batch.
    ///
    /// - Returns: The bytes that it takes in the batch.
    mutating func append(
        key: ByteBuffer?, value: ByteBuffer?, headers: [RecordHeader], timestamp: Int64, at instant: Instant
    ) -> Int {
        if openedAt == nil { openedAt = instant }
        let before = builder.uncompressedBytes
        builder.append(key: key, value: value, timestamp: timestamp, headers: headers)
        if let last = stamps.indices.last, stamps[last].instant == instant {
            stamps[last].count += 1
        } else {
            stamps.append(Delivery.Stamp(instant: instant, count: 1))
        }
        return builder.uncompressedBytes - before
    }

    /// Whether the open batch should take no more records.
    var isFull: Bool { builder.uncompressedBytes >= batchBytesMax }

    /// When the open batch was begun; nil when there is none.
    var openSince: Instant? { openedAt }

    /// Closes the open batch, if there is one, and gives it the next sequence numbers.
    mutating func seal(context: CompressionContext) throws(RecordError) {
        guard let openedAt else { return }
        let count = builder.count
        let bufferedBytes = builder.uncompressedBytes - RecordBatchHeader.byteCount
        if let producer {
            builder.header.producerID = producer.id
            builder.header.producerEpoch = producer.epoch
            builder.header.baseSequence = nextSequence
            nextSequence = ProducerFields.sequence(nextSequence, advancedBy: Int32(count))
        }
        let bytes = try builder.build(context: context)
        sealed.append(
            SealedBatch(
                ordinal: nextOrdinal, bytes: bytes, recordCount: count, bufferedBytes: bufferedBytes,
                openedAt: openedAt,
                stamps: stamps))
        nextOrdinal += 1
        self.openedAt = nil
        stamps = []
    }

    // MARK: Sending

    /// Whether a sealed batch may be sent now.
    func isSendable(now: Instant) -> Bool {
        guard rewound.isEmpty, !sealed.isEmpty else { return false }
        return resumesAt.map { $0 <= now } ?? true
    }

    /// The size of the batch that ``takeNext()`` returns; 0 when there is none.
    var nextBytes: Int { sealed.first?.bytes.readableBytes ?? 0 }

    /// Moves the oldest sealed batch to those in flight.
    mutating func takeNext() -> SealedBatch? {
        guard let batch = sealed.popFirst() else { return nil }
        inFlight[batch.ordinal] = batch
        return batch
    }

    /// Whether nothing at all is waiting.
    var isEmpty: Bool { openedAt == nil && sealed.isEmpty && inFlight.isEmpty && rewound.isEmpty }

    /// Whether anything is sealed and not in flight.
    var isWaiting: Bool { !sealed.isEmpty }

    /// Whether an earlier batch failed and those behind it are being called back.
    var isRewinding: Bool { !rewound.isEmpty }

    // MARK: Answers

    /// Forgets a batch that was written, or given up.
    mutating func settle(_ ordinal: UInt64) {
        inFlight[ordinal] = nil
    }

    /// Calls a batch back after a failure that may pass.
    mutating func fail(_ ordinal: UInt64) {
        guard let batch = inFlight.removeValue(forKey: ordinal) else { return }
        rewound.append(batch)
    }

    /// Once every batch in flight has its answer, puts those called back in front again, in their first order.
    ///
    /// - Returns: Whether that happened: the caller then waits until `resumesAt`.
    mutating func finishRewind(resumesAt: Instant) -> Bool {
        guard inFlight.isEmpty, !rewound.isEmpty else { return false }
        for batch in rewound.sorted(by: { $0.ordinal > $1.ordinal }) { sealed.prepend(batch) }
        rewound = []
        self.resumesAt = resumesAt
        return true
    }

    /// Removes and returns the sealed batches that were opened before `limit`.
    mutating func expire(openedBefore limit: Instant) -> [SealedBatch] {
        var expired: [SealedBatch] = []
        while let batch = sealed.first, batch.openedAt < limit { expired.append(sealed.removeFirst()) }
        return expired
    }

    /// Removes and returns every sealed batch.
    mutating func removeSealed() -> [SealedBatch] {
        defer { sealed = [] }
        return Array(sealed)
    }
}
