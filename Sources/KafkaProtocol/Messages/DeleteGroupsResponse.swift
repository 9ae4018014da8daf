// SPDX-License-Identifier: Apache-2.0
//
// DeleteGroupsResponse.swift
// DeleteGroups (key 42) response, versions 0 to 2; flexible from version 2.

/// Whether each group was deleted.
public struct DeleteGroupsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteGroups

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each group.
    public var groups: [Group]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, groups: [Group] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.groups = groups
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteGroups, version: version)
        throttleTimeMilliseconds = try reader.int32()
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteGroups, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension DeleteGroupsResponse {
    /// The answer for one group.
    public struct Group: WireCoded {
        /// The group.
        public var groupID: String
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode

        /// Creates a value; what is not named is at its default.
        public init(groupID: String, errorCode: KafkaErrorCode = .none) {
            self.groupID = groupID
            self.errorCode = errorCode
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            groupID = try reader.string()
            errorCode = try reader.errorCode()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(groupID)
            writer.errorCode(errorCode)
            writer.taggedFields()
        }
    }
}
