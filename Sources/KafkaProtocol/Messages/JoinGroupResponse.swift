// SPDX-License-Identifier: Apache-2.0
//
// JoinGroupResponse.swift
// JoinGroup (key 11) response, versions 0 to 9; flexible from version 6.

/// The member's id and its generation.
public struct JoinGroupResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.joinGroup

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The group's generation.
    public var generationID: Int32
    /// What the members use the group for, such as `consumer`.
    public var protocolType: String?
    /// The chosen protocol.
    public var protocolName: String?
    /// The leader's member id.
    public var leader: String
    /// Whether the leader is to keep the present assignment; from version 9 on (KIP-814).
    public var skipAssignment: Bool
    /// The member.
    public var memberID: String
    /// All members with their subscriptions, for the leader; empty for the others.
    public var members: [Member]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, generationID: Int32 = -1,
        protocolType: String? = nil, protocolName: String? = nil, leader: String, skipAssignment: Bool = false,
        memberID: String, members: [Member] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.generationID = generationID
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.leader = leader
        self.skipAssignment = skipAssignment
        self.memberID = memberID
        self.members = members
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.joinGroup, version: version)
        throttleTimeMilliseconds = try version >= 2 ? reader.int32() : 0
        errorCode = try reader.errorCode()
        generationID = try reader.int32()
        protocolType = try version >= 7 ? reader.nullableString() : nil
        protocolName = try version >= 7 ? reader.nullableString() : reader.string()
        leader = try reader.string()
        skipAssignment = try version >= 9 ? reader.bool() : false
        memberID = try reader.string()
        members = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.joinGroup, version: version)
        if version >= 2 { writer.int32(throttleTimeMilliseconds) }
        writer.errorCode(errorCode)
        writer.int32(generationID)
        if version >= 7 { writer.nullableString(protocolType) }
        if version >= 7 {
            writer.nullableString(protocolName)
        } else {
            writer.string(protocolName ?? "")
        }
        writer.string(leader)
        if version >= 9 { writer.bool(skipAssignment) }
        writer.string(memberID)
        writer.array(members, version: version)
        writer.taggedFields()
    }
}

extension JoinGroupResponse {
    /// One member.
    public struct Member: WireCoded {
        /// The member.
        public var memberID: String
        /// The member's name across restarts; null for a dynamic member.
        public var groupInstanceID: String?
        /// The member's subscription, in the layout of its protocol type.
        public var metadata: [UInt8]

        /// Creates a value; what is not named is at its default.
        public init(memberID: String, groupInstanceID: String? = nil, metadata: [UInt8]) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.metadata = metadata
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            groupInstanceID = try version >= 5 ? reader.nullableString() : nil
            metadata = try reader.bytes()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            if version >= 5 { writer.nullableString(groupInstanceID) }
            writer.bytes(metadata)
            writer.taggedFields()
        }
    }
}
