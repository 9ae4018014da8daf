// SPDX-License-Identifier: Apache-2.0
//
// HeartbeatRequest.swift
// Heartbeat (key 12) request, versions 0 to 4; flexible from version 4.

/// Says that a member is alive.
public struct HeartbeatRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.heartbeat
    /// What answers this request.
    public typealias Response = HeartbeatResponse

    /// The group.
    public var groupID: String
    /// The group's generation.
    public var generationID: Int32
    /// The member.
    public var memberID: String
    /// The member's name across restarts; null for a dynamic member.
    public var groupInstanceID: String?

    /// Creates the message; what is not named is at its default.
    public init(groupID: String, generationID: Int32, memberID: String, groupInstanceID: String? = nil) {
        self.groupID = groupID
        self.generationID = generationID
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.heartbeat, version: version)
        groupID = try reader.string()
        generationID = try reader.int32()
        memberID = try reader.string()
        groupInstanceID = try version >= 3 ? reader.nullableString() : nil
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.heartbeat, version: version)
        writer.string(groupID)
        writer.int32(generationID)
        writer.string(memberID)
        if version >= 3 { writer.nullableString(groupInstanceID) }
        writer.taggedFields()
    }
}
