// SPDX-License-Identifier: Apache-2.0
//
// AddPartitionsToTxnResponse.swift
// AddPartitionsToTxn (key 24) response, versions 0 to 5; flexible from version 3.

/// Whether each partition is part of its transaction.
public struct AddPartitionsToTxnResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.addPartitionsToTxn

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong with the whole request, if anything; from version 4 on.
    public var errorCode: KafkaErrorCode
    /// The answer for each transaction, from version 4 on.
    public var transactions: [Transaction]
    /// The answer for each topic, up to version 3.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, transactions: [Transaction] = [],
        topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.transactions = transactions
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.addPartitionsToTxn, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try version >= 4 ? reader.errorCode() : .none
        transactions = try version >= 4 ? reader.array(version: version) : []
        topics = try version <= 3 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.addPartitionsToTxn, version: version)
        writer.int32(throttleTimeMilliseconds)
        if version >= 4 { writer.errorCode(errorCode) }
        if version >= 4 { writer.array(transactions, version: version) }
        if version <= 3 { writer.array(topics, version: version) }
        writer.taggedFields()
    }
}

extension AddPartitionsToTxnResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public typealias Partition = PartitionError

    /// One transaction.
    public struct Transaction: WireCoded {
        /// The transactional id.
        public var transactionalID: String
        /// The answer for each topic.
        public var topics: [Topic]

        /// Creates a value; what is not named is at its default.
        public init(transactionalID: String, topics: [Topic] = []) {
            self.transactionalID = transactionalID
            self.topics = topics
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            transactionalID = try reader.string()
            topics = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(transactionalID)
            writer.array(topics, version: version)
            writer.taggedFields()
        }
    }
}
