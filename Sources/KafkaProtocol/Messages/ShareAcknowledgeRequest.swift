// SPDX-License-Identifier: Apache-2.0
//
// ShareAcknowledgeRequest.swift
// ShareAcknowledge (key 79) request, versions 1 and 2; flexible from version 0.

/// Says what became of records that a member of a share group acquired (KIP-932).
public struct ShareAcknowledgeRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareAcknowledge
    /// What answers this request.
    public typealias Response = ShareAcknowledgeResponse

    /// The group.
    public var groupID: String?
    /// The member; chosen by the client.
    public var memberID: String?
    /// The epoch of the share session; -1 closes it.
    public var shareSessionEpoch: Int32
    /// Whether acknowledgements renew locks, from version 2 on.
    public var isRenewAck: Bool
    /// The acknowledgements.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String? = nil, memberID: String? = nil, shareSessionEpoch: Int32, isRenewAck: Bool = false,
        topics: [Topic] = []
    ) {
        self.groupID = groupID
        self.memberID = memberID
        self.shareSessionEpoch = shareSessionEpoch
        self.isRenewAck = isRenewAck
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareAcknowledge, version: version)
        groupID = try reader.nullableString()
        memberID = try reader.nullableString()
        shareSessionEpoch = try reader.int32()
        isRenewAck = try version >= 2 ? reader.bool() : false
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareAcknowledge, version: version)
        writer.nullableString(groupID)
        writer.nullableString(memberID)
        writer.int32(shareSessionEpoch)
        if version >= 2 { writer.bool(isRenewAck) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension ShareAcknowledgeRequest {
    /// One topic and its partitions.
    public typealias Topic = IdentifiedTopic<Partition>

    /// One partition.
    public typealias Partition = SharePartition
}
