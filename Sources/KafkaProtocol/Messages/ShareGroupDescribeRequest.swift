// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupDescribeRequest.swift
// ShareGroupDescribe (key 77) request, version 1; flexible from version 0.

/// Asks for share groups and their members (KIP-932).
public struct ShareGroupDescribeRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareGroupDescribe
    /// What answers this request.
    public typealias Response = ShareGroupDescribeResponse

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
        try reader.begin(.shareGroupDescribe, version: version)
        groupIDs = try reader.stringArray()
        includeAuthorizedOperations = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareGroupDescribe, version: version)
        writer.stringArray(groupIDs)
        writer.bool(includeAuthorizedOperations)
        writer.taggedFields()
    }
}
