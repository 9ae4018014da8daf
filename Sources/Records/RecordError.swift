// SPDX-License-Identifier: Apache-2.0
//
// RecordError.swift
// Everything that can be wrong with bytes that claim to be record batches.

/// Why bytes were refused, or could not be made.
public enum RecordError: Error, Equatable, Sendable {
    // Framing of a batch
    /// The bytes end before the batch does.
    case truncated(needed: Int, available: Int)
    /// The length field cannot hold a batch header.
    case invalidLength(Int32)
    /// The format is not version 2.
    case unsupportedMagic(Int8)
    /// The checksum in the header is not that of the bytes.
    case checksumMismatch(stored: UInt32, computed: UInt32)
    /// There is not exactly one batch; 0 trailing bytes means that there is none at all.
    case notOneBatch(trailingBytes: Int)

    // Content of the header
    /// A field of the header breaks a rule.
    case invalidHeader(HeaderFault)
    /// The attributes name a codec that does not exist.
    case unknownCodec(UInt8)
    /// The codec exists but the request's version or the topic does not allow it.
    case codecNotAllowed(CompressionCodec)
    /// The batch is larger than the topic allows.
    case batchTooLarge(bytes: Int, limit: Int)

    // Content of the records
    /// The compressed payload is not what its codec writes.
    case undecodable(CompressionCodec)
    /// The payload unpacks to more than the limit.
    case decompressedTooLarge(limit: Int)
    /// The payload does not unpack to the size that was stored beside it.
    case sizeMismatch(expected: Int, actual: Int)
    /// The record at `index` (from 0) breaks the format.
    case malformedRecord(index: Int, RecordFault)
    /// The record at `index` has no key, and the topic is compacted.
    case missingKey(index: Int)
    /// A timestamp is out of bounds; `index` is nil when the header alone says so.
    case invalidTimestamp(index: Int?, TimestampFault)

    // Trouble of ours
    /// The library of a codec failed for want of memory or for a reason that is not in the bytes.
    case codecFailure(CompressionCodec)

    /// What a header can have wrong.
    public enum HeaderFault: Equatable, Sendable {
        /// A producer must send base offset 0.
        case baseOffset(Int64)
        /// The count of records is not what the offsets say.
        case recordCount(Int32, lastOffsetDelta: Int32)
        /// Only the broker writes control batches.
        case controlBatch
        /// Only the broker sets attribute bit 6.
        case deleteHorizon
        /// Attribute bits that have no meaning yet are set.
        case unknownAttributes(UInt16)
        /// Producer id, epoch and sequence do not belong together.
        case producer(id: Int64, epoch: Int16, sequence: Int32)
    }

    /// What a record can have wrong.
    public enum RecordFault: Error, Equatable, Sendable {
        /// The batch ends before its last record.
        case missing
        /// A varint is cut off or too long.
        case varint
        /// The record is longer than what is left of the batch, or its length is negative.
        case length
        /// The fields do not fill the record exactly.
        case fields
        /// The offset delta is not the expected one.
        case offsetDelta(Int32)
        /// The count of headers is negative or more than the record can hold, or a header's key is null.
        case header
        /// Bytes follow the last record.
        case trailingBytes(Int)
        /// A control record's key or value has the wrong form.
        case control
    }

    /// What a timestamp can have wrong.
    public enum TimestampFault: Equatable, Sendable {
        /// Only the broker marks a batch as LogAppendTime.
        case logAppendTimeByClient
        /// Later than now plus the topic's `message.timestamp.after.max.ms`.
        case tooFarAhead(timestamp: Int64, latest: Int64)
        /// Earlier than now minus the topic's `message.timestamp.before.max.ms`.
        case tooFarBehind(timestamp: Int64, earliest: Int64)
        /// Base plus delta leaves 64 bits.
        case overflow
    }
}

extension RecordError {
    /// The classes that callers act on; each has one Kafka error.
    public enum Category: Sendable, CaseIterable {
        /// The client sent something against the rules: INVALID_RECORD (87).
        case invalidRecord
        /// The bytes were damaged: CORRUPT_MESSAGE (2), which clients retry.
        case corrupt
        /// UNSUPPORTED_COMPRESSION_TYPE (76).
        case unsupportedCompression
        /// MESSAGE_TOO_LARGE (10), on which clients split the batch.
        case tooLarge
        /// INVALID_TIMESTAMP (32).
        case invalidTimestamp
        /// Not the bytes' fault: KAFKA_STORAGE_ERROR (56) or UNKNOWN_SERVER_ERROR (-1).
        case failure
    }

    /// The class of this error.
    public var category: Category {
        switch self {
        case .truncated, .invalidLength, .checksumMismatch, .sizeMismatch: .corrupt
        // Versions 0 and 1 were sent on purpose; any other value is damage.
        case .unsupportedMagic(let magic): magic == 0 || magic == 1 ? .invalidRecord : .corrupt
        case .notOneBatch, .invalidHeader, .undecodable, .malformedRecord, .missingKey: .invalidRecord
        case .unknownCodec, .codecNotAllowed: .unsupportedCompression
        case .batchTooLarge, .decompressedTooLarge: .tooLarge
        case .invalidTimestamp: .invalidTimestamp
        case .codecFailure: .failure
        }
    }

    /// The record to name in `recordErrors` of a Produce response (version 8 and later); nil when it is the batch.
    public var recordIndex: Int? {
        switch self {
        case .malformedRecord(let index, _), .missingKey(let index): index
        case .invalidTimestamp(let index, _): index
        default: nil
        }
    }
}
