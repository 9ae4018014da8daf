// SPDX-License-Identifier: Apache-2.0
//
// InitProducerIDResponse.swift
// InitProducerId (key 22) response, versions 0 to 6; flexible from version 2.

/// The producer id and its epoch.
public struct InitProducerIDResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.initProducerID

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The producer's id.
    public var producerID: Int64
    /// The producer's epoch.
    public var producerEpoch: Int16
    /// The producer id of the transaction that was kept open, -1 for none; from version 6 on (KIP-939).
    public var ongoingTransactionProducerID: Int64
    /// The epoch of that transaction, -1 for none; from version 6 on.
    public var ongoingTransactionProducerEpoch: Int16

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, producerID: Int64 = -1,
        producerEpoch: Int16, ongoingTransactionProducerID: Int64 = -1, ongoingTransactionProducerEpoch: Int16 = -1
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.ongoingTransactionProducerID = ongoingTransactionProducerID
        self.ongoingTransactionProducerEpoch = ongoingTransactionProducerEpoch
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.initProducerID, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        ongoingTransactionProducerID = try version >= 6 ? reader.int64() : -1
        ongoingTransactionProducerEpoch = try version >= 6 ? reader.int16() : -1
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.initProducerID, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.int64(producerID)
        writer.int16(producerEpoch)
        if version >= 6 {
            writer.int64(ongoingTransactionProducerID)
            writer.int16(ongoingTransactionProducerEpoch)
        }
        writer.taggedFields()
    }
}
