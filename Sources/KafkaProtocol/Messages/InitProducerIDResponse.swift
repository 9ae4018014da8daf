// SPDX-License-Identifier: Apache-2.0
//
// InitProducerIDResponse.swift
// InitProducerId (key 22) response, versions 0 to 5; flexible from version 2.

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

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, producerID: Int64 = -1,
        producerEpoch: Int16
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.producerID = producerID
        self.producerEpoch = producerEpoch
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.initProducerID, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.initProducerID, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.int64(producerID)
        writer.int16(producerEpoch)
        writer.taggedFields()
    }
}
