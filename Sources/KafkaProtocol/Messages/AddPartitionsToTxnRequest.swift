// SPDX-License-Identifier: Apache-2.0
//
// AddPartitionsToTxnRequest.swift
// AddPartitionsToTxn (key 24) request, versions 0 to 5; flexible from version 3.

/// Adds partitions to transactions, or asks whether they are part of them.
public struct AddPartitionsToTxnRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.addPartitionsToTxn
    /// What answers this request.
    public typealias Response = AddPartitionsToTxnResponse

    /// The transactions, from version 4 on.
    public var transactions: [Transaction]
    /// The transactional id, up to version 3.
    public var transactionalID: String
    /// The producer id that belongs to the transactional id, up to version 3.
    public var producerID: Int64
    /// The producer's epoch, up to version 3.
    public var producerEpoch: Int16
    /// The partitions to add, up to version 3.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        transactions: [Transaction] = [], transactionalID: String = "", producerID: Int64 = -1,
        producerEpoch: Int16 = -1, topics: [Topic] = []
    ) {
        self.transactions = transactions
        self.transactionalID = transactionalID
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.addPartitionsToTxn, version: version)
        transactions = try version >= 4 ? reader.array(version: version) : []
        transactionalID = try version <= 3 ? reader.string() : ""
        producerID = try version <= 3 ? reader.int64() : -1
        producerEpoch = try version <= 3 ? reader.int16() : -1
        topics = try version <= 3 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.addPartitionsToTxn, version: version)
        if version >= 4 { writer.array(transactions, version: version) }
        if version <= 3 { writer.string(transactionalID) }
        if version <= 3 { writer.int64(producerID) }
        if version <= 3 { writer.int16(producerEpoch) }
        if version <= 3 { writer.array(topics, version: version) }
        writer.taggedFields()
    }
}

extension AddPartitionsToTxnRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitionIndexes

    /// One transaction and the partitions to add to it, or to look for in it.
    public struct Transaction: WireCoded {
        /// The transactional id.
        public var transactionalID: String
        /// The producer id that belongs to the transactional id.
        public var producerID: Int64
        /// The producer's epoch.
        public var producerEpoch: Int16
        /// Whether the partitions are only looked for, and nothing is added.
        public var verifyOnly: Bool
        /// The partitions.
        public var topics: [Topic]

        /// Creates a value; what is not named is at its default.
        public init(
            transactionalID: String, producerID: Int64, producerEpoch: Int16, verifyOnly: Bool, topics: [Topic] = []
        ) {
            self.transactionalID = transactionalID
            self.producerID = producerID
            self.producerEpoch = producerEpoch
            self.verifyOnly = verifyOnly
            self.topics = topics
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            transactionalID = try reader.string()
            producerID = try reader.int64()
            producerEpoch = try reader.int16()
            verifyOnly = try reader.bool()
            topics = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(transactionalID)
            writer.int64(producerID)
            writer.int16(producerEpoch)
            writer.bool(verifyOnly)
            writer.array(topics, version: version)
            writer.taggedFields()
        }
    }
}
