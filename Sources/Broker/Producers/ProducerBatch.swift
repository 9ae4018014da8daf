// SPDX-License-Identifier: Apache-2.0
//
// ProducerBatch.swift
// What producer state needs to know of a record batch, and the arithmetic of sequence numbers.

import Model

/// Sequence numbers count a producer's records from 0 and start again at 0 after 2147483647.
enum ProducerSequence {
    /// The sequence that lies `count` (not negative) after `sequence`.
    static func advanced(_ sequence: Int32, by count: Int32) -> Int32 {
        Int32(truncatingIfNeeded: (Int64(sequence) + Int64(count)) & Int64(Int32.max))
    }

    /// How many records lie from `first` to `last`, less one.
    static func distance(from first: Int32, to last: Int32) -> Int32 {
        Int32(truncatingIfNeeded: (Int64(last) - Int64(first)) & Int64(Int32.max))
    }
}

/// The header fields of one batch of an idempotent producer.
struct ProducerBatch: Hashable, Sendable {
    /// Who produced it.
    var producerID: ProducerID
    /// The producer's epoch.
    var epoch: Int16
    /// The sequence of the first record.
    var baseSequence: Int32
    /// The difference between the last and the first record's offset and sequence.
    var lastOffsetDelta: Int32
    /// The offset of the first record; only `record` and `replay` look at it.
    var baseOffset: Offset
    /// The batch's largest timestamp, which a duplicate is answered with.
    var maxTimestamp: Int64
    /// Whether its records count only once a marker says so.
    var isTransactional: Bool = false
    /// Whether its transaction has an epoch of its own, and the partition becomes part of it by the batch (KIP-890).
    var enrolsPartition: Bool = false

    /// The sequence of the last record.
    var lastSequence: Int32 { ProducerSequence.advanced(baseSequence, by: lastOffsetDelta) }
    /// The offset of the last record.
    var lastOffset: Offset { baseOffset + Int(lastOffsetDelta) }
}

/// Why a batch is refused; the raw value is the Kafka error code.
enum ProducerError: Int16, Error, Hashable, Sendable {
    /// The sequence does not follow the last one.
    case outOfOrderSequence = 45
    /// The producer was replaced by one with a higher epoch.
    case invalidProducerEpoch = 47
    /// Records without a transaction while one is open, or of another epoch than the open one.
    case invalidTxnState = 48
    /// The coordinator that wrote a marker was replaced.
    case transactionCoordinatorFenced = 52
    /// A producer id without a sequence.
    case invalidRecord = 87
}

/// What is to be done with a batch.
enum ProducerVerdict: Hashable, Sendable {
    /// It is next: append it, then call `record`.
    case append
    /// It would begin a transaction here: ask the coordinator whether the partition is part of one, then append it.
    case verify
    /// As `verify`, but an earlier transaction of the producer is still open here: the coordinator answers when that one
    /// has ended, and unless it has the batch is refused.
    case verifyBehindOpen
    /// It is in the log already, at these offsets; answer once the original is committed.
    case duplicate(baseOffset: Offset, lastOffset: Offset, timestamp: Int64)
    /// It is refused.
    case error(ProducerError)
}
