// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupHeartbeatRequest.swift
// ShareGroupHeartbeat (key 76) request, version 1; flexible from version 0.

/// Joins a share group, says that the member lives, or leaves (KIP-932).
///
/// Null means that nothing has changed.
public struct ShareGroupHeartbeatRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareGroupHeartbeat
    /// What answers this request.
    public typealias Response = ShareGroupHeartbeatResponse

    /// The group.
    public var groupID: String
    /// The member; chosen by the client.
    public var memberID: String
    /// The epoch the member knows; 0 to join, -1 to leave.
    public var memberEpoch: Int32
    /// Where the member runs.
    public var rackID: String?
    /// The topics that the member reads.
    public var subscribedTopicNames: [String]?

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String, memberID: String, memberEpoch: Int32, rackID: String? = nil,
        subscribedTopicNames: [String]? = nil
    ) {
        self.groupID = groupID
        self.memberID = memberID
        self.memberEpoch = memberEpoch
        self.rackID = rackID
        self.subscribedTopicNames = subscribedTopicNames
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareGroupHeartbeat, version: version)
        groupID = try reader.string()
        memberID = try reader.string()
        memberEpoch = try reader.int32()
        rackID = try reader.nullableString()
        subscribedTopicNames = try reader.nullableStringArray()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareGroupHeartbeat, version: version)
        writer.string(groupID)
        writer.string(memberID)
        writer.int32(memberEpoch)
        writer.nullableString(rackID)
        writer.nullableStringArray(subscribedTopicNames)
        writer.taggedFields()
    }
}
