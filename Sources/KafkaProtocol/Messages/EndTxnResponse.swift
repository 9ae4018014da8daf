// SPDX-License-Identifier: Apache-2.0
//
// EndTxnResponse.swift
// EndTxn (key 26) response, versions 0 to 5; flexible from version 3.

/// Whether the transaction has ended.
public struct EndTxnResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.endTxn

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The producer id of the next transaction, -1 before version 5.
    public var producerID: Int64
    /// The epoch of the next transaction, -1 before version 5.
    public var producerEpoch: Int16

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, producerID: Int64 = -1,
        producerEpoch: Int16 = -1
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.producerID = producerID
        self.producerEpoch = producerEpoch
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.endTxn, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        producerID = try version >= 5 ? reader.int64() : -1
        producerEpoch = try version >= 5 ? reader.int16() : -1
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.endTxn, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        if version >= 5 { writer.int64(producerID) }
        if version >= 5 { writer.int16(producerEpoch) }
        writer.taggedFields()
    }
}
