// SPDX-License-Identifier: Apache-2.0
//
// JoinGroupRequest.swift
// JoinGroup (key 11) request, versions 0 to 9; flexible from version 6.

/// Enters a group, or enters its next generation.
public struct JoinGroupRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.joinGroup
    /// What answers this request.
    public typealias Response = JoinGroupResponse

    /// The group.
    public var groupID: String
    /// How long the member may be silent.
    public var sessionTimeoutMilliseconds: Int32
    /// How long a rebalance may wait for the member, -1 for the session timeout.
    public var rebalanceTimeoutMilliseconds: Int32
    /// The member.
    public var memberID: String
    /// The member's name across restarts; null for a dynamic member.
    public var groupInstanceID: String?
    /// What the members use the group for, such as `consumer`.
    public var protocolType: String
    /// The protocols the member supports, most wanted first.
    public var protocols: [GroupProtocol]
    /// Why the member joins again, for the log; from version 8 on.
    public var reason: String?

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String, sessionTimeoutMilliseconds: Int32, rebalanceTimeoutMilliseconds: Int32 = -1, memberID: String,
        groupInstanceID: String? = nil, protocolType: String, protocols: [GroupProtocol] = [],
        reason: String? = nil
    ) {
        self.groupID = groupID
        self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.protocolType = protocolType
        self.protocols = protocols
        self.reason = reason
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.joinGroup, version: version)
        groupID = try reader.string()
        sessionTimeoutMilliseconds = try reader.int32()
        rebalanceTimeoutMilliseconds = try version >= 1 ? reader.int32() : -1
        memberID = try reader.string()
        groupInstanceID = try version >= 5 ? reader.nullableString() : nil
        protocolType = try reader.string()
        protocols = try reader.array(version: version)
        reason = try version >= 8 ? reader.nullableString() : nil
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.joinGroup, version: version)
        writer.string(groupID)
        writer.int32(sessionTimeoutMilliseconds)
        if version >= 1 { writer.int32(rebalanceTimeoutMilliseconds) }
        writer.string(memberID)
        if version >= 5 { writer.nullableString(groupInstanceID) }
        writer.string(protocolType)
        writer.array(protocols, version: version)
        if version >= 8 { writer.nullableString(reason) }
        writer.taggedFields()
    }
}

extension JoinGroupRequest {
    /// A protocol that the member supports.
    public struct GroupProtocol: WireCoded {
        /// The protocol's name.
        public var name: String
        /// The member's subscription, in the layout of its protocol type.
        public var metadata: [UInt8]

        /// Creates a value.
        public init(name: String, metadata: [UInt8]) {
            self.name = name
            self.metadata = metadata
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            metadata = try reader.bytes()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.bytes(metadata)
            writer.taggedFields()
        }
    }
}
