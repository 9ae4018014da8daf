// SPDX-License-Identifier: Apache-2.0
//
// RecordError+Description.swift
// The errors as sentences; Kafka clients show them to their users.

extension RecordError: CustomStringConvertible {
    /// The error as a sentence, or the fault as a part of one.
    public var description: String {
        switch self {
        case .truncated(let needed, let available):
            "The record batch needs \(needed) bytes but only \(available) are there"
        case .invalidLength(let length): "The record batch has the impossible length \(length)"
        case .unsupportedMagic(let magic): "Record format version \(magic) is not supported; send version 2"
        case .checksumMismatch(let stored, let computed):
            "The record batch has checksum \(stored) but its bytes have \(computed)"
        case .notOneBatch(let trailing):
            trailing == 0
                ? "A partition needs exactly one record batch, and there is none"
                : "A partition needs exactly one record batch, and \(trailing) more bytes follow it"
        case .invalidHeader(let fault): "The record batch's header is invalid: \(fault)"
        case .unknownCodec(let codec): "Compression codec \(codec) does not exist"
        case .codecNotAllowed(let codec): "Compression codec \(codec) is not allowed here"
        case .batchTooLarge(let bytes, let limit): "The record batch has \(bytes) bytes, and the limit is \(limit)"
        case .undecodable(let codec): "The records are not valid \(codec) data"
        case .decompressedTooLarge(let limit): "The records unpack to more than \(limit) bytes"
        case .sizeMismatch(let expected, let actual):
            "The payload unpacks to \(actual) bytes where \(expected) were stored"
        case .malformedRecord(let index, let fault): "Record \(index) is malformed: \(fault)"
        case .missingKey(let index): "Record \(index) has no key, and the topic is compacted"
        case .invalidTimestamp(let index?, let fault): "Record \(index) has an invalid timestamp: \(fault)"
        case .invalidTimestamp(nil, let fault): "The record batch has an invalid timestamp: \(fault)"
        case .codecFailure(let codec): "The \(codec) library failed; memory may be exhausted"
        }
    }
}

extension RecordError.HeaderFault: CustomStringConvertible {
    /// The error as a sentence, or the fault as a part of one.
    public var description: String {
        switch self {
        case .baseOffset(let offset): "base offset \(offset) is not 0"
        case .recordCount(let count, let delta): "\(count) records with last offset delta \(delta)"
        case .controlBatch: "clients do not write control batches"
        case .deleteHorizon: "clients do not set a delete horizon"
        case .unknownAttributes(let bits): "unknown attribute bits \(bits)"
        case .producer(let id, let epoch, let sequence):
            "producer id \(id), epoch \(epoch) and sequence \(sequence) do not belong together"
        }
    }
}

extension RecordError.RecordFault: CustomStringConvertible {
    /// The error as a sentence, or the fault as a part of one.
    public var description: String {
        switch self {
        case .missing: "the batch ends before it"
        case .varint: "a number is cut off or too long"
        case .length: "its length is negative or more than the batch holds"
        case .fields: "its fields do not fill its length"
        case .offsetDelta(let delta): "offset delta \(delta) is out of order"
        case .header: "its headers are invalid"
        case .trailingBytes(let count): "\(count) bytes follow the last record"
        case .control: "it is no control record"
        }
    }
}

extension RecordError.TimestampFault: CustomStringConvertible {
    /// The error as a sentence, or the fault as a part of one.
    public var description: String {
        switch self {
        case .logAppendTimeByClient: "clients do not set LogAppendTime"
        case .tooFarAhead(let timestamp, let latest): "\(timestamp) is later than \(latest)"
        case .tooFarBehind(let timestamp, let earliest): "\(timestamp) is earlier than \(earliest)"
        case .overflow: "base and delta leave 64 bits"
        }
    }
}
