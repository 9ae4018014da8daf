// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupHeartbeatRequest.swift
// ConsumerGroupHeartbeat (key 68) request, versions 0 and 1; flexible from version 0.

/// Joins a group under the consumer protocol, says that the member lives and what it owns, or leaves (KIP-848).
///
/// Null means that nothing has changed.
public struct ConsumerGroupHeartbeatRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.consumerGroupHeartbeat
    /// What answers this request.
    public typealias Response = ConsumerGroupHeartbeatResponse

    /// The group.
    public var groupID: String
    /// The member; chosen by the client from version 1 on.
    public var memberID: String
    /// The epoch the member knows; 0 to join, -1 to leave, -2 to leave for a while.
    public var memberEpoch: Int32
    /// The member's name across restarts; null for a dynamic member.
    public var instanceID: String?
    /// Where the member runs.
    public var rackID: String?
    /// How long the member may take to give partitions up, -1 for unchanged.
    public var rebalanceTimeoutMilliseconds: Int32
    /// The topics that the member reads.
    public var subscribedTopicNames: [String]?
    /// An expression for the names of further topics that it reads, from version 1 on.
    public var subscribedTopicRegex: String?
    /// The assignor that the member prefers.
    public var serverAssignor: String?
    /// What the member owns.
    public var topicPartitions: [TopicIDPartitions]?

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String, memberID: String, memberEpoch: Int32, instanceID: String? = nil, rackID: String? = nil,
        rebalanceTimeoutMilliseconds: Int32 = -1, subscribedTopicNames: [String]? = nil,
        subscribedTopicRegex: String? = nil, serverAssignor: String? = nil,
        topicPartitions: [TopicIDPartitions]? = nil
    ) {
        self.groupID = groupID
        self.memberID = memberID
        self.memberEpoch = memberEpoch
        self.instanceID = instanceID
        self.rackID = rackID
        self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
        self.subscribedTopicNames = subscribedTopicNames
        self.subscribedTopicRegex = subscribedTopicRegex
        self.serverAssignor = serverAssignor
        self.topicPartitions = topicPartitions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.consumerGroupHeartbeat, version: version)
        groupID = try reader.string()
        memberID = try reader.string()
        memberEpoch = try reader.int32()
        instanceID = try reader.nullableString()
        rackID = try reader.nullableString()
        rebalanceTimeoutMilliseconds = try reader.int32()
        subscribedTopicNames = try reader.nullableStringArray()
        subscribedTopicRegex = try version >= 1 ? reader.nullableString() : nil
        serverAssignor = try reader.nullableString()
        topicPartitions = try reader.nullableArray(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.consumerGroupHeartbeat, version: version)
        writer.string(groupID)
        writer.string(memberID)
        writer.int32(memberEpoch)
        writer.nullableString(instanceID)
        writer.nullableString(rackID)
        writer.int32(rebalanceTimeoutMilliseconds)
        writer.nullableStringArray(subscribedTopicNames)
        if version >= 1 { writer.nullableString(subscribedTopicRegex) }
        writer.nullableString(serverAssignor)
        writer.nullableArray(topicPartitions, version: version)
        writer.taggedFields()
    }
}
