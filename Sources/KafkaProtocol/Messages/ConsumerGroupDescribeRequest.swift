// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupDescribeRequest.swift
// ConsumerGroupDescribe (key 69) request, versions 0 and 1; flexible from version 0.

/// Asks for groups under the consumer protocol and their members (KIP-848).
public struct ConsumerGroupDescribeRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.consumerGroupDescribe
    /// What answers this request.
    public typealias Response = ConsumerGroupDescribeResponse

    /// The groups to describe.
    public var groupIDs: [String]
    /// Whether to tell what the client may do with the groups.
    public var includeAuthorizedOperations: Bool

    /// Creates the message; what is not named is at its default.
    public init(groupIDs: [String] = [], includeAuthorizedOperations: Bool = false) {
        self.groupIDs = groupIDs
        self.includeAuthorizedOperations = includeAuthorizedOperations
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.consumerGroupDescribe, version: version)
        groupIDs = try reader.stringArray()
        includeAuthorizedOperations = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.consumerGroupDescribe, version: version)
        writer.stringArray(groupIDs)
        writer.bool(includeAuthorizedOperations)
        writer.taggedFields()
    }
}
