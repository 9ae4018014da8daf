// SPDX-License-Identifier: Apache-2.0
//
// ListTransactionsResponse.swift
// ListTransactions (key 66) response, versions 0 to 2; flexible from version 0.

/// The transactional ids that this broker coordinates.
public struct ListTransactionsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listTransactions

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The states of the request that no transaction can have.
    public var unknownStateFilters: [String]
    /// The transactions.
    public var transactions: [Transaction]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, unknownStateFilters: [String] = [],
        transactions: [Transaction] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.unknownStateFilters = unknownStateFilters
        self.transactions = transactions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listTransactions, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        unknownStateFilters = try reader.stringArray()
        transactions = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listTransactions, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.stringArray(unknownStateFilters)
        writer.array(transactions, version: version)
        writer.taggedFields()
    }
}

extension ListTransactionsResponse {
    /// One transactional id.
    public struct Transaction: WireCoded {
        /// The transactional id.
        public var transactionalID: String
        /// The producer id that belongs to the transactional id.
        public var producerID: Int64
        /// The state of its transaction.
        public var state: String

        /// Creates a value.
        public init(transactionalID: String, producerID: Int64, state: String) {
            self.transactionalID = transactionalID
            self.producerID = producerID
            self.state = state
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            transactionalID = try reader.string()
            producerID = try reader.int64()
            state = try reader.string()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(transactionalID)
            writer.int64(producerID)
            writer.string(state)
            writer.taggedFields()
        }
    }
}
