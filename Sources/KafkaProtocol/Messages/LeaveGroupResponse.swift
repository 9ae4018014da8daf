// SPDX-License-Identifier: Apache-2.0
//
// LeaveGroupResponse.swift
// LeaveGroup (key 13) response, versions 0 to 5; flexible from version 4.

/// Whether each member has left.
public struct LeaveGroupResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.leaveGroup

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The answer for each member.
    public var members: [Member]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, members: [Member] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.members = members
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.leaveGroup, version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        errorCode = try reader.errorCode()
        members = try version >= 3 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.leaveGroup, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        writer.errorCode(errorCode)
        if version >= 3 { writer.array(members, version: version) }
        writer.taggedFields()
    }
}

extension LeaveGroupResponse {
    /// The answer for one member.
    public struct Member: WireCoded {
        /// The member.
        public var memberID: String
        /// The member's name across restarts; null for a dynamic member.
        public var groupInstanceID: String?
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode

        /// Creates a value; what is not named is at its default.
        public init(memberID: String, groupInstanceID: String? = nil, errorCode: KafkaErrorCode = .none) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.errorCode = errorCode
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            groupInstanceID = try reader.nullableString()
            errorCode = try reader.errorCode()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            writer.nullableString(groupInstanceID)
            writer.errorCode(errorCode)
            writer.taggedFields()
        }
    }
}
