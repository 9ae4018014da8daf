// SPDX-License-Identifier: Apache-2.0
//
// InitProducerIDRequest.swift
// InitProducerId (key 22) request, versions 0 to 6; flexible from version 2.

/// Asks for a producer id.
public struct InitProducerIDRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.initProducerID
    /// What answers this request.
    public typealias Response = InitProducerIDResponse

    /// The transactional id; null for none.
    public var transactionalID: String?
    /// How long a transaction may stay open.
    public var transactionTimeoutMilliseconds: Int32
    /// The producer's id.
    public var producerID: Int64
    /// The producer's epoch.
    public var producerEpoch: Int16
    /// Whether the client decides about its transactions together with another system; from version 6 on (KIP-939).
    public var enablesTwoPhaseCommit: Bool
    /// Whether the open transaction is to stay open instead of being aborted; from version 6 on.
    public var keepsPreparedTransaction: Bool

    /// Creates the message; what is not named is at its default.
    public init(
        transactionalID: String? = nil, transactionTimeoutMilliseconds: Int32, producerID: Int64 = -1,
        producerEpoch: Int16 = -1, enablesTwoPhaseCommit: Bool = false, keepsPreparedTransaction: Bool = false
    ) {
        self.transactionalID = transactionalID
        self.transactionTimeoutMilliseconds = transactionTimeoutMilliseconds
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.enablesTwoPhaseCommit = enablesTwoPhaseCommit
        self.keepsPreparedTransaction = keepsPreparedTransaction
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.initProducerID, version: version)
        transactionalID = try reader.nullableString()
        transactionTimeoutMilliseconds = try reader.int32()
        producerID = try version >= 3 ? reader.int64() : -1
        producerEpoch = try version >= 3 ? reader.int16() : -1
        enablesTwoPhaseCommit = try version >= 6 ? reader.bool() : false
        keepsPreparedTransaction = try version >= 6 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.initProducerID, version: version)
        writer.nullableString(transactionalID)
        writer.int32(transactionTimeoutMilliseconds)
        if version >= 3 {
            writer.int64(producerID)
            writer.int16(producerEpoch)
        }
        if version >= 6 {
            writer.bool(enablesTwoPhaseCommit)
            writer.bool(keepsPreparedTransaction)
        }
        writer.taggedFields()
    }
}
