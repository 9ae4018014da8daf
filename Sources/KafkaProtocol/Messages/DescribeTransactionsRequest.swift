// SPDX-License-Identifier: Apache-2.0
//
// DescribeTransactionsRequest.swift
// DescribeTransactions (key 65) request, version 0; flexible from version 0.

/// Asks for the state of transactional ids.
public struct DescribeTransactionsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeTransactions
    /// What answers this request.
    public typealias Response = DescribeTransactionsResponse

    /// The transactional ids.
    public var transactionalIDs: [String]

    /// Creates the message; what is not named is at its default.
    public init(transactionalIDs: [String] = []) {
        self.transactionalIDs = transactionalIDs
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeTransactions, version: version)
        transactionalIDs = try reader.stringArray()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeTransactions, version: version)
        writer.stringArray(transactionalIDs)
        writer.taggedFields()
    }
}
