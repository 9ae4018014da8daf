// SPDX-License-Identifier: Apache-2.0
//
// AddOffsetsToTxnRequest.swift
// AddOffsetsToTxn (key 25) request, versions 0 to 4; flexible from version 3.

/// Adds the offsets of a group to a transaction.
public struct AddOffsetsToTxnRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.addOffsetsToTxn
    /// What answers this request.
    public typealias Response = AddOffsetsToTxnResponse

    /// The transactional id.
    public var transactionalID: String
    /// The producer id that belongs to the transactional id.
    public var producerID: Int64
    /// The producer's epoch.
    public var producerEpoch: Int16
    /// The group whose offsets are to be committed.
    public var groupID: String

    /// Creates the message.
    public init(transactionalID: String, producerID: Int64, producerEpoch: Int16, groupID: String) {
        self.transactionalID = transactionalID
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.groupID = groupID
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.addOffsetsToTxn, version: version)
        transactionalID = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        groupID = try reader.string()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.addOffsetsToTxn, version: version)
        writer.string(transactionalID)
        writer.int64(producerID)
        writer.int16(producerEpoch)
        writer.string(groupID)
        writer.taggedFields()
    }
}
