// SPDX-License-Identifier: Apache-2.0
//
// DescribeGroupsResponse.swift
// DescribeGroups (key 15) response, versions 0 to 6; flexible from version 5.

/// The state and the members of each group.
public struct DescribeGroupsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeGroups

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
        try reader.begin(.describeGroups, version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeGroups, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension DescribeGroupsResponse {
    /// One group.
    public struct Group: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence; from version 6 on.
        public var errorMessage: String?
        /// The group.
        public var groupID: String
        /// The state of the group.
        public var groupState: String
        /// What the members use the group for, such as `consumer`.
        public var protocolType: String
        /// The chosen protocol.
        public var protocolData: String
        /// The members.
        public var members: [Member]
        /// What the client may do with the group, a bit for each operation.
        public var authorizedOperations: Int32

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, groupID: String, groupState: String,
            protocolType: String, protocolData: String, members: [Member] = [],
            authorizedOperations: Int32 = authorizedOperationsOmitted
        ) {
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.groupID = groupID
            self.groupState = groupState
            self.protocolType = protocolType
            self.protocolData = protocolData
            self.members = members
            self.authorizedOperations = authorizedOperations
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            errorMessage = try version >= 6 ? reader.nullableString() : nil
            groupID = try reader.string()
            groupState = try reader.string()
            protocolType = try reader.string()
            protocolData = try reader.string()
            members = try reader.array(version: version)
            authorizedOperations = try version >= 3 ? reader.int32() : authorizedOperationsOmitted
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            if version >= 6 { writer.nullableString(errorMessage) }
            writer.string(groupID)
            writer.string(groupState)
            writer.string(protocolType)
            writer.string(protocolData)
            writer.array(members, version: version)
            if version >= 3 { writer.int32(authorizedOperations) }
            writer.taggedFields()
        }
    }

    /// One member.
    public struct Member: WireCoded {
        /// The member.
        public var memberID: String
        /// The member's name across restarts; null for a dynamic member.
        public var groupInstanceID: String?
        /// The name the client gives itself.
        public var clientID: String
        /// The address the member's connection came from.
        public var clientHost: String
        /// The member's subscription, in the layout of its protocol type.
        public var memberMetadata: [UInt8]
        /// The member's share, in the layout of its protocol type.
        public var memberAssignment: [UInt8]

        /// Creates a value; what is not named is at its default.
        public init(
            memberID: String, groupInstanceID: String? = nil, clientID: String, clientHost: String,
            memberMetadata: [UInt8], memberAssignment: [UInt8]
        ) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.clientID = clientID
            self.clientHost = clientHost
            self.memberMetadata = memberMetadata
            self.memberAssignment = memberAssignment
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            groupInstanceID = try version >= 4 ? reader.nullableString() : nil
            clientID = try reader.string()
            clientHost = try reader.string()
            memberMetadata = try reader.bytes()
            memberAssignment = try reader.bytes()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            if version >= 4 { writer.nullableString(groupInstanceID) }
            writer.string(clientID)
            writer.string(clientHost)
            writer.bytes(memberMetadata)
            writer.bytes(memberAssignment)
            writer.taggedFields()
        }
    }
}
