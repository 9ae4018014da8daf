// SPDX-License-Identifier: Apache-2.0
//
// LeaveGroupRequest.swift
// LeaveGroup (key 13) request, versions 0 to 5; flexible from version 4.

/// Takes members out of a group.
public struct LeaveGroupRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.leaveGroup
    /// What answers this request.
    public typealias Response = LeaveGroupResponse

    /// The group.
    public var groupID: String
    /// The member that leaves, in versions 0 to 2.
    public var memberID: String
    /// The members that leave, from version 3 on.
    public var members: [Member]

    /// Creates the message; what is not named is at its default.
    public init(groupID: String, memberID: String = "", members: [Member] = []) {
        self.groupID = groupID
        self.memberID = memberID
        self.members = members
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.leaveGroup, version: version)
        groupID = try reader.string()
        memberID = try version <= 2 ? reader.string() : ""
        members = try version >= 3 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.leaveGroup, version: version)
        writer.string(groupID)
        if version <= 2 { writer.string(memberID) }
        if version >= 3 { writer.array(members, version: version) }
        writer.taggedFields()
    }
}

extension LeaveGroupRequest {
    /// One member.
    public struct Member: WireCoded {
        /// The member.
        public var memberID: String
        /// The member's name across restarts; null for a dynamic member.
        public var groupInstanceID: String?
        /// Why the member leaves, for the log; from version 5 on.
        public var reason: String?

        /// Creates a value; what is not named is at its default.
        public init(memberID: String, groupInstanceID: String? = nil, reason: String? = nil) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.reason = reason
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            groupInstanceID = try reader.nullableString()
            reason = try version >= 5 ? reader.nullableString() : nil
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            writer.nullableString(groupInstanceID)
            if version >= 5 { writer.nullableString(reason) }
            writer.taggedFields()
        }
    }
}
