// SPDX-License-Identifier: Apache-2.0
//
// ShareFetchRequest.swift
// ShareFetch (key 78) request, versions 1 and 2; flexible from version 0.

/// Acquires records for a member of a share group, and says what became of earlier ones (KIP-932).
public struct ShareFetchRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareFetch
    /// What answers this request.
    public typealias Response = ShareFetchResponse

    /// The group.
    public var groupID: String?
    /// The member; chosen by the client.
    public var memberID: String?
    /// The epoch of the share session; 0 opens one, -1 closes it.
    public var shareSessionEpoch: Int32
    /// How long the broker may wait for records.
    public var maxWaitMilliseconds: Int32
    /// How many bytes are worth an answer.
    public var minBytes: Int32
    /// How many bytes the answer may have; the first batch may exceed it.
    public var maxBytes: Int32
    /// How many records to acquire; a batch may exceed it unless the mode is strict.
    public var maxRecords: Int32
    /// How many records a range of acquired ones is best to have.
    public var batchSize: Int32
    /// 0 to acquire whole batches, 1 to keep strictly to the number of records, from version 2 on.
    public var shareAcquireMode: Int8
    /// Whether the acknowledgements renew locks, so that nothing is to be fetched, from version 2 on.
    public var isRenewAck: Bool
    /// The partitions that join the session, and acknowledgements.
    public var topics: [Topic]
    /// The partitions that leave the session.
    public var forgottenTopics: [TopicIDPartitions]

    /// Creates the message; what is not named is at its default.
    public init(
        groupID: String? = nil, memberID: String? = nil, shareSessionEpoch: Int32, maxWaitMilliseconds: Int32 = 0,
        minBytes: Int32 = 0, maxBytes: Int32 = .max, maxRecords: Int32 = 0, batchSize: Int32 = 0,
        shareAcquireMode: Int8 = 0, isRenewAck: Bool = false, topics: [Topic] = [],
        forgottenTopics: [TopicIDPartitions] = []
    ) {
        self.groupID = groupID
        self.memberID = memberID
        self.shareSessionEpoch = shareSessionEpoch
        self.maxWaitMilliseconds = maxWaitMilliseconds
        self.minBytes = minBytes
        self.maxBytes = maxBytes
        self.maxRecords = maxRecords
        self.batchSize = batchSize
        self.shareAcquireMode = shareAcquireMode
        self.isRenewAck = isRenewAck
        self.topics = topics
        self.forgottenTopics = forgottenTopics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareFetch, version: version)
        groupID = try reader.nullableString()
        memberID = try reader.nullableString()
        shareSessionEpoch = try reader.int32()
        maxWaitMilliseconds = try reader.int32()
        minBytes = try reader.int32()
        maxBytes = try reader.int32()
        maxRecords = try reader.int32()
        batchSize = try reader.int32()
        shareAcquireMode = try version >= 2 ? reader.int8() : 0
        isRenewAck = try version >= 2 ? reader.bool() : false
        topics = try reader.array(version: version)
        forgottenTopics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareFetch, version: version)
        writer.nullableString(groupID)
        writer.nullableString(memberID)
        writer.int32(shareSessionEpoch)
        writer.int32(maxWaitMilliseconds)
        writer.int32(minBytes)
        writer.int32(maxBytes)
        writer.int32(maxRecords)
        writer.int32(batchSize)
        if version >= 2 { writer.int8(shareAcquireMode) }
        if version >= 2 { writer.bool(isRenewAck) }
        writer.array(topics, version: version)
        writer.array(forgottenTopics, version: version)
        writer.taggedFields()
    }
}

extension ShareFetchRequest {
    /// One topic and its partitions.
    public typealias Topic = IdentifiedTopic<Partition>

    /// One partition.
    public typealias Partition = SharePartition
}
