// SPDX-License-Identifier: Apache-2.0
//
// ListGroupsRequest.swift
// ListGroups (key 16) request, versions 0 to 5; flexible from version 3.

/// Asks for the groups that this broker coordinates.
public struct ListGroupsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listGroups
    /// What answers this request.
    public typealias Response = ListGroupsResponse

    /// The states of the groups to list; empty means all.
    public var statesFilter: [String]
    /// The types of the groups to list, from version 5 on; empty means all.
    public var typesFilter: [String]

    /// Creates the message; what is not named is at its default.
    public init(statesFilter: [String] = [], typesFilter: [String] = []) {
        self.statesFilter = statesFilter
        self.typesFilter = typesFilter
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listGroups, version: version)
        statesFilter = try version >= 4 ? reader.stringArray() : []
        typesFilter = try version >= 5 ? reader.stringArray() : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listGroups, version: version)
        if version >= 4 { writer.stringArray(statesFilter) }
        if version >= 5 { writer.stringArray(typesFilter) }
        writer.taggedFields()
    }
}
