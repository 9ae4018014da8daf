// SPDX-License-Identifier: Apache-2.0
//
// ListGroupsResponse.swift
// ListGroups (key 16) response, versions 0 to 5; flexible from version 3.

/// The groups that this broker coordinates.
public struct ListGroupsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listGroups

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The groups.
    public var groups: [Group]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, groups: [Group] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.groups = groups
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listGroups, version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        errorCode = try reader.errorCode()
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listGroups, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        writer.errorCode(errorCode)
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension ListGroupsResponse {
    /// One group.
    public struct Group: WireCoded {
        /// The group.
        public var groupID: String
        /// What the members use the group for, such as `consumer`.
        public var protocolType: String
        /// The state of the group.
        public var groupState: String
        /// The type of the group, such as `classic`; from version 5 on.
        public var groupType: String

        /// Creates a value; what is not named is at its default.
        public init(groupID: String, protocolType: String, groupState: String = "", groupType: String = "") {
            self.groupID = groupID
            self.protocolType = protocolType
            self.groupState = groupState
            self.groupType = groupType
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            groupID = try reader.string()
            protocolType = try reader.string()
            groupState = try version >= 4 ? reader.string() : ""
            groupType = try version >= 5 ? reader.string() : ""
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(groupID)
            writer.string(protocolType)
            if version >= 4 { writer.string(groupState) }
            if version >= 5 { writer.string(groupType) }
            writer.taggedFields()
        }
    }
}
