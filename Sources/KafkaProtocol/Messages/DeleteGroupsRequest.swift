// SPDX-License-Identifier: Apache-2.0
//
// DeleteGroupsRequest.swift
// DeleteGroups (key 42) request, versions 0 to 2; flexible from version 2.

/// Deletes groups without members.
public struct DeleteGroupsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteGroups
    /// What answers this request.
    public typealias Response = DeleteGroupsResponse

    /// The groups to delete.
    public var groupIDs: [String]

    /// Creates the message; what is not named is at its default.
    public init(groupIDs: [String] = []) {
        self.groupIDs = groupIDs
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteGroups, version: version)
        groupIDs = try reader.stringArray()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteGroups, version: version)
        writer.stringArray(groupIDs)
        writer.taggedFields()
    }
}
