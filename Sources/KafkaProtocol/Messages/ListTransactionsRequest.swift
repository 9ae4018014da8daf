// SPDX-License-Identifier: Apache-2.0
//
// ListTransactionsRequest.swift
// ListTransactions (key 66) request, versions 0 to 2; flexible from version 0.

/// Asks for the transactional ids that this broker coordinates.
public struct ListTransactionsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listTransactions
    /// What answers this request.
    public typealias Response = ListTransactionsResponse

    /// The states of the transactions to list; empty means all.
    public var stateFilters: [String]
    /// The producer ids of the transactions to list; empty means all.
    public var producerIDFilters: [Int64]
    /// How long a transaction must have been open at least, -1 for no filter; from version 1 on.
    public var durationFilterMilliseconds: Int64
    /// An expression that the transactional ids to list match; null or empty means all; from version 2 on (KIP-1152).
    public var transactionalIDPattern: String?

    /// Creates the message; what is not named is at its default.
    public init(
        stateFilters: [String] = [], producerIDFilters: [Int64] = [], durationFilterMilliseconds: Int64 = -1,
        transactionalIDPattern: String? = nil
    ) {
        self.stateFilters = stateFilters
        self.producerIDFilters = producerIDFilters
        self.durationFilterMilliseconds = durationFilterMilliseconds
        self.transactionalIDPattern = transactionalIDPattern
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listTransactions, version: version)
        stateFilters = try reader.stringArray()
        producerIDFilters = try reader.int64Array()
        durationFilterMilliseconds = try version >= 1 ? reader.int64() : -1
        transactionalIDPattern = try version >= 2 ? reader.nullableString() : nil
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listTransactions, version: version)
        writer.stringArray(stateFilters)
        writer.int64Array(producerIDFilters)
        if version >= 1 { writer.int64(durationFilterMilliseconds) }
        if version >= 2 { writer.nullableString(transactionalIDPattern) }
        writer.taggedFields()
    }
}
