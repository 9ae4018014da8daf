// SPDX-License-Identifier: Apache-2.0
//
// EndTxnRequest.swift
// EndTxn (key 26) request, versions 0 to 5; flexible from version 3.

/// Commits or aborts a transaction.
public struct EndTxnRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.endTxn
    /// What answers this request.
    public typealias Response = EndTxnResponse

    /// The transactional id.
    public var transactionalID: String
    /// The producer id that belongs to the transactional id.
    public var producerID: Int64
    /// The producer's epoch.
    public var producerEpoch: Int16
    /// Whether the transaction is committed; aborted otherwise.
    public var committed: Bool

    /// Creates the message.
    public init(transactionalID: String, producerID: Int64, producerEpoch: Int16, committed: Bool) {
        self.transactionalID = transactionalID
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.committed = committed
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.endTxn, version: version)
        transactionalID = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        committed = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.endTxn, version: version)
        writer.string(transactionalID)
        writer.int64(producerID)
        writer.int16(producerEpoch)
        writer.bool(committed)
        writer.taggedFields()
    }
}
