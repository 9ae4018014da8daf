// SPDX-License-Identifier: Apache-2.0
//
// SyncGroupRequest.swift
// SyncGroup (key 14) request, versions 0 to 5; flexible from version 4.

/// Hands out the leader's assignments and asks for one's own.
public struct SyncGroupRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.syncGroup
    /// What answers this request.
    public typealias Response = SyncGroupResponse

    /// The group.
    public var groupID: String
    /// The group's generation.
    public var generationID: Int32
    /// The member.
    public var memberID: String
    /// The member's name across restarts; null for a dynamic member.
    public var groupInstanceID: String?
    /// What the members use the group for, such as `consumer`.
    public var protocolType: String?
    /// The chosen protocol.
    public var protocolName: String?
    /// Every member's share, from the leader; empty from the others.
    public var assignments: [Assignment]

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String, generationID: Int32, memberID: String, groupInstanceID: String? = nil,
        protocolType: String? = nil, protocolName: String? = nil, assignments: [Assignment] = []
    ) {
        self.groupID = groupID
        self.generationID = generationID
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignments = assignments
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.syncGroup, version: version)
        groupID = try reader.string()
        generationID = try reader.int32()
        memberID = try reader.string()
        groupInstanceID = try version >= 3 ? reader.nullableString() : nil
        protocolType = try version >= 5 ? reader.nullableString() : nil
        protocolName = try version >= 5 ? reader.nullableString() : nil
        assignments = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.syncGroup, version: version)
        writer.string(groupID)
        writer.int32(generationID)
        writer.string(memberID)
        if version >= 3 { writer.nullableString(groupInstanceID) }
        if version >= 5 {
            writer.nullableString(protocolType)
            writer.nullableString(protocolName)
        }
        writer.array(assignments, version: version)
        writer.taggedFields()
    }
}

extension SyncGroupRequest {
    /// A member's share.
    public struct Assignment: WireCoded {
        /// The member.
        public var memberID: String
        /// The member's share.
        public var assignment: [UInt8]

        /// Creates a value.
        public init(memberID: String, assignment: [UInt8]) {
            self.memberID = memberID
            self.assignment = assignment
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            assignment = try reader.bytes()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            writer.bytes(assignment)
            writer.taggedFields()
        }
    }
}
