// SPDX-License-Identifier: Apache-2.0
//
// DescribeTransactionsResponse.swift
// DescribeTransactions (key 65) response, version 0; flexible from version 0.

/// The state of transactional ids.
public struct DescribeTransactionsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeTransactions

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each transactional id.
    public var transactions: [Transaction]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, transactions: [Transaction] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.transactions = transactions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeTransactions, version: version)
        throttleTimeMilliseconds = try reader.int32()
        transactions = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeTransactions, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(transactions, version: version)
        writer.taggedFields()
    }
}

extension DescribeTransactionsResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitionIndexes

    /// One transactional id.
    public struct Transaction: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The transactional id.
        public var transactionalID: String
        /// The state of its transaction.
        public var state: String
        /// How long a transaction may stay open.
        public var timeoutMilliseconds: Int32
        /// When the open transaction began, -1 when none is open.
        public var startTimeMilliseconds: Int64
        /// The producer id that belongs to the transactional id.
        public var producerID: Int64
        /// The producer's epoch.
        public var producerEpoch: Int16
        /// The partitions of the open transaction.
        public var topics: [Topic]

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, transactionalID: String, state: String, timeoutMilliseconds: Int32,
            startTimeMilliseconds: Int64, producerID: Int64, producerEpoch: Int16, topics: [Topic] = []
        ) {
            self.errorCode = errorCode
            self.transactionalID = transactionalID
            self.state = state
            self.timeoutMilliseconds = timeoutMilliseconds
            self.startTimeMilliseconds = startTimeMilliseconds
            self.producerID = producerID
            self.producerEpoch = producerEpoch
            self.topics = topics
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            transactionalID = try reader.string()
            state = try reader.string()
            timeoutMilliseconds = try reader.int32()
            startTimeMilliseconds = try reader.int64()
            producerID = try reader.int64()
            producerEpoch = try reader.int16()
            topics = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.string(transactionalID)
            writer.string(state)
            writer.int32(timeoutMilliseconds)
            writer.int64(startTimeMilliseconds)
            writer.int64(producerID)
            writer.int16(producerEpoch)
            writer.array(topics, version: version)
            writer.taggedFields()
        }
    }
}
