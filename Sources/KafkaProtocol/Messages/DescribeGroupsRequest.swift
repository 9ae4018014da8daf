// SPDX-License-Identifier: Apache-2.0
//
// DescribeGroupsRequest.swift
// DescribeGroups (key 15) request, versions 0 to 6; flexible from version 5.

/// Asks for the state and the members of groups.
public struct DescribeGroupsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeGroups
    /// What answers this request.
    public typealias Response = DescribeGroupsResponse

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
        try reader.begin(.describeGroups, version: version)
        groupIDs = try reader.stringArray()
        includeAuthorizedOperations = try version >= 3 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeGroups, version: version)
        writer.stringArray(groupIDs)
        if version >= 3 { writer.bool(includeAuthorizedOperations) }
        writer.taggedFields()
    }
}
